/** The CT slices in a Cornerstone stack viewport: loading, scrolling, window, zoom and pan. */
import { Enums, RenderingEngine, cache, eventTarget, getRenderingEngine, getShouldUseCPURendering, imageLoader, init as initCore, metaData, getRenderingCapabilities } from '@cornerstonejs/core';
import type { Types } from '@cornerstonejs/core';
import { init as initLoader } from '@cornerstonejs/dicom-image-loader';
import { Enums as ToolEnums, ToolGroupManager, init as initTools } from '@cornerstonejs/tools';
import { panBy, zoomBy } from './camera';
import { Cursor } from './cursor';
import { addTools, isLength, makeGroup, removeMeasurement, setDragTool } from './tools';
import type { Measurement } from './tools';
import { PRESETS } from './view';
import type { DragTool, Length, Measure, Shown, View, Window } from './view';

export const ENGINE = 'ct';
const PREFETCH_AT_ONCE = 6; // as many connections as a browser opens to one server
const CACHE_BYTES = 1_500_000_000; // of pixels, the files come on top: about 2,800 slices of 512 × 512, or 700 of 1024 × 1024
const NARROWEST_HU = 50; // of windows, by keys
const WITHOUT_GPU = 'drawn-without-graphics-card'; // in the tab's storage, once the card was lost
const AHEAD_OF_ALL_BYTES = 500_000_000; // of pixels, that several CTs side by side load ahead

interface CtEvents {
  /** Something on screen moved: slice, zoom, pan, size. */
  drawn(): void;
  windowed(window: Window): void;
  sliced(index: number): void;
  /** `all`: as many as will be loaded ahead. */
  loaded(count: number, all: number): void;
  /** A slice could not be loaded; the one before stays on show. */
  broken(index: number): void;
  /** The browser has lost the graphics card: what is on screen stays, whatever is shown next. */
  lost(): void;
  /** A length was measured, changed or taken away; `lengths`: all that are there, the one measured or changed last at the end. */
  measured?(lengths: Length[]): void;
}

/** Starts Cornerstone; its viewports share one engine. WebGL without a GPU is slower than none, and a card that was lost is too weak. */
function firstEngine(): RenderingEngine {
  const useCPURendering = getRenderingCapabilities().softwareRasterizer || sessionStorage.getItem(WITHOUT_GPU) !== null;
  initCore({ rendering: { webGlContextCount: 1, useCPURendering }, debug: {} }); // few viewports: more contexts only cost time
  initTools();
  initLoader({ maxWebWorkers: Math.max(1, Math.min(4, navigator.hardwareConcurrency)) });
  cache.setMaxCacheSize(CACHE_BYTES);
  addTools();
  return new RenderingEngine(ENGINE);
}

export class Ct implements Shown {
  private constructor(
    readonly element: HTMLDivElement,
    private readonly engine: RenderingEngine,
    private readonly viewport: Types.IStackViewport,
    readonly imageIds: string[],
    private readonly events: CtEvents,
    private shown: number,
  ) {}

  /** When every slice that is loaded ahead is there, or known to be broken. */
  whole: Promise<void> = Promise.resolve();

  /** Whether planes and 3D can be drawn: where Cornerstone draws without WebGL they cannot. */
  get hasVolume(): boolean {
    return !getShouldUseCPURendering();
  }

  /** `name`: of the viewport, one for each on the page; `of`: how many CTs stand side by side. */
  static async open(
    element: HTMLDivElement,
    files: string[],
    start: number,
    events: CtEvents,
    { name = 'ct', of = 1 } = {},
  ): Promise<Ct> {
    const engine = getRenderingEngine(ENGINE) ?? firstEngine();
    engine.enableElement({ viewportId: name, type: Enums.ViewportType.STACK, element });
    const viewport = engine.getViewport(name) as Types.IStackViewport;
    const imageIds = files.map((file) => `wadouri:${new URL(file, location.href).href}`);
    const ct = new Ct(element, engine, viewport, imageIds, events, start);
    ct.bindTools();
    ct.listen();
    await viewport.setStack(imageIds, start);
    ct.setWindow(PRESETS.lung!);
    ct.whole = ct.prefetch(start, of);
    return ct;
  }

  /** Of the slice that is drawn; Cornerstone's own is that of the slice which is being loaded, or could not be. */
  get index(): number {
    return this.shown;
  }

  async go(index: number): Promise<void> {
    const wanted = Math.max(0, Math.min(this.imageIds.length - 1, index));
    if (wanted === this.viewport.getTargetImageIdIndex()) return;
    await this.viewport.setImageIdIndex(wanted).catch(() => undefined); // `broken` tells it
  }

  step(by: number): Promise<void> {
    return this.go(this.viewport.getTargetImageIdIndex() + by);
  }

  setWindow({ centre, width }: Window): void {
    this.viewport.setProperties({ voiRange: { lower: centre - width / 2, upper: centre + width / 2 } });
    this.viewport.render();
  }

  /** By HU. */
  nudgeWindow(level: number, width: number): void {
    const { lower, upper } = this.viewport.getProperties().voiRange!;
    this.setWindow({ centre: (lower + upper) / 2 + level, width: Math.max(NARROWEST_HU, upper - lower + width) });
  }

  get view(): View {
    return { zoom: this.viewport.getZoom(), pan: this.panned() };
  }

  setView({ zoom, pan }: View): void {
    this.viewport.setZoom(zoom);
    const [x, y] = this.panned();
    this.pan(pan[0] - x, pan[1] - y);
  }

  reset(): void {
    this.viewport.resetCamera();
    this.setWindow(PRESETS.lung!);
  }

  setDragTool(tool: DragTool): void {
    setDragTool(ToolGroupManager.getToolGroup(this.viewport.id)!, tool);
  }

  /** Takes away the measurement that was touched last, or the newest, of any CT. */
  removeMeasurement(): void {
    removeMeasurement();
  }

  /** Moves the image by CSS pixels, to the right and down. */
  pan(x: number, y: number): void {
    panBy(this.viewport, x, y);
  }

  zoom(factor: number): void {
    zoomBy(this.viewport, factor);
  }

  /** A cursor that measures on the slice on show. */
  cursor(measure: Measure): Cursor {
    return new Cursor(this.viewport, measure);
  }

  /** CSS pixels that a millimetre of the image takes on screen; null where the image does not say. */
  pixelsPerMm(): number | null {
    const image = this.viewport.getImageData();
    const corners = this.corners();
    if (!image?.hasPixelSpacing || !corners) return null;
    return (corners[1][0] - corners[0][0]) / (image.dimensions[0] * image.spacing[0]);
  }

  corners(): [Types.Point2, Types.Point2, Types.Point2] | null {
    const image = this.viewport.getImageData();
    if (!image) return null;
    const { origin, direction, spacing, dimensions } = image;
    const at = (column: number, row: number): Types.Point2 => {
      const world = [0, 1, 2].map(
        (axis) =>
          origin[axis]! +
          direction[axis]! * spacing[0] * column +
          direction[3 + axis]! * spacing[1] * row,
      ) as Types.Point3;
      return this.viewport.worldToCanvas(world);
    };
    const [columns, rows] = dimensions;
    return [at(-0.5, -0.5), at(columns - 0.5, -0.5), at(-0.5, rows - 0.5)];
  }

  /** How high a point of the patient (LPS, mm) lies along the slices' normal, as `z_mm` of a slice is meant. */
  height(point: Types.Point3): number {
    return this.normal.reduce((sum, share, axis) => sum + share * point[axis]!, 0);
  }

  /** Direction across the slices, towards the head (LPS). */
  get normal(): Types.Point3 {
    const axes = this.orientation();
    if (!axes) return [0, 0, 1];
    const { row: [a, b, c], column: [d, e, f] } = axes;
    const across: Types.Point3 = [b * f - c * e, c * d - a * f, a * e - b * d];
    return across[2] < 0 ? (across.map((share) => -share) as Types.Point3) : across;
  }

  /** Where a point of the patient (LPS, mm) lies on screen, CSS pixels. */
  onScreen(point: Types.Point3): Types.Point2 {
    return this.viewport.worldToCanvas(point);
  }

  /** Direction cosines (DICOM patient coordinates, LPS) of the row and the column on screen. */
  orientation(): { row: Types.Point3; column: Types.Point3 } | null {
    const plane = metaData.get('imagePlaneModule', this.imageIds[this.index]!) as
      | { rowCosines?: Types.Point3; columnCosines?: Types.Point3 }
      | undefined;
    return plane?.rowCosines && plane.columnCosines ? { row: plane.rowCosines, column: plane.columnCosines } : null;
  }

  /** Where the image's middle lies from the screen's. Not by `getPan`, which counts in other pixels where there is no WebGL. */
  private panned(): Types.Point2 {
    const corners = this.corners();
    if (!corners) return [0, 0];
    const [, [right, top], [left, bottom]] = corners;
    return [(left + right - this.element.clientWidth) / 2, (top + bottom - this.element.clientHeight) / 2];
  }

  private bindTools(): void {
    makeGroup(this.viewport.id).addViewport(this.viewport.id, ENGINE);
    this.setDragTool('window');
  }

  private listen(): void {
    const { element, events } = this;
    element.addEventListener('contextmenu', (event) => event.preventDefault());
    const drawn = (): void => events.drawn();
    element.addEventListener(Enums.Events.IMAGE_RENDERED, drawn);
    element.addEventListener(Enums.Events.CAMERA_MODIFIED, drawn);
    element.addEventListener(Enums.Events.STACK_NEW_IMAGE, (event) => {
      this.shown = (event as CustomEvent<{ imageIdIndex: number }>).detail.imageIdIndex;
      events.sliced(this.index);
    });
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_FAILED, ({ detail: { imageId } }: CustomEvent<{ imageId: string }>) => {
      const index = this.imageIds.indexOf(imageId);
      if (index >= 0) events.broken(index);
    });
    eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, () => {
      sessionStorage.setItem(WITHOUT_GPU, '1');
      events.lost();
    });
    element.addEventListener(Enums.Events.VOI_MODIFIED, (event) => {
      const { range } = (event as CustomEvent<{ range: Types.VOIRange }>).detail;
      events.windowed({ centre: (range.lower + range.upper) / 2, width: range.upper - range.lower });
    });
    this.listenToLengths();
    new ResizeObserver(() => {
      if (element.clientWidth === 0) return;
      this.engine.resize(true, true);
      events.drawn();
    }).observe(element);
  }

  /** One that is begun counts once it has its second point. */
  private listenToLengths(): void {
    const whole = new Map<string, Length>();
    const { ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_REMOVED } = ToolEnums.Events;
    for (const name of [ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_REMOVED]) {
      eventTarget.addEventListener(name, ({ detail: { annotation } }: CustomEvent<{ annotation: Measurement }>) => {
        const uid = annotation.annotationUID!;
        const [from, to] = annotation.data.handles?.points ?? [];
        if (!isLength(annotation) || !from || !to) return;
        const known = whole.delete(uid); // which puts it at the end, if it comes again
        if (!known && name !== ANNOTATION_COMPLETED) return;
        if (name !== ANNOTATION_REMOVED) whole.set(uid, { uid, line: [from, to] });
        this.events.measured?.([...whole.values()]);
      });
    }
  }

  /**
   * Loads every slice, the nearest to the first one shown first, so that scrolling never waits; of a CT that the memory
   * cannot hold as many as it can, of one of several CTs its share, and the others when they are shown.
   */
  private async prefetch(start: number, of: number): Promise<void> {
    const order = this.imageIds.map((_, index) => index).sort((a, b) => Math.abs(a - start) - Math.abs(b - start));
    const bytes = cache.getImage(this.imageIds[start]!)?.sizeInBytes;
    if (bytes) order.splice((of > 1 ? AHEAD_OF_ALL_BYTES / of : CACHE_BYTES) / bytes);
    const all = order.length;
    let done = 0;
    const work = async (): Promise<void> => {
      for (let index = order.shift(); index !== undefined; index = order.shift()) {
        await imageLoader.loadAndCacheImage(this.imageIds[index]!).catch(() => undefined); // `broken` tells it
        if (++done % PREFETCH_AT_ONCE === 0 || done === all) this.events.loaded(done, all);
      }
    };
    await Promise.all(Array.from({ length: Math.ceil(PREFETCH_AT_ONCE / of) }, work));
  }
}

/** The CT as a volume: three linked planes, and the lungs in 3D with opacities red and findings green. Needs WebGL. */
import { Enums, cache, eventTarget, getRenderingEngine, utilities, volumeLoader } from '@cornerstonejs/core';
import type { Types, VolumeViewport } from '@cornerstonejs/core';
import { CrosshairsTool, Enums as ToolEnums, PanTool, ToolGroupManager, TrackballRotateTool, ZoomTool, addTool } from '@cornerstonejs/tools';
import { gettext, interpolate } from '../words';
import { panBy, rightOf, turnBy, zoomBy } from './camera';
import { Cursor } from './cursor';
import { ENGINE } from './ct';
import { CT, INSIDE, fill, inOrder, lungTissue, mapGrid, paint } from './grid';
import type { Grid } from './grid';
import { colourStops } from './heatmap';
import type { HeatmapSettings } from './heatmap';
import { Lungs } from './lungs';
import type { Surfaces } from './lungs';
import { loadMap } from './overlay';
import { label } from './plane';
import { Ring } from './ring';
import type { Mark, Scan } from './scan';
import { huOf, makeGroup, setDragTool } from './tools';
import type { DragTool, Measure, Window } from './view';

const { MouseBindings } = ToolEnums;

const PLANES = ['axial', 'coronal', 'sagittal'] as const;
export type Plane = (typeof PLANES)[number];
const LUNGS = '3d' as const;
const PLANE_COLOURS: Record<Plane, string> = { axial: '#7fd0dc', coronal: '#ffe58a', sagittal: '#f5a3d0' };
const SLAB_MM = 0.1; // thickness of a plane, over which its opacity is meant
type Layer = 'opacity' | 'findings';
const LAYERS: Record<Layer, [number, number, number]> = { opacity: [1, 0.25, 0.2], findings: [0.25, 1, 0.5] };
const LAYER_OPACITY = 0.5;
const MAPS_BYTES = 5; // for a pixel of the maps: the lungs' tissue takes two, each of the other three one

/** Told of what the mouse did in the planes. */
interface VolumeEvents {
  windowed(window: Window): void;
  /** The planes cross at another point. */
  crossed(): void;
}

export class Volume {
  /** What is shown and hidden together. */
  private readonly actors: Record<string, Types.VolumeActor[]> = {};
  private lungs: Lungs | null = null;
  private rings: Ring[] = [];
  private heat: Uint8Array = new Uint8Array();
  private opacities: Uint8Array = new Uint8Array();
  /** The number of the finding at each voxel, and what is drawn there. */
  private findings: Record<'numbers' | 'drawn', Uint8Array> = { numbers: new Uint8Array(), drawn: new Uint8Array() };

  private constructor(
    private readonly sliceStepMm: number,
    private readonly grid: Grid,
  ) {}

  /** `place` holds the elements of the planes and of 3D, and is on show. The slices of `imageIds` are loaded, if the memory holds them. */
  static async open(place: HTMLElement, scan: Scan, imageIds: string[], events: VolumeEvents): Promise<Volume> {
    const size = scan.heatmap?.size ?? 1;
    if (!fits(imageIds, size)) throw new Error(gettext('the CT is too large for them.'));
    const broken = imageIds.findIndex((id) => !cache.getImage(id));
    if (broken >= 0) throw new Error(interpolate(gettext('slice %(number)s could not be loaded.'), { number: broken + 1 }));
    const ct = await volumeLoader.createAndCacheVolumeFromImages(CT, [...imageIds]); // it sorts what it gets
    const planeOf = new Map(scan.slices.map((slice, index) => [imageIds[index]!, slice.plane]));
    const grid = mapGrid(ct, size, ct.imageIds.map((id) => planeOf.get(id) ?? null));
    const volume = new Volume(ct.spacing[2], grid);
    enable(place);
    await volume.showPlanes(scan);
    await volume.showLungs(scan, ct);
    volume.rings = [...PLANES, ...(volume.lungs ? [LUNGS] : [])].map((name) => new Ring(viewportOf(name), name !== LUNGS));
    listen(events);
    bindTools();
    return volume;
  }

  /** Draws everything anew, in the size that its elements have now. */
  resize(): void {
    getRenderingEngine(ENGINE)!.resize(true, true);
    requestAnimationFrame(render); // the first picture of a volume is drawn before all of it is on the graphics card
  }

  setWindow({ centre, width }: Window): void {
    for (const name of PLANES) {
      const viewport = viewportOf(name);
      viewport.setProperties({ voiRange: { lower: centre - width / 2, upper: centre + width / 2 } }, CT);
      viewport.render();
    }
  }

  setHeatmap({ on, opacity, threshold, colours }: HeatmapSettings): void {
    const from = Math.max(1, 256 * threshold);
    for (const actor of this.actors.heatmap ?? []) {
      actor.setVisibility(on && from < 256);
      const property = actor.getProperty();
      const colour = property.getRGBTransferFunction(0);
      colour.removeAllPoints();
      for (const [value, red, green, blue] of colourStops(colours)) colour.addRGBPoint(value, red / 255, green / 255, blue / 255);
      const seen = property.getScalarOpacity(0);
      seen.removeAllPoints();
      for (const [value, share] of [[0, 0], [from - 1, 0], [from, 0.35 * opacity], [from + 8, opacity], [256, opacity]] as const) {
        seen.addPoint(value, share);
      }
    }
    render();
  }

  setLayers(shown: Record<Layer, boolean>): void {
    for (const layer of Object.keys(LAYERS) as Layer[]) {
      for (const actor of this.actors[layer] ?? []) actor.setVisibility(shown[layer]);
    }
    render();
  }

  /** From the next drawing on all findings are shown but those left out, and what readers marked. */
  setFindings(left: ReadonlySet<number>, marks: Mark[]): void {
    const { numbers, drawn } = this.findings;
    numbers.forEach((number, voxel) => (drawn[voxel] = number > 0 && !left.has(number) ? INSIDE : 0));
    for (const mark of marks) paint(drawn, this.grid, mark);
    cache.getVolume('findings')!.modified();
    this.lungs?.setFindings(left, marks);
  }

  /** Rings a finding on the planes that cut it, and in 3D; null for none. */
  single(finding: Mark | null): void {
    for (const ring of this.rings) ring.set(finding);
  }

  /** The point of the patient (LPS, mm) where the planes cross. */
  get centre(): Types.Point3 {
    return crosshairs().toolCenter;
  }

  set centre(point: Types.Point3) {
    crosshairs().setToolCenter(point);
  }

  /** The point (LPS, mm) where a plane of the heat map is highest; null where all of it is 0. */
  peak(plane: number): Types.Point3 | null {
    const [columns, rows] = this.grid.dimensions;
    const slice = this.grid.planes.indexOf(plane);
    const values = this.heat.subarray(slice * columns * rows, (slice + 1) * columns * rows);
    const highest = values.reduce((best, value, at) => (value > values[best]! ? at : best), 0);
    if (!values[highest]) return null;
    const index: Types.Point3 = [highest % columns, Math.floor(highest / columns), slice];
    return utilities.transformIndexToWorld(cache.getVolume('heatmap')!.imageData!, index) as Types.Point3;
  }

  /** HU of the CT where the planes cross; null outside it. */
  get hu(): number | null {
    const { imageData, dimensions, imageIds } = cache.getVolume(CT)!;
    const index = utilities.transformWorldToIndex(imageData!, this.centre) as Types.Point3;
    return utilities.indexWithinDimensions(index, dimensions) ? huOf(imageIds[index[2]]!, index[0], index[1]) : null;
  }

  /** Moves the axial plane by slices, towards the feet. */
  step(by: number): void {
    const [x, y, z] = this.centre;
    this.centre = [x, y, z - by * this.sliceStepMm];
  }

  /** Moves the point where the planes cross, mm as seen on one of them: to the right, down, and away from the eye. */
  moveCentre(on: Plane, [right, down, away]: Types.Point3): void {
    const camera = viewportOf(on).getCamera();
    const directions: [Types.Point3, number][] = [
      [rightOf(camera), right],
      [camera.viewUp!, -down],
      [camera.viewPlaneNormal!, -away],
    ];
    this.centre = this.centre.map((at, axis) => directions.reduce((sum, [way, by]) => sum + by * way[axis]!, at)) as Types.Point3;
  }

  /** Moves a plane to the first or the last place of the CT: the axial one from head to feet, the others away from the eye. */
  moveToEnd(on: Plane, last: boolean): void {
    const { imageData, dimensions } = cache.getVolume(CT)!;
    const normal = viewportOf(on).getCamera().viewPlaneNormal!;
    const way: Types.Point3 = on === 'axial' ? [0, 0, -1] : (normal.map((share) => -share) as Types.Point3);
    const along = (point: Types.Point3): number => point.reduce((sum, place, axis) => sum + place * way[axis]!, 0);
    const [right, bottom, top] = dimensions.map((count) => [0, count - 1]) as [number[], number[], number[]];
    const corners = right.flatMap((i) => bottom.flatMap((j) => top.map((k): Types.Point3 => [i, j, k])));
    const places = corners.map((corner) => along(utilities.transformIndexToWorld(imageData!, corner)));
    const by = (last ? Math.max(...places) : Math.min(...places)) - along(this.centre);
    this.centre = this.centre.map((place, axis) => place + by * way[axis]!) as Types.Point3;
  }

  setDragTool(tool: DragTool): void {
    const planes = ToolGroupManager.getToolGroup('planes')!;
    setDragTool(planes, tool);
    const { toolName } = CrosshairsTool;
    if (tool === 'cross') planes.setToolActive(toolName, { bindings: [{ mouseButton: MouseBindings.Primary }] });
    else planes.setToolEnabled(toolName); // its lines stay
  }

  pan(on: Plane | typeof LUNGS, x: number, y: number): void {
    panBy(viewportOf(on), x, y);
  }

  zoom(on: Plane | typeof LUNGS, factor: number): void {
    zoomBy(viewportOf(on), factor);
  }

  /** Turns the lungs in 3D by degrees, to the right and down. */
  turn(right: number, down: number): void {
    turnBy(viewportOf(LUNGS), right, down);
  }

  /** A cursor that measures on a plane. */
  cursor(on: Plane, measure: Measure): Cursor {
    return new Cursor(viewportOf(on), measure);
  }

  /** Shows or hides all opacities or all findings in 3D. */
  showSurfaces(surfaces: Surfaces, on: boolean): void {
    this.lungs?.show(surfaces, on);
  }

  /** Takes away a share of the body from the front, in 3D. */
  clip(share: number): void {
    this.lungs?.clip(share);
  }

  reset(shown: 'planes' | typeof LUNGS): void {
    if (shown === LUNGS) this.lungs?.reset();
    for (const name of shown === LUNGS ? [LUNGS] : PLANES) {
      viewportOf(name).resetCamera();
      viewportOf(name).render();
    }
  }

  private async showPlanes(scan: Scan): Promise<void> {
    const { grid } = this;
    const inputs: Types.IVolumeInput[] = [{ volumeId: CT }];
    if (scan.heatmap) {
      this.heat = inOrder(grid, await loadMap(scan.heatmap, 'heat map'));
      fill('heatmap', grid, this.heat);
      inputs.push({ volumeId: 'heatmap', callback: ({ volumeActor }) => this.inPlanes('heatmap', volumeActor) });
    }
    const numbers = scan.findings_map ? await loadMap(scan.findings_map, 'outline of findings') : new Uint8Array();
    this.findings = { numbers: inOrder(grid, numbers), drawn: inOrder(grid, new Uint8Array()) };
    fill('findings', grid, this.findings.drawn);
    if (scan.opacity_map) {
      const labels = await loadMap(scan.opacity_map, 'outline of opacities');
      this.opacities = inOrder(grid, labels.map((label) => (label > 0 ? INSIDE : 0)));
      fill('opacity', grid, this.opacities);
    }
    for (const layer of filled()) {
      inputs.push({ volumeId: layer, callback: ({ volumeActor }) => this.colour(layer, volumeActor) });
    }
    await Promise.all(PLANES.map((name) => viewportOf(name).setVolumes(inputs)));
  }

  private async showLungs(scan: Scan, ct: Types.IImageVolume): Promise<void> {
    if (!scan.lungs_map) return; // the page says so
    const { grid } = this;
    const lungs = await loadMap(scan.lungs_map, 'outline of the lungs');
    fill('lungs', grid, lungTissue(ct, grid, lungs));
    this.lungs = await Lungs.open(viewportOf(LUNGS), 'lungs', grid, this.opacities, this.findings.numbers);
  }

  private keep(layer: string, actor: Types.VolumeActor): void {
    (this.actors[layer] ??= []).push(actor);
  }

  private inPlanes(layer: string, actor: Types.VolumeActor): void {
    this.keep(layer, actor);
    actor.getProperty().setScalarOpacityUnitDistance(0, SLAB_MM);
  }

  private colour(layer: Layer, actor: Types.VolumeActor): void {
    this.inPlanes(layer, actor);
    const property = actor.getProperty();
    const colour = property.getRGBTransferFunction(0);
    colour.removeAllPoints();
    for (const value of [0, 255]) colour.addRGBPoint(value, ...LAYERS[layer]);
    const seen = property.getScalarOpacity(0);
    seen.removeAllPoints();
    seen.addPoint(100, 0);
    seen.addPoint(160, LAYER_OPACITY);
    property.setInterpolationTypeToLinear();
  }
}

/** Whether the memory holds the CT with its maps, `size` × `size` pixels each slice. */
function fits(imageIds: string[], size: number): boolean {
  const slice = imageIds.map((id) => cache.getImage(id)).find((image) => image)!;
  return imageIds.length * (slice.sizeInBytes + MAPS_BYTES * size ** 2) <= cache.getMaxCacheSize();
}

/** The layers that this scan has, in the order in which they are drawn. */
function filled(): Layer[] {
  return (Object.keys(LAYERS) as Layer[]).filter((layer) => cache.getVolume(layer));
}

function viewportOf(name: Plane | typeof LUNGS): VolumeViewport {
  return getRenderingEngine(ENGINE)!.getViewport(name) as VolumeViewport;
}

function render(): void {
  getRenderingEngine(ENGINE)!.renderViewports([...PLANES, LUNGS]);
}

function enable(place: HTMLElement): void {
  const engine = getRenderingEngine(ENGINE)!;
  const element = (name: string): HTMLDivElement => place.querySelector<HTMLDivElement>(`[data-plane="${name}"]`)!;
  const { AXIAL, CORONAL, SAGITTAL } = Enums.OrientationAxis;
  const orientations = { axial: AXIAL, coronal: CORONAL, sagittal: SAGITTAL };
  for (const name of PLANES) {
    const defaultOptions = { orientation: orientations[name] };
    engine.enableElement({ viewportId: name, type: Enums.ViewportType.ORTHOGRAPHIC, element: element(name), defaultOptions });
  }
  const defaultOptions = { orientation: CORONAL, background: [0.04, 0.06, 0.08] as Types.Point3 };
  engine.enableElement({ viewportId: LUNGS, type: Enums.ViewportType.VOLUME_3D, element: element(LUNGS), defaultOptions });
}

function listen({ windowed, crossed }: VolumeEvents): void {
  for (const name of [...PLANES, LUNGS] as const) {
    const { element } = viewportOf(name);
    for (const event of [Enums.Events.CAMERA_MODIFIED, Enums.Events.IMAGE_RENDERED]) { // the second tells of another size
      element.addEventListener(event, () => label(element.parentElement!, viewportOf(name)));
    }
  }
  for (const name of PLANES) {
    viewportOf(name).element.addEventListener(Enums.Events.VOI_MODIFIED, (event) => {
      const { range, volumeId } = (event as CustomEvent<{ range: Types.VOIRange; volumeId: string }>).detail;
      if (volumeId === CT) windowed({ centre: (range.lower + range.upper) / 2, width: range.upper - range.lower });
    });
  }
  eventTarget.addEventListener(ToolEnums.Events.CROSSHAIR_TOOL_CENTER_CHANGED, crossed);
}

function bindTools(): void {
  for (const tool of [CrosshairsTool, TrackballRotateTool]) addTool(tool);
  const planes = makeGroup('planes');
  planes.addTool(CrosshairsTool.toolName, {
    getReferenceLineColor: (name: Plane) => PLANE_COLOURS[name],
    getReferenceLineControllable: () => true,
    getReferenceLineDraggableRotatable: () => true, // without it a click does not move them either
    getReferenceLineSlabThicknessControlsOn: () => false,
  });
  for (const name of PLANES) planes.addViewport(name, ENGINE);
  const lungs = ToolGroupManager.createToolGroup(LUNGS)!;
  for (const { toolName } of [TrackballRotateTool, PanTool, ZoomTool]) lungs.addTool(toolName);
  lungs.addViewport(LUNGS, ENGINE);
  lungs.setToolActive(TrackballRotateTool.toolName, { bindings: [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }] });
  lungs.setToolActive(PanTool.toolName, { bindings: [{ mouseButton: MouseBindings.Auxiliary }] });
  lungs.setToolActive(ZoomTool.toolName, { bindings: [{ mouseButton: MouseBindings.Secondary }, { numTouchPoints: 2 }] });
}

function crosshairs(): CrosshairsTool {
  return ToolGroupManager.getToolGroup('planes')!.getToolInstance(CrosshairsTool.toolName) as CrosshairsTool;
}

/** The viewer of one CT: its slices, what lies over them, what is said of them, planes and 3D. */
import { Corners } from './corners';
import { Corrections } from './corrections';
import type { Ct } from './ct';
import { offer, offerAgain } from './findings';
import { listenForKeys } from './keys';
import { Layers } from './layers';
import type { LayerSettings } from './layers';
import { firstShown, levelOf, mostAffected, nearest } from './scan';
import type { ListedFinding, Scan } from './scan';
import { Steering } from './steering';
import { STILL_WITHIN_MS, Still } from './still';
import { Strip, brokenSlice } from './strip';
import { listenToToolbar, pressTool, pressedTool } from './toolbar';
import { LOST, PRESETS } from './view';
import type { DragTool, Window } from './view';
import { Views } from './views';
import type { ViewName } from './views';

const KEPT = 'viewer'; // in the tab's storage, on the way from one time point to another

/** What another time point is opened with, so that the two can be compared. */
interface Kept {
  layers: LayerSettings;
  window: Window;
}

function takeKept(): Kept | null {
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return kept === null ? null : (JSON.parse(kept) as Kept);
}

export class Viewer {
  private still: Still | null = null;
  private ct: Ct | null = null;
  /** What dragging does in a view, as the user left it; 3D only turns. */
  private readonly tools: Record<Exclude<ViewName, '3d'>, DragTool> = { slices: 'window', planes: 'cross' };
  private index: number;
  private window: Window;
  private readonly corners: Corners;
  private readonly strip: Strip;
  private readonly layers: Layers;
  private readonly views: Views;
  private readonly steering: Steering;
  private readonly corrections: Corrections | null;

  /** `asked`: the slice that the page's address asks for. */
  constructor(
    private readonly root: HTMLElement,
    private readonly scan: Scan,
    asked: number | null,
  ) {
    const kept = takeKept();
    this.window = kept?.window ?? PRESETS.lung!;
    this.index = asked ?? firstShown(scan);
    const say = (sentence: string): void => this.say(sentence);
    this.layers = new Layers(root, scan, kept?.layers ?? null, () => this.layered(), say);
    this.corners = new Corners(root);
    this.strip = new Strip(root.querySelector<HTMLElement>('[data-strip]')!, scan.slices, (index) => void this.ct?.go(index));
    this.steering = this.steer();
    this.views = new Views(root, scan, () => ({ window: this.window, ...this.layers.settings }), {
      say,
      unsay: (sentence) => this.unsay(sentence),
      windowed: (window) => this.windowedInPlanes(window),
      crossed: () => this.steering.endCursor(),
      changed: (before, now) => this.viewChanged(before, now),
    });
    const place = root.querySelector<HTMLElement>('[data-correction]');
    this.corrections = place && new Corrections(place, () => this.corrected());
    this.listen();
    this.corrected();
  }

  /** Lets the next page of this tab begin with the same window and layers. */
  keep(): void {
    sessionStorage.setItem(KEPT, JSON.stringify({ layers: this.layers.settings, window: this.window } satisfies Kept));
  }

  async open(): Promise<void> {
    import('./ct').catch(() => undefined); // comes while the still does; `openCt` tells where it does not
    this.sliced(this.index);
    const first = Promise.all([this.openStill(), this.layers.loadHeatmap()]).then(() => {
      if (this.still) this.root.dataset.shown = 'true';
    });
    await Promise.race([first, new Promise((resolve) => setTimeout(resolve, STILL_WITHIN_MS))]);
    await this.openCt();
    await first;
    this.root.dataset.shown = 'true';
    await this.layers.loadOutlines();
    this.root.dataset.ready = 'true';
  }

  /** Where the slice on show lies between the top and the bottom of the lungs. */
  get level(): number | null {
    return levelOf(this.scan, this.index);
  }

  /** The comparison with the last scan came while the page was open. */
  compared(): void {
    this.layers.compared();
  }

  /** A reader has said something of a finding. */
  reviewed(): void {
    offerAgain();
    this.views.reviewed();
    this.layers.reviewed();
  }

  /** Singles out a finding of the list where it is on show; null for none. */
  single(finding: ListedFinding | null): void {
    this.layers.single(finding);
    this.views.single(finding);
  }

  /** Shows the slice of a finding, or the planes through its middle (LPS, mm), with the outlines of findings. */
  showFinding(z: number, at: [number, number, number] | null): void {
    this.layers.show('findings');
    const { ct } = this;
    if (!at || !this.views.goTo(at)) void ct?.go(nearest(this.scan, at ? ct.height(at) : z));
    this.root.scrollIntoView({ block: 'nearest' });
  }

  /** Shows the slice with the most disease, or the planes through it, with the outlines of opacities. */
  showMostAffected(): void {
    this.layers.show('opacity');
    const index = mostAffected(this.scan);
    if (!this.views.goToPeak(index)) void this.ct?.go(index);
    this.root.scrollIntoView({ block: 'nearest' });
  }

  /** The slice as the server draws it, where that is how it will be shown. */
  private async openStill(): Promise<void> {
    const { centre, width } = PRESETS.lung!;
    if (this.window.centre !== centre || this.window.width !== width) return;
    this.corners.window(this.window);
    const still = await Still.load(this.scan.slices[this.index]!.image);
    if (!still || this.ct) return;
    this.still = still;
    still.show(this.root.querySelector<HTMLElement>('.screen')!);
    this.layered();
  }

  private async openCt(): Promise<void> {
    const { window } = this; // opening sets the lung window
    const { Ct } = await import('./ct');
    this.ct = await Ct.open(
      this.root.querySelector<HTMLDivElement>('[data-ct]')!,
      this.scan.slices.map((slice) => slice.file),
      this.index,
      {
        drawn: () => {
          this.draw();
          if (this.ct) this.corners.scale(this.ct);
        },
        windowed: (window) => this.windowed(window),
        sliced: (index) => this.sliced(index),
        loaded: (count, all) => this.loaded(count, all),
        broken: (index) => this.say(brokenSlice(index)),
        lost: () => {
          this.root.dataset.lost = 'true'; // which hides the image, and what lies over it
          this.say(LOST);
        },
        measured: offer,
      },
    );
    this.still?.remove();
    this.ct.setDragTool(pressedTool(this.root));
    this.ct.setWindow(window);
    this.sliced(this.ct.index);
    this.corners.orientation(this.ct);
    this.corners.scale(this.ct);
    this.draw();
  }

  private windowed(window: Window): void {
    this.window = window;
    this.corners.window(window);
    this.views.update();
  }

  /** The planes follow the slices, but for the one on which the window was dragged. */
  private windowedInPlanes({ centre, width }: Window): void {
    const same = Math.abs(centre - this.window.centre) < 0.01 && Math.abs(width - this.window.width) < 0.01;
    if (!same) this.ct?.setWindow({ centre, width });
  }

  private sliced(index: number): void {
    this.steering.endCursor();
    this.index = index;
    this.root.dataset.sliceIndex = String(index);
    this.corners.slice(this.scan, index);
    this.strip.show(index);
    this.corrections?.show(this.scan.slices[index]!, index);
    this.draw();
  }

  /** A reader has said something of a slice: the strip's signs and the words of the slice on show tell it. */
  private corrected(): void {
    this.strip.mark();
    this.strip.show(this.index);
    this.corners.slice(this.scan, this.index);
    const legend = this.root.querySelector<HTMLElement>('[data-correction-legend]');
    if (legend) legend.hidden = !this.scan.slices.some((slice) => slice.correction);
  }

  private draw(): void {
    const image = this.ct ?? this.still;
    if (image) this.layers.draw(image, this.scan.slices[this.ct?.index ?? this.index]!, this.ct);
  }

  /** What is laid over the image has changed: on the slice, on planes and in 3D. */
  private layered(): void {
    this.draw();
    this.views.update();
  }

  private loaded(count: number, all: number): void {
    this.root.dataset.loaded = String(count);
    const bar = this.root.querySelector<HTMLProgressElement>('[data-loading]')!;
    bar.max = all;
    bar.value = count;
    bar.hidden = count === all;
  }

  private say(sentence: string): void {
    const place = this.root.querySelector<HTMLElement>('[data-viewer-message]')!;
    place.textContent = sentence;
    place.hidden = false;
  }

  private unsay(sentence: string): void {
    const place = this.root.querySelector<HTMLElement>('[data-viewer-message]')!;
    if (place.textContent === sentence) place.hidden = true;
  }

  private listen(): void {
    const screen = this.root.querySelector<HTMLElement>('.screen')!;
    this.root.querySelector('[data-reset]')!.addEventListener('click', () => {
      this.steering.endCursor();
      if (this.slices) return this.ct?.reset();
      this.ct?.setWindow(PRESETS.lung!); // which planes follow
      this.views.reset();
    });
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('button[data-view]')) {
      button.addEventListener('click', () => void this.view(button.dataset.view as ViewName));
    }
    listenToToolbar(this.root, {
      setWindow: (window) => this.ct?.setWindow(window),
      setDragTool: (tool) => this.setDragTool(tool),
      focusImage: () => (this.views.keyed ?? screen).focus({ preventScroll: true }),
    });
    screen.addEventListener('pointerdown', ({ target }) => {
      const touched = (target as HTMLElement).closest<HTMLElement>('.plane') ?? screen;
      touched.focus({ preventScroll: true }); // the keys are its own again
    });
    this.listenToKeys();
  }

  private setDragTool(tool: DragTool): void {
    this.steering.endCursor();
    this.ct?.setDragTool(tool);
    this.views.setDragTool(tool);
  }

  private listenToKeys(): void {
    const slices = {
      step: (by: number) => {
        this.steering.endCursor();
        if (this.slices) void this.ct?.step(by);
        else this.views.step(by);
      },
      go: (index: number) => {
        if (this.slices) void this.ct?.go(index);
        else this.views.go(index > 0);
      },
      last: this.scan.slices.length - 1,
    };
    listenForKeys(this.root, slices, {
      ...this.steering.keys,
      Delete: () => this.ct?.removeMeasurement(),
      ...this.layers.sliders.keys,
    });
  }

  private get slices(): boolean {
    return this.views.shows === 'slices';
  }

  /** What keys do to the slices, or to planes and 3D where these are on show. */
  private steer(): Steering {
    return new Steering(this.root, {
      arrow: (x, y) => (this.slices ? void this.ct?.step(x || y) : this.views.arrow(x, y)),
      pan: (x, y) => (this.slices ? this.ct?.pan(x, y) : this.views.pan(x, y)),
      zoom: (factor) => (this.slices ? this.ct?.zoom(factor) : this.views.zoom(factor)),
      nudgeWindow: (level, width) => this.ct?.nudgeWindow(level, width), // which planes follow
      cursor: (measure) => (this.slices ? (this.ct?.cursor(measure) ?? null) : this.views.cursor(measure)),
    });
  }

  private async view(name: ViewName): Promise<void> {
    if (!this.ct) return;
    const left = await this.views.show(name, this.ct, this.index);
    if (left !== null) await this.ct.go(nearest(this.scan, left));
  }

  private viewChanged(before: ViewName, now: ViewName): void {
    if (before !== '3d') this.tools[before] = pressedTool(this.root);
    if (now === '3d') return this.steering.endCursor();
    this.setDragTool(this.tools[now]);
    pressTool(this.root, this.tools[now]);
  }
}

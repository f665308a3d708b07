/** The study page: the viewer with its controls and keys, beside the trend. */
import { drawCharts } from './chart';
import { Corners } from './viewer/corners';
import { Corrections } from './viewer/corrections';
import type { Ct } from './viewer/ct';
import { drawMarks, listenToReviews, offer, offerAgain, offers, pointOf, rejected } from './viewer/findings';
import { Heatmap, chooseColours, chosenColours, gradient } from './viewer/heatmap';
import type { HeatmapSettings } from './viewer/heatmap';
import { listenForKeys } from './viewer/keys';
import { CHANGES, FINDINGS, LUNGS, OPACITY, Outline } from './viewer/outline';
import type { Colouring } from './viewer/outline';
import type { StoredMap } from './viewer/overlay';
import { levelOf, mostAffected, nearest, readChangeMap, readScan, sliceAt } from './viewer/scan';
import type { Scan } from './viewer/scan';
import { Still } from './viewer/still';
import { Strip } from './viewer/strip';
import { listenToToolbar, pressedTool } from './viewer/toolbar';
import { PRESETS } from './viewer/view';
import type { Window } from './viewer/view';
import { Views } from './viewer/views';
import type { ViewName } from './viewer/views';

const STILL_WITHIN_MS = 2000; // a server that takes longer to draw the first image does not hold up the others
const KEPT = 'viewer'; // in the tab's storage, on the way from one time point to another

/** What another time point is opened with, so that the two can be compared. */
interface Kept {
  settings: HeatmapSettings;
  outlined: Outlined;
  window: Window;
}

/** What is outlined: what an error calls it, and its colours. */
const OUTLINES = {
  opacity: { named: 'outline of opacities', colouring: OPACITY },
  findings: { named: 'outline of findings', colouring: FINDINGS },
  lungs: { named: 'outline of the lungs', colouring: LUNGS },
  change: { named: 'map of the change', colouring: CHANGES },
} as const satisfies Record<string, { named: string; colouring: Colouring }>;
const OUTLINE_NAMES = Object.keys(OUTLINES) as (keyof typeof OUTLINES)[];

/** Which outlines are drawn. */
type Outlined = Record<keyof typeof OUTLINES, boolean>;

function takeKept(): Kept | null {
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return kept === null ? null : (JSON.parse(kept) as Kept);
}

class Viewer {
  private heatmap: Heatmap | null = null;
  private readonly maps: Record<keyof Outlined, StoredMap | null>;
  /** Those loaded; null while one is on its way. */
  private readonly outlines: Partial<Record<keyof Outlined, Outline | null>> = {};
  private readonly outlined: Outlined;
  private still: Still | null = null;
  private ct: Ct | null = null;
  private index: number;
  private window: Window = PRESETS.lung!;
  private readonly settings: HeatmapSettings;
  private readonly corners: Corners;
  private readonly strip: Strip;
  private readonly views: Views;
  private singled: number | null = null;
  private readonly corrections: Corrections | null;

  constructor(
    private readonly root: HTMLElement,
    private readonly scan: Scan,
  ) {
    const kept = takeKept();
    if (kept) this.window = kept.window;
    this.settings = kept?.settings ?? {
      on: true,
      opacity: Number(this.input('opacity').value) / 100,
      threshold: Number(this.input('threshold').value) / 100,
      colours: chosenColours(),
    };
    this.outlined = { opacity: false, findings: true, lungs: false, change: false, ...kept?.outlined };
    const { opacity_map, findings_map, lungs_map } = scan;
    this.maps = { opacity: opacity_map, findings: findings_map, lungs: lungs_map, change: readChangeMap() };
    this.index = askedFor(scan) ?? mostAffected(scan);
    this.corners = new Corners(root);
    this.strip = new Strip(root.querySelector<HTMLElement>('[data-strip]')!, scan.slices, (index) => void this.ct?.go(index));
    this.views = new Views(
      root,
      scan,
      () => ({ window: this.window, heatmap: this.settings, layers: this.outlined }),
      (sentence) => this.say(sentence),
    );
    const place = root.querySelector<HTMLElement>('[data-correction]');
    this.corrections = place && new Corrections(place, () => this.corrected());
    this.listen();
    this.offerOutlines();
    this.showSettings();
    this.corrected();
  }

  /** Lets the next page of this tab begin with the same window and heat map. */
  keep(): void {
    sessionStorage.setItem(KEPT, JSON.stringify({ settings: this.settings, outlined: this.outlined, window: this.window } satisfies Kept));
  }

  async open(): Promise<void> {
    this.sliced(this.index);
    const first = Promise.all([this.openStill(), this.loadHeatmap()]);
    await Promise.race([first, new Promise((resolve) => setTimeout(resolve, STILL_WITHIN_MS))]);
    this.drawOverlay();
    if (this.still) this.root.dataset.shown = 'true';
    await this.openCt();
    await Promise.all(OUTLINE_NAMES.map((name) => this.loadOutline(name)));
    this.root.dataset.ready = 'true';
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
  }

  private async openCt(): Promise<void> {
    const { window } = this; // opening sets the lung window
    const { Ct } = await import('./viewer/ct');
    this.ct = await Ct.open(
      this.root.querySelector<HTMLDivElement>('[data-ct]')!,
      this.scan.slices.map((slice) => slice.file),
      this.index,
      {
        drawn: () => {
          this.drawOverlay();
          if (this.ct) this.corners.scale(this.ct);
        },
        windowed: (window) => this.windowed(window),
        sliced: (index) => this.sliced(index),
        loaded: (count) => this.loaded(count),
        broken: (index) => this.say(`Slice ${index + 1} could not be loaded. Reload the page to try again.`),
        measured: offer,
      },
    );
    this.still?.remove();
    this.ct.setDragTool(pressedTool(this.root));
    this.ct.setWindow(window);
    this.sliced(this.ct.index);
    this.corners.orientation(this.ct);
    this.corners.scale(this.ct);
    this.drawOverlay();
    this.root.dataset.shown = 'true';
  }

  private windowed(window: Window): void {
    this.window = window;
    this.corners.window(window);
    this.views.update();
  }

  private async loadHeatmap(): Promise<void> {
    try {
      this.heatmap = await Heatmap.load(this.canvas('heatmap'), this.scan, this.settings);
    } catch (error) {
      this.say((error as Error).message);
    }
  }

  private canvas(name: string): HTMLCanvasElement {
    return this.root.querySelector<HTMLCanvasElement>(`[data-overlay="${name}"]`)!;
  }

  /** Shows the switches of what can be outlined. */
  private offerOutlines(): void {
    for (const name of OUTLINE_NAMES) {
      const hidden = this.maps[name] === null;
      this.root.querySelector<HTMLElement>(`[data-outline-switch="${name}"]`)!.hidden = hidden;
      for (const legend of this.root.querySelectorAll<HTMLElement>(`[data-outline-legend="${name}"]`)) legend.hidden = hidden;
    }
  }

  /** Loads what is outlined when it is first switched on. */
  private async loadOutline(name: keyof Outlined): Promise<void> {
    if (!this.outlined[name] || this.maps[name] === null || this.outlines[name] !== undefined) return;
    const { named, colouring } = OUTLINES[name];
    this.outlines[name] = null;
    try {
      this.outlines[name] = await Outline.load(this.canvas(name), this.maps[name], named, colouring);
    } catch (error) {
      delete this.outlines[name]; // the next switch tries again
      this.say((error as Error).message);
    }
    if (name === 'findings') this.outlines.findings?.leaveOut(rejected());
    this.showSettings();
    this.drawOverlay();
  }

  /** The comparison with the last scan came while the page was open. */
  compared(): void {
    this.maps.change ??= readChangeMap();
    this.offerOutlines();
    void this.loadOutline('change');
  }

  /** Where the slice on show lies between the top and the bottom of the lungs. */
  get level(): number | null {
    return levelOf(this.scan, this.index);
  }

  private sliced(index: number): void {
    this.index = index;
    this.root.dataset.sliceIndex = String(index);
    this.corners.slice(this.scan, index);
    this.strip.show(index);
    this.corrections?.show(this.scan.slices[index]!, index);
    this.drawOverlay();
  }

  /** A reader has said something of a slice: the strip's signs and the words of the slice on show tell it. */
  private corrected(): void {
    this.strip.mark();
    this.strip.show(this.index);
    this.corners.slice(this.scan, this.index);
    const legend = this.root.querySelector<HTMLElement>('[data-correction-legend]');
    if (legend) legend.hidden = !this.scan.slices.some((slice) => slice.correction);
  }

  private drawOverlay(): void {
    const image = this.ct ?? this.still;
    if (!image) return;
    const { plane } = this.scan.slices[this.ct?.index ?? this.index]!;
    this.heatmap?.draw(image, plane);
    for (const outline of Object.values(this.outlines)) outline?.draw(image, plane);
    if (this.ct) drawMarks(this.canvas('marks'), this.ct, this.scan.slices[this.ct.index]!.z_mm, this.outlined.findings);
  }

  /** What is laid over the image has changed: on the slice, on planes and in 3D. */
  private layered(): void {
    this.drawOverlay();
    this.views.update();
  }

  private loaded(count: number): void {
    const all = this.scan.slices.length;
    this.root.dataset.loaded = String(count);
    const bar = this.root.querySelector<HTMLProgressElement>('[data-loading]')!;
    bar.value = count;
    bar.hidden = count === all;
  }

  private say(sentence: string): void {
    const place = this.root.querySelector<HTMLElement>('[data-viewer-message]')!;
    place.textContent = sentence;
    place.hidden = false;
  }

  private input(name: string): HTMLInputElement {
    return this.root.querySelector<HTMLInputElement>(`input[name="${name}"]`)!;
  }

  private toggleHeatmap(): void {
    this.settings.on = !this.settings.on;
    this.showSettings();
    this.layered();
  }

  private toggleOutline(name: keyof Outlined): void {
    this.outlined[name] = !this.outlined[name];
    this.showSettings();
    this.layered();
    void this.loadOutline(name);
  }

  /** Shows the slice of a finding, or the planes through its middle (LPS, mm), with the outlines of findings. */
  showFinding(z: number, at: [number, number, number] | null): void {
    if (!this.outlined.findings) this.toggleOutline('findings');
    if (!at || !this.views.goTo(at)) void this.ct?.go(nearest(this.scan, at ? this.ct.height(at) : z));
    this.root.scrollIntoView({ block: 'nearest' });
  }

  /** Singles out a finding, by its number in the list, where its slice is on show; null for none. */
  single(finding: number | null): void {
    if (finding === this.singled) return;
    this.singled = finding;
    this.outlines.findings?.single(finding);
    this.drawOverlay();
  }

  /** A reader has said something of a finding. */
  reviewed(): void {
    offerAgain();
    this.outlines.findings?.leaveOut(rejected());
    this.drawOverlay();
  }

  private showSettings(): void {
    for (const name of OUTLINE_NAMES) {
      const button = this.root.querySelector(`[data-outline-switch="${name}"]`)!;
      button.setAttribute('aria-pressed', String(this.outlined[name]));
      if (this.outlines[name]) this.outlines[name].on = this.outlined[name];
    }
    this.root.querySelector('[data-heatmap-switch]')!.setAttribute('aria-pressed', String(this.settings.on));
    const colours = this.root.querySelector<HTMLElement>('[data-colours]')!;
    colours.setAttribute('aria-pressed', String(this.settings.colours === 'even'));
    colours.querySelector('i')!.style.background = gradient(this.settings.colours);
    if (this.scan.heatmap) this.root.dataset.heatmap = this.settings.on ? 'on' : 'off';
    for (const name of ['opacity', 'threshold'] as const) {
      const input = this.input(name);
      input.value = String(Math.round(100 * this.settings[name]));
      input.nextElementSibling!.textContent = `${input.value} %`;
    }
  }

  private listen(): void {
    for (const name of ['opacity', 'threshold'] as const) {
      const input = this.input(name);
      input.addEventListener('input', () => {
        this.settings[name] = Number(input.value) / 100;
        input.nextElementSibling!.textContent = `${input.value} %`;
        this.layered();
      });
      input.addEventListener('pointerup', () => input.blur()); // the arrow keys go back to the slices
    }
    this.root.querySelector('[data-heatmap-switch]')!.addEventListener('click', () => this.toggleHeatmap());
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-outline-switch]')) {
      button.addEventListener('click', () => this.toggleOutline(button.dataset.outlineSwitch as keyof Outlined));
    }
    this.root.querySelector('[data-colours]')!.addEventListener('click', () => this.changeColours());
    this.root.querySelector('[data-reset]')!.addEventListener('click', () => {
      this.ct?.reset();
      this.views.reset();
    });
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('button[data-view]')) {
      button.addEventListener('click', () => void this.view(button.dataset.view as ViewName));
    }
    listenToToolbar(this.root, {
      setWindow: (window) => this.ct?.setWindow(window),
      setDragTool: (tool) => this.ct?.setDragTool(tool),
    });
    const screen = this.root.querySelector<HTMLElement>('.screen')!;
    screen.addEventListener('pointerdown', () => screen.focus({ preventScroll: true })); // the keys are the viewer's again
    const slices = {
      step: (by: number) => {
        if (this.views.slices) void this.ct?.step(by);
        else this.views.step(by);
      },
      go: (index: number) => {
        if (this.views.slices) void this.ct?.go(index);
      },
      last: this.scan.slices.length - 1,
    };
    listenForKeys(this.root, slices, {
      Delete: () => this.ct?.removeMeasurement(),
      '[': () => this.nudge('opacity', -1),
      ']': () => this.nudge('opacity', 1),
      ',': () => this.nudge('threshold', -1),
      '.': () => this.nudge('threshold', 1),
    });
  }

  /** Moves a slider by its steps. */
  private nudge(name: 'opacity' | 'threshold', steps: number): void {
    this.input(name).stepUp(steps);
    this.input(name).dispatchEvent(new Event('input'));
  }

  private async view(name: ViewName): Promise<void> {
    if (!this.ct) return;
    const left = await this.views.show(name, this.ct, this.index);
    if (left !== null) await this.ct.go(nearest(this.scan, left));
  }

  private changeColours(): void {
    this.settings.colours = this.settings.colours === 'even' ? 'paper' : 'even';
    chooseColours(this.settings.colours);
    this.showSettings();
    this.layered();
  }
}

const root = document.querySelector<HTMLElement>('[data-viewer]');
const viewer = root ? new Viewer(root, readScan()) : null;
const opened = Promise.resolve(viewer?.open()).catch((error: unknown) => {
  const place = root!.querySelector<HTMLElement>('[data-viewer-message]')!;
  place.textContent = 'The images could not be shown. Reload the page; if that does not help, tell your administrator.';
  place.hidden = false;
  console.error(error);
});

/** The slice that the page's address asks for: `level`, between the ends of the lungs, or `z`, in mm. */
function askedFor(scan: Scan): number | null {
  const asked = new URLSearchParams(location.search);
  const level = asked.get('level');
  const z = asked.get('z');
  if (level !== null) return sliceAt(scan, Number(level));
  return z !== null && Number.isFinite(Number(z)) ? nearest(scan, Number(z)) : null;
}

/** The address of a time point, opened at the level on show here. */
function atLevel(address: string): string {
  const level = viewer?.level;
  return level == null ? address : `${address}?level=${level.toFixed(3)}`;
}

function openAtLevel(address: string): void {
  viewer?.keep();
  location.assign(atLevel(address));
}

document.addEventListener('click', (event) => {
  const finding = (event.target as HTMLElement).closest<HTMLElement>('[data-finding-z]');
  if (finding) {
    viewer?.showFinding(Number(finding.dataset.findingZ), pointOf(finding));
  }
  const link = (event.target as HTMLElement).closest<HTMLAnchorElement>('a[data-open-at-level]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openAtLevel(link.href);
});
for (const event of ['pointerover', 'focusin']) {
  document.addEventListener(event, ({ target }) => {
    const finding = (target as HTMLElement).closest<HTMLElement>('[data-finding]');
    viewer?.single(finding ? Number(finding.dataset.finding) : null);
  });
}
// The chart's library comes after the images.
void opened.then(() => drawCharts(document, openAtLevel));
document.body.addEventListener('htmx:afterSettle', () => {
  drawCharts(document, openAtLevel);
  viewer?.compared();
  viewer?.reviewed();
});
// A newer result, or another series: numbers, images and heat map change together, but not under a reader who types.
let typed = false;
document.addEventListener('input', ({ target }) => (typed ||= (target as HTMLElement).closest('.reading, #findings') !== null));
listenToReviews();
document.body.addEventListener('result-changed', () => {
  if (typed || offers()) document.getElementById('newer-result')!.hidden = false;
  else location.replace(atLevel(location.pathname));
});

/** The study page: the viewer with its controls and keys, beside the trend. */
import { drawCharts } from './chart';
import { Corners } from './viewer/corners';
import { Corrections } from './viewer/corrections';
import { Ct, PRESETS } from './viewer/ct';
import type { DragTool, Window } from './viewer/ct';
import { Heatmap } from './viewer/heatmap';
import type { HeatmapSettings } from './viewer/heatmap';
import { CHANGES, FINDINGS, LUNGS, OPACITY, Outline } from './viewer/outline';
import type { Colouring } from './viewer/outline';
import type { StoredMap } from './viewer/overlay';
import { levelOf, mostAffected, nearest, readChangeMap, readScan, sliceAt } from './viewer/scan';
import type { Scan } from './viewer/scan';
import { Strip } from './viewer/strip';

const PAGE_OF_SLICES = 10;
const KEPT = 'viewer'; // in the tab's storage, on the way from one time point to another

/** What another time point is opened with, so that the two can be compared. */
interface Kept {
  settings: HeatmapSettings;
  outlined: Outlined;
  window: Window;
}

/** What is outlined: what an error calls it, its colours, and its key. */
const OUTLINES = {
  opacity: { named: 'outline of opacities', colouring: OPACITY, key: 'o' },
  findings: { named: 'outline of findings', colouring: FINDINGS, key: 'f' },
  lungs: { named: 'outline of the lungs', colouring: LUNGS, key: 'l' },
  change: { named: 'map of the change', colouring: CHANGES, key: 'c' },
} as const satisfies Record<string, { named: string; colouring: Colouring; key: string }>;
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
  private readonly outlines: Partial<Record<keyof Outlined, Outline | null>> = {};
  private readonly outlined: Outlined;
  private ct: Ct | null = null;
  private index: number;
  private window: Window = PRESETS.lung!;
  private readonly settings: HeatmapSettings;
  private readonly corners: Corners;
  private readonly strip: Strip;
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
    };
    this.outlined = { opacity: false, findings: true, lungs: false, change: false, ...kept?.outlined };
    this.index = askedFor(scan) ?? mostAffected(scan);
    this.corners = new Corners(root);
    this.strip = new Strip(root.querySelector<HTMLElement>('[data-strip]')!, scan.slices, (index) => void this.ct?.go(index));
    const place = root.querySelector<HTMLElement>('[data-correction]');
    this.corrections = place && new Corrections(place, () => this.corrected());
    this.listen();
    this.showSettings();
    this.corrected();
  }

  /** Lets the next page of this tab begin with the same window and heat map. */
  keep(): void {
    sessionStorage.setItem(KEPT, JSON.stringify({ settings: this.settings, outlined: this.outlined, window: this.window } satisfies Kept));
  }

  async open(): Promise<void> {
    this.sliced(this.index);
    const { window } = this; // opening sets the lung window
    const heatmap = Heatmap.load(this.canvas('heatmap'), this.scan, this.settings).catch((error: Error) => {
      this.say(error.message);
      return null;
    });
    const { opacity_map, findings_map, lungs_map } = this.scan;
    const outlines = [
      this.outline('opacity', opacity_map),
      this.outline('findings', findings_map),
      this.outline('lungs', lungs_map),
      this.outline('change', readChangeMap()),
    ];
    this.ct = await Ct.open(
      this.root.querySelector<HTMLDivElement>('[data-ct]')!,
      this.scan.slices.map((slice) => slice.file),
      this.index,
      {
        drawn: () => this.drawOverlay(),
        windowed: (window) => {
          this.window = window;
          this.corners.window(window);
        },
        sliced: (index) => this.sliced(index),
        loaded: (count) => this.loaded(count),
        broken: (index) => this.say(`Slice ${index + 1} could not be loaded. Reload the page to try again.`),
      },
    );
    this.ct.setWindow(window);
    this.heatmap = await heatmap;
    await Promise.all(outlines);
    this.showSettings();
    this.sliced(this.ct.index);
    this.corners.orientation(this.ct);
    this.drawOverlay();
    this.root.dataset.ready = 'true';
  }

  private canvas(name: string): HTMLCanvasElement {
    return this.root.querySelector<HTMLCanvasElement>(`[data-overlay="${name}"]`)!;
  }

  /** Loads what is outlined, and shows it if its switch is on. */
  private async outline(name: keyof Outlined, map: StoredMap | null): Promise<void> {
    const { named, colouring } = OUTLINES[name];
    try {
      this.outlines[name] = await Outline.load(this.canvas(name), map, named, colouring);
    } catch (error) {
      this.say((error as Error).message);
    }
    if (!this.outlines[name]) return;
    this.root.querySelector<HTMLElement>(`[data-outline-switch="${name}"]`)!.hidden = false;
    for (const legend of this.root.querySelectorAll<HTMLElement>(`[data-outline-legend="${name}"]`)) legend.hidden = false;
    this.showSettings();
    this.drawOverlay();
  }

  /** The comparison with the last scan came while the page was open. */
  compared(): void {
    const map = readChangeMap();
    if (map && !this.outlines.change) void this.outline('change', map);
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
    if (!this.ct) return;
    const { plane } = this.scan.slices[this.ct.index]!;
    this.heatmap?.draw(this.ct, plane);
    for (const outline of Object.values(this.outlines)) outline?.draw(this.ct, plane);
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
    this.drawOverlay();
  }

  private toggleOutline(name: keyof Outlined): void {
    this.outlined[name] = !this.outlined[name];
    this.showSettings();
    this.drawOverlay();
  }

  /** Shows the slice of a finding, with the outlines of findings. */
  showFinding(z: number): void {
    if (!this.outlined.findings) this.toggleOutline('findings');
    this.ct?.go(nearest(this.scan, z));
    this.root.scrollIntoView({ block: 'nearest' });
  }

  private showSettings(): void {
    for (const name of OUTLINE_NAMES) {
      const button = this.root.querySelector(`[data-outline-switch="${name}"]`)!;
      button.setAttribute('aria-pressed', String(this.outlined[name]));
      if (this.outlines[name]) this.outlines[name].on = this.outlined[name];
    }
    this.root.querySelector('[data-heatmap-switch]')!.setAttribute('aria-pressed', String(this.settings.on));
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
        this.drawOverlay();
      });
      input.addEventListener('pointerup', () => input.blur()); // the arrow keys go back to the slices
    }
    this.root.querySelector('[data-heatmap-switch]')!.addEventListener('click', () => this.toggleHeatmap());
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-outline-switch]')) {
      button.addEventListener('click', () => this.toggleOutline(button.dataset.outlineSwitch as keyof Outlined));
    }
    this.root.querySelector('[data-reset]')!.addEventListener('click', () => this.ct?.reset());
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-preset]')) {
      button.addEventListener('click', () => this.ct?.setWindow(PRESETS[button.dataset.preset!]!));
    }
    const drags = [...this.root.querySelectorAll<HTMLButtonElement>('[data-drag]')];
    for (const button of drags) {
      button.addEventListener('click', () => {
        this.ct?.setDragTool(button.dataset.drag as DragTool);
        for (const other of drags) other.setAttribute('aria-pressed', String(other === button));
      });
    }
    const screen = this.root.querySelector<HTMLElement>('.screen')!;
    screen.addEventListener('pointerdown', () => screen.focus({ preventScroll: true })); // the keys are the viewer's again
    document.addEventListener('keydown', (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches('input:not([type=range]), select, textarea')) return;
    const named = event.key.length > 1; // arrows, Home and the like, which also scroll the page and move sliders
    if (named && (target.matches('input') || !(this.root.contains(target) || target === document.body))) return;
    const last = this.scan.slices.length - 1;
    const presets = Object.values(PRESETS);
    const actions: Record<string, () => void> = {
      ArrowUp: () => void this.ct?.step(-1),
      ArrowLeft: () => void this.ct?.step(-1),
      ArrowDown: () => void this.ct?.step(1),
      ArrowRight: () => void this.ct?.step(1),
      PageUp: () => void this.ct?.step(-PAGE_OF_SLICES),
      PageDown: () => void this.ct?.step(PAGE_OF_SLICES),
      Home: () => void this.ct?.go(0),
      End: () => void this.ct?.go(last),
      h: () => this.toggleHeatmap(),
      r: () => this.ct?.reset(),
    };
    for (const name of OUTLINE_NAMES) actions[OUTLINES[name].key] = () => this.toggleOutline(name);
    presets.forEach((preset, number) => (actions[String(number + 1)] = () => this.ct?.setWindow(preset)));
    const action = actions[named ? event.key : event.key.toLowerCase()]; // letters also under Caps Lock
    if (!action) return;
    event.preventDefault();
    action();
  }
}

const root = document.querySelector<HTMLElement>('[data-viewer]');
const viewer = root ? new Viewer(root, readScan()) : null;
void viewer?.open().catch((error: unknown) => {
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
  if (finding) viewer?.showFinding(Number(finding.dataset.findingZ));
  const link = (event.target as HTMLElement).closest<HTMLAnchorElement>('a[data-open-at-level]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openAtLevel(link.href);
});
// Plotly's script stands after this one, so that the images come first.
document.addEventListener('DOMContentLoaded', () => drawCharts(document, openAtLevel));
document.body.addEventListener('htmx:afterSettle', () => {
  drawCharts(document, openAtLevel);
  viewer?.compared();
});
// A newer result, or another series: numbers, images and heat map change together, but not under a reader who types.
let typed = false;
document.querySelector('.reading form')?.addEventListener('input', () => (typed = true));
document.body.addEventListener('result-changed', () => {
  if (typed) document.getElementById('newer-result')!.hidden = false;
  else location.replace(atLevel(location.pathname));
});

/** One of the CTs that stand side by side: its slices with what lies over them, and its offset. */
import { gettext, interpolate, ngettext } from '../words';
import { Corners } from '../viewer/corners';
import type { Ct } from '../viewer/ct';
import { drawMarks } from '../viewer/findings';
import { Heatmap } from '../viewer/heatmap';
import type { HeatmapSettings } from '../viewer/heatmap';
import { CHANGES, FINDINGS, Outline } from '../viewer/outline';
import type { StoredMap } from '../viewer/overlay';
import { nearest } from '../viewer/scan';
import type { Mark, Scan } from '../viewer/scan';
import { Still } from '../viewer/still';
import { Strip, brokenSlice } from '../viewer/strip';
import { LOST, PRESETS } from '../viewer/view';
import type { View, Window } from '../viewer/view';
import { fromReference, toReference } from './match';
import type { Match } from './match';

const OUTLINES = {
  findings: { named: 'outline of findings', colouring: FINDINGS },
  change: { named: 'map of the change', colouring: CHANGES },
} as const;
export type OutlineName = keyof typeof OUTLINES;
const OUTLINE_NAMES = Object.keys(OUTLINES) as OutlineName[];

/** What is laid over all CTs. */
export interface LaidOver {
  heatmap: HeatmapSettings;
  outlined: Record<OutlineName, boolean>;
}

/** What the page says of the CT; `match`: null of the newest, to which the others are matched. */
interface Given {
  scan: Scan;
  match: Match | null;
  change_map: StoredMap | null;
}

/** Told of what the user does to a CT. */
interface Moved {
  sliced(pane: Pane): void;
  windowed(pane: Pane, window: Window): void;
  viewed(pane: Pane, view: View): void;
}

function offsetWords(slices: number): string {
  if (slices === 0) return gettext('none');
  const words = ngettext('%(offset)s slice', '%(offset)s slices', Math.abs(slices));
  return interpolate(words, { offset: `${slices > 0 ? '+' : '−'}${Math.abs(slices)}` });
}

export class Pane {
  readonly scan: Scan;
  ct: Ct | null = null;
  private readonly match: Match | null;
  private readonly maps: Record<OutlineName, StoredMap | null>;
  private index = 0;
  private offset = 0; // slices, as the user set it
  private singled: Mark | null = null;
  private still: Still | null = null;
  private heatmap: Heatmap | null = null;
  /** Those loaded; null while one is on its way. */
  private readonly outlines: Partial<Record<OutlineName, Outline | null>> = {};
  private readonly corners: Corners;
  private readonly strip: Strip;

  constructor(
    readonly root: HTMLElement,
    private readonly over: LaidOver,
    private readonly moved: Moved,
  ) {
    const given = JSON.parse(root.querySelector('script[type="application/json"]')!.textContent ?? '') as Given;
    this.scan = given.scan;
    this.match = given.match;
    this.maps = { findings: given.scan.findings_map, change: given.change_map };
    this.corners = new Corners(root);
    this.strip = new Strip(root.querySelector<HTMLElement>('[data-strip]')!, this.scan.slices, (index) => void this.ct?.go(index));
    this.screen.addEventListener('pointerdown', () => this.focus());
  }

  /** The keys are its own. */
  focus(): void {
    this.screen.focus({ preventScroll: true });
  }

  /** Where in the newest CT the slice on show lies, mm, but for the offset. */
  get referenceZ(): number {
    return toReference(this.match, this.height(this.index - this.offset));
  }

  /** Shows the slice at a height of the newest CT, mm, and the offset; once it can, where the server's image is still on show. */
  follow(referenceZ: number): void {
    const index = nearest(this.scan, fromReference(this.match, referenceZ)) + this.offset;
    if (this.ct) void this.ct.go(index);
    else if (!this.still) this.sliced(Math.max(0, Math.min(this.scan.slices.length - 1, index)));
  }

  /** Rings a finding on the slices that it is on; null for none. */
  single(finding: Mark | null): void {
    this.singled = finding;
    this.draw();
  }

  /** Shifts it against the newest CT by slices. */
  shift(by: number): void {
    this.offset += by;
    this.root.querySelector('[data-offset]')!.textContent = offsetWords(this.offset);
  }

  /** The slice as the server draws it, with the heat map. */
  async openStill(): Promise<void> {
    this.corners.window(PRESETS.lung!);
    const heatmap = this.loadHeatmap();
    const still = await Still.load(this.scan.slices[this.index]!.image);
    if (still && !this.ct) {
      this.still = still;
      still.show(this.screen);
    }
    await heatmap;
    this.draw();
  }

  /** `of`: how many CTs stand side by side. */
  async openCt(of: number): Promise<void> {
    const { Ct } = await import('../viewer/ct');
    this.ct = await Ct.open(
      this.root.querySelector<HTMLDivElement>('[data-ct]')!,
      this.scan.slices.map((slice) => slice.file),
      this.index,
      {
        drawn: () => this.drawn(),
        windowed: (window) => {
          this.corners.window(window);
          if (this.ct) this.moved.windowed(this, window); // opening it sets the first one
        },
        sliced: (index) => {
          if (!this.ct) return; // opening it shows its first slice
          this.sliced(index);
          this.moved.sliced(this);
        },
        loaded: (count, all) => this.loaded(count, all),
        broken: (slice) => this.say(brokenSlice(slice)),
        lost: () => {
          this.root.dataset.lost = 'true'; // which hides the image, and what lies over it
          this.say(LOST);
        },
      },
      { name: this.root.dataset.pane!, of },
    );
    this.still?.remove();
    this.corners.orientation(this.ct);
    this.corners.scale(this.ct);
    this.sliced(this.ct.index);
    await this.layered();
    this.root.dataset.ready = 'true';
  }

  /** What is laid over the CTs has changed: an outline is loaded when it is first switched on. */
  async layered(): Promise<void> {
    this.draw();
    await Promise.all(OUTLINE_NAMES.map((name) => this.loadOutline(name)));
  }

  say(sentence: string): void {
    const place = this.root.querySelector<HTMLElement>('[data-viewer-message]')!;
    place.textContent = sentence;
    place.hidden = false;
  }

  /** z of a slice, mm; beyond the last one that of the last. */
  private height(index: number): number {
    const { slices } = this.scan;
    return slices[Math.max(0, Math.min(slices.length - 1, index))]!.z_mm ?? 0;
  }

  private async loadHeatmap(): Promise<void> {
    try {
      this.heatmap = await Heatmap.load(this.canvas('heatmap'), this.scan, this.over.heatmap);
    } catch (error) {
      this.say((error as Error).message);
    }
  }

  private async loadOutline(name: OutlineName): Promise<void> {
    if (!this.over.outlined[name] || this.outlines[name] !== undefined) return;
    const { named, colouring } = OUTLINES[name];
    this.outlines[name] = null;
    try {
      this.outlines[name] = await Outline.load(this.canvas(name), this.maps[name], named, colouring);
    } catch (error) {
      delete this.outlines[name]; // the next switch tries again
      this.say((error as Error).message);
    }
    if (name === 'findings') this.outlines.findings?.leaveOut(new Set(this.scan.rejected));
    this.draw();
  }

  private sliced(index: number): void {
    this.index = index;
    this.root.dataset.sliceIndex = String(index);
    this.corners.slice(this.scan, index);
    this.strip.show(index);
    this.draw();
  }

  private drawn(): void {
    this.draw();
    if (!this.ct) return;
    this.corners.scale(this.ct);
    this.moved.viewed(this, this.ct.view);
  }

  draw(): void {
    const image = this.ct ?? this.still;
    if (!image) return;
    const { plane, z_mm } = this.scan.slices[this.ct?.index ?? this.index]!;
    const { outlined } = this.over;
    this.heatmap?.draw(image, plane);
    for (const name of OUTLINE_NAMES) {
      const outline = this.outlines[name];
      if (!outline) continue;
      outline.on = outlined[name];
      outline.draw(image, plane);
    }
    if (this.ct) drawMarks(this.canvas('marks'), this.ct, z_mm, outlined.findings ? this.scan.marks : [], outlined.findings ? this.singled : null);
  }

  private get screen(): HTMLElement {
    return this.root.querySelector<HTMLElement>('.screen')!;
  }

  private canvas(layer: string): HTMLCanvasElement {
    return this.root.querySelector<HTMLCanvasElement>(`[data-overlay="${layer}"]`)!;
  }

  private loaded(count: number, all: number): void {
    const bar = this.root.querySelector<HTMLProgressElement>('[data-loading]')!;
    bar.max = all;
    bar.value = count;
    bar.hidden = count === all;
  }
}

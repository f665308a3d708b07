/** What is laid over the CT, with its switches and sliders: heat map, outlines, the findings that readers marked. */
import type { Ct } from './ct';
import { drawMarks, marked, rejected } from './findings';
import { Heatmap, chooseColours, chosenColours, gradient } from './heatmap';
import type { HeatmapSettings } from './heatmap';
import { CHANGES, FINDINGS, LUNGS, OPACITY, Outline } from './outline';
import type { Colouring } from './outline';
import type { StoredMap } from './overlay';
import { readChangeMap } from './scan';
import type { ListedFinding, Scan, Slice } from './scan';
import { Sliders } from './sliders';
import type { Shown } from './view';

/** What is outlined: what an error calls it, and its colours. */
const OUTLINES = {
  opacity: { named: 'outline of opacities', colouring: OPACITY },
  findings: { named: 'outline of findings', colouring: FINDINGS },
  lungs: { named: 'outline of the lungs', colouring: LUNGS },
  change: { named: 'map of the change', colouring: CHANGES },
} as const satisfies Record<string, { named: string; colouring: Colouring }>;
type OutlineName = keyof typeof OUTLINES;
const OUTLINE_NAMES = Object.keys(OUTLINES) as OutlineName[];

/** What is on, and how the heat map is drawn. */
export interface LayerSettings {
  heatmap: HeatmapSettings;
  outlined: Record<OutlineName, boolean>;
}

export class Layers {
  readonly settings: LayerSettings;
  readonly sliders: Sliders;
  private heatmap: Heatmap | null = null;
  private readonly maps: Record<OutlineName, StoredMap | null>;
  /** Those loaded; null while one is on its way. */
  private readonly outlines: Partial<Record<OutlineName, Outline | null>> = {};
  private singled: ListedFinding | null = null;

  /** `kept`: the settings of the page before. `changed`: something is to be drawn anew. */
  constructor(
    private readonly root: HTMLElement,
    private readonly scan: Scan,
    kept: LayerSettings | null,
    private readonly changed: () => void,
    private readonly say: (sentence: string) => void,
  ) {
    this.sliders = new Sliders(root);
    this.settings = kept ?? {
      heatmap: { on: true, ...this.sliders.values, colours: chosenColours() },
      outlined: { opacity: false, findings: true, lungs: false, change: false },
    };
    const { opacity_map, findings_map, lungs_map } = scan;
    this.maps = { opacity: opacity_map, findings: findings_map, lungs: lungs_map, change: readChangeMap() };
    this.listen();
    this.offerOutlines();
    this.showSettings();
  }

  async loadHeatmap(): Promise<void> {
    try {
      this.heatmap = await Heatmap.load(this.canvas('heatmap'), this.scan, this.settings.heatmap);
    } catch (error) {
      this.say((error as Error).message);
    }
    this.changed();
  }

  /** Loads the outlines that are on. */
  async loadOutlines(): Promise<void> {
    await Promise.all(OUTLINE_NAMES.map((name) => this.loadOutline(name)));
  }

  /** Draws all over the image of a slice; the readers' marks once Cornerstone (`ct`) shows it. */
  draw(image: Shown, slice: Slice, ct: Ct | null): void {
    this.heatmap?.draw(image, slice.plane);
    for (const outline of Object.values(this.outlines)) outline?.draw(image, slice.plane);
    if (ct) drawMarks(this.canvas('marks'), ct, slice.z_mm, this.settings.outlined.findings ? marked() : [], this.singled);
  }

  /** The comparison with the last scan came while the page was open. */
  compared(): void {
    this.maps.change ??= readChangeMap();
    this.offerOutlines();
    void this.loadOutline('change');
  }

  /** A reader has said something of a finding. */
  reviewed(): void {
    this.outlines.findings?.leaveOut(rejected());
    this.changed();
  }

  /** Switches an outline on, where there is one. */
  show(name: OutlineName): void {
    if (this.maps[name] !== null && !this.settings.outlined[name]) this.toggleOutline(name);
  }

  /** Rings a finding where its slice is on show; null for none. */
  single(finding: ListedFinding | null): void {
    if (finding?.number === this.singled?.number) return;
    this.singled = finding;
    this.changed();
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
  private async loadOutline(name: OutlineName): Promise<void> {
    if (!this.settings.outlined[name] || this.maps[name] === null || this.outlines[name] !== undefined) return;
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
    this.changed();
  }

  private toggleHeatmap(): void {
    this.settings.heatmap.on = !this.settings.heatmap.on;
    this.showSettings();
    this.changed();
  }

  private toggleOutline(name: OutlineName): void {
    this.settings.outlined[name] = !this.settings.outlined[name];
    this.showSettings();
    this.changed();
    void this.loadOutline(name);
  }

  private changeColours(): void {
    const { heatmap } = this.settings;
    heatmap.colours = heatmap.colours === 'even' ? 'paper' : 'even';
    chooseColours(heatmap.colours);
    this.showSettings();
    this.changed();
  }

  private showSettings(): void {
    const { heatmap, outlined } = this.settings;
    for (const name of OUTLINE_NAMES) {
      const button = this.root.querySelector(`[data-outline-switch="${name}"]`)!;
      button.setAttribute('aria-pressed', String(outlined[name]));
      if (this.outlines[name]) this.outlines[name].on = outlined[name];
    }
    this.root.querySelector('[data-heatmap-switch]')!.setAttribute('aria-pressed', String(heatmap.on));
    const colours = this.root.querySelector<HTMLElement>('[data-colours]')!;
    colours.setAttribute('aria-pressed', String(heatmap.colours === 'even'));
    colours.querySelector('i')!.style.background = gradient(heatmap.colours);
    if (this.scan.heatmap) this.root.dataset.heatmap = heatmap.on ? 'on' : 'off';
    this.sliders.show(heatmap);
  }

  private listen(): void {
    this.sliders.listen(this.settings.heatmap, () => this.changed());
    this.root.querySelector('[data-heatmap-switch]')!.addEventListener('click', () => this.toggleHeatmap());
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-outline-switch]')) {
      button.addEventListener('click', () => this.toggleOutline(button.dataset.outlineSwitch as OutlineName));
    }
    this.root.querySelector('[data-colours]')!.addEventListener('click', () => this.changeColours());
  }
}

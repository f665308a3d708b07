/** Two time points of a patient side by side: scrolled, windowed, zoomed and moved together. */
import { Corners } from './viewer/corners';
import { Ct } from './viewer/ct';
import { Heatmap, chosenColours } from './viewer/heatmap';
import type { HeatmapSettings } from './viewer/heatmap';
import { listenForKeys } from './viewer/keys';
import { CHANGES, FINDINGS, Outline } from './viewer/outline';
import { levelOf, mostAffected, nearest, readChangeMap, sliceAt } from './viewer/scan';
import type { Scan } from './viewer/scan';
import { Strip } from './viewer/strip';
import { listenToToolbar, pressedTool } from './viewer/toolbar';
import type { View, Window } from './viewer/view';

type Name = 'then' | 'now';

/** One of the two scans. `moved` is told of what the user does to it. */
class Pane {
  readonly scan: Scan;
  ct: Ct | null = null;
  private heatmap: Heatmap | null = null;
  private readonly outlines: (Outline | null)[] = [];
  private readonly corners: Corners;
  private readonly strip: Strip;

  constructor(
    private readonly root: HTMLElement,
    readonly name: Name,
    private readonly settings: HeatmapSettings,
    private readonly moved: {
      sliced(pane: Pane): void;
      windowed(pane: Pane, window: Window): void;
      viewed(pane: Pane, view: View): void;
    },
  ) {
    this.scan = JSON.parse(root.querySelector('script[type="application/json"]')!.textContent ?? '') as Scan;
    this.corners = new Corners(root);
    this.strip = new Strip(root.querySelector<HTMLElement>('[data-strip]')!, this.scan.slices, (index) => void this.ct?.go(index));
  }

  async open(index: number): Promise<void> {
    this.ct = await Ct.open(
      this.root.querySelector<HTMLDivElement>('[data-ct]')!,
      this.scan.slices.map((slice) => slice.file),
      index,
      {
        drawn: () => {
          this.draw();
          if (!this.ct) return;
          this.corners.scale(this.ct);
          this.moved.viewed(this, this.ct.view);
        },
        windowed: (window) => {
          this.corners.window(window);
          this.moved.windowed(this, window);
        },
        sliced: () => {
          if (!this.ct) return; // opening it shows its first slice
          this.show();
          this.moved.sliced(this);
        },
        loaded: (count) => this.loaded(count),
        broken: (slice) => this.say(`Slice ${slice + 1} could not be loaded. Reload the page to try again.`),
      },
      this.name,
    );
    this.show();
    this.corners.orientation(this.ct);
    this.corners.scale(this.ct);
    try {
      this.heatmap = await Heatmap.load(this.canvas('heatmap'), this.scan, this.settings);
      const findings = await Outline.load(this.canvas('findings'), this.scan.findings_map, 'outline of findings', FINDINGS);
      findings?.leaveOut(new Set(this.scan.rejected));
      this.outlines.push(findings);
      const change = this.name === 'now' ? readChangeMap() : null;
      if (change) this.outlines.push(await Outline.load(this.canvas('change'), change, 'map of the change', CHANGES));
    } catch (error) {
      this.say((error as Error).message);
    }
    this.draw();
    this.root.dataset.ready = 'true';
  }

  /** Draws the layers, as `shown` says: findings first, then the change. */
  switch(shown: boolean[]): void {
    this.outlines.forEach((outline, number) => {
      if (outline) outline.on = shown[number] ?? false;
    });
    this.draw();
  }

  draw(): void {
    if (!this.ct) return;
    const { plane } = this.scan.slices[this.ct.index]!;
    this.heatmap?.draw(this.ct, plane);
    for (const outline of this.outlines) outline?.draw(this.ct, plane);
  }

  say(sentence: string): void {
    const place = this.root.querySelector<HTMLElement>('[data-viewer-message]')!;
    place.textContent = sentence;
    place.hidden = false;
  }

  private show(): void {
    const { index } = this.ct!;
    this.root.dataset.sliceIndex = String(index);
    this.corners.slice(this.scan, index);
    this.strip.show(index);
    this.draw();
  }

  private canvas(layer: string): HTMLCanvasElement {
    return this.root.querySelector<HTMLCanvasElement>(`[data-overlay="${layer}"]`)!;
  }

  private loaded(count: number): void {
    const bar = this.root.querySelector<HTMLProgressElement>('[data-loading]')!;
    bar.value = count;
    bar.hidden = count === this.scan.slices.length;
  }
}

class Comparison {
  private readonly settings: HeatmapSettings;
  private readonly panes: Record<Name, Pane>;
  /** z in the earlier scan of each slice of the later one, by registration; null where it is not known. */
  private readonly priorZ: (number | null)[] | null;
  private offset = 0; // slices of the other scan, as the user set it
  /** The pane that the user touched last, which the other one follows; none while they open. */
  private leader: Pane | null = null;

  constructor(private readonly root: HTMLElement) {
    this.settings = { on: true, opacity: Number(root.dataset.opacity), threshold: Number(root.dataset.threshold), colours: chosenColours() };
    this.priorZ = JSON.parse(document.getElementById('prior-z')!.textContent ?? 'null') as (number | null)[] | null;
    const led = (pane: Pane, act: () => void): void => {
      if (pane === this.leader) act();
    };
    const moved = {
      sliced: (pane: Pane) => led(pane, () => this.slicedAs(pane)),
      windowed: (pane: Pane, window: Window) => led(pane, () => this.other(pane).ct?.setWindow(window)),
      viewed: (pane: Pane, view: View) => led(pane, () => this.viewedAs(pane, view)),
    };
    const pane = (name: Name): Pane => {
      const place = root.querySelector<HTMLElement>(`[data-pane="${name}"]`)!;
      const made = new Pane(place, name, this.settings, moved);
      for (const touch of ['pointerdown', 'wheel']) {
        place.addEventListener(touch, () => (this.leader = made), { capture: true, passive: true });
      }
      return made;
    };
    this.panes = { then: pane('then'), now: pane('now') };
    this.listen();
  }

  async open(): Promise<void> {
    const { now, then } = this.panes;
    const start = mostAffected(now.scan);
    await now.open(start);
    await then.open(this.matching(now, start));
    this.leader = now;
    for (const { ct } of [now, then]) ct?.setDragTool(pressedTool(this.viewer));
    this.showLayers();
    this.root.dataset.ready = 'true';
  }

  private other(pane: Pane): Pane {
    return pane.name === 'now' ? this.panes.then : this.panes.now;
  }

  /** The slice of the other scan at the place of a slice, without the user's offset. */
  private matching(pane: Pane, index: number): number {
    const other = this.other(pane);
    if (this.priorZ && pane.name === 'now') {
      const z = this.priorZ[index];
      if (z != null) return nearest(other.scan, z);
    }
    if (this.priorZ && pane.name === 'then') {
      const z = pane.scan.slices[index]!.z_mm;
      const known = this.priorZ.flatMap((prior, slice) => (prior === null ? [] : [{ prior, slice }]));
      const [first, last] = [known[0], known[known.length - 1]];
      if (z !== null && first && last && z <= first.prior && z >= last.prior) {
        return known.reduce((best, one) => (Math.abs(one.prior - z) < Math.abs(best.prior - z) ? one : best)).slice;
      }
    }
    return sliceAt(other.scan, levelOf(pane.scan, index) ?? 0) ?? 0;
  }

  private slicedAs(pane: Pane): void {
    const sign = pane.name === 'now' ? 1 : -1;
    void this.other(pane).ct?.go(this.matching(pane, pane.ct!.index) + sign * this.offset);
  }

  private viewedAs(pane: Pane, view: View): void {
    const other = this.other(pane).ct;
    if (!other) return;
    const { zoom, pan } = other.view;
    const same = Math.abs(zoom - view.zoom) < 1e-3 && Math.abs(pan[0] - view.pan[0]) < 0.5 && Math.abs(pan[1] - view.pan[1]) < 0.5;
    if (!same) other.setView(view);
  }

  private move(by: number): void {
    this.leader = this.panes.now;
    this.offset += by;
    const words = this.offset === 0 ? 'none' : `${this.offset > 0 ? '+' : '−'}${Math.abs(this.offset)} slice${Math.abs(this.offset) === 1 ? '' : 's'}`;
    this.root.querySelector('[data-offset]')!.textContent = words;
    this.slicedAs(this.panes.now);
  }

  private showLayers(): void {
    const pressed = (name: string): boolean =>
      this.root.querySelector(`[data-layer="${name}"]`)?.getAttribute('aria-pressed') === 'true';
    this.settings.on = pressed('heatmap');
    for (const pane of Object.values(this.panes)) pane.switch([pressed('findings'), pressed('change')]);
  }

  private listen(): void {
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-layer]')) {
      button.addEventListener('click', () => {
        button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
        this.showLayers();
      });
    }
    listenToToolbar(this.viewer, {
      setWindow: (window) => {
        this.leader = this.panes.now;
        this.panes.now.ct?.setWindow(window);
      },
      setDragTool: (tool) => {
        for (const pane of Object.values(this.panes)) pane.ct?.setDragTool(tool);
      },
    });
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-move]')) {
      button.addEventListener('click', () => this.move(Number(button.dataset.move)));
    }
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-go-z]')) {
      button.addEventListener('click', () => {
        const pane = this.panes[button.dataset.goPane as Name];
        this.leader = pane;
        void pane.ct?.go(nearest(pane.scan, Number(button.dataset.goZ)));
        this.root.scrollIntoView({ block: 'nearest' });
      });
    }
    const slices = {
      step: (by: number) => void this.led().ct?.step(by),
      go: (index: number) => void this.led().ct?.go(index),
      last: this.panes.now.scan.slices.length - 1,
    };
    listenForKeys(this.viewer, slices, { Delete: () => this.panes.now.ct?.removeMeasurement() });
  }

  private get viewer(): HTMLElement {
    return this.root.querySelector<HTMLElement>('.viewer')!;
  }

  /** The later scan, which keys move and the earlier one follows. */
  private led(): Pane {
    this.leader = this.panes.now;
    return this.panes.now;
  }
}

const root = document.querySelector<HTMLElement>('[data-compare]');
if (root) {
  new Comparison(root).open().catch((error: unknown) => {
    const place = root.querySelector<HTMLElement>('[data-viewer-message]')!;
    place.textContent = 'The images could not be shown. Reload the page; if that does not help, tell your administrator.';
    place.hidden = false;
    console.error(error);
  });
}

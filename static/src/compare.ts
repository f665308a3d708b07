/** Time points of a patient side by side: scrolled, windowed, zoomed and moved together. */
import { gettext } from './words';
import { Pane } from './compare/pane';
import type { LaidOver, OutlineName } from './compare/pane';
import { listed, pointOf } from './viewer/findings';
import { chosenColours } from './viewer/heatmap';
import { listenForKeys } from './viewer/keys';
import { firstShown, nearest } from './viewer/scan';
import { Sliders } from './viewer/sliders';
import { Steering } from './viewer/steering';
import { STILL_WITHIN_MS } from './viewer/still';
import { listenToToolbar, pressedTool } from './viewer/toolbar';
import { PRESETS } from './viewer/view';
import type { View, Window } from './viewer/view';

class Comparison {
  private readonly over: LaidOver;
  private readonly sliders: Sliders;
  private readonly steering: Steering;
  /** The earliest first. */
  private readonly panes: Pane[];
  /** The pane that the user touched last, which the others follow; none while they open. */
  private leader: Pane | null = null;
  private window = PRESETS.lung!;

  constructor(private readonly root: HTMLElement) {
    this.sliders = new Sliders(root);
    this.steering = this.steer();
    this.over = {
      heatmap: { on: true, ...this.sliders.values, colours: chosenColours() },
      outlined: { findings: true, change: false },
    };
    this.sliders.show(this.over.heatmap); // the browser may have put back what they were left at
    const led = (pane: Pane, act: () => void): void => {
      if (pane === this.leader) act();
    };
    const moved = {
      sliced: (pane: Pane) => {
        this.steering.endCursor();
        led(pane, () => this.slicedAs(pane));
      },
      windowed: (pane: Pane, window: Window) => led(pane, () => this.windowedAs(pane, window)),
      viewed: (pane: Pane, view: View) => led(pane, () => this.viewedAs(pane, view)),
    };
    this.panes = [...root.querySelectorAll<HTMLElement>('[data-pane]')].map((place) => new Pane(place, this.over, moved));
    for (const pane of this.panes) this.listenTo(pane);
    this.listen();
  }

  async open(): Promise<void> {
    const { scan } = this.newest;
    const start = scan.slices[firstShown(scan)]!.z_mm ?? 0;
    for (const pane of this.panes) pane.follow(start);
    const stills = Promise.all(this.panes.map((pane) => pane.openStill())).then(() => (this.root.dataset.shown = 'true'));
    await Promise.race([stills, new Promise((resolve) => setTimeout(resolve, STILL_WITHIN_MS))]);
    await Promise.all(this.panes.map((pane) => this.openCt(pane)));
    await stills;
    this.leader = this.opened;
    if (this.leader.ct) this.viewedAs(this.leader, this.leader.ct.view);
    this.slicedAs(this.newest); // what an offset was set to meanwhile
    this.root.dataset.ready = 'true';
  }

  /** One that cannot be shown says so, and the others are there. */
  private async openCt(pane: Pane): Promise<void> {
    try {
      await pane.openCt(this.panes.length);
      pane.ct!.setDragTool(pressedTool(this.viewer));
      pane.ct!.setWindow(this.window); // what it was set to meanwhile
    } catch (error) {
      pane.say(gettext('The images could not be shown. Reload the page; if that does not help, tell your administrator.'));
      console.error(error);
    }
  }

  private get newest(): Pane {
    return this.panes.at(-1)!;
  }

  /** The newest that could be opened. */
  private get opened(): Pane {
    return this.panes.findLast(({ ct }) => ct) ?? this.newest;
  }

  private others(pane: Pane): Pane[] {
    return this.panes.filter((other) => other !== pane);
  }

  private slicedAs(pane: Pane): void {
    for (const other of this.others(pane)) other.follow(pane.referenceZ);
  }

  private windowedAs(pane: Pane, window: Window): void {
    this.window = window;
    for (const { ct } of this.others(pane)) ct?.setWindow(window);
  }

  /** Shows a millimetre as long in all of them, whatever their fields of view. */
  private viewedAs(pane: Pane, view: View): void {
    const pixelsPerMm = pane.ct?.pixelsPerMm();
    for (const { ct } of this.others(pane)) {
      if (!ct) continue;
      const { zoom, pan } = ct.view;
      const own = ct.pixelsPerMm();
      const wanted = pixelsPerMm && own ? (zoom * pixelsPerMm) / own : view.zoom;
      const same = Math.abs(zoom / wanted - 1) < 1e-3 && Math.abs(pan[0] - view.pan[0]) < 0.5 && Math.abs(pan[1] - view.pan[1]) < 0.5;
      if (!same) ct.setView({ zoom: wanted, pan: view.pan });
    }
  }

  /** The pane that keys are meant for: the one in focus, else the newest that could be opened. */
  private lead(): Pane {
    this.leader = this.focused ?? this.opened;
    return this.leader;
  }

  private get focused(): Pane | undefined {
    return this.panes.find(({ root }) => root.contains(document.activeElement));
  }

  /** Shifts an earlier CT against the newest: that in focus, else the last of them. */
  private shift(by: number): void {
    const focused = this.lead();
    this.shiftPane(focused === this.newest ? this.panes.at(-2)! : focused, by);
  }

  private shiftPane(pane: Pane, by: number): void {
    this.leader = this.newest;
    pane.shift(by);
    pane.follow(this.newest.referenceZ);
  }

  private step(by: number): void {
    void this.lead().ct?.step(by);
  }

  /** What keys do to the CT that they are meant for; the others follow. */
  private steer(): Steering {
    return new Steering(this.viewer, {
      arrow: (x, y) => this.step(x || y),
      pan: (x, y) => this.lead().ct?.pan(x, y),
      zoom: (factor) => this.lead().ct?.zoom(factor),
      nudgeWindow: (level, width) => this.lead().ct?.nudgeWindow(level, width),
      cursor: (measure) => this.lead().ct?.cursor(measure) ?? null,
    });
  }

  private switchLayers(): void {
    const pressed = (name: string): boolean =>
      this.root.querySelector(`[data-layer="${name}"]`)?.getAttribute('aria-pressed') === 'true';
    this.over.heatmap.on = pressed('heatmap');
    for (const name of Object.keys(this.over.outlined) as OutlineName[]) this.over.outlined[name] = pressed(name);
    for (const pane of this.panes) void pane.layered();
  }

  private listenTo(pane: Pane): void {
    for (const touch of ['pointerdown', 'wheel']) {
      pane.root.addEventListener(touch, () => (this.leader = pane), { capture: true, passive: true });
    }
    for (const button of pane.root.querySelectorAll<HTMLButtonElement>('[data-move]')) {
      button.addEventListener('click', () => this.shiftPane(pane, Number(button.dataset.move)));
    }
  }

  private listen(): void {
    this.sliders.listen(this.over.heatmap, () => {
      for (const pane of this.panes) pane.draw();
    });
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-layer]')) {
      button.addEventListener('click', () => {
        button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
        this.switchLayers();
      });
    }
    this.root.querySelector('[data-reset]')!.addEventListener('click', () => {
      this.steering.endCursor();
      this.leader = this.opened;
      this.leader.ct?.reset();
    });
    listenToToolbar(this.viewer, {
      setWindow: (window) => this.lead().ct?.setWindow(window),
      setDragTool: (tool) => {
        this.steering.endCursor();
        for (const { ct } of this.panes) ct?.setDragTool(tool);
      },
      focusImage: () => (this.focused ?? this.leader ?? this.opened).focus(),
    });
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-go-pane]')) {
      button.addEventListener('click', () => this.goTo(button));
    }
    const slices = {
      step: (by: number) => this.step(by),
      go: (index: number) => void this.lead().ct?.go(index),
      last: Infinity, // that of the CT that is led
    };
    listenForKeys(this.viewer, slices, {
      Delete: () => this.opened.ct?.removeMeasurement(), // of any of them
      '<': () => this.shift(-1),
      '>': () => this.shift(1),
      ...this.steering.keys,
      ...this.sliders.keys,
    });
    document.body.addEventListener('comparison-queued', () => location.reload());
    let touched = false; // the page does not load anew under a reader who looks
    for (const touch of ['pointerdown', 'wheel', 'keydown']) {
      document.addEventListener(touch, () => (touched = true), { passive: true, once: true });
    }
    document.body.addEventListener('comparison-done', () => {
      if (touched) document.getElementById('compared')!.hidden = false;
      else location.reload();
    });
  }

  /** Goes to a finding of the table, and rings what the table says that it is in each CT; or to the slice of a remark. */
  private goTo(button: HTMLButtonElement): void {
    this.leader = this.panes.find(({ root }) => root.dataset.pane === button.dataset.goPane)!;
    const { ct } = this.leader;
    const point = pointOf(button);
    if (ct) void ct.go(nearest(this.leader.scan, point ? ct.height(point) : Number(button.dataset.findingZ)));
    for (const pane of this.panes) {
      const there = button.closest('tr')?.querySelector<HTMLElement>(`[data-go-pane="${pane.root.dataset.pane}"]`);
      pane.single(there ? listed(there) : null);
    }
    this.viewer.scrollIntoView({ block: 'start' });
  }

  private get viewer(): HTMLElement {
    return this.root.querySelector<HTMLElement>('.viewer')!;
  }
}

const root = document.querySelector<HTMLElement>('[data-compare]');
if (root) void new Comparison(root).open();

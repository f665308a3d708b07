/** What fills the screen: the slices as they were taken, three planes through a point, or the lungs in 3D. */
import { announceLater } from '../announcer';
import { decimal, gettext, interpolate } from '../words';
import type { Ct } from './ct';
import type { Cursor } from './cursor';
import { marked, rejected } from './findings';
import type { HeatmapSettings } from './heatmap';
import { nearest } from './scan';
import type { Surfaces } from './lungs';
import type { Mark, Scan } from './scan';
import { pressedTool } from './toolbar';
import type { DragTool, Measure, Window } from './view';
import type { Plane, Volume } from './volume';

type Point3 = [number, number, number];
export type ViewName = 'slices' | 'planes' | '3d';

/** What the slices are shown with, which planes and 3D follow. */
interface Shown {
  window: Window;
  heatmap: HeatmapSettings;
  outlined: { opacity: boolean; findings: boolean };
}

/** What screen readers call the screen; of the slices the page says it. */
const NAMES: Record<Exclude<ViewName, 'slices'>, string> = {
  planes: gettext('CT in three planes: the Tab key leads through them; ? lists all keys'),
  '3d': gettext('Lungs in 3D: arrow keys turn them; ? lists all keys'),
};
const SLICES_ALONE = gettext('This browser draws without a graphics card (WebGL): slices alone, no planes and no 3D.');
const TURN_DEGREES = 10; // by a key
const STEP_MM = 1; // of the cross, by a key
const PAUSE_MS = 400; // after the last key, before the place of the cross is announced

interface ViewsEvents {
  say(sentence: string): void;
  /** Takes back what was said, where nothing else was said since. */
  unsay(sentence: string): void;
  windowed(window: Window): void;
  /** Planes cross at another point: what they show is new. */
  crossed(): void;
  /** Another view is on show now, planes and 3D perhaps still to be built. */
  changed(before: ViewName, now: ViewName): void;
}

/** A point moved along a direction, mm. */
function moved(point: Point3, direction: Point3, by: number): Point3 {
  return point.map((place, axis) => place + by * direction[axis]!) as Point3;
}

export class Views {
  private name: ViewName = 'slices';
  private building: Promise<Volume> | null = null;
  private volume: Volume | null = null;
  /** The point of the finding that was chosen while no planes were on show. */
  private asked: Point3 | null = null;
  private singled: Mark | null = null;
  /** Those that were built out of sight, in no size or another one. */
  private readonly unseen = new Set<ViewName>(['planes', '3d']);
  private readonly screen: HTMLElement;
  private readonly slicesName: string;
  /** The plane that had the focus last. */
  private last: Plane = 'axial';

  constructor(
    private readonly root: HTMLElement,
    private readonly scan: Scan,
    private readonly shown: () => Shown,
    private readonly events: ViewsEvents,
  ) {
    this.screen = root.querySelector<HTMLElement>('.screen')!;
    this.slicesName = this.screen.ariaLabel!;
    root.addEventListener('focusin', () => (this.last = this.focused ?? this.last));
  }

  /** Changes the view; the volume is built when it is first asked for. Back to the slices: where the planes were, z in mm. */
  async show(name: ViewName, ct: Ct, index: number): Promise<number | null> {
    const before = this.name;
    if (name === 'slices') this.events.unsay(SLICES_ALONE); // which is no news there
    if (name === before) return null;
    if (name !== 'slices' && !ct.hasVolume) {
      this.events.say(SLICES_ALONE);
      return null;
    }
    this.fill(name);
    if (name === 'slices') return this.volume ? ct.height(this.asked ?? this.volume.centre) : null;
    try {
      this.building ??= this.build(ct);
      const volume = await this.building;
      if (this.name === 'slices') return null; // the user went back while it was built
      volume.resize();
      if (this.unseen.delete(name)) this.fit(name, volume);
      if (before === 'slices') this.crossOn(index, volume, ct);
      else if (this.asked) this.goTo(this.asked); // in 3D
      this.update();
      this.root.dataset.volume = 'ready';
    } catch (error) {
      this.building = null;
      this.fill('slices');
      const why = (error as Error).message;
      this.events.say(interpolate(gettext('Planes and 3D could not be built: %(why)s'), { why }));
    }
    return null;
  }

  /** Draws planes and 3D as the slices are drawn. */
  update(): void {
    const { window, heatmap, outlined } = this.shown();
    if (!this.volume || this.name === 'slices') return;
    this.volume.setWindow(window);
    this.volume.setHeatmap(heatmap);
    this.volume.setLayers(outlined);
  }

  /** A reader has said something of a finding; `update` then draws it. */
  reviewed(): void {
    this.volume?.setFindings(rejected(), marked());
  }

  /** Rings a finding in planes and 3D; null for none. */
  single(finding: Mark | null): void {
    this.singled = finding;
    this.volume?.single(finding);
  }

  /** Shows the whole of what is on show; the planes keep their point while 3D is, and the other way round. */
  reset(): void {
    if (this.name === 'slices') return;
    this.volume?.reset(this.name);
    if (this.name !== '3d' || !this.clip) return;
    this.clip.value = '0';
    this.clip.dispatchEvent(new Event('input'));
  }

  /** What is on show. */
  get shows(): ViewName {
    return this.name;
  }

  setDragTool(tool: DragTool): void {
    this.volume?.setDragTool(tool);
  }

  /** Moves the axial plane by slices, towards the feet; the plane in focus, where it is another, by mm. */
  step(by: number): void {
    if (this.name !== 'planes') return;
    const plane = this.focused;
    if (plane && plane !== 'axial') this.volume?.moveCentre(plane, [0, 0, by]);
    else this.volume?.step(by);
    this.announceCross();
  }

  /** Moves the plane in focus, else the axial one, to the first or the last place of the CT. */
  go(last: boolean): void {
    if (this.name !== 'planes') return;
    this.volume?.moveToEnd(this.focused ?? 'axial', last);
    this.announceCross();
  }

  /** An arrow key, to the right and down: turns the lungs in 3D, or moves the cross on the plane in focus. */
  arrow(x: number, y: number): void {
    const plane = this.focused;
    if (this.name === '3d') this.volume?.turn(x * TURN_DEGREES, y * TURN_DEGREES);
    else if (!plane) return this.step(x || y);
    else this.volume?.moveCentre(plane, [x * STEP_MM, y * STEP_MM, 0]);
    this.announceCross();
  }

  pan(x: number, y: number): void {
    this.volume?.pan(this.name === '3d' ? '3d' : (this.focused ?? 'axial'), x, y);
  }

  zoom(factor: number): void {
    this.volume?.zoom(this.name === '3d' ? '3d' : (this.focused ?? 'axial'), factor);
  }

  /** Where keys are meant for what is on show: 3D, or the plane that had the focus last; null for the slices. */
  get keyed(): HTMLElement | null {
    if (this.name === 'slices') return null;
    const shown = this.name === '3d' ? '3d' : this.last;
    return this.place.querySelector<HTMLElement>(`.plane:has([data-plane="${shown}"])`);
  }

  /** A cursor that measures on the plane in focus, else the axial one. */
  cursor(measure: Measure): Cursor | null {
    return this.name === 'planes' && this.volume ? this.volume.cursor(this.focused ?? 'axial', measure) : null;
  }

  private get focused(): Plane | null {
    const plane = document.activeElement?.closest('.plane:not(.plane-3d)')?.querySelector<HTMLElement>('[data-plane]');
    return plane ? (plane.dataset.plane as Plane) : null;
  }

  /** Whether planes are on show: then they cross at the point (LPS, mm); else they will once they come on show from its slice. */
  goTo(point: Point3): boolean {
    const shown = this.name === 'planes' && this.volume !== null;
    if (shown) this.volume!.centre = point;
    this.asked = shown ? null : point;
    return shown;
  }

  /** Whether planes are on show: then they cross where the heat map of the slice is highest, if there is any. */
  goToPeak(index: number): boolean {
    const { plane } = this.scan.slices[index]!;
    if (this.name !== 'planes' || !this.volume || plane === null) return false;
    const peak = this.volume.peak(plane);
    if (peak) this.volume.centre = peak;
    return true;
  }

  /** The planes cross on the slice that was on show: in the finding chosen there; else, the first time, where its heat map is highest. */
  private crossOn(index: number, volume: Volume, ct: Ct): void {
    const { z_mm, plane } = this.scan.slices[index]!;
    const finding = this.asked && nearest(this.scan, ct.height(this.asked)) === index ? this.asked : null;
    this.asked = null;
    const first = this.root.dataset.volume !== 'ready' && plane !== null;
    const point = finding ?? (first ? volume.peak(plane) : null);
    if (point) volume.centre = point;
    else if (z_mm !== null) volume.centre = moved(volume.centre, ct.normal, z_mm - ct.height(volume.centre));
  }

  /** Shows all of a view, and leaves the planes where they cross. */
  private fit(name: Exclude<ViewName, 'slices'>, volume: Volume): void {
    const { centre } = volume;
    volume.reset(name);
    volume.centre = centre;
  }

  private fill(name: ViewName): void {
    const before = this.name;
    this.name = name;
    this.root.dataset.view = name;
    this.screen.ariaLabel = name === 'slices' ? this.slicesName : NAMES[name];
    this.place.hidden = name === 'slices';
    for (const button of this.root.querySelectorAll<HTMLElement>('button[data-view]')) {
      button.setAttribute('aria-pressed', String(button.dataset.view === name));
    }
    this.events.changed(before, name);
  }

  private get place(): HTMLElement {
    return this.root.querySelector<HTMLElement>('[data-volume]')!;
  }

  /** How much of the body is cut away in 3D; null where there is no 3D. */
  private get clip(): HTMLInputElement | null {
    return this.place.querySelector<HTMLInputElement>('input[name="clip"]');
  }

  private async build(ct: Ct): Promise<Volume> {
    const [{ Volume }] = await Promise.all([import('./volume'), ct.whole]);
    this.volume = await Volume.open(this.place, this.scan, ct.imageIds, {
      windowed: (window) => this.events.windowed(window),
      crossed: () => {
        this.writeCross();
        this.events.crossed();
      },
    });
    this.volume.setDragTool(pressedTool(this.root));
    this.reviewed();
    this.volume.single(this.singled);
    this.place.querySelector<HTMLElement>('[data-volume-wait]')!.hidden = true;
    const { clip } = this;
    clip?.addEventListener('input', () => this.volume?.clip(Number(clip.value) / 100));
    for (const button of this.place.querySelectorAll<HTMLButtonElement>('[data-surfaces]')) {
      button.addEventListener('click', () => {
        const on = button.getAttribute('aria-pressed') !== 'true';
        button.setAttribute('aria-pressed', String(on));
        this.volume?.showSurfaces(button.dataset.surfaces as Surfaces, on);
      });
    }
    return this.volume;
  }

  /** Where the planes cross, and the HU there. */
  private writeCross(): void {
    if (!this.volume) return;
    const [x, y, z] = this.volume.centre.map((place) => decimal(place, 1));
    const { hu } = this.volume;
    const lines = [interpolate(gettext('x %(x)s, y %(y)s, z %(z)s mm (LPS)'), { x: x!, y: y!, z: z! })];
    if (hu !== null) lines.push(`${decimal(hu, 0)} HU`);
    this.place.querySelector('[data-cross]')!.textContent = lines.join('\n');
  }

  private announceCross(): void {
    if (this.name !== 'planes') return;
    announceLater(() => this.place.querySelector('[data-cross]')!.textContent!.replace('\n', ', '), PAUSE_MS);
  }
}

/** What fills the screen: the slices as they were taken, three planes through a point, or the lungs in 3D. */
import { gettext, interpolate } from '../words';
import type { Ct } from './ct';
import { marked, rejected } from './findings';
import type { HeatmapSettings } from './heatmap';
import type { Scan } from './scan';
import type { Window } from './view';
import type { Volume } from './volume';

type Point3 = [number, number, number];
export type ViewName = 'slices' | 'planes' | '3d';

/** What the slices are shown with, which planes and 3D follow. */
interface Shown {
  window: Window;
  heatmap: HeatmapSettings;
  outlined: { opacity: boolean; findings: boolean };
}

/** A point moved along a direction, mm. */
function moved(point: Point3, direction: Point3, by: number): Point3 {
  return point.map((place, axis) => place + by * direction[axis]!) as Point3;
}

export class Views {
  private name: ViewName = 'slices';
  private building: Promise<Volume> | null = null;
  private volume: Volume | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly scan: Scan,
    private readonly shown: () => Shown,
    private readonly say: (sentence: string) => void,
  ) {}

  /** Changes the view; the volume is built when it is first asked for. Back to the slices: where the planes were, z in mm. */
  async show(name: ViewName, ct: Ct, index: number): Promise<number | null> {
    const before = this.name;
    if (name === before) return null;
    if (name !== 'slices' && !ct.hasVolume) {
      this.say(gettext('This browser draws without a graphics card (WebGL): slices alone, no planes and no 3D.'));
      return null;
    }
    this.fill(name);
    if (name === 'slices') return this.volume ? ct.height(this.volume.centre) : null;
    try {
      this.building ??= this.build(ct);
      const volume = await this.building;
      if (this.name === 'slices') return null; // the user went back while it was built
      volume.resize();
      if (!this.root.dataset.volume) volume.reset(); // it may have been built out of sight
      const z = this.scan.slices[index]!.z_mm;
      if (before === 'slices' && z !== null) volume.centre = moved(volume.centre, ct.normal, z - ct.height(volume.centre));
      this.update();
      this.root.dataset.volume = 'ready';
    } catch (error) {
      this.building = null;
      this.fill('slices');
      const why = (error as Error).message;
      this.say(interpolate(gettext('Planes and 3D could not be built: %(why)s'), { why }));
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

  reset(): void {
    this.volume?.reset();
  }

  /** Whether the slices are on show. */
  get slices(): boolean {
    return this.name === 'slices';
  }

  /** Moves the axial plane by slices, towards the feet. */
  step(by: number): void {
    if (this.name === 'planes') this.volume?.step(by);
  }

  /** Whether planes are on show: then they cross at the point (LPS, mm). */
  goTo(point: [number, number, number]): boolean {
    if (this.name !== 'planes' || !this.volume) return false;
    this.volume.centre = point;
    return true;
  }

  private fill(name: ViewName): void {
    this.name = name;
    this.root.dataset.view = name;
    this.place.hidden = name === 'slices';
    for (const button of this.root.querySelectorAll<HTMLElement>('button[data-view]')) {
      button.setAttribute('aria-pressed', String(button.dataset.view === name));
    }
  }

  private get place(): HTMLElement {
    return this.root.querySelector<HTMLElement>('[data-volume]')!;
  }

  private async build(ct: Ct): Promise<Volume> {
    const [{ Volume }] = await Promise.all([import('./volume'), ct.whole]);
    this.volume = await Volume.open(this.place, this.scan, ct.imageIds);
    this.reviewed();
    this.place.querySelector<HTMLElement>('[data-volume-wait]')!.hidden = true;
    const clip = this.place.querySelector<HTMLInputElement>('input[name="clip"]'); // none where there is no 3D
    clip?.addEventListener('input', () => this.volume?.clip(Number(clip.value) / 100));
    return this.volume;
  }
}

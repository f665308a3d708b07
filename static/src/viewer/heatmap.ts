/** The heat map over the CT: where the network sees disease. */
import { interpolateViridis } from 'd3-scale-chromatic';
import { drawPlane, loadMap } from './overlay';
import type { Scan } from './scan';
import type { Shown } from './view';

/** Red, green and blue (0 to 255) of an activation of 0 (blue) to 1 (red): the "jet" map of the paper's figures. */
function colour(activation: number): [number, number, number] {
  const ramp = (centre: number): number =>
    255 * Math.max(0, Math.min(1, 1.5 - Math.abs(4 * activation - centre)));
  return [ramp(3), ramp(2), ramp(1)];
}

/** "even": graded evenly to the eye, also of the colour-blind. */
const COLOURS: Record<'paper' | 'even', [number, number, number][]> = {
  paper: Array.from({ length: 256 }, (_, value) => colour(value / 255)),
  even: Array.from({ length: 256 }, (_, value) => channels(interpolateViridis(value / 255))),
};
export type Colours = keyof typeof COLOURS;

function channels(hex: string): [number, number, number] {
  const word = Number.parseInt(hex.slice(1), 16);
  return [word >> 16, (word >> 8) & 255, word & 255];
}

/** Every 15th value of the map (0 to 255) with its red, green and blue (0 to 255). */
export function colourStops(colours: Colours): [number, number, number, number][] {
  return COLOURS[colours].map((one, value) => [value, ...one] as [number, number, number, number]).filter(([value]) => value % 15 === 0);
}

/** The colours from 0 to 1 as a CSS gradient. */
export function gradient(colours: Colours): string {
  const stops = colourStops(colours).map(([, ...one]) => `rgb(${one.map(Math.round).join(' ')})`);
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}

const KEPT = 'heat-colours'; // in the browser's storage: an eye's colours stay as they are

/** What was chosen in this browser. */
export function chosenColours(): Colours {
  return localStorage.getItem(KEPT) === 'even' ? 'even' : 'paper';
}

export function chooseColours(colours: Colours): void {
  localStorage.setItem(KEPT, colours);
}

const EDGE = 12; // steps of the 8-bit map over which the colour fades in above the threshold

export interface HeatmapSettings {
  on: boolean;
  /** 0 to 1 */
  opacity: number;
  /** Activations below it are not drawn; 0 to 1. */
  threshold: number;
  colours: Colours;
}

export class Heatmap {
  private readonly plane: HTMLCanvasElement;
  private readonly pixels: ImageData;

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly values: Uint8Array,
    private readonly size: number,
    readonly settings: HeatmapSettings,
  ) {
    this.plane = Object.assign(document.createElement('canvas'), { width: size, height: size });
    this.pixels = new ImageData(size, size);
  }

  static async load(canvas: HTMLCanvasElement, scan: Scan, settings: HeatmapSettings): Promise<Heatmap | null> {
    if (!scan.heatmap) return null;
    return new Heatmap(canvas, await loadMap(scan.heatmap, 'heat map'), scan.heatmap.size, settings);
  }

  /** Draws a plane of the map over the image as the viewport shows it now. */
  draw(image: Shown, planeNumber: number | null): void {
    const shown = this.settings.on && planeNumber !== null;
    if (shown) this.paint(planeNumber);
    drawPlane(this.canvas, image, shown ? this.plane : null);
  }

  private paint(planeNumber: number): void {
    const { size, pixels, settings } = this;
    const from = planeNumber * size * size;
    const colours = COLOURS[settings.colours];
    const threshold = Math.max(1, settings.threshold * 256); // at 1 nothing is drawn
    for (let i = 0; i < size * size; i++) {
      const value = this.values[from + i]!;
      const above = Math.max(0, Math.min(1, (value - threshold) / EDGE + (value >= threshold ? 0.35 : 0)));
      const [red, green, blue] = colours[value]!;
      pixels.data[4 * i] = red;
      pixels.data[4 * i + 1] = green;
      pixels.data[4 * i + 2] = blue;
      pixels.data[4 * i + 3] = 255 * settings.opacity * above;
    }
    this.plane.getContext('2d')!.putImageData(pixels, 0, 0);
  }
}

/** The heat map over the CT: red where the network sees disease, blue where it sees little (Gozes et al. 2020). */
import { drawPlane, loadMap } from './overlay';
import type { Scan } from './scan';
import type { Shown } from './view';

/** Red, green and blue (0 to 255) of an activation of 0 (blue) to 1 (red): the "jet" map of the paper's figures. */
function colour(activation: number): [number, number, number] {
  const ramp = (centre: number): number =>
    255 * Math.max(0, Math.min(1, 1.5 - Math.abs(4 * activation - centre)));
  return [ramp(3), ramp(2), ramp(1)];
}

const COLOURS = Array.from({ length: 256 }, (_, value) => colour(value / 255));
const EDGE = 12; // steps of the 8-bit map over which the colour fades in above the threshold

export interface HeatmapSettings {
  on: boolean;
  /** 0 to 1 */
  opacity: number;
  /** Activations below it are not drawn; 0 to 1. */
  threshold: number;
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
    const threshold = Math.max(1, settings.threshold * 256); // at 1 nothing is drawn
    for (let i = 0; i < size * size; i++) {
      const value = this.values[from + i]!;
      const above = Math.max(0, Math.min(1, (value - threshold) / EDGE + (value >= threshold ? 0.35 : 0)));
      const [red, green, blue] = COLOURS[value]!;
      pixels.data[4 * i] = red;
      pixels.data[4 * i + 1] = green;
      pixels.data[4 * i + 2] = blue;
      pixels.data[4 * i + 3] = 255 * settings.opacity * above;
    }
    this.plane.getContext('2d')!.putImageData(pixels, 0, 0);
  }
}

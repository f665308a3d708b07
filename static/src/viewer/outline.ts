/** Outlines of a map's labels over the CT: opacities as the opacity network drew them, or findings. */
import type { Ct } from './ct';
import { drawPlane, loadMap } from './overlay';
import type { StoredMap } from './overlay';

const DETAIL = 4; // pixels of the outline's plane per pixel of the map

export type Rgb = readonly [number, number, number];
/** The colour of a label from 1 on. */
export type Colouring = (label: number) => Rgb;

// Each unlike the heat map's at its place.
const GROUND_GLASS: Rgb = [255, 255, 255];
const CONSOLIDATION: Rgb = [255, 92, 214];
const FINDING: Rgb = [64, 255, 128];
export const OPACITY: Colouring = (label) => (label === 1 ? GROUND_GLASS : CONSOLIDATION);
export const FINDINGS: Colouring = () => FINDING;

export class Outline {
  on = false;
  private readonly plane: HTMLCanvasElement;
  private readonly pixels: ImageData;
  private painted: number | null = null;

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly labels: Uint8Array,
    private readonly size: number,
    private readonly colouring: Colouring,
  ) {
    const side = DETAIL * size;
    this.plane = Object.assign(document.createElement('canvas'), { width: side, height: side });
    this.pixels = new ImageData(side, side);
  }

  /** `named` is what an error calls the map; null where there is none. */
  static async load(
    canvas: HTMLCanvasElement,
    map: StoredMap | null,
    named: string,
    colouring: Colouring,
  ): Promise<Outline | null> {
    return map && new Outline(canvas, await loadMap(map, named), map.size, colouring);
  }

  /** Draws the outlines of a plane of the map over the image as the viewport shows it now. */
  draw(ct: Ct, planeNumber: number | null): void {
    const shown = this.on && planeNumber !== null;
    if (shown && this.painted !== planeNumber) this.paint(planeNumber);
    drawPlane(this.canvas, ct, shown ? this.plane : null);
  }

  /** Colours the inner border of each label. */
  private paint(planeNumber: number): void {
    const { size, pixels, labels } = this;
    const from = planeNumber * size * size;
    const side = DETAIL * size;
    const at = (row: number, column: number): number =>
      row < 0 || column < 0 || row >= side || column >= side
        ? 0
        : labels[from + Math.floor(row / DETAIL) * size + Math.floor(column / DETAIL)]!;
    pixels.data.fill(0);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const label = at(row, column);
        if (label === 0) continue;
        const inner = at(row - 1, column) === label && at(row + 1, column) === label
          && at(row, column - 1) === label && at(row, column + 1) === label;
        if (inner) continue;
        pixels.data.set([...this.colouring(label), 255], 4 * (row * side + column));
      }
    }
    this.plane.getContext('2d')!.putImageData(pixels, 0, 0);
    this.painted = planeNumber;
  }
}

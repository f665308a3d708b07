/** Outlines of a map's labels over the CT: lungs, opacities, findings, and what changed since the last scan. */
import { drawPlane, loadMap } from './overlay';
import type { MapName, StoredMap } from './overlay';
import type { Shown } from './view';

const DETAIL = 4; // pixels of the outline's plane per pixel of the map

type Rgb = readonly [number, number, number];
interface Line {
  colour: Rgb;
  broken?: true; // so that it is told from its fellow without the colour
}
/** The line around a label from 1 on; null for one that is not drawn. */
export type Colouring = (label: number) => Line | null;

// Each unlike the heat map's at its place.
const GROUND_GLASS: Line = { colour: [255, 255, 255] };
const CONSOLIDATION: Line = { colour: [255, 92, 214], broken: true };
const FINDING: Line = { colour: [64, 255, 128] };
const LUNG: Line = { colour: [255, 240, 96] };
const CASING = 0x99000000; // dark, around each outline: seen on white tissue and on the heat map's light colours
const WORSE: Line = { colour: [255, 150, 0] };
const BETTER: Line = { colour: [0, 190, 255], broken: true };
export const OPACITY: Colouring = (label) => (label === 1 ? GROUND_GLASS : CONSOLIDATION);
export const FINDINGS: Colouring = () => FINDING;
export const LUNGS: Colouring = () => LUNG;
export const CHANGES: Colouring = (label) => [null, WORSE, BETTER][label] ?? null; // no line around what is as before

export class Outline {
  on = false;
  private left: ReadonlySet<number> = new Set();
  private readonly plane: HTMLCanvasElement;
  private readonly pixels: ImageData;
  private readonly words: Uint32Array; // the pixels, one number each
  private painted: number | null = null;
  private lines = 1; // of the plane, side by side

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly labels: Uint8Array,
    private readonly size: number,
    private readonly colouring: Colouring,
  ) {
    const side = DETAIL * size;
    this.plane = Object.assign(document.createElement('canvas'), { width: side, height: side });
    this.pixels = new ImageData(side, side);
    this.words = new Uint32Array(this.pixels.data.buffer);
  }

  /** Null where there is no map. */
  static async load(
    canvas: HTMLCanvasElement,
    map: StoredMap | null,
    named: MapName,
    colouring: Colouring,
  ): Promise<Outline | null> {
    return map && new Outline(canvas, await loadMap(map, named), map.size, colouring);
  }

  /** Leaves labels out. */
  leaveOut(labels: ReadonlySet<number>): void {
    this.left = labels;
    this.painted = null;
  }

  /** Draws the outlines of a plane of the map over the image as the viewport shows it now. */
  draw(image: Shown, planeNumber: number | null): void {
    const shown = this.on && planeNumber !== null;
    const lines = this.linesOn(image);
    if (shown && (this.painted !== planeNumber || this.lines !== lines)) {
      this.lines = lines;
      this.paint(planeNumber);
    }
    drawPlane(this.canvas, image, shown ? this.plane : null);
  }

  /** How many lines of the plane make one on screen: a thinner one would be there in parts alone. */
  private linesOn(image: Shown): number {
    const corners = image.corners();
    if (!corners) return 1;
    const width = (corners[1][0] - corners[0][0]) * devicePixelRatio;
    return Math.max(1, Math.min(DETAIL, Math.round(this.plane.width / width)));
  }

  /** Colours the inner border of each label, and darkens the outer one where none is coloured: lines of the plane along
   * every edge of a pixel of the map. */
  private paint(planeNumber: number): void {
    const { size, words, labels } = this;
    const from = planeNumber * size * size;
    const side = DETAIL * size;
    const at = (row: number, column: number): number =>
      row < 0 || column < 0 || row >= size || column >= size ? 0 : labels[from + row * size + column]!;
    words.fill(0);
    for (let cell = labels.subarray(from, from + size * size).findIndex(Boolean); cell >= 0 && cell < size * size; cell++) {
      const label = labels[from + cell]!;
      const line = label === 0 || this.left.has(label) ? null : this.colouring(label);
      if (line === null) continue;
      const [row, column] = [Math.floor(cell / size), cell % size];
      const [up, down, left, right] = [at(row - 1, column), at(row + 1, column), at(row, column - 1), at(row, column + 1)];
      const alone = [up, down, left, right].every((beside) => beside !== label); // which would be lost in a gap
      const [across, along] = [column, row].map((place) => !line.broken || alone || place % 3 < 2);
      const corner = DETAIL * (row * side + column);
      const last = DETAIL - 1;
      const word = asWord(line.colour);
      /** `inwards`: the step to the next line further in; `cased`: whether there is room around. */
      const edge = (start: number, step: number, inwards: number, cased = true): void => {
        for (let thick = 0; thick < this.lines; thick++) {
          for (let i = 0; i < DETAIL; i++) {
            words[start + thick * inwards + i * step] = word;
            if (cased) words[start - (thick + 1) * inwards + i * step] ||= CASING;
          }
        }
      };
      if (across && up !== label) edge(corner, 1, side);
      if (across && down !== label) edge(corner + last * side, 1, -side);
      if (along && left !== label) edge(corner, side, 1, column > 0);
      if (along && right !== label) edge(corner + last, side, -1, column < size - 1);
    }
    this.plane.getContext('2d')!.putImageData(this.pixels, 0, 0);
    this.painted = planeNumber;
  }
}

/** A colour as a canvas holds an opaque pixel of it, read as one number (little-endian, as all browsers' machines). */
function asWord([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Keys that zoom, move and window the image on show, and measure on it with a cursor. */
import type { Cursor } from './cursor';
import { pressedTool } from './toolbar';
import { isMeasure } from './view';
import type { Measure } from './view';

const ZOOM = 1.2; // by a key, as all that follow
const PAN_PX = 40;
const LEVEL_HU = 25;
const WIDTH_HU = 50;
const CURSOR_PX = { near: 1, far: 10 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as const;

/** What keys do to what is on show; to the right and down. */
interface Steered {
  /** An arrow key without a cursor. */
  arrow(x: number, y: number): void;
  /** By CSS pixels. */
  pan(x: number, y: number): void;
  zoom(factor: number): void;
  /** By HU. */
  nudgeWindow(level: number, width: number): void;
  cursor(measure: Measure): Cursor | null;
}

export class Steering {
  private cursor: Cursor | null = null;

  constructor(
    private readonly viewer: HTMLElement,
    private readonly steered: Steered,
  ) {}

  get keys(): Record<string, () => void> {
    const { steered } = this;
    const arrows = Object.entries(ARROWS).flatMap(([key, [x, y]]): [string, () => void][] => [
      [key, () => this.arrow(x, y)],
      [`Shift+${key}`, () => this.shiftedArrow(x, y)],
    ]);
    return {
      ...Object.fromEntries(arrows),
      '+': () => steered.zoom(ZOOM),
      '-': () => steered.zoom(1 / ZOOM),
      u: () => steered.nudgeWindow(LEVEL_HU, 0),
      j: () => steered.nudgeWindow(-LEVEL_HU, 0),
      i: () => steered.nudgeWindow(0, WIDTH_HU),
      k: () => steered.nudgeWindow(0, -WIDTH_HU),
      Enter: () => this.enter(),
      Escape: () => this.endCursor(),
    };
  }

  /** What the cursor measured on is no longer on show, or something else is meant. */
  endCursor(): void {
    this.cursor?.end();
    this.cursor = null;
  }

  private arrow(x: number, y: number): void {
    if (this.cursor) this.cursor.move(x * CURSOR_PX.near, y * CURSOR_PX.near);
    else this.steered.arrow(x, y);
  }

  private shiftedArrow(x: number, y: number): void {
    if (this.cursor) this.cursor.move(x * CURSOR_PX.far, y * CURSOR_PX.far);
    else this.steered.pan(x * PAN_PX, y * PAN_PX);
  }

  /** Sets a point of the cursor; it comes with the first Enter where dragging measures. */
  private enter(): void {
    if (this.cursor) return void this.cursor.set();
    const tool = pressedTool(this.viewer);
    if (isMeasure(tool)) this.cursor = this.steered.cursor(tool);
  }
}

/** Measuring by keys: a cursor over the image that arrow keys move; Enter sets its points. What was measured is announced. */
import type { Types } from '@cornerstonejs/core';
import { announce } from '../announcer';
import { gettext } from '../words';
import { finish, lay, move, reading, takeAway } from './tools';
import type { Measurement, Surface } from './tools';
import type { Measure, Point } from './view';

const HOW: Record<Measure, string> = {
  length: gettext('Cursor in the middle. Arrow keys move it, Enter sets the beginning and the end, Escape leaves.'),
  ellipse: gettext('Cursor in the middle. Arrow keys move it, Enter sets the middle and a corner, Escape leaves.'),
  probe: gettext('Cursor in the middle. Arrow keys move it, Enter reads the point, Escape leaves.'),
};

export class Cursor {
  private readonly sign = Object.assign(document.createElement('div'), { className: 'cursor' });
  private readonly words = Object.assign(document.createElement('p'), { className: 'cursor-words', ariaHidden: 'true' });
  private readonly over = new AbortController();
  private at: Point;
  private begun: { from: Types.Point3; measurement: Measurement } | null = null;

  constructor(
    private readonly on: Surface,
    private readonly measure: Measure,
  ) {
    const { clientWidth, clientHeight } = on.element;
    this.at = [clientWidth / 2, clientHeight / 2];
    on.element.append(this.sign, this.words);
    this.show();
    this.say(HOW[measure]);
  }

  /** By CSS pixels, to the right and down, as far as the image goes. */
  move(x: number, y: number): void {
    const { clientWidth, clientHeight } = this.on.element;
    this.at = [Math.max(0, Math.min(clientWidth, this.at[0] + x)), Math.max(0, Math.min(clientHeight, this.at[1] + y))];
    this.show();
    if (this.begun) move(this.begun.measurement, this.points(this.begun.from));
  }

  /** Sets a point: the only one of a probe, the first or the second of the others. */
  async set(): Promise<void> {
    if (!this.begun) {
      const from = this.on.canvasToWorld(this.at);
      this.begun = { from, measurement: lay(this.measure, this.on, this.points(from)) };
      if (this.measure !== 'probe') return this.say(gettext('Set. Now the other point.'));
    }
    const { measurement } = this.begun;
    this.begun = null;
    finish(measurement);
    const words = await reading(this.measure, measurement, this.over.signal);
    if (words !== null) this.say(words);
  }

  /** Goes, with what is not measured to its end. */
  end(): void {
    this.over.abort();
    if (this.begun) takeAway(this.begun.measurement);
    this.sign.remove();
    this.words.remove();
  }

  /** On the image, and to screen readers. */
  private say(words: string): void {
    this.words.textContent = words;
    announce(words);
  }

  private show(): void {
    this.sign.style.translate = `${this.at[0]}px ${this.at[1]}px`;
  }

  /** The points of the measurement as its tool keeps them: of an ellipse bottom, top, left and right. */
  private points(from: Types.Point3): Types.Point3[] {
    const { on, at, measure } = this;
    if (measure === 'probe') return [from];
    if (measure === 'length') return [from, on.canvasToWorld(at)];
    const [x, y] = on.worldToCanvas(from);
    const [width, height] = [Math.abs(at[0] - x), Math.abs(at[1] - y)];
    const ends: Types.Point2[] = [[x, y - height], [x, y + height], [x - width, y], [x + width, y]];
    return ends.map((end) => on.canvasToWorld(end));
  }
}

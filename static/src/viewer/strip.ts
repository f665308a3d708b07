/** The strip under the image: each slice's probability, head to feet; click, drag or keys go to a slice. */
import { gettext, interpolate, ratio } from '../words';
import type { Slice } from './scan';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 56;
const SIGN = 9; // width and height of the sign over a slice of which a reader has said something
const BASE = 3; // height of the mark of a lung slice of probability 0, so that it differs from no lung

function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

let strips = 0; // on the page, each with a hatch of its own

export class Strip {
  private readonly hatch = `hatch-${(strips += 1)}`;
  private readonly drawing: SVGSVGElement;
  private readonly signs = svg('g', {});
  private readonly marker = svg('rect', { class: 'strip-marker', y: 0, height: HEIGHT });
  private width = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly slices: Slice[],
    private readonly go: (index: number) => void,
  ) {
    this.drawing = svg('svg', { 'aria-hidden': 'true', height: HEIGHT, width: '100%' });
    this.drawing.style.setProperty('--hatch', `url(#${this.hatch})`);
    root.append(this.drawing);
    root.setAttribute('aria-valuemin', '1');
    root.setAttribute('aria-valuemax', String(slices.length));
    const pick = (event: PointerEvent): void => {
      const box = this.drawing.getBoundingClientRect();
      const index = Math.floor(((event.clientX - box.left) / box.width) * slices.length);
      this.go(Math.max(0, Math.min(slices.length - 1, index)));
    };
    root.addEventListener('pointerdown', (event) => {
      root.setPointerCapture(event.pointerId);
      pick(event);
    });
    root.addEventListener('pointermove', (event) => {
      if (event.buttons & 1) pick(event);
    });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** Moves the marker and says the slice's result in words. */
  show(index: number): void {
    const step = this.width / this.slices.length;
    this.marker.setAttribute('x', String(index * step + step / 2 - Math.max(step, 2) / 2));
    this.marker.setAttribute('width', String(Math.max(step, 2)));
    this.root.setAttribute('aria-valuenow', String(index + 1));
    const place = { number: index + 1, all: this.slices.length, result: words(this.slices[index]!) };
    this.root.setAttribute('aria-valuetext', interpolate(gettext('Slice %(number)s of %(all)s, %(result)s'), place));
  }

  /** Draws the signs of the slices of which a reader has said something: by shape, as colours alone are not seen by all. */
  mark(): void {
    const step = this.width / this.slices.length;
    const signs = this.slices.flatMap(({ correction }, index) => {
      if (!correction) return [];
      const x = Math.min(Math.max((index + 0.5) * step, SIGN / 2 + 1), this.width - SIGN / 2 - 1);
      return [correction.abnormal ? triangle(x) : svg('circle', { class: 'strip-sign-normal', cx: x, cy: 1 + SIGN / 2, r: SIGN / 2 - 1 })];
    });
    this.signs.replaceChildren(...signs);
  }

  private draw(): void {
    const width = this.drawing.clientWidth;
    if (width === this.width || width === 0) return;
    this.width = width;
    const step = width / this.slices.length;
    const hatch = svg('pattern', { id: this.hatch, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
    hatch.append(svg('rect', { width: 5, height: 5, class: 'strip-hatch-ground' }), svg('rect', { width: 1.6, height: 5, class: 'strip-hatch-line' }));
    const defs = svg('defs', {});
    defs.append(hatch);
    const bars = this.slices.flatMap((slice, index) => {
      if (slice.probability === null) return [];
      const height = BASE + slice.probability * (HEIGHT - BASE - 2);
      const place = { x: index * step, width: Math.max(step - (step > 4 ? 1 : 0), 0.7), y: HEIGHT - height, height };
      return [svg('rect', { ...place, class: slice.positive ? 'strip-positive' : 'strip-negative' })];
    });
    this.drawing.replaceChildren(defs, ...bars, this.marker, this.signs);
    this.mark();
    this.show(Number(this.root.getAttribute('aria-valuenow') ?? 1) - 1);
  }
}

function triangle(x: number): SVGPathElement {
  const half = SIGN / 2;
  return svg('path', { class: 'strip-sign-abnormal', d: `M ${x} 1 L ${x + half} ${1 + SIGN} L ${x - half} ${1 + SIGN} Z` });
}

/** What is said of a slice that does not come. */
export function brokenSlice(index: number): string {
  return interpolate(gettext('Slice %(number)s could not be loaded. Reload the page to try again.'), { number: index + 1 });
}

/** One slice's result in words, and what a reader says. */
export function words(slice: Slice): string {
  const { correction } = slice;
  if (!correction) return result(slice);
  const says = correction.abnormal ? gettext('%(result)s; a reader says abnormal') : gettext('%(result)s; a reader says normal');
  return interpolate(says, { result: result(slice) });
}

function result(slice: Slice): string {
  if (slice.probability === null) return gettext('not a lung slice');
  const words = slice.positive
    ? gettext('positive, probability %(probability)s')
    : gettext('negative, probability %(probability)s: not in the score');
  return interpolate(words, { probability: ratio(slice.probability) });
}

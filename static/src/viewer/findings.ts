/** The list of findings beside the viewer: what is rejected, what readers marked, and a measured length to add. */
import { announce } from '../announcer';
import { decimal, gettext, interpolate } from '../words';
import type { Ct } from './ct';
import type { ListedFinding, Mark } from './scan';
import type { Length } from './view';

type Point = [number, number, number];

const RING = 'rgb(64 255 128)';
const SINGLED = 'white';
const RING_WIDTH = 2; // CSS pixels
/** CSS pixels between a finding that is singled out and its ring, which leaves the finding to be seen. */
export const RING_MARGIN = 5;
const HOW_TO_ADD = gettext('Missed one? Measure it (D), then add it.');

/** The list is answered anew after each word of a reader, so it is looked for each time. */
const list = (): HTMLElement | null => document.getElementById('findings');

/** The numbers of the findings that a reader rejected. */
export function rejected(): Set<number> {
  return new Set((list()?.dataset.rejected ?? '').split(' ').filter(Boolean).map(Number));
}

export function pointOf(element: HTMLElement): Point | null {
  return element.dataset.findingAt ? (element.dataset.findingAt.trim().split(' ').map(Number) as Point) : null;
}

/** A finding of the list. */
export function listed(element: HTMLElement): ListedFinding {
  const { finding, findingMm } = element.dataset;
  return { number: Number(finding), centroid_mm: pointOf(element)!, long_axis_mm: Number(findingMm) };
}

/** The findings that readers marked. */
export function marked(): Mark[] {
  const own = list()?.querySelectorAll<HTMLElement>('li:not(.is-rejected) [data-own]') ?? [];
  return [...own].map(listed);
}

/** Draws the readers' marks that the slice at `z` cuts, as the rings that it cuts from their balls, and a wider ring around `singled`. */
export function drawMarks(canvas: HTMLCanvasElement, ct: Ct, z: number | null, marks: Mark[], singled: Mark | null = null): void {
  const context = canvas.getContext('2d')!;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio }); // also clears it
  const scale = ct.pixelsPerMm();
  if (z === null || scale === null) return;
  context.scale(devicePixelRatio, devicePixelRatio);
  context.lineWidth = RING_WIDTH;
  for (const mark of singled ? [...marks, singled] : marks) {
    const [radius, off] = [mark.long_axis_mm / 2, Math.abs(ct.height(mark.centroid_mm) - z)];
    if (off >= radius) continue;
    const [x, y] = ct.onScreen(mark.centroid_mm);
    context.strokeStyle = mark === singled ? SINGLED : RING;
    context.beginPath();
    context.arc(x, y, mark === singled ? radius * scale + RING_MARGIN : Math.sqrt(radius ** 2 - off ** 2) * scale, 0, 2 * Math.PI);
    context.stroke();
  }
}

let measured: Length | null = null;
const added = new Set<string>();

/** Offers the last of the measured lengths as a finding that the networks missed, but for those added; without one takes the offer back. */
export function offer(lengths: Length[]): void {
  measured = lengths.findLast(({ uid }) => !added.has(uid)) ?? null;
  offerAgain();
}

/** Whether a length is measured that may become a finding; before the first result none may. */
export const offers = (): boolean => measured !== null && list() !== null;

/** The list has been answered anew: what is measured is still on offer, unless it was added. */
export function offerAgain(): void {
  const form = list()?.querySelector('form');
  if (!form) return;
  form.querySelector<HTMLButtonElement>('[data-add-finding]')!.disabled = measured === null;
  if (!measured) {
    form.querySelector('[data-add-words]')!.textContent = HOW_TO_ADD;
    return;
  }
  const [from, to] = measured.line;
  const length = Math.hypot(...from.map((place, axis) => place - to[axis]!));
  const centre = from.map((place, axis) => ((place + to[axis]!) / 2).toFixed(1));
  form.querySelector<HTMLInputElement>('[name="at"]')!.value = centre.join(' ');
  form.querySelector<HTMLInputElement>('[name="long_axis_mm"]')!.value = length.toFixed(1);
  const words = interpolate(gettext('What you measured: %(length)s mm.'), { length: decimal(length, 1) });
  form.querySelector('[data-add-words]')!.textContent = words;
}

/** The button that was pressed is another one now: the finding that it added takes the focus, or the button once more. */
function focusAfterAdding(done: boolean): void {
  const all = list()!.querySelectorAll<HTMLElement>(done ? '[data-own]' : '[data-add-finding]');
  [...all].at(-1)?.focus({ preventScroll: true });
}

/** Says what became of a reader's word: after the swap the list is another element, which begins where the old one did,
 * or ends with the finding that was added. A length was added once the answer says so. */
export function listenToReviews(): void {
  const scrolled = (): Element | null | undefined => list()?.querySelector('.findings');
  let top = 0;
  let adding = false;
  let sent: Length | null = null;
  let byKey = false;
  document.body.addEventListener('htmx:beforeSwap', ({ target }) => {
    if (target === list()) top = adding ? Number.MAX_SAFE_INTEGER : (scrolled()?.scrollTop ?? 0);
  });
  document.body.addEventListener('htmx:afterSwap', ({ target }) => {
    if (target !== list() || !sent || !(target as HTMLElement).dataset.said) return;
    added.add(sent.uid);
    if (measured?.uid === sent.uid) measured = null;
  });
  document.body.addEventListener('htmx:afterSettle', ({ target }) => {
    if (target !== list()) return;
    scrolled()?.scrollTo({ top, behavior: 'instant' });
    const { said } = (target as HTMLElement).dataset;
    if (said) announce(said);
    if (byKey && document.activeElement === document.body) focusAfterAdding(said !== undefined);
  });
  document.body.addEventListener('htmx:beforeRequest', (event) => {
    const { elt, requestConfig } = (event as CustomEvent<{ elt: Element; requestConfig: { parameters: { review?: string } } }>).detail;
    if (!elt.closest('#findings')) return;
    adding = requestConfig.parameters.review === 'add';
    sent = adding ? measured : null;
    byKey = adding && document.activeElement!.matches('[data-add-finding]:focus-visible');
  });
}

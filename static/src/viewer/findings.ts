/** The list of findings beside the viewer: what is rejected, what readers marked, and a measured length to add. */
import type { Ct } from './ct';

type Point = [number, number, number];

const RING = 'rgb(64 255 128)';
const RING_WIDTH = 2; // CSS pixels

/** A finding that a reader marked: a ball around a point of the patient (LPS, mm). */
interface Mark {
  centre: Point;
  radius: number;
}

/** The list is answered anew after each word of a reader, so it is looked for each time. */
const list = (): HTMLElement | null => document.getElementById('findings');

/** The numbers of the findings that a reader rejected. */
export function rejected(): Set<number> {
  return new Set((list()?.dataset.rejected ?? '').split(' ').filter(Boolean).map(Number));
}

export function pointOf(element: HTMLElement): Point | null {
  return element.dataset.findingAt ? (element.dataset.findingAt.trim().split(' ').map(Number) as Point) : null;
}

function marks(): Mark[] {
  const own = list()?.querySelectorAll<HTMLElement>('li:not(.is-rejected) [data-own]') ?? [];
  return [...own].map((element) => ({ centre: pointOf(element)!, radius: Number(element.dataset.own) / 2 }));
}

/** Draws the readers' marks that the slice at `z` cuts, as the rings that it cuts from their balls. */
export function drawMarks(canvas: HTMLCanvasElement, ct: Ct, z: number | null, on: boolean): void {
  const context = canvas.getContext('2d')!;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio }); // also clears it
  const scale = ct.pixelsPerMm();
  if (!on || z === null || scale === null) return;
  context.scale(devicePixelRatio, devicePixelRatio);
  context.strokeStyle = RING;
  context.lineWidth = RING_WIDTH;
  for (const { centre, radius } of marks()) {
    const off = Math.abs(centre[2] - z);
    if (off >= radius) continue;
    const [x, y] = ct.onScreen([centre[0], centre[1], z]);
    context.beginPath();
    context.arc(x, y, Math.sqrt(radius ** 2 - off ** 2) * scale, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Offers a measured length as a finding that the networks missed. */
export function offer(from: Point, to: Point): void {
  const form = list()?.querySelector('form');
  if (!form) return;
  const length = Math.hypot(...from.map((place, axis) => place - to[axis]!));
  const centre = from.map((place, axis) => ((place + to[axis]!) / 2).toFixed(1));
  form.querySelector<HTMLInputElement>('[name="at"]')!.value = centre.join(' ');
  form.querySelector<HTMLInputElement>('[name="long_axis_mm"]')!.value = length.toFixed(1);
  form.querySelector<HTMLButtonElement>('[data-add-finding]')!.disabled = false;
  form.querySelector('[data-add-words]')!.textContent = `What you measured: ${length.toFixed(1)} mm.`;
}

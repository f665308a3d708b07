/** What is written over a plane, and over 3D: the letters of its sides, and in a plane a bar as long as 5 cm. */
import type { Types } from '@cornerstonejs/core';
import { rightOf } from './camera';
import { SCALE_BAR_MM, opposite, side } from './corners';

/** As the plane lies now: its lines can be turned. */
export function label(place: HTMLElement, viewport: Types.IVolumeViewport): void {
  const camera = viewport.getCamera();
  const [right, top] = [side(rightOf(camera)), side(camera.viewUp!)];
  const letters = { right, left: opposite(right), top, bottom: opposite(top) };
  for (const [name, letter] of Object.entries(letters)) {
    const element = place.querySelector(`.side-${name}`)!;
    if (element.textContent !== letter) element.textContent = letter;
  }
  const bar = place.querySelector<HTMLElement>('.scale-bar'); // none in 3D
  if (bar) bar.style.width = `${((SCALE_BAR_MM * viewport.element.clientHeight) / (2 * camera.parallelScale!)).toFixed(1)}px`;
}

/** What the viewer lays over the CT: maps of the analysis, one plane for each slice. */
import { gettext, interpolate } from '../words';
import type { Shown } from './view';

/** A map as the page names it: uint8 planes of `size` × `size` pixels, head to feet, in the frame of the CT slice. */
export interface StoredMap {
  address: string;
  size: number;
}

/** What is said of a map that does not come. */
const LOST = {
  'heat map': gettext('The heat map could not be loaded (error %(status)s).'),
  'outline of opacities': gettext('The outline of opacities could not be loaded (error %(status)s).'),
  'outline of findings': gettext('The outline of findings could not be loaded (error %(status)s).'),
  'outline of the lungs': gettext('The outline of the lungs could not be loaded (error %(status)s).'),
  'map of the change': gettext('The map of the change could not be loaded (error %(status)s).'),
};
export type MapName = keyof typeof LOST;

const LOGGED_OUT = 401; // where the log-in page came instead

/** The values of a map, of whole planes. */
export async function loadMap(map: StoredMap, named: MapName): Promise<Uint8Array> {
  const answer = await fetch(map.address);
  const status = answer.redirected ? LOGGED_OUT : answer.status;
  const values = new Uint8Array(await answer.arrayBuffer());
  const whole = values.length % map.size ** 2 === 0;
  if (!answer.ok || answer.redirected || !whole) throw new Error(interpolate(LOST[named], { status }));
  return values;
}

/** Draws a plane over the image as the viewport shows it now; null clears the canvas. */
export function drawPlane(canvas: HTMLCanvasElement, image: Shown, plane: HTMLCanvasElement | null): void {
  const context = canvas.getContext('2d')!;
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const corners = plane && image.corners();
  if (!corners) return;
  const [[left, top], [right, rightTop], [lowerLeft, bottom]] = corners;
  context.setTransform(
    ((right - left) * ratio) / plane.width,
    ((rightTop - top) * ratio) / plane.width,
    ((lowerLeft - left) * ratio) / plane.height,
    ((bottom - top) * ratio) / plane.height,
    left * ratio,
    top * ratio,
  );
  context.imageSmoothingEnabled = true;
  context.drawImage(plane, 0, 0);
}

/** The texts in the corners of the image, and the letters that say which side is which. */
import type { Ct } from './ct';
import { decimal, gettext, interpolate } from '../words';
import type { Scan } from './scan';
import { words } from './strip';
import type { Window } from './view';

export const SCALE_BAR_MM = 50;

/** The patient's side that a direction in DICOM patient coordinates (LPS) points to. */
export function side(direction: readonly number[]): string {
  const size = direction.map(Math.abs);
  const axis = size.indexOf(Math.max(...size));
  return (['RL', 'AP', 'FH'][axis] ?? '')[direction[axis]! > 0 ? 1 : 0] ?? '';
}

export const opposite = (letter: string): string => ({ R: 'L', L: 'R', A: 'P', P: 'A', F: 'H', H: 'F' })[letter] ?? '';

export class Corners {
  constructor(private readonly root: HTMLElement) {}

  slice(scan: Scan, index: number): void {
    const slice = scan.slices[index]!;
    this.write('slice', interpolate(gettext('Slice %(number)s / %(all)s'), { number: index + 1, all: scan.slices.length }));
    this.write('z', slice.z_mm === null ? '' : `z ${decimal(slice.z_mm, 1)} mm`);
    this.write('result', scan.heatmap ? words(slice) : '');
  }

  window({ centre, width }: Window): void {
    const words = gettext('W %(width)s · L %(centre)s HU'); // window width and level
    this.write('window', interpolate(words, { width: decimal(width, 0), centre: decimal(centre, 0) }));
  }

  orientation(ct: Ct): void {
    const axes = ct.orientation();
    if (!axes) return;
    const [right, bottom] = [side(axes.row), side(axes.column)];
    this.write('right', right);
    this.write('left', opposite(right));
    this.write('bottom', bottom);
    this.write('top', opposite(bottom));
  }

  /** Draws the bar as long as the image shows 5 cm. */
  scale(ct: Ct): void {
    const bar = this.root.querySelector<HTMLElement>('[data-scale-bar]')!;
    const pixels = ct.pixelsPerMm();
    bar.hidden = pixels === null;
    if (pixels !== null) bar.style.width = `${(pixels * SCALE_BAR_MM).toFixed(1)}px`;
  }

  private write(place: string, text: string): void {
    const element = this.root.querySelector(`[data-corner="${place}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }
}

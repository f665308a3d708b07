/** The slice that a page opens with, as the server drew it: on show until Cornerstone, which takes longer, shows its own. */
import type { Point, Shown } from './view';

/** A server that takes longer to draw the first image does not hold up the others. */
export const STILL_WITHIN_MS = 2000;

export class Still implements Shown {
  private constructor(private readonly image: HTMLImageElement) {}

  /** Null where the server cannot draw it: Cornerstone then says what is wrong. */
  static async load(address: string): Promise<Still | null> {
    const image = Object.assign(new Image(), { src: address, alt: '', className: 'still' });
    try {
      await image.decode();
    } catch {
      return null;
    }
    return new Still(image);
  }

  show(screen: HTMLElement): void {
    screen.querySelector('[data-ct]')!.after(this.image);
  }

  corners(): [Point, Point, Point] | null {
    const { clientWidth, clientHeight, naturalWidth, naturalHeight } = this.image;
    if (clientWidth === 0) return null;
    const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
    const [width, height] = [scale * naturalWidth, scale * naturalHeight];
    const [left, top] = [(clientWidth - width) / 2, (clientHeight - height) / 2];
    return [[left, top], [left + width, top], [left, top + height]];
  }

  remove(): void {
    this.image.remove();
  }
}

/** The sliders of the heat map: how strong it is, and from which value on it is drawn. */
import type { HeatmapSettings } from './heatmap';

const NAMES = ['opacity', 'threshold'] as const;
type Name = (typeof NAMES)[number];

export class Sliders {
  constructor(private readonly root: HTMLElement) {}

  /** Where they stand. */
  get values(): Pick<HeatmapSettings, Name> {
    return { opacity: Number(this.slider('opacity').value) / 100, threshold: Number(this.slider('threshold').value) / 100 };
  }

  /** They change `heatmap` from now on, and `changed` is told. */
  listen(heatmap: HeatmapSettings, changed: () => void): void {
    for (const name of NAMES) {
      const slider = this.slider(name);
      slider.addEventListener('input', () => {
        heatmap[name] = Number(slider.value) / 100;
        this.show(heatmap);
        changed();
      });
      slider.addEventListener('pointerup', () => slider.blur()); // the arrow keys go back to the slices
    }
  }

  show(heatmap: HeatmapSettings): void {
    for (const name of NAMES) {
      const slider = this.slider(name);
      slider.value = String(Math.round(100 * heatmap[name]));
      slider.nextElementSibling!.textContent = `${slider.value} %`;
    }
  }

  readonly keys = {
    '[': () => this.nudge('opacity', -1),
    ']': () => this.nudge('opacity', 1),
    ',': () => this.nudge('threshold', -1),
    '.': () => this.nudge('threshold', 1),
  };

  private nudge(name: Name, steps: number): void {
    if (this.slider(name).getClientRects().length === 0) return; // not on show: nothing would be seen of it
    this.slider(name).stepUp(steps);
    this.slider(name).dispatchEvent(new Event('input'));
  }

  private slider(name: Name): HTMLInputElement {
    return this.root.querySelector<HTMLInputElement>(`input[name="${name}"]`)!;
  }
}

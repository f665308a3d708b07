/** The charts of "About the AI". */
import { drawFigure, type Figure } from './chart';

/** Every training alike, what is marked in them in the colour of the text. */
const COLOURS: Record<string, string[]> = {
  roc: ['--ct-trend', '--ct-trend', '--ct-trend', '--ct-text'],
  reliability: ['--ct-trend'],
  score: ['--ct-trend'],
};

for (const element of document.querySelectorAll<HTMLElement>('[data-figure]')) {
  const name = element.dataset.figure!;
  const figure = JSON.parse(document.getElementById(name)!.textContent!) as Figure;
  const draw = (): void => void drawFigure(element, figure, COLOURS[name]!);
  draw();
  document.addEventListener('themechange', draw);
}

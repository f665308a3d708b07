/** The charts of "About the AI". */
import { drawFigure, type Figure } from './chart';

document.addEventListener('DOMContentLoaded', () => {
  for (const element of document.querySelectorAll<HTMLElement>('[data-figure]')) {
    const name = element.dataset.figure!.replace('figure-', '');
    const figure = JSON.parse(document.getElementById(name)!.textContent!) as Figure;
    const draw = (): void => void drawFigure(element, figure);
    draw();
    document.addEventListener('themechange', draw);
  }
});

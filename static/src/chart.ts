/** Draws the figures that `analysis/charts.py` makes, in the colours of the page's theme. */

import type { PlotlyElement } from 'plotly.js-basic-dist-min';

export interface Figure {
  data: object[];
  layout: Record<string, unknown>;
}

/** By axis (days, date, onset) and measure (relative, absolute, opacity). */
type ChartData = Record<string, Record<string, Figure>>;

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: 'reset' };

/** Of the trend's traces in order: noise, line, suspected, not suspected, this one. */
const TREND_COLOURS = ['--ct-trend', '--ct-trend', '--ct-suspected', '--ct-clear', '--ct-text'];

/** The theme as a Plotly template; traces take `colours`, names of the theme's, in order. */
function template(colours: string[]): object {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    gridcolor: token('--ct-line'),
    linecolor: token('--ct-line-strong'),
    zerolinecolor: token('--ct-line-strong'),
    tickcolor: token('--ct-line-strong'),
  };
  return {
    layout: {
      font: { family: token('--bs-body-font-family'), size: 13, color: token('--ct-text-soft') },
      paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)',
      colorway: colours.map(token),
      hoverlabel: {
        bgcolor: token('--ct-surface-raised'),
        bordercolor: token('--ct-line-strong'),
        font: { family: token('--bs-body-font-family'), size: 13, color: token('--ct-text') },
      },
      xaxis: axis,
      yaxis: axis,
      shapedefaults: { line: { color: token('--ct-line-strong') } },
    },
  };
}

/** Draws a figure, or draws it again, in the theme's colours; loads Plotly for the first one. */
export async function drawFigure(
  element: HTMLElement,
  figure: Figure,
  colours: string[],
): Promise<PlotlyElement> {
  const { default: plotly } = await import('plotly.js-basic-dist-min');
  return plotly.react(element, figure.data, { ...figure.layout, template: template(colours) }, CONFIG);
}

/** What the user chose last in this window, where the chart at hand has it. */
class Choice {
  constructor(
    private readonly root: HTMLElement,
    private readonly name: 'axis' | 'measure',
    changed: () => void,
  ) {
    for (const button of this.buttons) {
      button.addEventListener('click', () => {
        sessionStorage.setItem(name, button.dataset[name]!);
        changed();
      });
    }
  }

  private get buttons(): HTMLButtonElement[] {
    return [...this.root.querySelectorAll<HTMLButtonElement>(`[data-${this.name}]`)];
  }

  /** The chosen value, shown as pressed; the first button's where nothing that is here was chosen. */
  show(): string {
    const offered = this.buttons.map((button) => button.dataset[this.name]!);
    const stored = sessionStorage.getItem(this.name) ?? '';
    const chosen = offered.includes(stored) ? stored : offered[0]!;
    for (const button of this.buttons) button.setAttribute('aria-pressed', String(button.dataset[this.name] === chosen));
    return chosen;
  }
}

/** One chart with its switches; a click on a point calls `open` with the point's address. */
class TrendChart {
  private readonly figures: ChartData;
  private readonly canvas: HTMLElement;
  private readonly axis: Choice;
  private readonly measure: Choice;
  private listens = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly open: (address: string) => void,
  ) {
    this.figures = JSON.parse(root.querySelector('script[type="application/json"]')?.textContent ?? '') as ChartData;
    this.canvas = root.querySelector<HTMLElement>('[data-chart-canvas]')!;
    this.axis = new Choice(root, 'axis', () => void this.draw());
    this.measure = new Choice(root, 'measure', () => void this.draw());
  }

  async draw(): Promise<void> {
    const measure = this.measure.show();
    this.root.dataset.shows = measure;
    const figure = this.figures[this.axis.show()]![measure]!;
    const plot = await drawFigure(this.canvas, figure, TREND_COLOURS);
    if (this.listens) return;
    this.listens = true;
    plot.on('plotly_click', (event) => {
      const address = event.points.find((point) => point.customdata)?.customdata?.[0];
      if (address) this.open(address);
    });
  }

  /** Else Plotly listens for the window's size, and so keeps the chart, after it has left the page. */
  async purge(): Promise<void> {
    const { default: plotly } = await import('plotly.js-basic-dist-min');
    plotly.purge(this.canvas);
  }
}

/** Draws every chart below `root` not drawn yet, and again when the theme changes, until it leaves the page. */
export function drawCharts(root: ParentNode, open: (address: string) => void): void {
  for (const element of root.querySelectorAll<HTMLElement>('[data-chart]')) {
    if (element.dataset.drawn) continue;
    element.dataset.drawn = 'true';
    const chart = new TrendChart(element, open);
    let drawn = chart.draw();
    const redraw = (): void => void (drawn = chart.draw());
    document.addEventListener('themechange', redraw);
    element.addEventListener('htmx:beforeCleanupElement', ({ target }) => {
      if (target !== element) return;
      document.removeEventListener('themechange', redraw);
      void drawn.then(() => chart.purge());
    });
  }
}

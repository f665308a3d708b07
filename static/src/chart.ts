/** Draws the figures that `analysis/charts.py` makes, in the colours of the page's theme. */

export interface Figure {
  data: object[];
  layout: Record<string, unknown>;
}

interface ChartData {
  relative: Figure;
  absolute: Figure;
}

type Measure = keyof ChartData;

interface ClickEvent {
  points: { customdata?: [string, ...unknown[]] }[];
}

interface PlotlyElement extends HTMLElement {
  on(name: 'plotly_click', handler: (event: ClickEvent) => void): void;
}

interface PlotlyLibrary {
  react(element: HTMLElement, data: object[], layout: object, config: object): Promise<PlotlyElement>;
}

declare global {
  /** plotly.min.js is a script of its own on the page (it comes with the Python package). */
  var Plotly: PlotlyLibrary | undefined;
}

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

/** Draws a figure, or draws it again, in the theme's colours. */
export async function drawFigure(
  element: HTMLElement,
  figure: Figure,
  colours: string[],
): Promise<PlotlyElement> {
  return Plotly!.react(element, figure.data, { ...figure.layout, template: template(colours) }, CONFIG);
}

/** One chart with its relative/absolute switch; a click on a point calls `open` with the point's address. */
export class TrendChart {
  private readonly figures: ChartData;
  private readonly canvas: HTMLElement;
  private measure: Measure;
  private listens = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly open: (address: string) => void,
  ) {
    this.figures = JSON.parse(root.querySelector('script[type="application/json"]')?.textContent ?? '') as ChartData;
    this.canvas = root.querySelector<HTMLElement>('[data-chart-canvas]')!;
    this.measure = (sessionStorage.getItem('measure') as Measure | null) ?? 'relative';
    if (root.dataset.relativeDefined === 'false') this.measure = 'absolute';
    for (const button of root.querySelectorAll<HTMLButtonElement>('[data-measure]')) {
      button.addEventListener('click', () => {
        this.measure = button.dataset.measure as Measure;
        sessionStorage.setItem('measure', this.measure);
        void this.draw();
      });
    }
  }

  async draw(): Promise<void> {
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('[data-measure]')) {
      button.setAttribute('aria-pressed', String(button.dataset.measure === this.measure));
    }
    const figure = this.figures[this.measure];
    const plot = await drawFigure(this.canvas, figure, TREND_COLOURS);
    if (this.listens) return;
    this.listens = true;
    plot.on('plotly_click', (event) => {
      const address = event.points.find((point) => point.customdata)?.customdata?.[0];
      if (address) this.open(address);
    });
  }
}

/** Draws every chart below `root` not drawn yet, and again when the theme changes; waits for nothing. */
export function drawCharts(root: ParentNode, open: (address: string) => void): void {
  if (!globalThis.Plotly) return; // not here yet: the page calls again once all scripts are
  for (const element of root.querySelectorAll<HTMLElement>('[data-chart]')) {
    if (element.dataset.drawn) continue;
    element.dataset.drawn = 'true';
    const chart = new TrendChart(element, open);
    void chart.draw();
    const redraw = (): void => {
      if (element.isConnected) void chart.draw();
      else document.removeEventListener('themechange', redraw);
    };
    document.addEventListener('themechange', redraw);
  }
}

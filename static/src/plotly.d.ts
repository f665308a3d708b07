/** What the pages use of Plotly, whose bundle of basic charts comes without types. */
declare module 'plotly.js-basic-dist-min' {
  interface ClickEvent {
    points: { customdata?: [string, ...unknown[]] }[];
  }

  export interface PlotlyElement extends HTMLElement {
    on(name: 'plotly_click', handler: (event: ClickEvent) => void): void;
  }

  const plotly: {
    react(element: HTMLElement, data: object[], layout: object, config: object): Promise<PlotlyElement>;
    purge(element: HTMLElement): void;
  };
  export default plotly;
}

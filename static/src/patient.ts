/** The patient's timeline: the chart, drawn again whenever the region around it is replaced. */
import { drawCharts } from './chart';

const open = (address: string): void => location.assign(address);

// Plotly's script stands after this one, so that the rest of the page answers first.
document.addEventListener('DOMContentLoaded', () => drawCharts(document, open));
document.body.addEventListener('htmx:afterSettle', () => drawCharts(document, open));

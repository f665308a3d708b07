/** The patient's timeline: the chart, drawn again whenever the region around it is replaced. */
import { drawCharts } from './chart';

const open = (address: string): void => location.assign(address);

drawCharts(document, open);
document.body.addEventListener('htmx:afterSettle', () => drawCharts(document, open));

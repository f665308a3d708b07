/** The study page: the viewer beside the findings, the report and the trend. */
import { drawCharts } from './chart';
import { gettext } from './words';
import { listed, listenToReviews, offers, pointOf } from './viewer/findings';
import { nearest, readScan, sliceAt } from './viewer/scan';
import type { Scan } from './viewer/scan';
import { Viewer } from './viewer/viewer';

const root = document.querySelector<HTMLElement>('[data-viewer]');
const scan = root && readScan();
const viewer = scan && new Viewer(root, scan, askedFor(scan));
const opened = Promise.resolve(viewer?.open()).catch((error: unknown) => {
  const place = root!.querySelector<HTMLElement>('[data-viewer-message]')!;
  place.textContent = gettext('The images could not be shown. Reload the page; if that does not help, tell your administrator.');
  place.hidden = false;
  console.error(error);
});

/** The slice that the page's address asks for: `level`, between the ends of the lungs, or `z`, in mm. */
function askedFor(scan: Scan): number | null {
  const asked = new URLSearchParams(location.search);
  const level = asked.get('level');
  const z = asked.get('z');
  if (level !== null) return sliceAt(scan, Number(level));
  return z !== null && Number.isFinite(Number(z)) ? nearest(scan, Number(z)) : null;
}

/**
 * The finding that the page's address names is shown and singled out, as if it had been clicked, but not under a reader who
 * has begun. Where slices lean, its own is not the one at the `z` of the address.
 */
function singleAskedFor(): void {
  const number = Number(new URLSearchParams(location.search).get('finding'));
  const finding = document.querySelector<HTMLElement>(`[data-finding="${number}"]`);
  if (!finding || document.activeElement !== document.body) return;
  const unmoved = root!.dataset.sliceIndex === String(askedFor(scan!));
  if (unmoved) viewer!.showFinding(Number(finding.dataset.findingZ), pointOf(finding));
  finding.focus({ preventScroll: true }); // the page stays at the image
  const list = finding.closest('.findings')!;
  list.scrollTop += finding.getBoundingClientRect().top - list.getBoundingClientRect().top;
}

/** The address of a time point, opened at the level on show here. */
function atLevel(address: string): string {
  const level = viewer?.level;
  return level == null ? address : `${address}?level=${level.toFixed(3)}`;
}

function openAtLevel(address: string): void {
  viewer?.keep();
  location.assign(atLevel(address));
}

document.addEventListener('click', (event) => {
  const finding = (event.target as HTMLElement).closest<HTMLElement>('[data-finding-z]');
  if (finding) viewer?.showFinding(Number(finding.dataset.findingZ), pointOf(finding));
  if ((event.target as HTMLElement).closest('[data-most-affected]')) viewer?.showMostAffected();
  const link = (event.target as HTMLElement).closest<HTMLAnchorElement>('a[data-open-at-level]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openAtLevel(link.href);
});
// The finding that is pointed at is singled out, else the one in focus; a resting pointer gives way to the keyboard.
const singled: Record<'pointed' | 'focused', HTMLElement | null> = { pointed: null, focused: null };
for (const [event, how] of [['pointerover', 'pointed'], ['focusin', 'focused'], ['focusout', 'focused']] as const) {
  document.addEventListener(event, ({ type, target }) => {
    if (type === 'focusin') singled.pointed = null;
    singled[how] = type === 'focusout' ? null : (target as HTMLElement).closest<HTMLElement>('[data-finding]');
    const finding = singled.pointed ?? singled.focused;
    viewer?.single(finding && listed(finding));
  });
}
let proposed = proposals();
void opened.then(singleAskedFor);
// The chart's library comes after the images.
void opened.then(() => drawCharts(document, openAtLevel));
document.body.addEventListener('htmx:afterSettle', ({ target }) => {
  drawCharts(document, openAtLevel);
  viewer?.compared();
  if ((target as Element).id === 'findings') viewer?.reviewed();
  if (proposals() !== proposed) proposeAnew();
});

function proposals(): string | undefined {
  return document.getElementById('proposals')?.textContent;
}

/**
 * The proposed impression follows the decision, what is said of findings and what is compared; where the reader changed it, a notice asks to
 * read it again.
 */
function proposeAnew(): void {
  proposed = proposals();
  const text = document.querySelector<HTMLTextAreaElement>('#impression');
  const decided = document.querySelector<HTMLInputElement>('.reading [name=suspected]:checked');
  if (!text || !proposed || !decided) return;
  const anew = (JSON.parse(proposed) as Record<string, string>)[decided.value]!;
  const untouched = 'proposal' in text.dataset && text.value === text.defaultValue;
  if (untouched) text.defaultValue = text.value = anew;
  else if (text.value) document.getElementById('findings-changed')!.hidden = false;
}
// A newer result, or another series: numbers, images and heat map change together, but not under a reader who types.
let typed = false;
document.addEventListener('input', ({ target }) => (typed ||= (target as HTMLElement).closest('.reading, #findings, .correction') !== null));
listenToReviews();
let unsaved = false; // of the report: the browser asks before it is lost
const report = document.querySelector('.reading form');
report?.addEventListener('input', ({ target }) => {
  unsaved = true;
  if ((target as HTMLInputElement).name === 'suspected') proposeAnew();
});
report?.addEventListener('submit', () => (unsaved = false));
// What a signature needs is asked for before the question whether to sign.
report?.querySelector('[popovertarget="sign-for-good"]:not([popovertargetaction])')?.addEventListener('click', (event) => {
  const reason = report.querySelector<HTMLInputElement>('#reason')!;
  reason.required = reason.checkVisibility();
  report.querySelector<HTMLTextAreaElement>('#impression')!.required = true;
  if (!(report as HTMLFormElement).reportValidity()) event.preventDefault();
});
window.addEventListener('beforeunload', (event) => {
  if (unsaved) event.preventDefault();
});
document.body.addEventListener('said-elsewhere', () => (document.getElementById('said-elsewhere')!.hidden = false));
document.body.addEventListener('result-changed', () => {
  if (typed || offers()) document.getElementById('newer-result')!.hidden = false;
  else location.replace(atLevel(location.pathname));
});

/** The worklist by keyboard, and the bar for what is ticked. */
import { lettersAct } from './letters';
import { interpolate, ngettext } from './words';

const links = () => [...document.querySelectorAll<HTMLAnchorElement>('#worklist .row-link')];
const ticks = () => [...document.querySelectorAll<HTMLInputElement>('#worklist input[name=study]')];
const bar = document.getElementById('bulk')!;

function showTicked(): void {
  const count = ticks().filter((tick) => tick.checked).length;
  bar.hidden = count === 0;
  const words = ngettext('%(count)s study ticked', '%(count)s studies ticked', count);
  document.getElementById('bulk-count')!.textContent = interpolate(words, { count });
}

document.addEventListener('change', (event) => {
  if ((event.target as HTMLElement).matches('#worklist input[name=study]')) showTicked();
});
document.body.addEventListener('htmx:afterSettle', showTicked); // a ticked study may have left the page
document.getElementById('bulk-none')!.addEventListener('click', () => {
  for (const tick of ticks()) tick.checked = false;
  showTicked();
});

function focusRow(move: (at: number, last: number) => number): void {
  const all = links();
  const row = document.activeElement?.closest('tr[data-study]');
  const at = all.findIndex((link) => link.closest('tr') === row);
  const next = all[Math.max(0, Math.min(all.length - 1, move(at, all.length - 1)))];
  next?.focus();
  next?.closest('tr')!.scrollIntoView({ block: 'nearest' });
}

// Back leads to the row that was left.
document.addEventListener('click', (event) => {
  const link = (event.target as HTMLElement).closest('a')?.closest('tr[data-study]')?.querySelector('.row-link');
  if (link) history.replaceState({ left: link.id }, '');
});
document.getElementById((history.state as { left?: string } | null)?.left ?? '')?.focus();

const keys: Record<string, () => void> = {
  ArrowDown: () => focusRow((at) => at + 1),
  ArrowUp: () => focusRow((at) => at - 1),
  Home: () => focusRow(() => 0),
  End: () => focusRow((_, last) => last),
  x: () => document.activeElement?.closest('tr[data-study]')?.querySelector('input')?.click(),
};

document.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement;
  if (event.altKey || event.ctrlKey || event.metaKey || target.matches('input:not([type=checkbox]), select, textarea')) return;
  if (!target.matches('body, main') && !target.closest('#worklist')) return; // keys of other parts of the page are theirs
  const act = keys[event.key];
  if (!act || (event.key.length === 1 && !lettersAct())) return;
  event.preventDefault();
  act();
});

window.addEventListener('pageshow', showTicked); // the browser may have kept what was ticked

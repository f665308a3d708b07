/** On every page: styles, htmx for what moves, the theme switch, the menu, the search key. */
import 'bootstrap/dist/css/bootstrap.min.css';
import '@fontsource-variable/inter/index.css';
import './styles/tokens.css';
import './styles/layout.css';
import './styles/parts.css';
import './styles/worklist.css';
import './styles/timeline.css';
import './styles/prose.css';
import './styles/upload.css';
import './styles/viewer.css';
import './styles/study.css';
import './styles/reading.css';
import './styles/compare.css';
import htmx from 'htmx.org';
import { announce } from './announcer';
import { lettersAct, listenToSwitch } from './letters';
import { ENDED } from './session';
import { gettext } from './words';

// The content security policy forbids eval; the indicator's styles are not used.
htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
htmx.config.historyCacheSize = 0; // no patient data in the browser's storage

const POLLS = '[hx-trigger^="every"]';
document.body.addEventListener('htmx:beforeRequest', (event) => {
  const { elt } = (event as CustomEvent<{ elt: HTMLElement }>).detail;
  if (document.hidden && elt.matches(POLLS)) event.preventDefault();
});

// What the server did not do, or does not tell any more, is said.
const NOT_DONE = gettext('This was not done: the server could not be reached, or refused it. Please try again.');
const OLD = gettext('The server does not answer: what you see may be old.');
const OLD_AFTER = 3; // questions without an answer
const notice = document.getElementById('connection')!;
let unanswered = 0;
function say(words: string): void {
  notice.textContent = words;
  notice.hidden = words === '';
}
document.body.addEventListener('htmx:afterRequest', (event) => {
  const { elt, successful, xhr } = (event as CustomEvent<{ elt: HTMLElement; successful?: boolean; xhr: XMLHttpRequest }>).detail;
  if (!elt.matches(POLLS)) return say(successful ? '' : NOT_DONE);
  const answered = successful || xhr.status === ENDED;
  unanswered = answered ? 0 : unanswered + 1;
  if (unanswered === OLD_AFTER) say(OLD);
  else if (answered && notice.textContent === OLD) say('');
});

// The session has ended: the log-in page takes the whole window, not the place of a moving part.
document.body.addEventListener('htmx:beforeSwap', (event) => {
  const { xhr } = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail;
  if (!new URL(xhr.responseURL).pathname.startsWith('/accounts/')) return;
  event.preventDefault();
  location.reload();
});

// What was unfolded in a moving part stays so, and what was scrolled sideways.
let unfolded: string[] = [];
let scrolled: [id: string, left: number][] = [];
document.body.addEventListener('htmx:beforeSwap', ({ target }) => {
  const part = target as Element;
  unfolded = [...part.querySelectorAll('details[id][open]')].map(({ id }) => id);
  scrolled = [...part.querySelectorAll('[data-keeps-scroll]')].map(({ id, scrollLeft }) => [id, scrollLeft]);
});
document.body.addEventListener('htmx:afterSwap', () => {
  for (const id of unfolded) document.getElementById(id)?.setAttribute('open', '');
  for (const [id, left] of scrolled) document.getElementById(id)?.scrollTo({ left, behavior: 'instant' });
});

// What had the focus may be gone with what it changed: then its place has it.
let focused: HTMLElement | null = null;
document.body.addEventListener('htmx:beforeSwap', ({ target }) => {
  const part = target as Element;
  focused = part.contains(document.activeElement) ? part.closest<HTMLElement>('[data-keeps-focus]') : null;
});
document.body.addEventListener('htmx:afterSwap', () => {
  if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
});

// What a moving part is doing now is said to screen readers when it changes, not at every tick.
let said = '';
document.body.addEventListener('htmx:afterSwap', () => {
  const stages = [...document.querySelectorAll('[data-stage]')].map((element) => element.textContent!.trim());
  const now = [...new Set(stages)].join(', ');
  if (now === said) return;
  said = now;
  announce(now);
});

// The upload component is a bundle of its own; what it adds to the page is htmx's to follow.
document.addEventListener('upload-sent', (event) => htmx.process((event as CustomEvent<HTMLElement>).detail));

const themeSwitch = document.getElementById('theme-switch');
themeSwitch?.addEventListener('click', () => {
  const theme = document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.bsTheme = theme;
  localStorage.setItem('theme', theme);
  document.dispatchEvent(new CustomEvent('themechange'));
});

const lettersSwitch = document.getElementById('letters-switch');
if (lettersSwitch) listenToSwitch(lettersSwitch);

const menus = [...document.querySelectorAll<HTMLDetailsElement>('details.menu')];
document.addEventListener('click', (event) => {
  for (const menu of menus) if (!menu.contains(event.target as Node)) menu.open = false;
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') for (const menu of menus) menu.open = false;
});

document.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement;
  if (event.key !== '/' || !lettersAct() || target.matches('input, textarea, select')) return;
  const search = document.getElementById('search');
  if (!search) return;
  event.preventDefault();
  search.focus();
});

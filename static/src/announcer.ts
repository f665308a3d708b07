/** What screen readers say without a change of focus. */
let waiting = 0;

/** Says it now, and nothing that still waits. */
export function announce(sentence: string): void {
  clearTimeout(waiting);
  document.getElementById('announcer')!.textContent = sentence;
}

/** Says after `ms` what is true by then, unless something else was said meanwhile. */
export function announceLater(sentence: () => string, ms: number): void {
  clearTimeout(waiting);
  waiting = window.setTimeout(() => announce(sentence()), ms);
}

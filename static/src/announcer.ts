/** What screen readers say without a change of focus. */
export function announce(sentence: string): void {
  document.getElementById('announcer')!.textContent = sentence;
}

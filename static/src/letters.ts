/** Whether keys that are a single letter or sign do something: who dictates or slips can switch them off (WCAG 2.1.4). */
const KEPT = 'letters';

export const lettersAct = (): boolean => localStorage.getItem(KEPT) !== 'off';

/** The switch in the menu of the account. */
export function listenToSwitch(button: HTMLElement): void {
  const show = (): void => button.setAttribute('aria-pressed', String(lettersAct()));
  button.addEventListener('click', () => {
    localStorage.setItem(KEPT, lettersAct() ? 'off' : 'on');
    show();
  });
  show();
}

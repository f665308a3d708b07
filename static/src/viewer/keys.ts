/** Keys of a viewer: those that go through the slices, its own, and those written on buttons and links of the page (`data-key`). */

import { lettersAct } from '../letters';

const PAGE_OF_SLICES = 10;

interface Slices {
  step(by: number): void;
  go(index: number): void;
  readonly last: number;
}

/** Arrows and the like act where `viewer` has the focus or nothing has; `others` are keys without a button, letters small, with `Shift+` where that makes another key of it. */
export function listenForKeys(viewer: HTMLElement, slices: Slices, others: Record<string, () => void> = {}): void {
  const actions: Record<string, () => void> = {
    ArrowUp: () => slices.step(-1),
    ArrowLeft: () => slices.step(-1),
    ArrowDown: () => slices.step(1),
    ArrowRight: () => slices.step(1),
    PageUp: () => slices.step(-PAGE_OF_SLICES),
    PageDown: () => slices.step(PAGE_OF_SLICES),
    Home: () => slices.go(0),
    End: () => slices.go(slices.last),
    ...others,
  };
  document.addEventListener('keydown', (event) => {
    const target = event.target as HTMLElement;
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    if (chord && !event.getModifierState('AltGraph')) return; // which a German keyboard needs for [ and ]
    if (target.matches('input:not([type=range]), select, textarea') || target.closest('dialog[open]')) return;
    const named = event.key.length > 1; // arrows, Home and the like, which also scroll the page and move sliders
    if (!named && !lettersAct()) return;
    if (named && (target.matches('input') || !(viewer.contains(target) || target === document.body))) return;
    if (event.key === 'Enter' && target.closest('button, summary, a')) return; // it presses them
    const key = named ? event.key : event.key.toLowerCase(); // letters also under Caps Lock
    const shifted = event.shiftKey ? actions[`Shift+${key}`] : undefined;
    const action = shifted ?? actions[key] ?? onButton(key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** What the button of a key does, or the link. */
function onButton(key: string): (() => void) | null {
  const buttons = [...document.querySelectorAll<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)];
  const button = buttons.find((each) => each.getClientRects().length > 0); // of those on show
  return button ? () => button.click() : null;
}

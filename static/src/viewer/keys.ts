/** Keys of a viewer: those that go through the slices, and those written on its buttons (`data-key`). */

const PAGE_OF_SLICES = 10;

export interface Slices {
  step(by: number): void;
  go(index: number): void;
  readonly last: number;
}

/** `viewer` holds the buttons; `others` are keys without a button. */
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
    if (target.matches('input:not([type=range]), select, textarea') || target.closest('dialog')) return;
    const named = event.key.length > 1; // arrows, Home and the like, which also scroll the page and move sliders
    if (named && (target.matches('input') || !(viewer.contains(target) || target === document.body))) return;
    const action = actions[event.key] ?? onButton(viewer, event.key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** What the button of a key does; letters also under Caps Lock. */
function onButton(viewer: HTMLElement, key: string): (() => void) | null {
  const button = viewer.querySelector<HTMLElement>(`[data-key="${CSS.escape(key.toLowerCase())}"]`);
  return button && button.getClientRects().length > 0 ? () => button.click() : null; // none where it is not on show
}

/** The buttons that every viewer has: windows, what dragging does, full screen, the list of keys. */
import { PRESETS } from './view';
import type { DragTool, Window } from './view';

/** The tool whose button is pressed: one may be before the images are there. */
export function pressedTool(viewer: HTMLElement): DragTool {
  return viewer.querySelector<HTMLElement>('[data-drag][aria-pressed="true"]')!.dataset.drag as DragTool;
}

/** Shows which tool is chosen. */
export function pressTool(viewer: HTMLElement, tool: DragTool): void {
  for (const button of viewer.querySelectorAll<HTMLElement>('[data-drag]')) {
    button.setAttribute('aria-pressed', String(button.dataset.drag === tool));
  }
}

interface Toolbar {
  setWindow(window: Window): void;
  setDragTool(tool: DragTool): void;
  /** Gives the keys to the image. */
  focusImage(): void;
}

export function listenToToolbar(viewer: HTMLElement, does: Toolbar): void {
  for (const button of viewer.querySelectorAll<HTMLButtonElement>('[data-preset]')) {
    button.addEventListener('click', ({ detail }) => {
      if (detail > 0) does.focusImage(); // clicked, not pressed by a key
      does.setWindow(PRESETS[button.dataset.preset!]!);
    });
  }
  for (const button of viewer.querySelectorAll<HTMLButtonElement>('[data-drag]')) {
    button.addEventListener('click', ({ detail }) => {
      // Else Enter would press the button, or what had the focus when the tool's letter was typed, and bring no cursor.
      if (detail > 0 || document.activeElement !== button) does.focusImage();
      const tool = button.dataset.drag as DragTool;
      does.setDragTool(tool);
      pressTool(viewer, tool);
    });
  }
  const whole = viewer.querySelector<HTMLButtonElement>('[data-full-screen]')!;
  whole.hidden = !document.fullscreenEnabled;
  whole.addEventListener('click', () => void (document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen()));
  viewer.addEventListener('fullscreenchange', () => whole.setAttribute('aria-pressed', String(document.fullscreenElement === viewer)));
  const keys = viewer.querySelector('dialog')!;
  viewer.querySelector('[data-key="?"]')!.addEventListener('click', () => keys.showModal());
}

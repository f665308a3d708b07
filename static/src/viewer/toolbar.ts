/** The buttons that every viewer has: windows, what dragging does, full screen, the list of keys. */
import { PRESETS } from './view';
import type { DragTool, Window } from './view';

/** The tool whose button is pressed: one may be before the images are there. */
export function pressedTool(viewer: HTMLElement): DragTool {
  return viewer.querySelector<HTMLElement>('[data-drag][aria-pressed="true"]')!.dataset.drag as DragTool;
}

export function pressTool(viewer: HTMLElement, tool: DragTool): void {
  viewer.querySelector<HTMLElement>(`[data-drag="${tool}"]`)!.click();
}

export interface Toolbar {
  setWindow(window: Window): void;
  setDragTool(tool: DragTool): void;
}

export function listenToToolbar(viewer: HTMLElement, does: Toolbar): void {
  for (const button of viewer.querySelectorAll<HTMLButtonElement>('[data-preset]')) {
    button.addEventListener('click', () => does.setWindow(PRESETS[button.dataset.preset!]!));
  }
  const drags = [...viewer.querySelectorAll<HTMLButtonElement>('[data-drag]')];
  for (const button of drags) {
    button.addEventListener('click', () => {
      does.setDragTool(button.dataset.drag as DragTool);
      for (const other of drags) other.setAttribute('aria-pressed', String(other === button));
    });
  }
  const whole = viewer.querySelector<HTMLButtonElement>('[data-full-screen]')!;
  whole.hidden = !document.fullscreenEnabled;
  whole.addEventListener('click', () => void (document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen()));
  viewer.addEventListener('fullscreenchange', () => whole.setAttribute('aria-pressed', String(document.fullscreenElement === viewer)));
  const keys = viewer.querySelector('dialog')!;
  viewer.querySelector('[data-key="?"]')!.addEventListener('click', () => keys.showModal());
}

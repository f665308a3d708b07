/** How a slice is shown: window, zoom, place on screen. */
import { gettext } from '../words';

/** What is said where the browser has lost the graphics card. */
export const LOST = gettext('The browser has lost the graphics card, so no images can be drawn any more. Reload the page to see them again, drawn without it: slices only, no planes and no 3D.');

/** Window centre and width, HU. */
export interface Window {
  centre: number;
  width: number;
}

/** The usual windows of chest CT. */
export const PRESETS: Record<string, Window> = {
  lung: { centre: -600, width: 1500 },
  mediastinum: { centre: 40, width: 400 },
  bone: { centre: 400, width: 1800 },
};

const MEASURES = ['length', 'ellipse', 'probe'] as const;
export type Measure = (typeof MEASURES)[number];

/** What dragging does; `cross` moves the point in which planes cross. */
export type DragTool = 'window' | 'pan' | 'zoom' | Measure | 'cross';

export function isMeasure(tool: DragTool): tool is Measure {
  return (MEASURES as readonly string[]).includes(tool);
}

/** A length that was measured, between two points of the patient (LPS, mm); `uid`: of its drawing. */
export interface Length {
  uid: string;
  line: [[number, number, number], [number, number, number]];
}

export type Point = [number, number];

/** Zoom, as the viewport counts it, and how far the image's middle lies from the screen's: CSS pixels, to the right and down. */
export interface View {
  zoom: number;
  pan: Point;
}

/** An image on show. */
export interface Shown {
  /** Positions (CSS pixels) of the image's outer corners: top left, top right, bottom left. */
  corners(): [Point, Point, Point] | null;
}

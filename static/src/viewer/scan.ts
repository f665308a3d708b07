/** What the page says about the scan on show, and where a level of one scan lies in another. */
import type { StoredMap } from './overlay';

/** What a reader last said of a slice; `user` is null where the account is gone. */
export interface Correction {
  abnormal: boolean;
  reason: string;
  user: string | null;
  created_at: string;
}

/** One slice, head to feet. `probability` and `positive` are null outside the lungs and before the analysis. */
export interface Slice {
  /** Addresses of the DICOM file and of its image in the lung window. */
  file: string;
  image: string;
  /** Null before the analysis. */
  sop_instance_uid: string | null;
  z_mm: number | null;
  probability: number | null;
  positive: boolean | null;
  activation_cm2: number | null;
  /** Number of the slice's plane in the maps; null where there is none. */
  plane: number | null;
  /** Null where no reader has said anything; set when one does. */
  correction: Correction | null;
}

/** Where a finding is, as a ball around a point of the patient (LPS): all that is known of one that a reader marked. */
export interface Mark {
  centroid_mm: [number, number, number];
  long_axis_mm: number;
}

/** A finding as the list beside the viewer has it: of the networks or of a reader. */
export interface ListedFinding extends Mark {
  number: number;
}

export interface Scan {
  slices: Slice[];
  /** Numbers of the findings that a reader rejected before the page was opened. */
  rejected: number[];
  /** Where no slice is positive, the height of what to show instead, mm: the largest finding that counted then, or a
   * slice to check; else null. */
  instead_z_mm: number | null;
  /** The findings that readers had marked then. */
  marks: Mark[];
  heatmap: StoredMap | null;
  opacity_map: StoredMap | null;
  findings_map: StoredMap | null;
  lungs_map: StoredMap | null;
}

/** Where the map of what changed since the last scan is; null while there is none. */
export function readChangeMap(): StoredMap | null {
  return JSON.parse(document.getElementById('change-map')?.textContent ?? 'null') as StoredMap | null;
}

export function readScan(): Scan {
  return JSON.parse(document.getElementById('scan')!.textContent ?? '') as Scan;
}

/** Where a reader begins. */
export function firstShown(scan: Scan): number {
  return scan.instead_z_mm === null ? mostAffected(scan) : nearest(scan, scan.instead_z_mm);
}

/**
 * The positive slice with the largest activation, of those that no reader calls normal where there are some; where none is
 * positive the middle one of the lungs, or of all.
 */
export function mostAffected(scan: Scan): number {
  const all = [...scan.slices.keys()];
  const lung = all.filter((index) => scan.slices[index]!.probability !== null);
  const positive = lung.filter((index) => scan.slices[index]!.positive);
  const agreed = positive.filter((index) => scan.slices[index]!.correction?.abnormal !== false);
  const activation = (index: number): number => scan.slices[index]!.activation_cm2 ?? 0;
  if (positive.length) return (agreed.length ? agreed : positive).reduce((best, index) => (activation(index) > activation(best) ? index : best));
  const shown = lung.length ? lung : all;
  return shown[Math.floor(shown.length / 2)] ?? 0;
}

/** z of the first and last lung slice, mm; of the whole scan where no lung is known. */
function lungExtent(scan: Scan): [number, number] | null {
  const placed = scan.slices.filter((slice) => slice.z_mm !== null);
  const lung = placed.filter((slice) => slice.probability !== null);
  const ends = lung.length > 1 ? lung : placed;
  const top = ends[0]?.z_mm;
  const bottom = ends[ends.length - 1]?.z_mm;
  return top == null || bottom == null || top === bottom ? null : [top, bottom];
}

/** Where a slice lies between the top (0) and the bottom (1) of the lungs: comparable between scans. */
export function levelOf(scan: Scan, index: number): number | null {
  const extent = lungExtent(scan);
  const z = scan.slices[index]?.z_mm;
  return extent && z != null ? (z - extent[0]) / (extent[1] - extent[0]) : null;
}

/** The slice nearest to a place along the body, mm. */
export function nearest(scan: Scan, z: number): number {
  const distance = (slice: Slice): number => (slice.z_mm === null ? Infinity : Math.abs(slice.z_mm - z));
  return scan.slices.reduce((best, slice, i) => (distance(slice) < distance(scan.slices[best]!) ? i : best), 0);
}

/** The slice nearest to a level. */
export function sliceAt(scan: Scan, level: number): number | null {
  const extent = lungExtent(scan);
  if (!extent || !Number.isFinite(level)) return null;
  return nearest(scan, extent[0] + level * (extent[1] - extent[0]));
}

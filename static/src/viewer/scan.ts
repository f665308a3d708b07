/** What the page says about the scan on show, and where a level of one scan lies in another. */

/** One slice, head to feet. `probability` and `positive` are null outside the lungs and before the analysis. */
export interface Slice {
  file: string;
  z_mm: number | null;
  probability: number | null;
  positive: boolean | null;
  activation_cm2: number | null;
  /** Number of the slice's plane in the heat map; null where there is none. */
  heatmap_plane: number | null;
}

export interface Scan {
  slices: Slice[];
  heatmap: { address: string; size: number } | null;
}

export function readScan(): Scan {
  return JSON.parse(document.getElementById('scan')!.textContent ?? '') as Scan;
}

/** The slice with the largest activation, else the middle one. */
export function mostAffected(scan: Scan): number {
  let best = -1;
  scan.slices.forEach((slice, index) => {
    if ((slice.activation_cm2 ?? 0) > (scan.slices[best]?.activation_cm2 ?? 0)) best = index;
  });
  return best >= 0 ? best : Math.floor(scan.slices.length / 2);
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

/** The slice nearest to a level. */
export function sliceAt(scan: Scan, level: number): number | null {
  const extent = lungExtent(scan);
  if (!extent || !Number.isFinite(level)) return null;
  const z = extent[0] + level * (extent[1] - extent[0]);
  const distance = (slice: Slice): number => (slice.z_mm === null ? Infinity : Math.abs(slice.z_mm - z));
  return scan.slices.reduce((best, slice, i) => (distance(slice) < distance(scan.slices[best]!) ? i : best), 0);
}

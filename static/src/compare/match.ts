/** Where a height of the newest CT lies in another one, whatever their slices and frames of reference. */

/** Pairs of heights, mm, head to feet, as `analysis/matching.py` makes them. */
export interface Match {
  reference_z_mm: number[];
  z_mm: number[];
}

/** `match` is null of the newest CT itself. */
export function toReference(match: Match | null, z: number): number {
  return match ? across(match.z_mm, match.reference_z_mm, z) : z;
}

export function fromReference(match: Match | null, z: number): number {
  return match ? across(match.reference_z_mm, match.z_mm, z) : z;
}

/** Between the pairs in proportion, beyond them mm for mm. */
function across(from: number[], to: number[], z: number): number {
  const after = from.findIndex((end, i) => i > 0 && (from[i - 1]! - z) * (end - z) <= 0);
  if (after > 0) {
    const [start, end] = [from[after - 1]!, from[after]!];
    const share = start === end ? 0 : (z - start) / (end - start);
    return to[after - 1]! + share * (to[after]! - to[after - 1]!);
  }
  const last = from.length - 1;
  const end = Math.abs(from[0]! - z) < Math.abs(from[last]! - z) ? 0 : last;
  return to[end]! + z - from[end]!;
}

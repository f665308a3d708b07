/** The maps of a result as volumes that lie where the CT lies. */
import { cache, volumeLoader } from '@cornerstonejs/core';
import type { Types } from '@cornerstonejs/core';
import type { Mark } from './scan';

/** What Cornerstone calls the volume of the CT. */
export const CT = 'ct-volume';
/** The value of what is outlined. */
export const INSIDE = 255;
const AIR_HU = -1024;

/** Where the CT lies, and the number of a map's plane for each of its slices. */
export interface Grid {
  dimensions: Types.Point3;
  spacing: Types.Point3;
  origin: Types.Point3;
  direction: Types.Mat3;
  planes: (number | null)[];
}

/** The grid of the maps, `size` × `size` pixels over each slice of the CT. */
export function mapGrid(ct: Types.IImageVolume, size: number, planes: (number | null)[]): Grid {
  const [columns, rows, slices] = ct.dimensions;
  const spacing: Types.Point3 = [(columns * ct.spacing[0]) / size, (rows * ct.spacing[1]) / size, ct.spacing[2]];
  const shift = [0, 1].map((axis) => (spacing[axis]! - ct.spacing[axis]!) / 2);
  const origin = ct.origin.map(
    (place, axis) => place + ct.direction[axis]! * shift[0]! + ct.direction[3 + axis]! * shift[1]!,
  ) as Types.Point3;
  return { dimensions: [size, size, slices], spacing, origin, direction: ct.direction, planes };
}

/** A map's planes in the order of the CT's slices; a slice without one stays 0. */
export function inOrder({ dimensions, planes }: Grid, map: Uint8Array): Uint8Array {
  const length = dimensions[0] * dimensions[1];
  const ordered = new Uint8Array(length * planes.length);
  planes.forEach((plane, index) => {
    if (plane !== null) ordered.set(map.subarray(plane * length, (plane + 1) * length), index * length);
  });
  return ordered;
}

/** Makes a volume of values in the order of the CT's slices. */
export function fill(volumeId: string, { dimensions, spacing, origin, direction }: Grid, scalarData: Uint8Array | Int16Array): void {
  const metadata = { ...cache.getVolume(CT)!.metadata, PixelSpacing: [spacing[1], spacing[0]] };
  volumeLoader.createLocalVolume(volumeId, { metadata, dimensions, spacing, origin, direction, scalarData });
}

/** Draws a reader's mark: the voxels whose middle lies in its ball, and the one in which its own middle lies. */
export function paint(values: Uint8Array, { dimensions, spacing, origin, direction }: Grid, { centroid_mm, long_axis_mm }: Mark): void {
  const radius = long_axis_mm / 2;
  const axes = [0, 1, 2] as const;
  const away = centroid_mm.map((place, axis) => place - origin[axis]!);
  const middle = axes.map((axis) => away.reduce((sum, by, each) => sum + direction[3 * axis + each]! * by, 0) / spacing[axis]);
  /** The voxels that it may reach along an axis. */
  const along = (axis: 0 | 1 | 2): number[] => {
    const reach = Math.max(0.5, radius / spacing[axis]);
    const from = Math.max(0, Math.ceil(middle[axis]! - reach));
    const to = Math.min(dimensions[axis] - 1, Math.floor(middle[axis]! + reach));
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, step) => from + step);
  };
  const [columns, rows, slices] = [along(0), along(1), along(2)];
  for (const slice of slices) {
    for (const row of rows) {
      for (const column of columns) {
        const steps = [column, row, slice].map((at, axis) => Math.abs(at - middle[axis]!));
        const distance = Math.hypot(...steps.map((step, axis) => step * spacing[axis]!));
        if (distance <= radius || Math.max(...steps) <= 0.5) values[(slice * dimensions[1] + row) * dimensions[0] + column] = INSIDE;
      }
    }
  }
}

/** HU of the CT on the grid of the maps, in the lungs alone. */
export function lungTissue(ct: Types.IImageVolume, grid: Grid, lungs: Uint8Array): Int16Array {
  const [size] = grid.dimensions;
  const [columns, rows] = ct.dimensions;
  const hu = new Int16Array(size * size * grid.planes.length).fill(AIR_HU);
  grid.planes.forEach((plane, index) => {
    const image = cache.getImage(ct.imageIds[index]!);
    if (plane === null || !image) return;
    const pixels = image.voxelManager!.getScalarData();
    const [slope, intercept] = image.preScale?.scaled ? [1, 0] : [image.slope, image.intercept];
    for (let row = 0; row < size; row++) {
      const from = Math.floor(((row + 0.5) * rows) / size) * columns;
      for (let column = 0; column < size; column++) {
        const cell = row * size + column;
        if (lungs[plane * size * size + cell] === 0) continue;
        hu[index * size * size + cell] = pixels[from + Math.floor(((column + 0.5) * columns) / size)]! * slope + intercept;
      }
    }
  });
  return hu;
}

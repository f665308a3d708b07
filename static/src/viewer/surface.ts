/** Surfaces of what is outlined, as 3D shows them (Gozes et al. 2020: thresholded maps, blurred, as a mesh). */
import '@kitware/vtk.js/Rendering/Profiles/Geometry';
import type { Types } from '@cornerstonejs/core';
import vtkDataArray from '@kitware/vtk.js/Common/Core/DataArray';
import vtkImageData from '@kitware/vtk.js/Common/DataModel/ImageData';
import vtkImageMarchingCubes from '@kitware/vtk.js/Filters/General/ImageMarchingCubes';
import vtkSphereSource from '@kitware/vtk.js/Filters/Sources/SphereSource';
import vtkActor from '@kitware/vtk.js/Rendering/Core/Actor';
import vtkMapper from '@kitware/vtk.js/Rendering/Core/Mapper';
import type { vtkAlgorithm } from '@kitware/vtk.js/interfaces';
import type { Grid } from './grid';
import type { Mark } from './scan';

const FULL = 255;
const LEVEL = 0.3 * FULL; // of softened voxels, where the surface lies: what is one slice thin keeps half
const MARGIN = 2; // voxels around, so that surfaces are closed
const ROUND = 24; // sides of a mark's ball

export type Colour = [red: number, green: number, blue: number];
type Box = { from: Types.Point3; to: Types.Point3 };

/** One surface for each number of a map but 0, in the place of the patient (LPS, mm). */
export function surfacesOf(grid: Grid, numbers: Uint8Array, colour: Colour): Map<number, vtkActor> {
  return new Map([...boxes(grid, numbers)].map(([number, box]) => [number, surfaceOf(grid, numbers, number, box, colour)]));
}

export function ballOf({ centroid_mm, long_axis_mm }: Mark, colour: Colour): vtkActor {
  const ball = vtkSphereSource.newInstance({
    center: centroid_mm, radius: long_axis_mm / 2, thetaResolution: ROUND, phiResolution: ROUND,
  });
  return actorOf(ball, colour);
}

/** The voxels from and to which each number but 0 lies. */
function boxes({ dimensions: [columns, rows] }: Grid, numbers: Uint8Array): Map<number, Box> {
  const found = new Map<number, Box>();
  numbers.forEach((number, at) => {
    if (number === 0) return;
    const place: Types.Point3 = [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))];
    const box = found.get(number);
    if (!box) found.set(number, { from: place, to: [...place] });
    else {
      place.forEach((along, axis) => {
        box.from[axis] = Math.min(box.from[axis]!, along);
        box.to[axis] = Math.max(box.to[axis]!, along);
      });
    }
  });
  return found;
}

function surfaceOf(grid: Grid, numbers: Uint8Array, number: number, { from, to }: Box, colour: Colour): vtkActor {
  const { spacing, origin, direction } = grid;
  const size = to.map((end, axis) => end - from[axis]! + 1 + 2 * MARGIN) as Types.Point3;
  const first = from.map((start) => start - MARGIN) as Types.Point3;
  const image = vtkImageData.newInstance({ spacing, origin: first.map((start, axis) => start * spacing[axis]!) });
  image.setDimensions(size);
  const values = softened(cut(grid, numbers, number, { from, to }, size), size);
  image.getPointData().setScalars(vtkDataArray.newInstance({ values, numberOfComponents: 1 }));
  const cubes = vtkImageMarchingCubes.newInstance({ contourValue: LEVEL, computeNormals: true });
  cubes.setInputData(image);
  const actor = actorOf(cubes, colour);
  const [row, column, across] = [0, 3, 6].map((at) => direction.slice(at, at + 3));
  actor.setUserMatrix(new Float32Array([...row!, 0, ...column!, 0, ...across!, 0, ...origin, 1]));
  return actor;
}

/** The voxels of a number within its box, FULL, with a margin of 0. */
function cut({ dimensions: [columns, rows] }: Grid, numbers: Uint8Array, number: number, box: Box, size: Types.Point3): Uint8Array {
  const values = new Uint8Array(size[0] * size[1] * size[2]);
  for (let k = box.from[2]; k <= box.to[2]; k++) {
    for (let j = box.from[1]; j <= box.to[1]; j++) {
      const start = (k * rows + j) * columns;
      const into = ((k - box.from[2] + MARGIN) * size[1] + (j - box.from[1] + MARGIN)) * size[0] + MARGIN - box.from[0];
      for (let i = box.from[0]; i <= box.to[0]; i++) if (numbers[start + i] === number) values[into + i] = FULL;
    }
  }
  return values;
}

/** Without the steps of voxels: (1, 2, 1) ÷ 4 along each axis. */
function softened(values: Uint8Array, [columns, rows]: Types.Point3): Uint8Array {
  for (const step of [1, columns, columns * rows]) {
    const before = values;
    values = before.map((value, at) => ((before[at - step] ?? 0) + 2 * value + (before[at + step] ?? 0)) / 4);
  }
  return values;
}

function actorOf(source: Pick<vtkAlgorithm, 'getOutputPort'>, colour: Colour): vtkActor {
  const mapper = vtkMapper.newInstance({ scalarVisibility: false });
  mapper.setInputConnection(source.getOutputPort());
  const actor = vtkActor.newInstance();
  actor.setMapper(mapper);
  const property = actor.getProperty();
  property.setColor(...colour);
  property.setAmbient(0.25);
  property.setDiffuse(0.75);
  return actor;
}

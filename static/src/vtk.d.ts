/** Of vtk.js, which declares no types for it. */
declare module '@kitware/vtk.js/Filters/General/ImageMarchingCubes' {
  import type { vtkAlgorithm, vtkObject } from '@kitware/vtk.js/interfaces';

  interface vtkImageMarchingCubes extends vtkObject, vtkAlgorithm {}
  const vtkImageMarchingCubes: {
    newInstance(values: { contourValue: number; computeNormals: boolean }): vtkImageMarchingCubes;
  };
  export default vtkImageMarchingCubes;
}

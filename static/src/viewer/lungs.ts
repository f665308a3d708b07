/** The lungs in 3D: their tissue as a cloud, with opacities red and findings green as surfaces. */
import type { Types, VolumeViewport } from '@cornerstonejs/core';
import vtkPlane from '@kitware/vtk.js/Common/DataModel/Plane';
import type vtkActor from '@kitware/vtk.js/Rendering/Core/Actor';
import type { Grid } from './grid';
import type { Mark } from './scan';
import { ballOf, surfacesOf } from './surface';
import type { Colour } from './surface';

const RED: Colour = [1, 0.25, 0.2];
const GREEN: Colour = [0.25, 1, 0.5];
const STEP_MM = 1.5; // along a ray, about a pixel of the maps
/** How 3D is looked at before it is turned (LPS). */
const FROM_FRONT: Types.ICamera = { viewUp: [0, 0, 1], viewPlaneNormal: [0, -1, 0] };
/** HU, colour and opacity of lung tissue: air clear, vessels light. */
const TISSUE = [
  [-1000, 0.35, 0.45, 0.55, 0],
  [-900, 0.4, 0.5, 0.6, 0.004],
  [-750, 0.55, 0.65, 0.75, 0.02],
  [-500, 0.8, 0.83, 0.87, 0.1],
  [0, 1, 0.97, 0.94, 0.35],
] as const;

export type Surfaces = 'opacities' | 'findings';

export class Lungs {
  private tissue!: Types.VolumeActor;
  private readonly surfaces: Record<Surfaces, Map<string, vtkActor>> = { opacities: new Map(), findings: new Map() };
  private readonly hidden = new Set<Surfaces>();
  private rejected: ReadonlySet<number> = new Set();
  private clipped = 0;

  private constructor(private readonly viewport: VolumeViewport) {}

  /** `tissue`: the volume of HU in the lungs; `opacities` and `findings`: numbers on the grid, 0 where there is none. */
  static async open(viewport: VolumeViewport, tissue: string, grid: Grid, opacities: Uint8Array, findings: Uint8Array): Promise<Lungs> {
    const lungs = new Lungs(viewport);
    await viewport.setVolumes([{ volumeId: tissue, callback: ({ volumeActor }) => lungs.colour(volumeActor) }]);
    surfacesOf(grid, opacities, RED).forEach((actor, number) => lungs.add('opacities', `opacity ${number}`, actor));
    surfacesOf(grid, findings, GREEN).forEach((actor, number) => lungs.add('findings', `finding ${number}`, actor));
    viewport.resetCamera();
    return lungs;
  }

  /** Findings but those left out, and what readers marked. */
  setFindings(left: ReadonlySet<number>, marks: Mark[]): void {
    this.rejected = left;
    const { findings } = this.surfaces;
    const old = [...findings.keys()].filter((uid) => uid.startsWith('mark '));
    this.viewport.removeActors(old);
    for (const uid of old) findings.delete(uid);
    marks.forEach((mark, index) => this.add('findings', `mark ${index}`, ballOf(mark, GREEN)));
    this.showAll();
  }

  /** Shows or hides all opacities or all findings. */
  show(surfaces: Surfaces, on: boolean): void {
    if (on) this.hidden.delete(surfaces);
    else this.hidden.add(surfaces);
    this.showAll();
    this.viewport.render();
  }

  /** Takes away a share of the body from the front. */
  clip(share: number): void {
    this.clipped = share;
    const [, , front, back] = this.tissue.getMapper()!.getBounds();
    const plane = vtkPlane.newInstance({ origin: [0, front + share * (back - front), 0], normal: [0, 1, 0] });
    const { opacities, findings } = this.surfaces;
    for (const actor of [this.tissue, ...opacities.values(), ...findings.values()]) {
      const mapper = actor.getMapper()!;
      mapper.removeAllClippingPlanes();
      if (share > 0) mapper.addClippingPlane(plane);
    }
    this.viewport.render();
  }

  reset(): void {
    this.viewport.setCamera(FROM_FRONT);
  }

  private showAll(): void {
    for (const surfaces of ['opacities', 'findings'] as const) {
      for (const [uid, actor] of this.surfaces[surfaces]) {
        const [kind, number] = uid.split(' ');
        const rejected = kind === 'finding' && this.rejected.has(Number(number));
        actor.setVisibility(!rejected && !this.hidden.has(surfaces));
      }
    }
  }

  private add(to: Surfaces, uid: string, actor: vtkActor): void {
    this.surfaces[to].set(uid, actor);
    this.viewport.addActor({ uid, actor });
    if (this.clipped > 0) this.clip(this.clipped);
  }

  private colour(actor: Types.VolumeActor): void {
    this.tissue = actor;
    const property = actor.getProperty();
    const colour = property.getRGBTransferFunction(0);
    const seen = property.getScalarOpacity(0);
    colour.removeAllPoints();
    seen.removeAllPoints();
    for (const [hu, red, green, blue, opacity] of TISSUE) {
      colour.addRGBPoint(hu, red, green, blue);
      seen.addPoint(hu, opacity);
    }
    property.setShade(true);
    actor.getMapper()!.setSampleDistance(STEP_MM);
    property.setInterpolationTypeToLinear();
  }
}

/** A ring around the finding that is singled out in the list: it lies over the picture, which need not be drawn anew. */
import { Enums } from '@cornerstonejs/core';
import type { Types, VolumeViewport } from '@cornerstonejs/core';
import { rightOf } from './camera';
import { RING_MARGIN } from './findings';
import type { Mark } from './scan';

export class Ring {
  private readonly sign = Object.assign(document.createElement('div'), { className: 'finding-ring', hidden: true });
  private finding: Mark | null = null;

  /** `isPlane`: the ring is there only where the viewport's plane cuts the finding, taken as a ball. */
  constructor(
    private readonly on: VolumeViewport,
    private readonly isPlane: boolean,
  ) {
    on.element.append(this.sign);
    for (const event of [Enums.Events.CAMERA_MODIFIED, Enums.Events.IMAGE_RENDERED]) { // the second tells of another size
      on.element.addEventListener(event, () => this.place());
    }
  }

  /** Null for none. */
  set(finding: Mark | null): void {
    this.finding = finding;
    this.place();
  }

  private place(): void {
    const { finding, sign } = this;
    sign.hidden = !finding || (this.isPlane && this.offPlaneMm(finding.centroid_mm) >= finding.long_axis_mm / 2);
    if (!finding || sign.hidden) return;
    const [x, y] = this.on.worldToCanvas(finding.centroid_mm);
    const diameter = finding.long_axis_mm * this.pixelsPerMm(finding.centroid_mm) + 2 * RING_MARGIN;
    sign.style.width = sign.style.height = `${diameter}px`;
    sign.style.translate = `${x - diameter / 2}px ${y - diameter / 2}px`;
  }

  private offPlaneMm(point: Types.Point3): number {
    const { focalPoint, viewPlaneNormal } = this.on.getCamera() as Required<Types.ICamera>;
    return Math.abs(point.reduce((sum, place, axis) => sum + (place - focalPoint[axis]!) * viewPlaneNormal[axis]!, 0));
  }

  private pixelsPerMm(point: Types.Point3): number {
    const right = rightOf(this.on.getCamera());
    const [from, to] = [point, point.map((place, axis) => place + right[axis]!) as Types.Point3].map((each) => this.on.worldToCanvas(each));
    return Math.hypot(to![0] - from![0], to![1] - from![1]);
  }
}

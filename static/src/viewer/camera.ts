/** Moving, zooming and turning what a viewport shows, as the mouse does. */
import type { Types } from '@cornerstonejs/core';

type Viewport = Types.IStackViewport | Types.IVolumeViewport;

/** By CSS pixels, to the right and down. Not by `setPan`, which counts in other pixels where there is no WebGL. */
export function panBy(viewport: Viewport, x: number, y: number): void {
  const [from, to] = [viewport.canvasToWorld([0, 0]), viewport.canvasToWorld([x, y])];
  const moved = (point: Types.Point3): Types.Point3 => point.map((at, axis) => at + from[axis]! - to[axis]!) as Types.Point3;
  const { focalPoint, position } = viewport.getCamera();
  viewport.setCamera({ focalPoint: moved(focalPoint!), position: moved(position!) });
  viewport.render();
}

export function zoomBy(viewport: Viewport, factor: number): void {
  viewport.setZoom(viewport.getZoom() * factor);
  viewport.render();
}

/** Turns what is seen by degrees, to the right and down. */
export function turnBy(viewport: Viewport, right: number, down: number): void {
  const camera = viewport.getCamera() as Required<Types.ICamera>;
  const { focalPoint } = camera;
  const turned = ([axis, degrees]: [Types.Point3, number], of: Types.Point3): Types.Point3 => around(of, axis, (degrees * Math.PI) / 180);
  const turns: [Types.Point3, number][] = [
    [camera.viewUp, -right],
    [rightOf(camera), -down],
  ];
  const away = camera.position.map((place, axis) => place - focalPoint[axis]!) as Types.Point3;
  const position = turns.reduce((each, turn) => turned(turn, each), away).map((place, axis) => place + focalPoint[axis]!) as Types.Point3;
  const viewUp = turns.reduce((each, turn) => turned(turn, each), camera.viewUp);
  viewport.setCamera({ focalPoint, position, viewUp });
  viewport.render();
}

/** The direction to the right on screen (LPS). */
export function rightOf({ viewUp, viewPlaneNormal }: Types.ICamera): Types.Point3 {
  return cross(viewUp!, viewPlaneNormal!);
}

function cross([a, b, c]: Types.Point3, [d, e, f]: Types.Point3): Types.Point3 {
  return [b * f - c * e, c * d - a * f, a * e - b * d];
}

/** A vector turned around an axis of length 1 (Rodrigues). */
function around(vector: Types.Point3, axis: Types.Point3, angle: number): Types.Point3 {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const across = cross(axis, vector);
  const along = axis.reduce((sum, share, each) => sum + share * vector[each]!, 0) * (1 - cosine);
  return vector.map((place, each) => place * cosine + across[each]! * sine + axis[each]! * along) as Types.Point3;
}

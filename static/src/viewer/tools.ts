/** The tools of the mouse, which slices and planes share, and what they measured, in words. */
import { cache, eventTarget, getRenderingEngines, utilities } from '@cornerstonejs/core';
import type { Types } from '@cornerstonejs/core';
import {
  EllipticalROITool,
  Enums as ToolEnums,
  LengthTool,
  PanTool,
  ProbeTool,
  StackScrollTool,
  ToolGroupManager,
  WindowLevelTool,
  ZoomTool,
  addTool,
  annotation,
  utilities as toolUtilities,
} from '@cornerstonejs/tools';
import type { Types as ToolTypes } from '@cornerstonejs/tools';
import { decimal, gettext, interpolate } from '../words';
import type { DragTool, Measure } from './view';

const { MouseBindings } = ToolEnums;
type ToolGroup = NonNullable<ReturnType<typeof ToolGroupManager.createToolGroup>>;
export type Measurement = ToolTypes.Annotation;
/** What can be measured on. */
export type Surface = Types.IStackViewport | Types.IVolumeViewport;

const MEASURE_STYLE = {
  ...{ color: '#ffe58a', colorHighlighted: '#fff', colorSelected: '#fff', lineWidth: '2' },
  ...{ textBoxColor: '#ffe58a', textBoxColorHighlighted: '#fff', textBoxColorSelected: '#fff' },
  ...{ textBoxFontFamily: 'inherit', textBoxFontSize: '13px', textBoxBackground: 'rgba(11, 16, 20, 0.7)', textBoxShadow: false },
};
const MEASURES = { length: LengthTool, ellipse: EllipticalROITool, probe: ProbeTool } as const;
const TOOLS = { window: WindowLevelTool, pan: PanTool, zoom: ZoomTool, ...MEASURES } satisfies Record<Exclude<DragTool, 'cross'>, unknown>;
const ALWAYS: Partial<Record<DragTool, number>> = { pan: MouseBindings.Auxiliary, zoom: MouseBindings.Secondary };
const WORDS = { length: lengthWords, ellipse: ellipseWords, probe: probeWords } as const;

/** Makes the tools known to Cornerstone, once. */
export function addTools(): void {
  for (const tool of [StackScrollTool, ...Object.values(TOOLS)]) addTool(tool);
  const { style } = annotation.config;
  style.setDefaultToolStyles({ global: { ...style.getDefaultToolStyles().global, ...MEASURE_STYLE } });
}

/** Tools of their own for a viewport, or for several that share them. */
export function makeGroup(name: string): ToolGroup {
  const group = ToolGroupManager.createToolGroup(name)!;
  for (const { toolName } of [StackScrollTool, ...Object.values(TOOLS)]) group.addTool(toolName);
  // The first that is set is asked first: else one finger would do what the left mouse button does.
  group.setToolPassive(StackScrollTool.toolName);
  for (const [measure, { toolName }] of Object.entries(MEASURES) as [Measure, (typeof MEASURES)[Measure]][]) {
    group.setToolConfiguration(toolName, { getTextLines: WORDS[measure] });
  }
  return group;
}

/** What dragging does in a group; of the cross-hairs themselves it knows nothing. */
export function setDragTool(group: ToolGroup, tool: DragTool): void {
  const touchScrolls = tool === 'window'; // one finger goes through the slices, else it does what dragging does; two zoom
  for (const { toolName } of Object.values(TOOLS)) group.setToolPassive(toolName, { removeAllBindings: true });
  for (const [key, { toolName }] of Object.entries(TOOLS) as [keyof typeof TOOLS, (typeof TOOLS)[keyof typeof TOOLS]][]) {
    const bindings: ToolTypes.IToolBinding[] = [];
    if (key === tool) bindings.push({ mouseButton: MouseBindings.Primary });
    if (key === tool && !touchScrolls) bindings.push({ numTouchPoints: 1 });
    if (key === 'zoom') bindings.push({ numTouchPoints: 2 });
    if (ALWAYS[key]) bindings.push({ mouseButton: ALWAYS[key] });
    if (bindings.length > 0) group.setToolActive(toolName, { bindings });
  }
  const scrolling: ToolTypes.IToolBinding[] = [{ mouseButton: MouseBindings.Wheel }];
  if (touchScrolls) scrolling.push({ numTouchPoints: 1 });
  group.setToolPassive(StackScrollTool.toolName, { removeAllBindings: true });
  group.setToolActive(StackScrollTool.toolName, { bindings: scrolling });
}

/** Takes away the measurement that was touched last, or the newest. */
export function removeMeasurement(): void {
  const names = Object.values(MEASURES).map(({ toolName }): string => toolName); // cross-hairs are annotations too
  const measures = annotation.state.getAllAnnotations().filter((each) => names.includes(each.metadata?.toolName ?? ''));
  const selected = new Set(annotation.selection.getAnnotationsSelected());
  const last = measures.findLast((each) => selected.has(each.annotationUID!)) ?? measures.at(-1);
  if (last) takeAway(last);
}

export function takeAway(measurement: Measurement): void {
  annotation.selection.deselectAnnotation(measurement.annotationUID!);
  annotation.state.removeAnnotation(measurement.annotationUID!);
  drawMeasurements();
}

/** Lays a measurement between points of the patient (LPS, mm), as its tool keeps them; `move` gives it others. */
export function lay(measure: Measure, on: Surface, points: Types.Point3[]): Measurement {
  const made = MEASURES[measure].createAnnotationForViewport<Measurement>(on, { highlighted: false, data: { handles: { points } } });
  annotation.state.addAnnotation(made, on.element);
  drawMeasurements();
  return made;
}

export function move(measurement: Measurement, points: Types.Point3[]): void {
  measurement.data.handles!.points = points;
  measurement.invalidated = true;
  drawMeasurements();
}

/** A measurement that was laid has all its points. */
export function finish(measurement: Measurement): void {
  annotation.state.triggerAnnotationCompleted(measurement);
}

/** What a measurement says, once its tool has drawn it anew; null where `over` comes first: a tool draws what is on show alone. */
export function reading(measure: Measure, measurement: Measurement, over: AbortSignal): Promise<string | null> {
  return new Promise((tell) => {
    const { ANNOTATION_MODIFIED } = ToolEnums.Events;
    const leave = (): void => {
      eventTarget.removeEventListener(ANNOTATION_MODIFIED, listen);
      tell(null);
    };
    const listen = ({ detail }: CustomEvent<{ annotation: Measurement }>): void => {
      if (detail.annotation.annotationUID !== measurement.annotationUID) return;
      const measured = measurement.data as Measured;
      const lines = Object.keys(measured.cachedStats).map((target) => WORDS[measure](measured, target));
      tell(lines.find((words) => words?.length)?.join(', ') ?? gettext('Nothing to measure there.'));
      leave();
    };
    over.addEventListener('abort', leave, { once: true });
    eventTarget.addEventListener(ANNOTATION_MODIFIED, listen);
    measurement.invalidated = true;
    drawMeasurements();
  });
}

/** Whether a measurement is a length, which may become a finding. */
export function isLength(measurement: Measurement): boolean {
  return measurement.metadata?.toolName === LengthTool.toolName;
}

function drawMeasurements(): void {
  const viewports = getRenderingEngines()!.flatMap((engine) => engine.getViewports());
  toolUtilities.triggerAnnotationRenderForViewportIds(viewports.map(({ id }) => id));
}

/** HU of a pixel of a slice that is loaded. */
export function huOf(imageId: string, column: number, row: number): number | null {
  const image = cache.getImage(imageId);
  if (!image?.voxelManager) return null;
  const stored = image.voxelManager.getAtIJK(column, row, 0) as number;
  return image.preScale?.scaled ? stored : stored * image.slope + image.intercept;
}

/** What the tools measured, where it lies in one image or in the volume; the tools' own words are English. */
type Measured = { cachedStats: Record<string, Record<string, unknown>> };

/** With as many decimals as the tools write. */
function measure(value: number, unit: unknown): string {
  const rounded = utilities.roundNumber(value);
  return `${decimal(value, rounded.split('.')[1]?.length ?? 0)} ${String(unit)}`;
}

/** What stands beside a length. */
function lengthWords({ cachedStats }: Measured, target: string): string[] | undefined {
  const { length, unit } = cachedStats[target]!;
  return typeof length === 'number' ? [measure(length, unit)] : undefined;
}

/** What stands beside an ellipse. */
function ellipseWords({ cachedStats }: Measured, target: string): string[] {
  const { area, mean, stdDev, areaUnit, modalityUnit } = cachedStats[target]!;
  const lines: [string, unknown, unknown][] = [
    [gettext('Area: %(value)s'), area, areaUnit],
    [gettext('Mean: %(value)s'), mean, modalityUnit],
    [gettext('Std Dev: %(value)s'), stdDev, modalityUnit],
  ];
  return lines.flatMap(([words, value, unit]) =>
    typeof value === 'number' ? [interpolate(words, { value: measure(value, unit) })] : [],
  );
}

/** What stands beside a probe. Of a slice the tool lacks the value: it looks for the stack's slice within one image. */
function probeWords({ cachedStats }: Measured, target: string): string[] | undefined {
  const { index, value } = cachedStats[target] as { index?: Types.Point3; value?: number };
  if (!index) return undefined;
  const hu = target.startsWith('imageId:') ? huOf(target.replace('imageId:', ''), index[0], index[1]) : value;
  return typeof hu === 'number' ? [`${decimal(hu, 0)} HU`] : undefined;
}

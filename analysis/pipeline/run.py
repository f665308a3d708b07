"""The whole pipeline: a DICOM series in, a frozen report and its arrays out."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.pipeline.findings import Found, find_findings
from analysis.pipeline.grid import GRID, PixelMm, cell_area_mm2, from_grid, to_grid
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.marked import gettext_noop
from analysis.pipeline.opacity import CONSOLIDATION, GROUND_GLASS, HIGH_HU, THRESHOLD, measure
from analysis.pipeline.pixels import is_chest, read_volume
from analysis.pipeline.quality import contrast_flags, lung_flags, missed_flags, pixel_flags
from analysis.pipeline.regions import zones
from analysis.pipeline.report import (
    METHOD_VERSION,
    Method,
    QualityFlag,
    Report,
    SliceReport,
    software_version,
)
from analysis.pipeline.score import GATE_HU, GATE_MM, Scores, corona_scores, positive_ratio, positive_slices
from analysis.pipeline.series import Geometry, UnusableSeries
from analysis.pipeline.slices import SLAB_MM, classify, seen
from analysis.pipeline.upright import Turn
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import WEIGHTS, Models, choose_device, released

MIN_LUNG_ML = 500.0
"""Less is no adult chest: lungs of adults hold 2–8 l, a single diseased one about 1 l."""
MIN_LUNG_AREA_CM2 = 6.0
"""Slices with less lung (the tips) are not scored: training saw no smaller ones."""
MAX_BESIDE = 400
"""In a scan of up to so many slices findings are looked for beside the work of the networks, which leaves cores idle;
of more slices both at once would take too much memory."""
_STAGES = {"reading": 0.13, "lungs": 0.18, "slices": 0.57, "score": 0.1, "findings": 0.02}
"""Share of each stage in the whole time, measured on a 148-slice scan on two CPU cores; of the findings, only what is
left to wait for."""
_STAGES_OF_MANY = {"reading": 0.11, "lungs": 0.4, "slices": 0.18, "score": 0.12, "findings": 0.19}
"""The same of 600 slices, one stage after the other."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Analysis:
    """``lungs`` bool, ``heatmap`` and ``opacity`` uint8, ``findings`` uint16, all (slice, row, column) of the CT.

    255 in the heat map is an activation of 1; it is there on all lung slices, the scores sum positive slices only.
    ``opacity``: the labels of ``opacity.py``; k in ``findings`` is the report's k-th one. ``probability_alone``:
    float64 (slice,), before the neighbouring slices had a say, NaN outside the lungs.
    """

    report: Report
    volume: Volume
    lungs: npt.NDArray[np.bool_]
    heatmap: npt.NDArray[np.uint8]
    opacity: npt.NDArray[np.uint8]
    findings: npt.NDArray[np.uint16]
    probability_alone: npt.NDArray[np.float64]


class _Clock:
    """Tells the progress and keeps the seconds of each stage."""

    def __init__(self, on_progress: Progress, slices: int) -> None:
        self.seconds: dict[str, float] = {}
        self._on_progress = on_progress
        self._shares = _STAGES if slices <= MAX_BESIDE else _STAGES_OF_MANY

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        names = list(self._shares)
        before = sum(self._shares[earlier] for earlier in names[: names.index(name)])
        started = time.perf_counter()
        self._on_progress(name, before)
        yield lambda done: self._on_progress(name, before + done * self._shares[name])
        self.seconds[name] = round(time.perf_counter() - started, 3)


def analyse(
    geometry: Geometry,
    *,
    device: str = "auto",
    weights: Path = WEIGHTS,
    on_progress: Progress = lambda stage, fraction: None,
) -> Analysis:
    """Read and analyse one series with the networks of the folder ``weights``, else the released ones.

    ``on_progress(stage, fraction)`` is called after every batch; the fraction is of the whole. Raises UnusableSeries
    where the pixels cannot be decoded or hold no lungs, and WeightsMissing.
    """
    clock = _Clock(on_progress, len(geometry.headers))
    models = released(choose_device(device), weights)
    with clock.stage("reading") as on_part:
        volume = read_volume(geometry, on_progress=on_part)
        if not is_chest(volume):
            raise UnusableSeries("no_chest", gettext_noop("No lungs were found in the images: is this a chest CT?"))
        flags = (*geometry.quality, *pixel_flags(volume))
    return _analyse(volume, flags, models, clock)


def analyse_volume(volume: Volume, models: Models) -> Analysis:
    """Analyse a volume that is already in memory, with any pair of networks."""
    return _analyse(volume, (), models, _Clock(lambda stage, fraction: None, len(volume.hu)))


def _analyse(volume: Volume, flags: tuple[QualityFlag, ...], models: Models, clock: _Clock) -> Analysis:
    turn = Turn.of(volume.affine_lps)
    hu = turn.upright(volume.hu)
    _, rows, columns = hu.shape
    pixel_mm = turn.upright_pixel_mm(*volume.spacing_mm[1:])
    spacing_mm = (volume.spacing_mm[0], *pixel_mm)
    with clock.stage("lungs") as on_part:
        grid_hu = to_grid(hu, pixel_mm)
        logits = clean(lung_logits(grid_hu, models.lung_unet, on_part), grid_hu)
        lungs = lung_mask(logits, rows, columns, pixel_mm)
        area_cm2 = lungs.sum((1, 2)) * volume.pixel_area_mm2 / 100
        lung_volume_ml = float(lungs.sum() * volume.voxel_volume_ml)
        if lung_volume_ml < MIN_LUNG_ML:
            sentence = gettext_noop("Only {volume:.0f} ml of lung were found: is this a chest CT?")
            raise UnusableSeries("no_lungs", sentence.format(volume=lung_volume_ml))
        of_zone = zones(lungs, hu)
        if not any(flag.code == "contrast" for flag in flags):
            flags = (*flags, *contrast_flags(grid_hu[:, 0].numpy(), lung_mask(logits, GRID, GRID)))
        del grid_hu  # in a thin scan some hundred megabytes
    affine_lps = turn.upright_affine(volume.affine_lps, rows, columns)
    look = partial(_findings, hu, lungs, of_zone, affine_lps, models)
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(look) if len(hu) <= MAX_BESIDE else None
        scored = _scored(hu, lungs, logits, spacing_mm, models, clock)
        flags = (*flags, *lung_flags(hu, of_zone, spacing_mm))
        with clock.stage("findings"):
            found = looked.result() if looked else look()
    # First what no number holds: pages that show one remark show the first
    flags = (*missed_flags(hu, of_zone, scored.opacity, found, spacing_mm), *flags)
    ratio = positive_ratio(scored.probability, models.slice_threshold)
    report = Report(
        series_instance_uid=volume.series_instance_uid,
        slices=_slice_reports(volume, area_cm2, scored.probability, scored.scores, models.slice_threshold),
        lung_volume_ml=lung_volume_ml,
        positive_ratio=ratio,
        threshold=models.case_threshold,
        slice_threshold=models.slice_threshold,
        suspected=ratio > models.case_threshold,
        corona_score_cm3=scored.scores.corona_score_cm3,
        corona_score_paper_cm3=scored.scores.corona_score_paper_cm3,
        score_variation=models.score_variation,
        opacity=measure(scored.opacity, of_zone),
        findings=None if models.nodules is None else found.findings,
        quality=flags,
        models=models.versions,
        method=Method(METHOD_VERSION, GATE_HU, GATE_MM, SLAB_MM, THRESHOLD, HIGH_HU),
        software_version=software_version(),
        seconds=clock.seconds,
    )
    return Analysis(
        report=report,
        volume=volume,
        lungs=turn.stored(lungs),
        heatmap=turn.stored(scored.heatmap),
        opacity=turn.stored(scored.opacity),
        findings=turn.stored(found.labels),
        probability_alone=scored.probability_alone,
    )


def _findings(
    hu: npt.NDArray[np.int16],
    lungs: npt.NDArray[np.bool_],
    of_zone: npt.NDArray[np.uint8],
    affine_lps: npt.NDArray[np.float64],
    models: Models,
) -> Found:
    """As ``find_findings``; none where the networks came without what tells nodules from vessels."""
    if models.nodules is None:
        return Found((), np.zeros(lungs.shape, np.uint16))
    return find_findings(hu, lungs, of_zone, affine_lps, models.nodules)


@dataclass(frozen=True, eq=False)
class _Scored:
    """What the slice networks make of a scan; ``heatmap`` and ``opacity`` as in Analysis, but upright."""

    probability: npt.NDArray[np.float64]
    probability_alone: npt.NDArray[np.float64]
    scores: Scores
    heatmap: npt.NDArray[np.uint8]
    opacity: npt.NDArray[np.uint8]


def _scored(
    hu: npt.NDArray[np.int16],
    lungs: npt.NDArray[np.bool_],
    lung_logits: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    models: Models,
    clock: _Clock,
) -> _Scored:
    """``hu`` and ``lungs``: of the upright slices, of which the networks see what lies around the lungs;
    ``lung_logits``: of the lungs (slice, n, n), over whole slices."""
    slice_mm, row_mm, column_mm = spacing_mm
    pixel_mm = (row_mm, column_mm)
    heatmap, opacity = np.zeros(lungs.shape, np.uint8), np.zeros(lungs.shape, np.uint8)
    with clock.stage("slices") as on_part:
        view, grid_hu, lung = seen(hu, lungs, lung_logits, pixel_mm)
        here = np.s_[:, *view]
        lungs = lungs[here]
        _, rows, columns = lungs.shape
        enough = lungs.sum((1, 2)) * row_mm * column_mm / 100 >= MIN_LUNG_AREA_CM2
        classified = classify(grid_hu, lung, enough, slice_spacing_mm=slice_mm, models=models, on_batch=on_part)
    del lung
    probability, alone = classified.probability, classified.probability_alone
    activation, probability_of_opacity = classified.activation, classified.opacity
    del classified  # else what is done with stays: in a thin scan some hundred megabytes each
    with clock.stage("score"):
        scores = corona_scores(
            activation,
            grid_hu[:, 0].numpy(),
            positive_slices(probability, models.slice_threshold),
            cell_area_mm2=cell_area_mm2(rows, columns, pixel_mm),
            slice_spacing_mm=slice_mm,
        )
        _full_resolution(torch.from_numpy(activation).unsqueeze(1), lungs, pixel_mm, heatmap[here])
        del activation
        of_opacity = torch.from_numpy(probability_of_opacity).unsqueeze(1)
        _opacity_labels(of_opacity, grid_hu, lungs, pixel_mm, opacity[here])
    return _Scored(probability, alone, scores, heatmap, opacity)


def _full_resolution(
    activation: Tensor, lungs: npt.NDArray[np.bool_], pixel_mm: PixelMm, heatmap: npt.NDArray[np.uint8]
) -> None:
    """Write activation (slice, 1, 256, 256) as 0…255 into the zeros of ``heatmap``, on the lungs' own grid."""
    _, rows, columns = lungs.shape
    for index in np.flatnonzero(lungs.any((1, 2))):
        full = from_grid(activation[index : index + 1], rows, columns, pixel_mm)[0, 0].numpy()
        heatmap[index] = np.where(lungs[index], np.rint(full * 255), 0)


def _opacity_labels(
    probability: Tensor,
    grid_hu: Tensor,
    lungs: npt.NDArray[np.bool_],
    pixel_mm: PixelMm,
    labels: npt.NDArray[np.uint8],
) -> None:
    """Write labels of ``opacity.py`` into the zeros of ``labels``, on the lungs' own grid; probability and HU both
    (slice, 1, 256, 256).

    The averaged HU of the grid parts ground-glass from consolidation: noise would speckle them.
    """
    _, rows, columns = lungs.shape
    for index in np.flatnonzero((probability > THRESHOLD).any(-1).any(-1)):
        cells = torch.cat([probability[index], grid_hu[index]])[None]  # (1, 2, 256, 256)
        share, hu = from_grid(cells, rows, columns, pixel_mm)[0].numpy()
        kind = np.where(hu >= HIGH_HU, CONSOLIDATION, GROUND_GLASS)
        labels[index] = np.where(lungs[index] & (share > THRESHOLD), kind, 0)


def _slice_reports(
    volume: Volume,
    area_cm2: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    scores: Scores,
    threshold: float,
) -> tuple[SliceReport, ...]:
    positive = positive_slices(probability, threshold)
    return tuple(
        SliceReport(
            sop_instance_uid=uid,
            z_mm=float(volume.z_mm[index]),
            lung_area_cm2=float(area_cm2[index]),
            probability=float(probability[index]) if in_lungs else None,
            positive=bool(positive[index]) if in_lungs else None,
            activation_cm2=float(scores.activation_cm2[index]) if in_lungs else None,
        )
        for index, (uid, in_lungs) in enumerate(zip(volume.sop_instance_uids, np.isfinite(probability), strict=True))
    )

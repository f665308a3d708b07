"""Which series of a study can be analysed, and which one stands for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from patients.models import Instance, Series, Study

from . import storage
from .models import Analysis
from .pipeline.pixels import looks_like_chest
from .pipeline.series import MIN_SLICES, UnusableSeries, check_series, is_sharp_kernel, read_header

ONE_SOP_UID = gettext_noop(
    "All {n} slices of this series carry the same identifier (SOP Instance UID), so only one could be stored: "
    "ask the source to send the series with an identifier of its own for each slice."
)
NO_CHEST = gettext_noop("No lung was found in this series: only CT of the chest can be analysed.")
LATER_FILES = gettext_noop(
    "The result of the slices that came before still counts. As it is stored now, the series cannot be analysed, "
    "so what came later is not used: {reason!s}"
)
NOT_CHOSEN = gettext_noop("Usable, but another series of the same study suits the analysis better.")


@dataclass(frozen=True)
class _Judgement:
    """What the stored slices of a series come to. ``z_mm``: position of each instance (by pk) where it is usable."""

    instances: frozenset[int]
    reason: str = ""
    slice_spacing_mm: float | None = None
    z_mm: dict[int, float] = field(default_factory=dict)


def judge(series: Series, *, clashes: int) -> None:
    """Write whether the series, as it is stored now, can be analysed, and why not.

    ``clashes``: files that came with the SOP Instance UID of a stored slice but other content. Where another worker
    stored more slices of the series meanwhile, it is looked at again.
    """
    while not _write(series, _judgement(series, clashes)):
        pass


def _judgement(series: Series, clashes: int) -> _Judgement:
    instances = list(series.instances.all())
    pks = frozenset(instance.pk for instance in instances)
    try:
        if len(instances) == 1 and clashes + 1 >= MIN_SLICES:
            raise UnusableSeries("one_sop_instance_uid", ONE_SOP_UID.format(n=clashes + 1))
        with storage.local_images(instances) as paths:
            geometry = check_series([read_header(path) for path in paths])
            if not looks_like_chest(geometry):
                raise UnusableSeries("no_chest", NO_CHEST)
    except UnusableSeries as unusable:
        return _Judgement(pks, reason=str(unusable))
    z_mm = {header.path: float(z) for header, z in zip(geometry.headers, geometry.z_mm, strict=True)}
    return _Judgement(
        pks,
        slice_spacing_mm=geometry.slice_spacing_mm,
        z_mm={instance.pk: z_mm[path] for instance, path in zip(instances, paths, strict=True) if path in z_mm},
    )


def _write(series: Series, judgement: _Judgement) -> bool:
    """Store the judgement; False where it is not of the slices that are stored now."""
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=series.study_id)
        instances = list(series.instances.all())
        if {instance.pk for instance in instances} != judgement.instances:
            return False
        for instance in instances:
            instance.z_mm = judgement.z_mm.get(instance.pk)
        Instance.objects.bulk_update(instances, ["z_mm"], batch_size=200)
        series.slice_count = len(instances)
        series.usable, series.reason = not judgement.reason, judgement.reason
        series.slice_spacing_mm = judgement.slice_spacing_mm
        series.save(update_fields=["slice_count", "usable", "reason", "slice_spacing_mm"])
    return True


def choose(study: Study) -> Series | None:
    """The series that stands for the study: the user's choice, else the thinnest with the smoothest kernel.

    One whose result counts keeps its place though later files made it unusable.
    """
    chosen = study.chosen_series
    if study.chosen_by_hand or (chosen and not chosen.usable and counts(chosen)):
        return chosen
    candidates = study.series.filter(usable=True) or study.series.filter(analyses__state=Analysis.State.DONE)
    study.chosen_series = min(candidates, key=_rank, default=None)
    study.save(update_fields=["chosen_series"])
    return study.chosen_series


def counts(series: Series) -> bool:
    """A run over the slices that the series held then is done, or under way."""
    return series.analyses.filter(state__in=(Analysis.State.RUNNING, Analysis.State.DONE)).exists()


def _rank(series: Series) -> tuple[Any, ...]:
    spacing_mm = round(series.slice_spacing_mm or 0, 1)
    return spacing_mm, is_sharp_kernel(series.convolution_kernel), -series.slice_count, series.pk


def outcomes(pks: Iterable[int]) -> list[dict[str, Any]]:
    """What an upload says of its series: used or not, with the reason why it or its later files are not."""
    rows = []
    for series in Series.objects.filter(pk__in=list(pks)).select_related("study"):
        chosen = series.study.chosen_series_id == series.pk
        if chosen and not series.usable and counts(series):
            used, reason = True, LATER_FILES.format(reason=series.reason)
        else:
            used = chosen and bool(series.usable)
            reason = "" if used else series.reason or NOT_CHOSEN
        rows.append(
            {
                "id": series.pk,
                "series_instance_uid": series.series_instance_uid,
                "used": used,
                "reason": reason,
            }
        )
    return rows

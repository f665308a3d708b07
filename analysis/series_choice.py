"""Which series of a study can be analysed, and which one stands for it."""

from collections.abc import Iterable
from typing import Any

from patients.models import Instance, Series, Study

from . import storage
from .pipeline.pixels import looks_like_chest
from .pipeline.series import MIN_SLICES, UnusableSeries, check_series, is_sharp_kernel, read_header

ONE_SOP_UID = (
    "All {n} slices of this series carry the same identifier (SOP Instance UID), so only one could be stored: "
    "ask the source to send the series with an identifier of its own for each slice."
)
NO_CHEST = "No lung was found in this series: only CT of the chest can be analysed."
NOT_CHOSEN = "Usable, but another series of the same study suits the analysis better."


def judge(series: Series, *, clashes: int) -> None:
    """Write whether the series, as it is stored now, can be analysed, and why not.

    ``clashes``: files that came with the SOP Instance UID of a stored slice but other content.
    """
    series.slice_count = series.instances.count()
    try:
        if series.slice_count == 1 and clashes + 1 >= MIN_SLICES:
            raise UnusableSeries("one_sop_instance_uid", ONE_SOP_UID.format(n=clashes + 1))
        with storage.local_files(series) as paths:
            geometry = check_series([read_header(path) for path in paths])
            if not looks_like_chest(geometry):
                raise UnusableSeries("no_chest", NO_CHEST)
    except UnusableSeries as unusable:
        series.usable, series.reason, series.slice_spacing_mm = False, str(unusable), None
    else:
        series.usable, series.reason = True, ""
        series.slice_spacing_mm = geometry.slice_spacing_mm
        _write_positions(
            series, {h.sop_instance_uid: float(z) for h, z in zip(geometry.headers, geometry.z_mm, strict=True)}
        )
    series.save(update_fields=["slice_count", "usable", "reason", "slice_spacing_mm"])


def _write_positions(series: Series, z_mm: dict[str, float]) -> None:
    instances = list(series.instances.all())
    for instance in instances:
        instance.z_mm = z_mm[instance.sop_instance_uid]
    Instance.objects.bulk_update(instances, ["z_mm"], batch_size=200)


def choose(study: Study) -> Series | None:
    """The series that stands for the study: the user's choice, else the thinnest with the smoothest kernel."""
    if not study.chosen_by_hand:
        study.chosen_series = min(study.series.filter(usable=True), key=_rank, default=None)
        study.save(update_fields=["chosen_series"])
    return study.chosen_series


def _rank(series: Series) -> tuple[Any, ...]:
    spacing_mm = round(series.slice_spacing_mm or 0, 1)
    return spacing_mm, is_sharp_kernel(series.convolution_kernel), -series.slice_count, series.pk


def outcomes(pks: Iterable[int]) -> list[dict[str, Any]]:
    """What an upload says of its series: used or not, with the reason."""
    rows = []
    for series in Series.objects.filter(pk__in=list(pks)).select_related("study"):
        used = series.study.chosen_series_id == series.pk
        rows.append(
            {
                "id": series.pk,
                "series_instance_uid": series.series_instance_uid,
                "used": used,
                "reason": "" if used else series.reason or NOT_CHOSEN,
            }
        )
    return rows

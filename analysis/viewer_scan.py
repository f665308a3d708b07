"""What a viewer shows of a series and its result, as JSON for ``static/src/viewer/scan.ts``."""

from typing import Any

from django.urls import reverse

from patients.models import Series

from .finding_reviews import instead_mm, reviewed
from .models import Analysis, Comparison
from .pipeline.kept import MAP_SIZE
from .storage import MAPS


def scan_of(series: Series, done: Analysis | None) -> dict[str, Any]:
    """What the viewer needs (``static/src/viewer/scan.ts``): the slices, head to feet, and the heat map's place.

    The slices are those of the result, whatever came to the series later; without a result all that are stored.
    """
    stored = series.instances.all()
    if done:
        pks = {each.sop_instance_uid: each.pk for each in stored}
        corrections = _corrections(done)
        slices = [
            _slice(
                pks[each["sop_instance_uid"]],
                each["z_mm"],
                each | {"correction": corrections.get(each["sop_instance_uid"])},
                plane,
            )
            for plane, each in enumerate(done.report["slices"])
            if each["sop_instance_uid"] in pks
        ]
    else:  # a usable series may hold localisers, which have no place in it
        slices = [_slice(each.pk, each.z_mm, {}, None) for each in stored if each.z_mm is not None or not series.usable]
    findings = reviewed(done) if done else []
    return {
        "slices": slices,
        "rejected": [each.number for each in findings if not each.present],
        "instead_z_mm": instead_mm(done, findings) if done else None,
        "marks": [
            {"centroid_mm": each.centroid_mm, "long_axis_mm": each.long_axis_mm}
            for each in findings
            if each.present and each.finding is None
        ],
        **{name: map_of(done, name) for name in MAPS},
    }


def map_of(row: Analysis | Comparison | None, name: str) -> dict[str, Any] | None:
    """Where a result's map is; None where it has none."""
    if not row or not getattr(row, name):
        return None
    return {"address": reverse(f"pages:{name}", args=[row.pk]), "size": MAP_SIZE}


def _slice(instance_pk: int, z_mm: float | None, result: dict[str, Any], plane: int | None) -> dict[str, Any]:
    return {
        "file": reverse("pages:instance_file", args=[instance_pk]),
        "image": reverse("pages:instance_image", args=[instance_pk]),
        "sop_instance_uid": result.get("sop_instance_uid"),
        "z_mm": z_mm,
        "probability": result.get("probability"),
        "positive": result.get("positive"),
        "activation_cm2": result.get("activation_cm2"),
        "plane": plane,
        "correction": result.get("correction"),
    }


def _corrections(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """What readers last said of each slice, as the API says it."""
    return {
        sop_instance_uid: {
            "abnormal": each.abnormal,
            "reason": each.reason,
            "user": each.user.get_username() if each.user else None,
            "created_at": each.created_at.isoformat(),
        }
        for sop_instance_uid, each in analysis.newest_corrections().items()
    }

"""A finished analysis of a small series with its files, for tests of what is made of results."""

import datetime
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from analysis.models import Analysis, Finding, Reading
from analysis.pipeline.report import METHOD_VERSION
from patients.models import Instance, Patient, Series, Study
from tests.dicom_series import make_series

SLICES, SPACING_MM, FIRST_Z_MM = 20, 5.0, -100.0
THRESHOLD = 0.1
FINDINGS = [
    {
        "kind": "nodule",
        "texture": "part-solid",
        "centroid_mm": [60.5, -20.0, FIRST_Z_MM - 5 * SPACING_MM + 1],
        "volume_ml": 1.214,
        "long_axis_mm": 14.24,
        "short_axis_mm": 11.0,
        "mean_hu": -312.4,
        "calcified": False,
        "confidence": 0.97,
        "lung": "left",
        "zone": "upper",
    },
    {
        "kind": "nodule",
        "texture": "solid",
        "centroid_mm": [-50.0, 10.0, FIRST_Z_MM - 12 * SPACING_MM],
        "volume_ml": 0.2,
        "long_axis_mm": 7.1,
        "short_axis_mm": 6.8,
        "mean_hu": 350.0,
        "calcified": True,
        "confidence": 0.81,
        "lung": "right",
        "zone": "lower",
    },
]


def signed_reading(analysis: Analysis, reader: Any, **fields: Any) -> Reading:
    """A report that a reader signed: not suspected, and just now, unless ``fields`` say otherwise."""
    said = {"version": 1, "suspected": False, "signed_at": timezone.now(), "signed_by": reader.get_username()} | fields
    return Reading.objects.create(
        study=analysis.series.study, analysis=analysis, reader=reader, state=Reading.State.SIGNED, **said
    )


def finished_analysis(
    patient: Patient,
    folder: Path,
    *,
    date: datetime.date | None,
    activation_cm2: dict[int, float] | None = None,
    spacing_mm: float = SPACING_MM,
    first_z_mm: float = FIRST_Z_MM,
    first_y_mm: float = -190.0,
    pixel_mm: float = 4.0,
    lean_degrees: float = 0.0,
) -> Analysis:
    """One study with 20 slices, whose back is higher by ``lean_degrees``; lungs in all but the first and the last.

    ``activation_cm2``: index → activation of the positive slices; the heat map is 255 in the right lung there. The
    findings are those of slices 5 mm apart from ``FIRST_Z_MM`` on, whatever the others say.
    """
    activation_cm2 = activation_cm2 or {}
    uid = f"1.2.{Study.objects.count() + 1}"
    study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date, description="Chest CT")
    series = Series.objects.create(
        study=study,
        series_instance_uid=f"{uid}.1",
        description="Lung 5.0",
        slice_count=SLICES,
        slice_spacing_mm=spacing_mm,
        usable=True,
    )
    study.chosen_series = series
    study.save()
    lean = math.radians(lean_degrees)
    top_mm = (first_z_mm + first_y_mm * math.sin(lean)) / math.cos(lean)  # at ``first_z_mm`` along the slices' normal
    paths = make_series(
        folder / uid,
        slices=SLICES,
        spacing_mm=(spacing_mm, pixel_mm, pixel_mm),
        first_position_mm=(-190, first_y_mm, top_mm),
        orientation=(1, 0, 0, 0, math.cos(lean), math.sin(lean)),
    )
    for index, path in enumerate(paths):
        name = default_storage.save(f"instances/{uid}/{index}.dcm", ContentFile(path.read_bytes()))
        Instance.objects.create(
            series=series, site=patient.site, sop_instance_uid=f"{uid}.1.{index}", sha256="0" * 64, file=name
        )
    report = _report(uid, activation_cm2, spacing_mm, first_z_mm)
    scores = ("corona_score_cm3", "corona_score_paper_cm3", "score_variation")
    numbers = (*scores, "positive_ratio", "threshold", "suspected")
    analysis = Analysis.objects.create(
        series=series,
        state=Analysis.State.DONE,
        finished_at=timezone.now(),
        report=report,
        lung_volume_ml=report["lung_volume_ml"],
        quality=report["quality"],
        model_versions=report["models"],
        method_version=report["method"]["version"],
        opacity_percent=report["opacity"]["percent_of_lung"],
        findings_map=default_storage.save(f"analyses/{uid}-findings.gz", ContentFile(_findings_map(activation_cm2))),
        opacity_map=default_storage.save(f"analyses/{uid}-opacity.gz", ContentFile(_opacity(activation_cm2))),
        lungs_map=default_storage.save(f"analyses/{uid}-lungs.gz", ContentFile(_lungs())),
        heatmap=default_storage.save(f"analyses/{uid}.gz", ContentFile(_heatmap(activation_cm2))),
        **{name: report[name] for name in numbers},
    )
    for number, each in enumerate(report["findings"], start=1):
        Finding.objects.create(analysis=analysis, number=number, **each)
    return analysis


def _report(uid: str, activation_cm2: dict[int, float], spacing_mm: float, first_z_mm: float) -> dict:
    slices = [
        {
            "sop_instance_uid": f"{uid}.1.{index}",
            "z_mm": first_z_mm - index * spacing_mm,
            "lung_area_cm2": 180.5 if 0 < index < SLICES - 1 else 0.0,
            "probability": (0.9 if index in activation_cm2 else 0.02) if 0 < index < SLICES - 1 else None,
            "positive": index in activation_cm2 if 0 < index < SLICES - 1 else None,
            "activation_cm2": activation_cm2.get(index, 0.25) if 0 < index < SLICES - 1 else None,
        }
        for index in range(SLICES)
    ]
    score = sum(activation_cm2.values()) * spacing_mm / 10
    ratio = len(activation_cm2) / (SLICES - 2)
    return {
        "series_instance_uid": f"{uid}.1",
        "slices": slices,
        "lung_volume_ml": 1624.5,
        "positive_ratio": ratio,
        "threshold": THRESHOLD,
        "slice_threshold": 0.36,
        "suspected": ratio > THRESHOLD,
        "corona_score_cm3": score,
        "corona_score_paper_cm3": score * 2,
        "score_variation": 0.05,
        "opacity": _measured(12.44 if activation_cm2 else 0.0),
        "findings": FINDINGS if activation_cm2 else [],
        "quality": [
            {
                "code": "thick_slices",
                "message": "The slices are 5.0 mm apart; small opacities may be missed.",
                "severe": False,
            }
        ],
        "models": [{"name": "lung-unet", "version": "1.0", "sha256": "0123456789abcdef" * 4}],
        "method": {
            "version": METHOD_VERSION,
            "gate_hu": -750.0,
            "gate_mm": 8.0,
            "slab_mm": 4.0,
            "opacity_threshold": 0.5,
            "high_hu": -200.0,
        },
        "software_version": "0.9",
        "seconds": {"reading": 0.5},
    }


def _measured(percent: float) -> dict:
    """Of a patient whose right lung alone is ill, most of all in its lower third."""
    zones = {"right upper": 0.5, "right middle": 1.5, "right lower": 4.0, "left upper": 0, "left middle": 0}
    shares = {"right lung": 2, "left lung": 0, "upper thirds": 0.25, "middle thirds": 0.75, "lower thirds": 2}
    return {
        "percent_of_lung": percent,
        "percent_high": percent / 4,
        "regions": [
            {"name": name, "percent": share * percent, "percent_high": share * percent / 4}
            for name, share in (shares | zones | {"left lower": 0}).items()
        ],
        "severity": {"score": 4 if percent else 0, "maximum": 24},
    }


def _opacity(activation_cm2: dict[int, float]) -> bytes:
    labels = np.zeros((SLICES, 256, 256), dtype=np.uint8)
    labels[list(activation_cm2), 100:156, 60:100] = 1
    labels[list(activation_cm2), 140:156, 60:100] = 2
    return gzip.compress(labels.tobytes())


def _findings_map(activation_cm2: dict[int, float]) -> bytes:
    labels = np.zeros((SLICES, 256, 256), dtype=np.uint8)
    if activation_cm2:
        labels[4:7, 120:130, 180:190] = 1
        labels[12, 140:145, 70:75] = 2
    return gzip.compress(labels.tobytes())


def _lungs() -> bytes:
    labels = np.zeros((SLICES, 256, 256), dtype=np.uint8)
    labels[1:-1, 60:200, 40:110] = labels[1:-1, 60:200, 146:216] = 1
    return gzip.compress(labels.tobytes())


def _heatmap(activation_cm2: dict[int, float]) -> bytes:
    heatmap = np.zeros((SLICES, 256, 256), dtype=np.uint8)
    heatmap[list(activation_cm2), 100:156, 60:100] = 255
    return gzip.compress(heatmap.tobytes())

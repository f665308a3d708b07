"""A finished analysis of a small series with its files, for tests of what is made of results."""

import datetime
import gzip
from pathlib import Path

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from analysis.models import Analysis
from patients.models import Instance, Patient, Series, Study
from tests.dicom_series import make_series

SLICES, SPACING_MM, FIRST_Z_MM = 20, 5.0, -100.0
THRESHOLD = 0.1


def finished_analysis(
    patient: Patient, folder: Path, *, date: datetime.date | None, activation_cm2: dict[int, float] | None = None
) -> Analysis:
    """One study with 20 slices 5 mm apart; lungs in all but the first and the last.

    ``activation_cm2``: index → activation of the positive slices; the heat map is 255 in the right lung there.
    """
    activation_cm2 = activation_cm2 or {}
    uid = f"1.2.{Study.objects.count() + 1}"
    study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date, description="Chest CT")
    series = Series.objects.create(
        study=study,
        series_instance_uid=f"{uid}.1",
        description="Lung 5.0",
        slice_count=SLICES,
        slice_spacing_mm=SPACING_MM,
        usable=True,
    )
    study.chosen_series = series
    study.save()
    paths = make_series(
        folder / uid, slices=SLICES, spacing_mm=(SPACING_MM, 4.0, 4.0), first_position_mm=(-190, -190, FIRST_Z_MM)
    )
    for index, path in enumerate(paths):
        name = default_storage.save(f"instances/{uid}/{index}.dcm", ContentFile(path.read_bytes()))
        Instance.objects.create(
            series=series, site=patient.site, sop_instance_uid=f"{uid}.1.{index}", sha256="0" * 64, file=name
        )
    report = _report(uid, activation_cm2)
    scores = ("corona_score_cm3", "corona_score_paper_cm3", "score_variation")
    numbers = (*scores, "positive_ratio", "threshold", "suspected")
    return Analysis.objects.create(
        series=series,
        state=Analysis.State.DONE,
        finished_at=timezone.now(),
        report=report,
        lung_volume_ml=report["lung_volume_ml"],
        quality=report["quality"],
        model_versions=report["models"],
        heatmap=default_storage.save(f"analyses/{uid}.gz", ContentFile(_heatmap(activation_cm2))),
        **{name: report[name] for name in numbers},
    )


def _report(uid: str, activation_cm2: dict[int, float]) -> dict:
    slices = [
        {
            "sop_instance_uid": f"{uid}.1.{index}",
            "z_mm": FIRST_Z_MM - index * SPACING_MM,
            "lung_area_cm2": 180.5 if 0 < index < SLICES - 1 else 0.0,
            "probability": (0.9 if index in activation_cm2 else 0.02) if 0 < index < SLICES - 1 else None,
            "positive": index in activation_cm2 if 0 < index < SLICES - 1 else None,
            "activation_cm2": activation_cm2.get(index, 0.25) if 0 < index < SLICES - 1 else None,
        }
        for index in range(SLICES)
    ]
    score = sum(activation_cm2.values()) * SPACING_MM / 10
    ratio = len(activation_cm2) / (SLICES - 2)
    return {
        "series_instance_uid": f"{uid}.1",
        "slices": slices,
        "lung_volume_ml": 1624.5,
        "positive_ratio": ratio,
        "threshold": THRESHOLD,
        "suspected": ratio > THRESHOLD,
        "corona_score_cm3": score,
        "corona_score_paper_cm3": score * 2,
        "score_variation": 0.05,
        "opacity": None,
        "findings": None,
        "quality": [{"code": "thick_slices", "message": "The slices lie 5.0 mm apart: small opacities may be missed."}],
        "models": [{"name": "lung-unet", "version": "1.0", "sha256": "0123456789abcdef" * 4}],
        "seconds": {"reading": 0.5},
    }


def _heatmap(activation_cm2: dict[int, float]) -> bytes:
    heatmap = np.zeros((SLICES, 256, 256), dtype=np.uint8)
    heatmap[list(activation_cm2), 100:156, 60:100] = 255
    return gzip.compress(heatmap.tobytes())

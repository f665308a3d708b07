"""Numbers as flat CSV tables for research, UTF-8, comma, CRLF: of one analysis a row per slice, of the worklist a row
per study. English with decimal points in every language, as machines read them."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from patients.models import Patient, Site, Study

from .models import Analysis, SliceCorrection
from .trend import TimePoint
from .worklist import Row

USE = "Research use only, not for diagnosis"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text that begins so as a formula (OWASP, "CSV injection")."""


def render(analysis: Analysis) -> str:
    """Header line, then the slices from head to feet; what belongs to the study stands in every row.

    Numbers are unrounded, with the unit in the column's name; empty means not computed. The patient
    appears with the ID alone, never with the name. What a reader last said of a slice stands in the last columns and
    changes none of the others.
    """
    report = analysis.report
    study, opacity = analysis.series.study, report["opacity"]
    of_study = {
        "site": study.patient.site.code,
        "patient_id": study.patient.patient_id,
        "synthetic_patient": study.patient.synthetic,
        "study_date": study.study_date,
        "study_instance_uid": study.study_instance_uid,
        "series_instance_uid": report["series_instance_uid"],
        "analysis": analysis.pk,
        "analysed_at": analysis.finished_at.isoformat(timespec="seconds") if analysis.finished_at else None,
        "models": _models(report["models"]),
        "software_version": report.get("software_version"),
        "slice_spacing_mm": analysis.slice_spacing_mm,
        "lung_volume_ml": report["lung_volume_ml"],
        "positive_ratio": report["positive_ratio"],
        "positive_ratio_threshold": report["threshold"],
        "slice_threshold": report.get("slice_threshold"),
        "suspected": report["suspected"],
        "corona_score_cm3": report["corona_score_cm3"],
        "corona_score_paper_cm3": report["corona_score_paper_cm3"],
        "opacity_percent_of_lung": opacity["percent_of_lung"] if opacity else None,
        "opacity_percent_high": opacity["percent_high"] if opacity else None,
        "severity_score": opacity["severity"]["score"] if opacity else None,
        "quality": "; ".join(flag["code"] for flag in report["quality"]),
        "use": USE,
    }
    corrections = analysis.newest_corrections()
    rows = [
        {
            "slice": number,
            "sop_instance_uid": each["sop_instance_uid"],
            "z_mm": each["z_mm"],
            "lung_area_cm2": each["lung_area_cm2"],
            "probability": each["probability"],
            "positive": each["positive"],
            "activation_cm2": each["activation_cm2"],
            **of_study,
            **_of_reader(corrections.get(each["sop_instance_uid"])),
        }
        for number, each in enumerate(report["slices"], start=1)
    ]
    return _written(rows, list(rows[0]))


def _of_reader(said: SliceCorrection | None) -> dict[str, Any]:
    """Columns of a slice, empty where no reader said anything of it."""
    return {
        "reader_abnormal": said.abnormal if said else None,
        "reader": said.user.get_username() if said and said.user else None,
        "reader_at": said.created_at.isoformat(timespec="seconds") if said else None,
        "reader_reason": said.reason if said else None,
    }


def of_studies(rows: Iterable[Row]) -> str:
    """A row per study, as the worklist orders them; its numbers are those of its current result."""
    return _written(map(_of_study, rows), _columns_of_studies())


def _columns_of_studies() -> list[str]:
    """Also where there is no row to name them."""
    study = Study(patient=Patient(site=Site()))
    point = TimePoint(study, analysis=None, pending=None, failed=None, days_since_first=None)
    return list(_of_study(Row(study, point, findings_in_short={}, lesion_news={}, readings=())))


def _of_study(row: Row) -> dict[str, Any]:
    study, point, done = row.study, row.point, row.done
    return {
        "site": study.patient.site.code,
        "patient_id": study.patient.patient_id,
        "synthetic_patient": study.patient.synthetic,
        "age": study.age,
        "sex": study.patient.sex,
        "study_date": study.study_date,
        "days_since_first": point.days_since_first,
        "study_instance_uid": study.study_instance_uid,
        "state": point.analysis.state if point.analysis else None,
        "analysis": done.pk if done else None,
        "analysed_at": done.finished_at.isoformat(timespec="seconds") if done and done.finished_at else None,
        "models": _models(done.model_versions) if done else None,
        "suspected": done.suspected if done else None,
        "positive_ratio": done.positive_ratio if done else None,
        "corona_score_cm3": done.corona_score_cm3 if done else None,
        "corona_score_paper_cm3": done.corona_score_paper_cm3 if done else None,
        "relative_corona_score": point.relative_corona_score,
        "score_over_prior_score": row.change.factor if row.change else None,
        "opacity_percent_of_lung": done.opacity_percent if done else None,
        "lung_volume_ml": done.lung_volume_ml if done else None,
        "findings": row.findings.count if row.findings else None,
        "largest_finding_mm": row.findings.largest_mm if row.findings else None,
        "new_lesions": row.news["new"] if row.news is not None else None,
        "grown_lesions": row.news["grown"] if row.news is not None else None,
        "quality": "; ".join(flag["code"] for flag in done.quality) if done else None,
        "reader": study.reader.get_username() if study.reader else None,
        "report": row.report,
        "overruled_to_suspected": row.point.overruled,
        "use": USE,
    }


def _models(models: Iterable[dict[str, Any]]) -> str:
    return "; ".join(f"{model['name']} {model['version']} {model['sha256'][:12]}" for model in models)


def _written(rows: Iterable[dict[str, Any]], columns: list[str]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=columns)
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value

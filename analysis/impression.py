"""The text that is proposed for a report, from the numbers of the result: the reader changes what is not so."""

from collections.abc import Sequence

from . import formats
from .finding_reviews import rejected, reviewed
from .models import Analysis, Comparison
from .trend import TimePoint

MAX_FINDINGS = 3  # that are named, the largest


def proposed(point: TimePoint, points: Sequence[TimePoint], comparison: Comparison | None) -> str:
    """``point``: of a done analysis; ``points``: the patient's, from ``trend.trend``."""
    assert point.analysis is not None
    sentences = [
        _opacities(point.analysis),
        f"Corona score {formats.score_text(point.analysis.corona_score_cm3)}{_course(point)}.",
        _findings(point.analysis),
        _since_last(point.analysis, comparison),
        _caution(point.analysis),
    ]
    return "\n".join(sentence for sentence in sentences if sentence)


def _opacities(analysis: Analysis) -> str:
    slices = analysis.report["slices"]
    lung = sum(each["probability"] is not None for each in slices)
    positive = sum(each["positive"] is True for each in slices)
    if not analysis.suspected:
        return f"No extensive opacities as in COVID-19 ({positive} of {lung} lung slices abnormal)."
    opacity = analysis.report["opacity"]
    extent = f", {formats.opacity_text(opacity['percent_of_lung'])} of the lungs{_most(opacity)}" if opacity else ""
    return f"Opacities as in COVID-19 on {positive} of {lung} lung slices{extent}. Not specific to COVID-19."


def _most(opacity: dict) -> str:
    """The third of a lung with the largest share of opacity."""
    thirds = [each for each in opacity["regions"] if each["name"].split()[0] in ("right", "left")]
    thirds = [each for each in thirds if each["name"].split()[1] in ("upper", "middle", "lower")]
    worst = max(thirds, key=lambda each: each["percent"], default=None)
    return f", most in the {worst['name']} third" if worst and worst["percent"] > 0 else ""


def _course(point: TimePoint) -> str:
    parts = []
    for change, since in ((point.since_prior, "the last CT"), (point.since_first, "the first CT")):
        if change and change.factor is not None and change.before != change.now:
            parts.append(f"{formats.change_words(change)} since {since}")
    once = dict.fromkeys(parts) if point.prior != point.first else parts[:1]
    return f" ({'; '.join(once)})" if parts else ""


def _findings(analysis: Analysis) -> str:
    """Those that count: without the rejected ones, with those that readers marked."""
    findings = [each for each in reviewed(analysis) if each.present]
    if not findings:
        return "" if analysis.report["findings"] is None else "No nodule or focal opacity of 4 mm or more."
    largest = sorted(findings, key=lambda each: -each.long_axis_mm)[:MAX_FINDINGS]
    more = f", and {len(findings) - MAX_FINDINGS} smaller" if len(findings) > MAX_FINDINGS else ""
    return f"Focal findings: {'; '.join(formats.finding_in_short(each) for each in largest)}{more}."


def _since_last(analysis: Analysis, comparison: Comparison | None) -> str:
    if comparison is None or comparison.change is None:
        return ""
    day = formats.date_text(comparison.prior.series.study.study_date)
    return f"Compared with {day}: lesions {formats.lesion_counts(comparison.change, rejected(analysis))}."


def _caution(analysis: Analysis) -> str:
    severe = [flag["message"] for flag in analysis.quality if formats.is_severe(flag)]
    return f"Limited by the scan: {' '.join(severe)}" if severe else ""

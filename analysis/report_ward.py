"""The report's page for the ward: the decision, the scores, key images and the trend."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext, ngettext, pgettext
from reportlab.lib.colors import white
from reportlab.platypus import Flowable, Spacer, Table

from patients.models import Patient, Study

from . import finding_reviews, formats, lesion_words, words
from .models import Analysis, Comparison, SliceCorrection
from .report_course import course_section
from .report_findings import findings_in_short
from .report_images import ASPECT, MAX_SLICES, SliceImage, key_images
from .report_pictures import Picture, heading_with_legend
from .report_readers import overruled_slices, signed_readings
from .report_style import (
    FAINT,
    GAP,
    NOT_SUSPECTED,
    PALE,
    SUSPECTED,
    WIDTH,
    heading,
    paragraph,
    printable,
    short,
    table,
)
from .stored_text import stored_text
from .trend import TimePoint, point_of, since_last

PICTURE_WIDTH = {1: WIDTH * 0.4, 2: WIDTH * 0.36, 3: WIDTH * 0.3}  # by number of key slices
SMALLEST = {1: 0.55, 2: 0.55, 3: 0.65}  # of that, where the page holds much else; rather one pair than three tiny ones
AROUND_PICTURES, LINE = 60.0, 9.75  # points: title and captions, and a line more of these: what readers say, findings
SHORT_CAPTION = 2  # lines, without these
MAX_NAMED = 6  # findings on a slice that the line has room for
SHA256_DIGITS = 12


def sections(analysis: Analysis, points: Sequence[TimePoint], height: float) -> list[Flowable]:
    """The page's parts, which are ``height`` points high if they can; ``points``: the patient's time points, from
    ``trend.trend``. What readers wrote is whole: where it is long, the method gives way, then pictures but the first.
    """
    patient = analysis.series.study.patient
    mismatch = analysis.series.study.accepted_mismatch
    findings = finding_reviews.reviewed(analysis)
    counting = [each for each in findings if each.present]
    instead_mm = finding_reviews.instead_mm(analysis, findings)
    images = key_images(analysis, counting, instead_mm)
    marked = point_of(points, analysis)
    above = [
        _facts(analysis, images),
        *_unprintable_name(patient),
        *([paragraph(stored_text(mismatch))] if mismatch else []),
        Spacer(0, GAP),
        _decision(analysis),
        *_to_check(analysis),
        *signed_readings(analysis),
        Spacer(0, GAP),
        _numbers(analysis, marked, points),
        *findings_in_short(analysis, findings),
        *overruled_slices(analysis),
        *_since_last(since_last(points, analysis)),
    ]
    course = course_section(marked, points, patient)
    for brief, shown in ((False, images), (True, images), (True, _most_affected(analysis, images))):
        below = [*course, *_method_section(analysis, brief=brief)]
        room = height - sum(part.wrap(WIDTH, height)[1] for part in [*above, *below])
        if room >= _least_height(analysis, shown):
            break
    title = _images_title(analysis, len(shown), has_findings=bool(counting), to_check=instead_mm is not None)
    return [*above, *_image_section(analysis, shown, title, room), *below]


def _most_affected(analysis: Analysis, images: Sequence[SliceImage]) -> list[SliceImage]:
    """The one of most activation; none of none."""
    slices = analysis.report["slices"]
    return sorted(images, key=lambda image: -(slices[image.number - 1]["activation_cm2"] or 0))[:1]


def _around(analysis: Analysis, images: Sequence[SliceImage]) -> float:
    """Points of title and captions."""
    said = analysis.newest_corrections()
    lines = [len(_caption(analysis, image, said)) for image in images]
    return AROUND_PICTURES + LINE * max(0, max(lines, default=0) - SHORT_CAPTION)


def _least_height(analysis: Analysis, images: Sequence[SliceImage]) -> float:
    """Points that key slices need; a sentence where there are none."""
    pictures = len(images)
    rows = min(2, pictures)
    return _around(analysis, images) + (rows * SMALLEST[pictures] * PICTURE_WIDTH[pictures] / ASPECT if pictures else 0)


def _facts(analysis: Analysis, images: Sequence[SliceImage]) -> Table:
    """Patient on the left, study on the right."""
    series = analysis.series
    study, patient = series.study, series.study.patient
    name = short(patient.display_name)
    if patient.synthetic:
        name = gettext("%(name)s (synthetic patient)") % {"name": name}
    issuer = f" ({short(patient.issuer_of_patient_id)})" if patient.issuer_of_patient_id else ""
    date, time = formats.date_text(study.study_date), f", {study.study_time:%H:%M}" if study.study_time else ""
    taken = gettext("%(date)s (entered by hand)") % {"date": date} if study.dated_by_hand else f"{date}{time}"
    series_words = [short(text) for text in (series.description, series.convolution_kernel) if text]
    left = [
        (gettext("Patient"), name),
        (gettext("Patient ID"), short(patient.patient_id) + issuer),
        (gettext("Born"), formats.date_text(patient.birth_date) if patient.birth_date else gettext("not given")),
        (gettext("Age, sex"), f"{_age(study)}, {words.SEXES.get(patient.sex, words.NO_SEX)}"),
    ]
    right = [
        (pgettext("date", "CT of"), taken),
        (gettext("Study"), short(study.description.replace("^", " ")) or gettext("no description")),
        (gettext("Series"), ", ".join(series_words) or gettext("no description")),
        (gettext("Slices"), _slices_words(analysis, images)),
    ]
    rows = [
        [
            paragraph(text, 8, FAINT) if column in (0, 2) else paragraph(text, 8.5, bold=row == 0)
            for column, text in enumerate((*one, *other))
        ]
        for row, (one, other) in enumerate(zip(left, right, strict=True))
    ]
    half = WIDTH / 2
    return table(rows, [54, half - 54, 54, half - 54])


def _age(study: Study) -> str:
    years = study.age
    if years is None:
        return gettext("age not known")
    return ngettext("%(count)s year at the scan", "%(count)s years at the scan", years) % {"count": years}


def _slices_words(analysis: Analysis, images: Sequence[SliceImage]) -> str:
    parts = [str(len(analysis.report["slices"])), formats.apart_text(analysis.slice_spacing_mm)]
    if images and (spacing := images[0].header.pixel_spacing_mm):
        size = f"{formats.number_text(spacing[0], 2)} × {formats.spacing_text(spacing[1])}"
        parts.append(gettext("pixels %(size)s") % {"size": size})
    return ", ".join(parts)


def _unprintable_name(patient: Patient) -> list[Flowable]:
    if printable(patient.display_name) == unicodedata.normalize("NFC", patient.display_name):
        return []
    sentence = gettext("The name holds characters that this report cannot print (shown as ?): go by the patient ID.")
    return [paragraph(sentence, 8, SUSPECTED)]


def _decision(analysis: Analysis) -> Table:
    """What a reader signed leads; the networks' word stays beside it."""
    headline = gettext("Suspected") if analysis.suspected else gettext("Not suspected")
    said = formats.decision_words(analysis)
    reader = analysis.overruled
    if reader is not None:
        said = (
            gettext("The networks: suspected. %(words)s")
            if analysis.suspected
            else gettext("The networks: not suspected. %(words)s")
        ) % {"words": said}
        headline = gettext("Reader: suspected") if reader else gettext("Reader: not suspected")
    colour = SUSPECTED if (analysis.suspected if reader is None else reader) else NOT_SUSPECTED
    return table(
        [[paragraph(headline, 10.5, white, bold=True), paragraph(said, 8.5, white)]],
        [WIDTH * 0.2, WIDTH * 0.8],
        ("BACKGROUND", (0, 0), (-1, -1), colour),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        pad=8,
    )


def _to_check(analysis: Analysis) -> list[Flowable]:
    """What must be looked at before the numbers are believed."""
    severe = [stored_text(flag["message"]) for flag in formats.to_check(analysis.quality)]
    check = gettext("Check: %(remark)s")
    return [paragraph(check % {"remark": remark}, 8.5, SUSPECTED, bold=True) for remark in severe]


def _numbers(analysis: Analysis, marked: TimePoint | None, points: Sequence[TimePoint]) -> Table:
    relative = marked.relative_corona_score if marked else None
    opacity, counts = analysis.report["opacity"], analysis.slice_counts
    cells = [
        (
            gettext("Corona score"),
            formats.score_text(analysis.corona_score_cm3),
            gettext("heat map above %(density)s") % {"density": formats.limit_text(analysis.report, "gate_hu")},
        ),
        (gettext("Relative Corona score"), formats.relative_text(relative), formats.relative_note(marked, points)),
        (
            gettext("Score as in the paper"),
            formats.score_text(analysis.corona_score_paper_cm3),
            gettext("heat map of any density"),
        ),
        (gettext("Opacity"), formats.opacity_text(opacity and opacity["percent_of_lung"]), _opacity_note(opacity)),
        (gettext("Lung volume"), formats.volume_text(analysis.lung_volume_ml), gettext("both lungs")),
        (
            gettext("Positive slices"),
            gettext("%(some)s of %(all)s") % {"some": counts["positive"], "all": counts["lung"]},
            gettext("slices that show lung"),
        ),
    ]
    row = [
        [paragraph(label, 7.5, FAINT), Spacer(0, 3), paragraph(value, 12.5, bold=True), paragraph(note, 7, FAINT)]
        for label, value, note in cells
    ]
    return table(
        [row],
        [WIDTH / len(cells)] * len(cells),
        ("BACKGROUND", (0, 0), (-1, -1), PALE),
        ("LINEAFTER", (0, 0), (-2, -1), 0.5, white),
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        pad=6,
    )


def _opacity_note(opacity: dict[str, Any] | None) -> str:
    return formats.opacity_note(opacity) if opacity else gettext("not measured by the networks of that time")


def _since_last(comparison: Comparison | None) -> list[Flowable]:
    """What changed, or why that cannot be said; nothing while the two are being compared."""
    if comparison is None:
        return []
    change = finding_reviews.reviewed_change(comparison)
    day = formats.date_text(comparison.prior.series.study.study_date)
    if change is None:
        failed = gettext("Since %(day)s: %(reason)s") % {"day": day, "reason": stored_text(comparison.error)}
        return [paragraph(failed, 8)] if comparison.error else []
    said = gettext("Since %(day)s: lesions: %(lesions)s; opacity: %(opacity)s.") % {
        "day": day,
        "lesions": lesion_words.lesion_counts(change),
        "opacity": lesion_words.opacity_change_words(change),
    }
    worse = lesion_words.news_in_short(change)
    check = gettext("Check the CT of %(day)s: %(reason)s")
    before = [
        {"day": day, "reason": stored_text(flag["message"])} for flag in formats.to_check(comparison.prior.quality)
    ]
    remarks = [*(stored_text(flag["message"]) for flag in change["quality"]), *(check % one for one in before)]
    return [paragraph(" ".join(filter(None, [said, worse, lesion_words.rejected_note(change), *remarks])), 8)]


def _image_section(analysis: Analysis, images: Sequence[SliceImage], title: str, room: float) -> list[Flowable]:
    """As large as the ``room`` allows, in points of height."""
    if not images:
        sentence = gettext(
            "The stored images or their heat map could not be read, so none are shown. Tell your administrator."
        )
        return [*heading(gettext("Key images")), paragraph(sentence)]
    largest, rows_of_pictures = PICTURE_WIDTH[len(images)], min(2, len(images))
    fitting = (room - _around(analysis, images)) / rows_of_pictures * ASPECT
    width = min(largest, max(fitting, SMALLEST[len(images)] * largest))
    said = analysis.newest_corrections()
    captions = [[paragraph(line, 7.5, FAINT) for line in _caption(analysis, image, said)] for image in images]
    ct = [Picture(image, image.ct, width) for image in images]
    overlays = [Picture(image, image.overlay, width) for image in images]
    if len(images) < MAX_SLICES:
        rows = [list(row) for row in zip(ct, overlays, captions, strict=True)]
        widths = [width + GAP, width + GAP, WIDTH - 2 * (width + GAP)]
    else:
        rows, widths = [ct, overlays, captions], [largest + GAP] * len(images)
    grid = table(rows, widths, ("BOTTOMPADDING", (0, 0), (-1, -1), 3))
    return [*heading_with_legend(title), Spacer(0, 3), grid]


def _images_title(analysis: Analysis, count: int, *, has_findings: bool, to_check: bool) -> str:
    positive = analysis.slice_counts["positive"]
    if not positive and has_findings:
        return gettext("Slice of the largest finding (no slice is positive)")
    if not positive and to_check:
        return gettext("Slice to check (no slice is positive)")
    if not positive:
        return gettext("Middle of the lungs (no slice is positive)")
    if count == 1:
        return gettext("Most affected slice")
    return gettext("Most affected slices, apart from each other")


def _caption(analysis: Analysis, image: SliceImage, corrections: dict[str, SliceCorrection]) -> list[str]:
    """``corrections``: what readers last said of slices, by SOP instance UID."""
    slices = analysis.report["slices"]
    this = slices[image.number - 1]
    place = {"number": image.number, "all": len(slices), "z": formats.position_text(this["z_mm"])}
    lines = [gettext("Slice %(number)s of %(all)s, z %(z)s") % place]
    if this["probability"] is None:
        return lines + _outlined_words(image)
    said = gettext("Probability %(probability)s") % {"probability": formats.ratio_text(this["probability"])}
    if this["positive"]:
        activation = {"said": said, "area": formats.area_text(this["activation_cm2"])}
        said = gettext("%(said)s, activation %(area)s") % activation
    if correction := corrections.get(this["sop_instance_uid"]):
        overruled = gettext("Reader: abnormal") if correction.abnormal else gettext("Reader: normal")
        return [*lines, said, overruled, *_outlined_words(image)]
    return [*lines, said, *_outlined_words(image)]


def _outlined_words(image: SliceImage) -> list[str]:
    """What is drawn in green, a line where there is some."""
    numbers = [f"#{number}" for number in image.outlined[:MAX_NAMED]] + ["…"] * (len(image.outlined) > MAX_NAMED)
    return [gettext("Green: findings %(numbers)s") % {"numbers": ", ".join(numbers)}] if numbers else []


def _method_section(analysis: Analysis, *, brief: bool) -> list[Flowable]:
    """``brief``: without the method, which the full report and the help page tell too."""
    report = analysis.report
    method = gettext(
        "A U-Net finds the lungs, and a ResNet rates each slice of them and draws its heat map (0 to 1), whose area "
        "× height is the slice's activation; the Corona score adds up heat map × voxel volume over the positive "
        "slices where the tissue is denser than %(gate)s, the paper's score (Gozes et al. 2020) without that limit. "
        "The positive ratio is positive ÷ lung slices, the Relative Corona score is score ÷ score of the first time "
        "point, and distances come from the slice positions. Opacity is what a third network outlines on all lung "
        "slices, dense what of it lies above %(high)s; severity adds 0 to 4 points for each third of each lung. "
        "Slices thinner than 4 mm are averaged in groups of about 4 mm. Known false marks: the dome of the diaphragm, "
        "the apices of the lungs, fat beside the heart, stomach and bowel under the left diaphragm."
    ) % {"gate": formats.limit_text(analysis.report, "gate_hu"), "high": formats.limit_text(analysis.report, "high_hu")}
    quality = [stored_text(flag["message"]) for flag in report["quality"]] or [gettext("No remarks.")]
    models = "; ".join(
        f"{each['name']} {each['version']} ({each['sha256'][:SHA256_DIGITS]})" for each in report["models"]
    )
    analysed = formats.moment_text(analysis.finished_at, analysis.series.study.patient.site.time_zone)
    software = f"CoronaTrend {report.get('software_version', '')}".strip()  # earlier versions do not say which they are
    made = gettext("Analysed %(when)s by %(software)s with the model files %(models)s.") % {
        "when": analysed,
        "software": software,
        "models": models,
    }
    return [
        *heading(gettext("Quality of the scan")),
        *(paragraph(sentence, 8) for sentence in quality),
        *([] if brief else [*heading(gettext("How the numbers were computed")), paragraph(method, 7.5)]),
        Spacer(0, 2),
        paragraph(made, 7.5, FAINT),
    ]

"""Results in German: words with their grammar, numbers with a decimal comma; machine data as ever."""

import datetime
import io
import re
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import translation
from pypdf import PdfReader

from analysis import formats, lesion_words, services, words
from analysis.about import CHARTS, cases, figures
from analysis.charts import trend_figures
from analysis.finding_reviews import reviewed, say_of
from analysis.impression import proposed
from analysis.models import Analysis, Comparison
from analysis.pipeline import regions
from analysis.stored_text import stored_text
from analysis.trend import trend
from patients.models import Patient, Series, Study
from tests.analysis.finished import FINDINGS, finished_analysis, signed_reading
from tests.analysis.pages import DAY, patient_page, study_page
from tests.analysis.test_comparisons import CHANGE
from tests.analysis.test_formats import lesion

GERMAN = {"Accept-Language": "de"}


@pytest.fixture
def german():
    with translation.override("de"):
        yield


@pytest.fixture
def course(site, tmp_path):
    """Two results of one patient and their comparison."""
    patient = Patient.objects.create(site=site, patient_id="P-17", patient_name="Doe^Jane")
    first = finished_analysis(patient, tmp_path / "1", date=DAY, activation_cm2={5: 12.0, 6: 8.5})
    second = finished_analysis(
        patient, tmp_path / "2", date=DAY + datetime.timedelta(days=9), activation_cm2={5: 3.0, 6: 2.0, 7: 1.5}
    )
    Comparison.objects.create(analysis=second, prior=first, days=9, state="DONE", change=CHANGE)
    return SimpleNamespace(patient=patient, first=first, second=second, comparison=Comparison.objects.get())


def test_every_kind_and_place_of_a_finding_has_words():
    assert {texture for texture, _ in words.FINDINGS} == {"solid", "part-solid", "ground-glass"}
    assert {kind for _, kind in words.FINDINGS} == set(words.KINDS)
    assert len(words.FINDINGS) == 9
    assert {f"{lung} {zone}" for lung, zone in words.PLACES} == set(words.MOST_IN) == set(regions.ZONES)


@pytest.mark.parametrize(
    ("texture", "kind", "said"),
    [
        ("solid", "nodule", "Solider Rundherd"),
        ("solid", "mass", "Solide Raumforderung"),
        ("ground-glass", "focal opacity", "Fokale Milchglasverdichtung"),
    ],
)
def test_a_finding_is_named_with_german_endings(german, texture, kind, said):
    finding = {"kind": kind, "texture": texture, "calcified": False, "lung": "right", "zone": "upper"}
    assert formats.finding_words(finding) == f"{said}, rechte Lunge, oberes Drittel"
    assert formats.finding_words(finding | {"calcified": True}) == f"{said}, verkalkt, rechte Lunge, oberes Drittel"


def test_measures_have_a_decimal_comma(german):
    assert formats.finding_measures(FINDINGS[0]) == "14,2 × 11,0 mm, 1,21 ml, −312 HU, Konfidenz 0,97"
    assert formats.score_text(0.04) == "< 0,1 cm³"
    assert formats.position_text(-192.14) == "−192,1 mm"
    assert formats.position_text(-0.01) == "0,0 mm"
    assert formats.percent_text(0.1234, 1) == "12,3 %"
    assert formats.date_text(DAY) == "05.03.2020"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (lesion("grown", 2), "Herdbefund 2: gewachsen"),
        (lesion("resolved"), "Nicht mehr nachweisbar: Rundherd, linke Lunge, oberes Drittel"),
        (lesion("part of another", 4, part_of=1), "Herdbefund 4: damals Teil einer anderen Läsion"),
        (
            lesion("part of another", part_of=1),
            "Verschmolzen oder zerfallen, siehe Herdbefund 1: Rundherd, linke Lunge, oberes Drittel",
        ),
    ],
)
def test_what_became_of_a_lesion(german, one, said):
    assert lesion_words.lesion_words(one) == said


def test_changes_of_lesions_and_opacity(german):
    grown = lesion("grown", 1, before=0.52, now=1.21, percent=132.7, days=74.2, prior=3)
    assert lesion_words.lesion_measures(grown) == "#3 0,52 ml → #1 1,21 ml, +133 %, Volumenverdopplungszeit 74 Tage"
    rejected = [lesion("new", number, rejected="now") for number in (4, 5)]
    change = {"lesions": [grown, lesion("new", 2), lesion("new", 3), *rejected]}
    assert lesion_words.lesion_counts(change) == "2 neu, 1 gewachsen"
    assert (
        lesion_words.rejected_note(change)
        == "2 auf einem der beiden CTs vom Befunder verworfene sind nicht mitgezählt."
    )
    assert lesion_words.opacity_change_words({"worse_ml": 120, "better_ml": 35, "unchanged_ml": 80}) == (
        "120 ml neu verdichtet oder dichter und 35 ml aufgehellt oder weniger dicht (jenseits von 3 mm), "
        "80 ml unverändert"
    )


def test_flags_and_regions(german):
    flags = [{"code": code, "message": "…"} for code in ("noise", "lungs_cut_off")]
    assert formats.quality_text(flags) == "prüfen: Lunge abgeschnitten; Hinweis: Rauschen"
    names = [f"{side} {third}" for side in ("right", "left") for third in ("upper", "middle", "lower")]
    names += ["upper thirds", "middle thirds", "lower thirds", "right lung", "left lung"]
    rows = formats.opacity_rows({"regions": [{"name": name, "percent": 1.25} for name in names], "percent_of_lung": 2})
    assert rows[0] == ("Oben", ["1,2 %"] * 3)
    assert [name for name, _ in rows] == ["Oben", "Mitte", "Unten", "Gesamt"]


@pytest.mark.django_db
def test_decision_and_course(german, course):
    assert formats.decision_words(course.second) == (
        "3 von 18 Lungenschichten auffällig: Positivrate 0,17, über dem Schwellenwert von 0,10. "
        "Nicht spezifisch für COVID-19: Auch andere Lungenerkrankungen werden markiert."
    )
    first, second = points = trend(course.patient)
    assert (
        formats.relative_words(second, points)
        == "0,32 (−68 % seit 05.03.2020; jetzt so niedrig wie bei gesunder Lunge)"
    )
    assert formats.relative_words(first, points) == "1,00 (dies ist der erste Zeitpunkt)"
    assert formats.relative_words(None, points) == "nicht definiert: für diesen Zeitpunkt gilt eine andere Analyse"
    Analysis.objects.update(score_variation=1.0)
    *_, noisy = points = trend(course.patient)
    assert formats.relative_words(noisy, points) == "0,32 (−68 % seit 05.03.2020; innerhalb des Messrauschens)"


@pytest.mark.django_db
def test_what_readers_say_of_findings(german, course):
    one = reviewed(course.second)[0]
    assert formats.finding_in_short(one) == "Teilsolider Rundherd, linke Lunge, oberes Drittel (14,2 × 11,0 mm)"
    assert formats.review_words(one) == "bestätigt"
    marked = SimpleNamespace(finding=None, long_axis_mm=48.9)
    assert formats.finding_in_short(marked) == "vom Befunder markierter Herd (48,9 mm)"


@pytest.mark.django_db
def test_the_proposed_report(german, course):
    points = trend(course.patient)
    assert proposed(points[1], course.comparison)[bool(points[1].analysis.suspected)].splitlines() == [
        "Verdichtungen wie bei COVID-19 auf 3 von 18 Lungenschichten, 12,4 % der Lunge, am stärksten im unteren "
        "Drittel rechts. Nicht spezifisch für COVID-19.",
        "Corona-Score 3,2 cm³ (−68 % gegenüber der Voruntersuchung, jetzt so niedrig wie bei gesunder Lunge).",
        "Herdbefunde: Teilsolider Rundherd, linke Lunge, oberes Drittel (14,2 × 11,0 mm); Solider Rundherd, "
        "verkalkt, rechte Lunge, unteres Drittel (7,1 × 6,8 mm).",
        "Läsionen seit 05.03.2020: 1 gewachsen, 1 nicht mehr nachweisbar, 1 Teil einer anderen. Herdbefund 1: "
        "gewachsen (#2 0,61 ml → #1 1,21 ml, +100 %, Volumenverdopplungszeit 30 Tage). Die Lunge hat das 1,5-Fache "
        "ihres früheren Volumens: Schon eine andere Atemtiefe ändert Dichten und Volumina.",
    ]


@pytest.mark.django_db
def test_the_charts_words_and_numbers(german, course):
    figures = trend_figures(trend(course.patient))
    relative = figures["date"]["relative"]
    assert relative["layout"]["separators"] == ",."
    assert relative["layout"]["xaxis"]["title"]["text"] == "Datum"
    assert relative["layout"]["xaxis"]["tickformat"] == "%d.%m.%Y"  # no English months
    assert relative["layout"]["yaxis"]["title"]["text"] == "Relativer Corona-Score"
    second = relative["data"][2]
    assert second["customdata"][1][1:4] == [
        "14.03.2020 · Tag 9",
        "3,2 cm³",
        "0,32 (−68 %; jetzt so niedrig wie bei gesunder Lunge)",
    ]
    assert second["customdata"][1][4] == "Verdacht · Hinweis: dicke Schichten"
    assert "relativ %{customdata[3]}" in second["hovertemplate"]
    assert second["y"][1] == pytest.approx(3.25 / 10.25)


def test_the_figures_of_the_ai_follow_the_language_of_each_reader():
    english = figures()["roc"]["layout"]
    with translation.override("de"):
        german = figures()["roc"]["layout"]
        assert {case.suspected for case in cases()} >= {"ja", "nein"}
        assert str(CHARTS[0][1]) == "Auffällige Schichten finden"
    assert (english["yaxis"]["title"]["text"], english["separators"]) == ("Sensitivity", ".,")
    assert (german["yaxis"]["title"]["text"], german["separators"]) == ("Sensitivität", ",.")
    assert {case.suspected for case in cases()} >= {"yes", "no"}


def report_of(client, analysis, **query):
    """The text of the PDF that a German browser gets, and its title, with single spaces."""
    answer = client.get(reverse("report_pdf", args=[analysis.pk]), query, headers=GERMAN)
    pdf = PdfReader(io.BytesIO(b"".join(answer) if answer.streaming else answer.content))
    return " ".join(" ".join(page.extract_text() for page in pdf.pages).split()), pdf


def test_the_report_is_in_the_language_of_who_asks_for_it(client, user, course):
    client.force_login(user)
    text, pdf = report_of(client, course.second)
    for said in (
        "Nur für Forschungszwecke, nicht zur Diagnose", "CT vom 14.03.2020", "20, Abstand 5,00 mm",
        "Pixel 4,00 × 4,00 mm",
        "Verdacht 3 von 18 Lungenschichten auffällig: Positivrate 0,17, über dem Schwellenwert von 0,10",
        "3,2 cm³", "0,32 −68 % seit 05.03.2020", "1624 ml", "Schicht 6 von 20, z −125,0 mm Wahrscheinlichkeit 0,90",
        "Teilsolider Rundherd, linke Lunge, oberes Drittel: 14,2 × 11,0 mm, 1,21 ml, −312 HU, Konfidenz 0,97",
        "Seit 05.03.2020: Läsionen: 1 gewachsen, 1 nicht mehr nachweisbar, 1 Teil einer anderen",
        "Heatmap, gezeichnet ab 0,2", "Relativer Corona-Score", "Tag 9", "noch nicht befundet",
    ):  # fmt: skip
        assert said in text
    assert pdf.metadata.title == "CoronaTrend, Bericht, CT vom 14.03.2020"
    assert pdf.trailer["/Root"]["/Lang"] == "de"


def test_the_report_counts_what_a_reader_rejected(client, user, course):
    client.force_login(user)
    say_of(course.first, user=user, number=1, present=False)
    assert "1 Herdbefund der Netze vom Befunder verworfen" in report_of(client, course.first)[0]
    say_of(course.first, user=user, number=2, present=False)
    assert "2 Herdbefunde der Netze vom Befunder verworfen" in report_of(client, course.first)[0]


def test_the_page_for_the_ward_stays_one_with_longer_words(client, user, course, tmp_path):
    client.force_login(user)
    many = {3: 20.0, 4: 60.4, 5: 59.0, 10: 40.0, 15: 30.0}
    last = finished_analysis(
        course.patient, tmp_path / "3", date=DAY + datetime.timedelta(days=20), activation_cm2=many
    )
    Comparison.objects.create(analysis=last, prior=course.second, days=11, state="DONE", change=CHANGE)
    text, pdf = report_of(client, last)
    assert text.count("von 20, z ") == 3
    assert len(pdf.pages) == 1


def test_the_full_report_has_no_english_left(client, user, course):
    client.force_login(user)
    sop = course.second.report["slices"][6]["sop_instance_uid"]
    services.correct(course.second, user=user, sop_instance_uid=sop, abnormal=False, reason="Atelektase.")
    text, _ = report_of(client, course.second, pages="all")
    assert "Seite 2 / " in text
    assert "1 Schicht vom Befunder anders beurteilt: 1 unauffällig (Schicht 7)" in text
    assert "Der Anteil der Lunge, den ein drittes Netz" in text
    assert "0,50 ist halb so viel" in text
    assert "ab 5, 25, 50 und 75 %)" in text
    stored = [flag["message"] for flag in (*course.second.quality, *CHANGE["quality"])]  # no pipeline wrote these
    for words_of_the_test in (*stored, "lung-unet"):
        text = text.replace(words_of_the_test, "")
    assert re.findall(r"\b(?:the|of|and|slices?|lungs?|reader)\b", text) == []


def test_a_reader_who_is_gone_is_named_in_the_case_that_the_sentence_asks_for(client, user, course):
    gone = User.objects.create_user("gone")
    say_of(course.second, user=gone, number=1, present=True)
    signed_reading(course.second, gone, reason="Atelektase.", impression="Frei.", signed_by="")
    gone.delete()
    client.force_login(user)
    text, _ = report_of(client, course.second, pages="all")
    assert "gelöschtes Konto: bestätigt" in text
    assert "Befund, signiert von einem gelöschten Konto am" in text
    page = client.get(study_page(course.second), headers=GERMAN).content.decode()
    assert "Befund, signiert von einem gelöschten Konto am" in page
    assert "Entscheidung des Befunders: kein Verdacht, anders als die Netze." in page
    assert "20 Schichten, Abstand 5,00 mm" in page


@pytest.mark.parametrize("language", ["en-gb", "de"])
def test_where_nothing_was_stored_nothing_is_said(language):
    with translation.override(language):
        assert stored_text("") == ""


def test_pages_say_it_in_german(client, user, course):
    client.force_login(user)
    study = client.get(study_page(course.second), headers=GERMAN).content.decode()
    for said in (
        "3,2 cm³",
        "0,32 (−68 % seit 05.03.2020; jetzt so niedrig wie bei gesunder Lunge)",
        "Teilsolider Rundherd, linke Lunge, oberes Drittel",
    ):
        assert said in study
    patient = client.get(patient_page(course.patient), headers=GERMAN).content.decode()
    assert "Hinweis: dicke Schichten" in patient
    home = client.get(reverse("pages:home"), headers=GERMAN).content.decode()
    assert "Zu befunden" in home


@pytest.mark.parametrize(
    ("sex", "english", "german"), [("F", "F", "W"), ("M", "M", "M"), ("O", "O", "D"), ("", "", "")]
)
def test_lists_abbreviate_the_sex(client, user, course, sex, english, german):
    client.force_login(user)
    Patient.objects.update(sex=sex, birth_date=datetime.date(1980, 1, 2))
    for address in (reverse("pages:home"), reverse("pages:patients")):
        for headers, letter in (({}, english), (GERMAN, german)):
            page = client.get(address, headers=headers).content.decode()
            assert f'<td class="number">40 {letter}</td>' in page


@pytest.mark.parametrize(("sex", "english", "german"), [("F", "female", "weiblich"), ("O", "other", "divers")])
def test_page_and_paper_write_the_sex_alike(client, user, course, sex, english, german):
    client.force_login(user)
    Patient.objects.update(sex=sex)
    for headers, word in (({}, english), (GERMAN, german)):
        page = client.get(reverse("pages:patient", args=[course.patient.pk]), headers=headers).content.decode()
        assert f"<span>{word}</span>" in page
        paper = PdfReader(
            io.BytesIO(client.get(reverse("report_pdf", args=[course.second.pk]), headers=headers).content)
        )
        assert f", {word}" in paper.pages[0].extract_text()


def test_the_list_of_patients_counts_what_waits(client, user, course):
    client.force_login(user)
    for waiting, said in ((2, "und 1 weitere wartet<"), (3, "und 2 weitere warten<")):
        for number in range(waiting):
            study, _ = Study.objects.get_or_create(patient=course.patient, study_instance_uid=f"1.9.{number}")
            study.chosen_series, _ = Series.objects.get_or_create(
                study=study, series_instance_uid=f"1.9.{number}.1", usable=True
            )
            study.save()
            Analysis.objects.get_or_create(series=study.chosen_series)
        assert said in client.get(reverse("pages:patients"), headers=GERMAN).content.decode()


def test_what_machines_read_is_the_same_in_every_language(client, user, course):
    client.force_login(user)
    for address in (
        reverse("results_csv", args=[course.second.pk]),
        reverse("pages:worklist_csv"),
        f"/api/v1/analyses/{course.second.pk}/",
        f"/api/v1/patients/{course.patient.pk}/trend/",
        "/api/v1/findings/",
        "/api/v1/studies/",
    ):
        german, english = (client.get(address, headers={"Accept-Language": language}) for language in ("de", "en"))
        assert (german.status_code, german.content) == (200, english.content), address


def test_the_scan_that_scripts_read_has_decimal_points(client, user, course):
    client.force_login(user)
    page = client.get(study_page(course.second), headers=GERMAN).content.decode()
    assert '"z_mm": -105.0' in page
    assert 'data-finding-z="-124.0"' in page
    assert 'data-finding-at="60.5 -20.0 -124.0 "' in page

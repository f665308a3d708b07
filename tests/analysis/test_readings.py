"""The reader's report: drafts, signatures, addenda, and the text proposed."""

import datetime
import io

import pytest
from django.db import IntegrityError, transaction
from django.db.models import RestrictedError
from django.urls import reverse
from django.utils.translation import override
from pypdf import PdfReader

from analysis import finding_reviews, readings, services
from analysis.charts import trend_figures
from analysis.impression import proposed
from analysis.models import Analysis, Comparison, Reading
from analysis.services import Refusal
from analysis.trend import trend
from patients.models import Study
from tests.analysis.finished import finished_analysis
from tests.analysis.pages import DAY, HTMX, question, study_page
from tests.analysis.test_comparisons import CHANGE


@pytest.fixture
def study(analysis):
    return analysis.series.study


def seen(study):
    """What the open page knows: the newest reading and the result."""
    newest, result = study.readings.first(), Analysis.objects.filter(series__study=study).first()
    return {"seen": newest.token if newest else "", "result": result.pk}


def post(browser, study, action, **fields):
    fields = (
        seen(study) | {"suspected": "yes", "impression": "Ground-glass in the right lung.", "action": action} | fields
    )
    return browser.post(reverse("pages:save_reading", args=[study.pk]), fields, follow=True).content.decode()


def test_a_draft_is_saved_again_and_signed_once(browser, user, study, analysis):
    assert "Not reported" in browser.get(study_page(analysis)).content.decode()
    post(browser, study, "save", impression="Ground")
    page = post(browser, study, "save")
    assert "Draft of the report" in page
    (draft,) = Reading.objects.all()
    assert (draft.state, draft.version, draft.impression) == ("DRAFT", 1, "Ground-glass in the right lung.")
    assert "Version 1 is signed." in post(browser, study, "sign")
    (signed,) = Reading.objects.all()
    assert (signed.state, signed.reader, signed.analysis) == ("SIGNED", user, analysis)
    assert signed.signed_at is not None
    assert Study.objects.get().reader == user  # nobody had been asked to read it


def test_the_same_signature_twice_is_one(browser, study, analysis):
    fields = seen(study) | {"suspected": "yes", "impression": "Ground-glass."}
    assert "Version 1 is signed." in post(browser, study, "sign", **fields)
    again = post(browser, study, "sign", **fields)
    assert "Somebody else wrote" not in again
    assert "not saved yet" not in again
    assert Reading.objects.count() == 1
    assert "Somebody else wrote" in post(browser, study, "sign", **fields | {"impression": "Another text."})


def test_a_signature_keeps_its_name(browser, user, study, analysis):
    post(browser, study, "sign")
    user.username = "married"
    user.save()
    assert "signed by ward on" in browser.get(study_page(analysis)).content.decode()
    Reading.objects.update(reader=None)  # as when the user is deleted
    assert "signed by ward on" in browser.get(study_page(analysis)).content.decode()


def test_a_report_without_a_decision_is_not_taken(browser, study):
    fields = seen(study) | {"impression": "Ground-glass.", "action": "sign"}
    assert browser.post(reverse("pages:save_reading", args=[study.pk]), fields).status_code == 404
    assert not Reading.objects.exists()


def test_what_could_not_be_saved_waits_for_its_own_page(browser, patient, study, analysis, tmp_path):
    other = finished_analysis(patient, tmp_path / "other", date=DAY + datetime.timedelta(days=3))
    fields = seen(study) | {"seen": "old", "suspected": "yes", "impression": "What I typed.", "action": "sign"}
    browser.post(reverse("pages:save_reading", args=[study.pk]), fields)
    assert "What I typed." not in browser.get(study_page(other)).content.decode()
    assert "What I typed." in browser.get(study_page(analysis)).content.decode()
    assert "What I typed." not in browser.get(study_page(analysis)).content.decode()


def test_a_signature_reads_the_same_on_page_and_paper_in_the_time_of_the_site(browser, site, study, analysis):
    site.time_zone = "Europe/Berlin"
    site.save()
    post(browser, study, "sign")
    before_midnight = datetime.datetime(2026, 3, 5, 23, 30, tzinfo=datetime.UTC)
    Reading.objects.update(signed_at=before_midnight)
    Analysis.objects.update(finished_at=before_midnight)
    page = browser.get(study_page(analysis)).content.decode()
    paper = PdfReader(io.BytesIO(browser.get(reverse("report_pdf", args=[analysis.pk])).content))
    printed = " ".join(paper.pages[0].extract_text().split())
    for text in (page, printed):
        assert "signed by ward on 6 Mar 2026, 00:30 CET" in text
    assert "<dd>6 Mar 2026, 00:30 CET</dd>" in page
    assert "Analysed 6 Mar 2026, 00:30 CET" in printed


def test_the_same_draft_saved_twice_is_saved_once(browser, study, analysis):
    fields = seen(study) | {"suspected": "yes", "impression": "Ground-glass."}
    assert "The draft is saved." in post(browser, study, "save", **fields)
    page = post(browser, study, "save", **fields)
    assert "Somebody else" not in page
    assert "not saved yet" not in page
    (draft,) = Reading.objects.all()
    assert draft.impression == "Ground-glass."
    assert "Somebody else" in post(browser, study, "save", **fields | {"impression": "Another text."})


def test_an_open_page_is_given_the_text_that_is_proposed_once_the_cts_are_compared(
    browser, patient, analysis, tmp_path
):
    later = finished_analysis(
        patient, tmp_path / "later", date=DAY + datetime.timedelta(days=9), activation_cm2={5: 19}
    )
    asked = question(browser, study_page(later))
    assert browser.get(asked, headers=HTMX).status_code == 204
    Comparison.objects.create(analysis=later, prior=analysis, days=9, state="DONE", change=CHANGE)
    answer = browser.get(asked, headers=HTMX)
    assert "Lesions since 5 Mar 2020" in answer.context["proposals"]["yes"]
    assert 'id="proposed" hx-swap-oob="true"' in answer.text


def test_an_open_page_hears_what_others_say_of_findings_and_slices(browser, user, analysis, django_user_model):
    other = django_user_model.objects.create_user("night", password="a-long-test-password")
    asked = question(browser, study_page(analysis))

    def told():
        return browser.get(asked, headers=HTMX).headers.get("HX-Trigger")

    finding_reviews.say_of(analysis, user=user, number=1, present=False)
    assert told() is None
    finding_reviews.say_of(analysis, user=other, number=1, present=True)
    assert told() == "said-elsewhere"
    asked = question(browser, study_page(analysis))
    assert told() is None
    slice_uid = analysis.report["slices"][5]["sop_instance_uid"]
    services.correct(analysis, user=other, sop_instance_uid=slice_uid, abnormal=False, reason="")
    assert told() == "said-elsewhere"


def test_what_is_signed_stays_and_an_addendum_follows_it(browser, study):
    post(browser, study, "sign")
    before = Reading.objects.values().get()
    page = post(browser, study, "save", impression="Also a fracture of the sixth rib.")
    assert "Draft of an addendum" in page
    page = post(browser, study, "sign", impression="Also a fracture of the seventh rib.")
    assert "Addendum, version 2" in page
    assert Reading.objects.filter(version=1).values().get() == before
    assert study.readings.first().impression == "Also a fracture of the seventh rib."


def test_what_a_colleague_wrote_meanwhile_is_neither_overwritten_nor_signed_nor_discarded(browser, study):
    before = seen(study)
    post(browser, study, "save", impression="A colleague's text.")
    for action in ("save", "sign"):
        page = post(browser, study, action, impression="My own text.", **before)
        assert "Somebody else wrote on this report meanwhile" in page
        assert "My own text." in page  # to go on with
        assert "A colleague&#x27;s text." in page
    assert "Somebody else" in post(browser, study, "discard", **before)
    assert Reading.objects.get().impression == "A colleague's text."
    assert "My own text." not in browser.get(reverse("pages:study", args=[study.pk])).content.decode()


def test_an_unsaved_text_waits_for_the_page_whatever_its_moving_parts_ask(browser, study, analysis):
    address = reverse("pages:save_reading", args=[study.pk])
    fields = {"suspected": "yes", "impression": "My own text.", "seen": "another", "result": analysis.pk}
    browser.post(address, fields | {"action": "save"})
    parts = browser.get(
        study_page(analysis), {"seen": "old", "on_show": f"{analysis.pk}-{analysis.series_id}"}, headers=HTMX
    )
    assert parts.status_code == 200
    assert "My own text." in browser.get(study_page(analysis)).content.decode()


def test_nothing_is_signed_twice(user, study, analysis):
    fields = {"user": user, "result": analysis.pk, "suspected": True, "reason": "", "impression": "Clear."}
    draft = readings.save_draft(study, seen="", **fields)
    readings.sign(draft, user=user)
    with pytest.raises(Refusal):
        readings.sign(draft, user=user)


def test_a_report_is_not_signed_on_a_result_that_its_reader_did_not_see(browser, study, analysis):
    before = seen(study)
    newer(analysis)
    page = post(browser, study, "sign", impression="Of the old numbers.", **before)
    assert "There is a newer result of this CT" in page
    assert "Of the old numbers." in page
    assert not Reading.objects.exists()


def newer(analysis, **fields):
    """A later result of the same series."""
    row = Analysis.objects.get(pk=analysis.pk)
    row.pk, row.created_at = None, analysis.created_at + datetime.timedelta(minutes=1)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    return row


def test_to_decide_otherwise_takes_a_reason_and_the_networks_decision_stays(browser, study, analysis):
    page = post(browser, study, "sign", suspected="no")
    assert "Say why you decide otherwise than the networks; the draft is kept." in page
    assert Reading.objects.get().state == "DRAFT"
    page = post(browser, study, "sign", suspected="no", reason="Dependent atelectasis.")
    assert "The reader decides: not suspected, otherwise than the networks." in page
    assert "Dependent atelectasis." in page
    assert 'name="reason" value="Dependent atelectasis."' in page  # an addendum overrules the networks as well
    analysis.refresh_from_db()
    assert analysis.suspected is True
    assert "reader; networks: suspected" in page
    printed = pdf(browser, analysis)
    assert "Reader: not suspected" in printed
    assert "The networks: suspected." in printed


def test_a_reader_who_agrees_after_all_gives_no_reason(browser, study, analysis):
    post(browser, study, "save", suspected="no", reason="Artefact.")
    assert Reading.objects.get().reason == "Artefact."
    pressed = seen(study) | {"suspected": "yes", "reason": "Artefact.", "impression": "Clear.", "action": "sign"}
    for _ in range(2):
        page = browser.post(reverse("pages:save_reading", args=[study.pk]), pressed, follow=True).text
    assert "meanwhile" not in page  # the button was pressed twice
    signed = Reading.objects.get()
    assert (signed.state, signed.overrules, signed.reason) == ("SIGNED", False, "")


def test_an_empty_report_is_not_signed_and_a_draft_is_discarded(browser, study):
    assert "without an impression" in post(browser, study, "sign", impression=" ")
    assert Reading.objects.get().state == "DRAFT"
    post(browser, study, "discard")
    assert not Reading.objects.exists()


def test_a_study_without_a_result_is_not_reported(browser, study):
    Analysis.objects.update(state="RUNNING", report=None)
    assert "nothing to report" in post(browser, study, "save")
    assert not Reading.objects.exists()


def test_a_report_on_an_earlier_result_says_so_and_what_its_reader_decided(browser, study, analysis):
    post(browser, study, "sign")
    later = newer(analysis, suspected=False)
    page = browser.get(study_page(later)).content.decode()
    assert "on another result than the one on show" in page
    assert "The reader decides: suspected, otherwise than the networks." in page
    assert "on another result than this one" in pdf(browser, later)


def test_a_signed_report_stays_on_the_page_while_a_ct_has_no_result(browser, study, analysis):
    post(browser, study, "sign", impression="Signed before.")
    Analysis.objects.update(state="FAILED", report=None)
    page = browser.get(study_page(analysis)).content.decode()
    assert "Signed before." in page
    assert "Save draft" not in page


def test_a_reported_result_is_not_deleted_but_with_its_patient(study, analysis):
    Reading.objects.create(study=study, version=1, analysis=analysis, suspected=True)
    with pytest.raises(RestrictedError):
        analysis.series.delete()
    study.patient.delete()
    assert not Reading.objects.exists()


def test_other_sites_write_no_report(client, stranger, study):
    client.force_login(stranger)
    assert client.post(reverse("pages:save_reading", args=[study.pk]), {"action": "save"}).status_code == 404
    assert not Reading.objects.exists()


def test_the_database_keeps_one_draft_and_no_signature_without_its_time(study, analysis):
    Reading.objects.create(study=study, version=1, analysis=analysis, suspected=True)
    for fields in ({"version": 2}, {"version": 3, "state": "SIGNED"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Reading.objects.create(study=study, analysis=analysis, suspected=True, **fields)


def test_the_proposed_text_says_what_the_numbers_say(patient, analysis, tmp_path):
    later = finished_analysis(
        patient, tmp_path / "later", date=DAY + datetime.timedelta(days=9), activation_cm2={5: 3.0, 6: 2.0, 7: 1.0}
    )
    comparison = Comparison.objects.create(analysis=later, prior=analysis, days=9, state="DONE", change=CHANGE)
    points = trend(patient)
    text = proposed(points[1], comparison)[bool(points[1].analysis.suspected)]
    assert text.splitlines() == [
        "Opacities as in COVID-19 on 3 of 18 lung slices, 12.4 % of the lungs, most in the right lower third. Not "
        "specific to COVID-19.",
        "Corona score 3.0 cm³ (−70 % since the last CT, as low as in healthy lungs now).",
        "Focal findings: Part-solid nodule, left lung, upper third (14.2 × 11.0 mm); Solid nodule, calcified, right "
        "lung, lower third (7.1 × 6.8 mm).",
        "Lesions since 5 Mar 2020: 1 grown, 1 resolved, 1 part of another. Finding 1: grown (#2 0.61 ml → #1 "
        "1.21 ml, +100 %, volume doubling time 30 days). The lungs have 1.5 times their former "
        "volume: a different depth of breath changes densities and volumes by itself.",
    ]


@pytest.mark.parametrize(
    ("language", "scores", "said"),
    [
        ("en", (100, 140), "Corona score 140.0 cm³ (+40 % since the last CT)."),
        ("en", (100, 105), "Corona score 105.0 cm³ (+5 % since the last CT, which is within the measurement noise)."),
        ("en", (100, 3), "Corona score 3.0 cm³ (−97 % since the last CT, as low as in healthy lungs now)."),
        ("en", (2, 3), "Corona score 3.0 cm³ (as low as in healthy lungs, like that of the last CT)."),
        ("en", (0, 60), "Corona score 60.0 cm³ (that of the last CT was as low as in healthy lungs)."),
        ("de", (100, 140), "Corona-Score 140,0 cm³ (+40 % gegenüber der Voruntersuchung)."),
        ("de", (100, 105), "Corona-Score 105,0 cm³ (+5 % gegenüber der Voruntersuchung, innerhalb des Messrauschens)."),
        ("de", (2, 3), "Corona-Score 3,0 cm³ (so niedrig wie bei gesunden Lungen, wie in der Voruntersuchung)."),
        ("de", (0, 60), "Corona-Score 60,0 cm³ (in der Voruntersuchung so niedrig wie bei gesunden Lungen)."),
    ],
)
def test_the_proposed_text_says_whether_a_change_means_something(patient, tmp_path, language, scores, said):
    for number, score in enumerate(scores):
        day = DAY + datetime.timedelta(days=9 * number)
        result = finished_analysis(patient, tmp_path / str(number), date=day)
        Analysis.objects.filter(pk=result.pk).update(corona_score_cm3=score, score_variation=0.05)
    points = trend(patient)
    with override(language):
        assert proposed(points[1], None)[bool(points[1].analysis.suspected)].splitlines()[1] == said


def test_the_proposed_text_says_where_the_reader_decides_otherwise(patient, analysis):
    (point,) = trend(patient)
    said = {decided: text.splitlines() for decided, text in proposed(point, None).items()}
    assert said[True][0].startswith("Opacities as in COVID-19 on 2 of 18 lung slices")
    assert said[False][0] == ("Not suspected, otherwise than the networks, which mark 2 of 18 lung slices as abnormal.")
    assert said[True][1:] == said[False][1:]


def test_the_proposed_text_of_healthy_lungs_is_short_and_warns_of_a_bad_scan(patient, tmp_path):
    healthy = finished_analysis(patient, tmp_path, date=DAY)
    flag = {"code": "lungs_cut_off", "message": "The scan ends inside the lungs.", "severe": True}
    Analysis.objects.filter(pk=healthy.pk).update(quality=[flag])
    (point,) = trend(patient)
    assert proposed(point, None)[bool(point.analysis.suspected)].splitlines() == [
        "No extensive opacities as in COVID-19 (0 of 18 lung slices abnormal).",
        "Corona score 0.0 cm³.",
        "Limited by the scan: The scan ends inside the lungs.",
    ]
    Analysis.objects.filter(pk=healthy.pk).update(quality=[])
    (point,) = trend(patient)
    assert proposed(point, None)[False].splitlines()[2:] == [
        "The networks list no nodule or focal opacity of 4 mm or more."
    ]


@pytest.mark.parametrize("code", ["dense_unmarked", "tissue_at_wall"])
def test_the_proposed_text_does_not_say_that_there_is_nothing_where_dense_tissue_is_not_marked(patient, tmp_path, code):
    healthy = finished_analysis(patient, tmp_path, date=DAY)
    Analysis.objects.filter(pk=healthy.pk).update(quality=[{"code": code, "message": "Look there.", "severe": True}])
    (point,) = trend(patient)
    assert proposed(point, None)[False].splitlines()[2:] == [
        "No nodule or focal opacity is listed, but there is dense tissue that nothing marks, see below.",
        "To be looked at: Look there.",
    ]


def test_the_proposed_text_says_that_an_earlier_result_is_to_be_checked(patient, analysis, tmp_path):
    later = finished_analysis(
        patient, tmp_path / "later", date=DAY + datetime.timedelta(days=9), activation_cm2={5: 19}
    )
    flags = [
        {"code": "tissue_at_wall", "message": "Look there.", "severe": True},
        {"code": "lungs_cut_off", "message": "The scan ends inside the lungs.", "severe": True},
    ]
    Analysis.objects.filter(pk=analysis.pk).update(quality=flags, needs_check=True)
    points = trend(patient)
    text = proposed(points[1], None)[bool(points[1].analysis.suspected)]
    assert points[1].analysis == later
    assert "since the last CT, which is uncertain)." in text
    assert text.splitlines()[-2:] == [
        "To be looked at on the CT of 5 Mar 2020: Look there.",
        "Limited by the CT of 5 Mar 2020: The scan ends inside the lungs.",
    ]


def test_the_worklist_says_which_studies_are_reported(browser, study, analysis):
    home = reverse("pages:home")

    def said(show=""):
        return [(row.report, row.point.overruled) for row in browser.get(home, {"show": show}).context["rows"]]

    assert said() == said("unreported") == [("", None)]
    post(browser, study, "save")
    assert said() == said("unreported") == [("draft", None)]
    post(browser, study, "sign", suspected="no", reason="Dependent atelectasis.")
    assert said() == [("signed", False)]
    assert said("unreported") == []
    text = browser.get(home).content.decode()
    assert "reader; networks: suspected" in text
    assert said("suspected") == []  # the reader's word counts, also for the order
    post(browser, study, "save", impression="More.", suspected="no")
    assert said() == said("unreported") == [("addendum begun", False)]


def pdf(browser, analysis):
    pages = PdfReader(io.BytesIO(browser.get(f"/api/v1/analyses/{analysis.pk}/report.pdf").content)).pages
    return " ".join("".join(page.extract_text() for page in pages).split())


def test_the_pdf_holds_what_was_signed_and_no_draft(browser, study, analysis):
    post(browser, study, "save", impression="Only a draft.")
    assert "Only a draft" not in pdf(browser, analysis)
    assert "not reported by a reader yet" in pdf(browser, analysis)
    post(browser, study, "sign", suspected="no", reason="Dependent atelectasis.", impression="Clear <b>lungs.")
    text = pdf(browser, analysis)
    assert "Clear <b>lungs." in text
    assert "The reader decides: not suspected, otherwise than the networks. Dependent atelectasis." in text
    post(browser, study, "sign", suspected="no", reason="As before.", impression="A rib is broken.")
    assert "Clear <b>lungs." in pdf(browser, analysis)
    assert "A rib is broken." in pdf(browser, analysis)


def test_reports_are_listed_through_the_api(browser, client, user, stranger, study, analysis):
    post(browser, study, "sign")
    post(browser, study, "save", impression="Clearer than I thought.")
    address = f"/api/v1/studies/{study.pk}/readings/"
    draft, signed = browser.get(address).json()["results"]
    assert (draft["version"], draft["state"], draft["signed_at"]) == (2, "DRAFT", None)
    assert (signed["version"], signed["state"], signed["suspected"], signed["reader"]) == (1, "SIGNED", True, "ward")
    assert (signed["analysis"], signed["impression"]) == (analysis.pk, "Ground-glass in the right lung.")
    user.username = "renamed"
    user.save()
    *_, signed = browser.get(address).json()["results"]
    assert (signed["reader"], signed["signed_by"]) == ("renamed", "ward")
    assert browser.post(address, {"impression": "x"}).status_code == 405
    client.force_login(stranger)
    assert client.get(address).status_code == 404


def test_every_page_and_the_ward_s_paper_show_the_decision_that_was_signed(browser, study, analysis):
    patient = study.patient
    addresses = [reverse("pages:patient", args=[patient.pk]), reverse("pages:patients"), study_page(analysis)]
    for address in addresses:
        assert "reader; networks" not in browser.get(address).text
    post(browser, study, "sign", suspected="no", reason="Dependent atelectasis.")
    for address in addresses:
        text = browser.get(address).text
        assert "reader; networks: suspected" in text, address
        assert '<span class="badge-decision is-suspected">' not in text, address
    assert "Report signed by ward" in browser.get(addresses[0]).text
    suspected, not_suspected = trend_figures(trend(patient))["days"]["absolute"]["data"][2:4]
    assert (list(suspected["x"]), list(not_suspected["x"])) == ([], [0])
    assert "reader; networks: suspected" in not_suspected["customdata"][0][4]
    paper = browser.get(reverse("report_pdf", args=[analysis.pk]))
    assert "not suspected (reader)" in " ".join(PdfReader(io.BytesIO(paper.content)).pages[0].extract_text().split())


def test_what_is_signed_cannot_be_saved_again(browser, study):
    post(browser, study, "sign")
    reading = study.readings.get()
    reading.impression = "Something else."
    with pytest.raises(ValueError, match="is signed"):
        reading.save()
    assert study.readings.get().impression == "Ground-glass in the right lung."


def test_check_stays_with_a_decision_that_a_reader_overruled(browser, study, analysis):
    Analysis.objects.filter(pk=analysis.pk).update(needs_check=True)
    post(browser, study, "sign", suspected="no", reason="Dependent atelectasis.")
    for address in (reverse("pages:home"), study_page(analysis)):
        assert "Look at the scan before you believe its numbers" in browser.get(address).text

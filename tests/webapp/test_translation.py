"""The pages in the reader's language: every page, by words and by what English words are left."""

import datetime
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.urls import URLPattern, get_resolver, reverse
from django.utils import translation

from analysis import stored_text
from analysis.models import Analysis, Comparison, Reading, SavedFilter, WorkerSeen
from analysis.views import STOP_POLLING
from patients.models import Patient, PatientEvent, Series, Study, Upload
from tests.analysis.finished import finished_analysis, signed_reading
from tests.analysis.pages import DAY, HTMX
from tests.analysis.test_comparisons import CHANGE

GERMAN = {"Accept-Language": "de"}
ENGLISH = re.compile(r"\b(the|of|is|are|and|with|this|by|from|no|yes|not)\b", re.IGNORECASE)
OURS_IN_ENGLISH = ("Chest CT", "Lung 5.0")  # what the files of the tests name their study and series
NO_PAGES = {  # what forms are sent to, and files
    "forget_filter", "decide_upload", "symptom_onset", "add_event", "forget_event", "choose_series", "reanalyse",
    "save_reading", "date_study", "review_findings", "retry", "heatmap", "opacity_map", "findings_map", "lungs_map",
    "thumbnail", "change_map", "instance_file", "instance_image", "script_words", "compare_again",
    "compare_directly",
}  # fmt: skip
DAY_AT_NOON = datetime.datetime(2020, 3, 5, 12, tzinfo=datetime.UTC)
HELD_FOR = {"patient_id": "", "patient_name": "Roe^Rob", "birth_date": "1970-01-02"}
VOID = ("input", "img", "br", "meta", "link", "col")


class Texts(HTMLParser):
    """What people read or hear on a page: its texts and the attributes that are shown or spoken."""

    SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-label")
    SILENT = ("script", "style", "code")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent: list[str] = []  # the elements that hold no words of the page, down to the present one
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        said = dict(attributes)
        self.found += [text for name in self.SPOKEN if (text := said.get(name))]
        is_silent = tag in self.SILENT or said.get("lang", "de") != "de"
        if tag not in VOID and (self.silent or is_silent):
            self.silent.append(tag)

    def handle_endtag(self, tag):
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()

    def handle_data(self, data):
        if not self.silent and (text := " ".join(data.split())):
            self.found.append(text)


def test_a_browser_that_asks_for_german_gets_it(client, db):
    page = client.get("/accounts/login/", headers={"Accept-Language": "de-CH,de;q=0.9,en;q=0.8"}).content.decode()
    assert '<html lang="de">' in page
    assert ">Anmelden</button>" in page


def test_the_language_chosen_outlives_the_session(client, user):
    client.force_login(user)
    answer = client.post(reverse("set_language"), {"language": "de", "next": "/patients/?q=x"})
    assert answer.headers["Location"] == "/patients/?q=x"
    assert '<html lang="de">' in client.get("/patients/").content.decode()
    client.post("/accounts/logout/")
    assert ">Anmelden</button>" in client.get("/accounts/login/").content.decode()


def test_the_language_is_chosen_before_logging_in(client, db):
    client.cookies["django_language"] = "de"
    client.post(reverse("set_language"), {"language": "en-gb", "next": "/accounts/login/"})
    assert ">Log in</button>" in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_error_pages_need_nothing_to_speak_german(rf, status):
    answering = get_resolver().resolve_error_handler(status)
    with translation.override("de"):
        page = answering(rf.get("/"), *([] if status == 500 else [Exception()])).content.decode()
    assert '<html lang="de">' in page
    assert "Zur Arbeitsliste" in page
    assert left_in_english(page) == []


@pytest.fixture
def house(site, user, tmp_path):
    """A site where there is something of everything that pages tell."""
    patient = Patient.objects.create(
        site=site, patient_id="P-17", patient_name="Doe^Jane", birth_date=datetime.date(1960, 1, 2), sex="F"
    )
    runs = [
        finished_analysis(patient, tmp_path / str(days), date=DAY + datetime.timedelta(days), activation_cm2=positive)
        for days, positive in ((0, {5: 12.0, 6: 8.5}), (9, {5: 3.0, 6: 2.0, 7: 1.5}))
    ]
    Comparison.objects.create(analysis=runs[1], prior=runs[0], days=9, state="DONE", change=CHANGE)
    PatientEvent.objects.create(patient=patient, date=DAY, text="Sauerstoff")
    signed_reading(runs[0], user, reason="Artefakt", impression="Beurteilung", signed_at=DAY_AT_NOON)
    Reading.objects.create(
        study=runs[1].series.study, version=1, analysis=runs[1], reader=user, suspected=True, impression="Entwurf"
    )
    undated = Study.objects.create(patient=patient, study_instance_uid="1.9")
    Series.objects.create(
        study=undated, series_instance_uid="1.9.1", usable=False, slice_count=1,
        reason="The series has 1 slice; at least 10 are needed.",
    )  # fmt: skip
    failed = Study.objects.create(patient=patient, study_instance_uid="1.8", study_date=DAY)
    failed.chosen_series = Series.objects.create(study=failed, series_instance_uid="1.8.1", usable=True)
    failed.save()
    Analysis.objects.create(
        series=failed.chosen_series, state="FAILED", error="Only 12 ml of lung were found: is this a chest CT?"
    )
    sent = Upload.objects.create(
        site=site, user=user, patient=patient, state="done", studies=[runs[0].series.study_id],
        files=[{"name": "a.txt", "outcome": "refused", "reason": "This is not a DICOM file but a text file."}],
        series=[{"id": runs[0].series_id, "series_instance_uid": "1", "used": True, "reason": ""}],
    )  # fmt: skip
    held = Upload.objects.create(
        site=site, user=user, state="needs_confirmation", held_for=[HELD_FOR | {"patient": patient.pk}],
        reason="Please check: the scan carries another birth date and name than this patient.",
    )  # fmt: skip
    SavedFilter.objects.create(user=user, name="Nacht", address="show=suspected")
    WorkerSeen.objects.create(hostname="rechner")
    begun = Upload.objects.create(site=site, user=user, state="receiving", announced=[{"name": "a.dcm", "size": 2}])
    return SimpleNamespace(
        patient=patient,
        runs=[run.pk for run in runs],
        studies=[run.series.study_id for run in runs] + [undated.pk, failed.pk],
        uploads=[sent.pk, held.pk, begun.pk],
    )


def addresses_of_all_pages(ids):
    """By their names, those of the URL conf but for the administration and the API; ``ids``: of what pages show."""

    def named(patterns, space=""):
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                yield f"{space}{pattern.name}", pattern.pattern.converters
            elif str(pattern.pattern) not in ("admin/", "api/"):
                yield from named(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)

    for name, parameters in named(get_resolver().url_patterns):
        if not parameters:
            yield reverse(name), name
        elif name.removeprefix("pages:") not in NO_PAGES:
            yield from ((reverse(name, args=[pk]), name) for pk in ids[name])


def test_no_page_holds_english(client, house, user):
    user.is_staff = True
    user.save()
    client.force_login(user)
    ids = {
        "pages:patient": [house.patient.pk],
        "pages:compare": [house.patient.pk],
        "pages:upload_status": house.uploads,
        "pages:study": house.studies,
        "pages:analysis_progress": house.runs,
    }
    lists = [(address, "pages:home") for address in ("/?q=niemand", "/?show=suspected", "/patients/?q=niemand")]
    left, read = {}, set()
    for address, name in [*lists, *addresses_of_all_pages(ids)]:
        for headers in (GERMAN, GERMAN | HTMX):
            answer = client.get(address, headers=headers)
            if answer.status_code in (200, STOP_POLLING) and answer.headers["Content-Type"].startswith("text/html"):
                read.add(name)
                left[address] = left_in_english(answer.content.decode())
    assert read == ids.keys() | {
        "system", "account_change_password", "account_inactive", "account_logout", "pages:about", "pages:help",
        "pages:home", "pages:new_patient", "pages:patients", "pages:upload",
    }  # fmt: skip
    assert {address: words for address, words in left.items() if words} == {}


def left_in_english(page: str) -> list[str]:
    """Texts that are a message of the catalogue whose German is another, or hold a word that German has not."""
    texts = [text for text in Texts(page).found if text not in OURS_IN_ENGLISH]
    with translation.override("de"):
        messages = stored_text._messages("de")
    untranslated = [text for text in texts if messages.get(text, text) != text and text not in messages.values()]
    return untranslated + [text for text in texts if ENGLISH.search(text)]


def test_a_word_left_in_english_is_noticed():
    said = left_in_english('<p title="Draft">Suspected</p><p>The draft waits</p><p lang="en">of the</p><p>Verdacht</p>')
    assert said == ["Draft", "Suspected", "The draft waits"]
    assert settings.LANGUAGES == [("en-gb", "English"), ("de", "Deutsch")]

"""Stored English sentences, told in German."""

import datetime
import re

import pytest
from django.utils import timezone, translation
from pydicom.uid import UID

from analysis import services, stored_text
from analysis.pipeline.series import MISSING_AT_PLACES
from analysis.stored_text import HOLE
from patients import ingest
from patients.dicom import UNREADABLE_COMPRESSION
from patients.models import Series, Upload
from patients.part10 import damaged
from tests.dicom_series import make_series
from tests.patients.checked import refusal


@pytest.fixture
def german():
    with translation.override("de"):
        yield


def said(text):
    return stored_text.stored_text(text)


def test_a_sentence_is_translated_as_a_whole(german):
    assert said(services.NOTHING_STORED) == "Keine Datei konnte gespeichert werden: Der Grund steht bei jeder."


def test_what_fills_a_hole_is_kept_even_where_it_is_a_word_of_the_catalogue(german):
    assert said("Sharp reconstruction kernel (Lung); densities are noisier.") == (
        "Scharfer Rekonstruktionskernel (Lung); Dichten rauschen stärker."
    )


def test_the_name_of_a_compression_stays_as_dicom_gives_it(german):
    name = UID("1.2.840.10008.1.2.4.55").name
    assert " and " in name
    assert said(UNREADABLE_COMPRESSION.format(method=name)) == (
        f"Das Bild ist auf eine Weise komprimiert, die nicht lesbar ist ({name}): "
        "Exportieren Sie es unkomprimiert oder als JPEG Lossless."
    )


def test_numbers_and_dates_in_holes_are_written_as_the_language_does(german):
    assert said(MISSING_AT_PLACES.format(count=3, above=-1012.25, below=12.0, places=2)) == (
        "An 2 Stellen fehlen zusammen etwa 3 Schichten, zuerst zwischen -1012,2 und 12,0 mm: Senden Sie die "
        "vollständige Serie."
    )
    assert "mehr als 20.000 Dateien" in said("The upload holds more than 20,000 files: send it in parts.")
    assert said(
        "The CT of 5 Mar 2020 was analysed by an older version, whose result cannot be compared: analyse that CT again."
    ).startswith("Das CT vom 05.03.2020 wurde")


def test_a_sentence_in_a_sentence_is_translated_too(german):
    detail = "its image data have 1,024 bytes instead of 2,048"
    assert said(damaged(detail).reason) == (
        "Das ist eine beschädigte DICOM-Datei (ihre Bilddaten haben 1.024 statt 2.048 Bytes). "
        "Senden Sie sie noch einmal von der Quelle."
    )
    assert said("There is no valid pixel spacing in image 5 (5.dcm).") == (
        "In Bild 5 (5.dcm) fehlt ein gültiger Pixelabstand."
    )


def test_the_name_of_a_user_is_kept_even_where_it_is_a_word_of_the_catalogue(german):
    difference = ingest.OTHER_IDENTITY.format(named="name")
    by_name = ingest.STORED_ALL_THE_SAME.format(day="5 Mar 2020", user="name", difference=difference)
    assert said("name") == "Name"
    assert said(by_name).startswith("Am 05.03.2020 von name trotz dieser Warnung")


@pytest.mark.parametrize(
    ("english", "german_words"),
    [("name", "Name"), ("birth date and name", "Geburtsdatum und Name"),
     ("patient ID, birth date and name", "Patienten-ID, Geburtsdatum und Name")],
)  # fmt: skip
def test_each_word_of_a_list_is_translated(german, english, german_words):
    sentence = ingest.HELD_BACK.format(difference=ingest.OTHER_IDENTITY.format(named=english))
    assert (
        said(sentence) == f"Zurückgehalten: Angaben in der Aufnahme weichen von diesem Patienten ab ({german_words})."
    )


def test_what_the_catalogue_does_not_know_stays_as_it_is(german):
    for text in ("", "A sentence of an earlier version.", "image", "The files, of old, are {count} in all."):
        assert said(text) == text


def test_in_english_a_sentence_is_what_was_stored():
    for text in (services.NO_FILES, MISSING_AT_PLACES.format(count=3, above=-12.25, below=12.0, places=2)):
        assert said(text) == text


def test_every_sentence_with_holes_is_found_again_by_its_own_template(german):
    """Else another sentence of the catalogue fits it too, and would be said instead."""
    found = {msgid: text for msgid, text in stored_text._messages("de").items() if _letters(msgid)}
    assert len(found) > 60
    for msgid, text in found.items():
        filled = {hole["name"]: 3 if hole["spec"] else f"#{hole['name']}#" for hole in HOLE.finditer(msgid)}
        in_german = text.replace("!s", "").format(**filled)
        assert said(msgid.format(**filled)) == re.sub(r"3\.(?=0)", "3,", in_german)


def _letters(msgid):
    beside = HOLE.sub("", msgid)
    return beside != msgid and sum(sign.isalpha() for sign in beside) >= stored_text.LEAST_LETTERS


def test_a_worker_stores_english_whatever_its_language(site, patient, user, tmp_path, german):
    """The operator's LANGUAGE_CODE is the language of a worker."""
    folder = tmp_path / "scan"
    folder.mkdir()
    paths = make_series(folder, PatientName="Somebody^Else", PatientID=patient.patient_id)
    upload = Upload.objects.create(site=site, user=user, patient=patient, confirmed_by="ward")
    ingested = ingest.store(upload, [(paths[0].name, paths[0])])
    (series,) = ingested.series.values()
    services._judge(series, clashes=0)
    series = Series.objects.get()
    today = timezone.localdate()
    month = datetime.date(2020, today.month, 1).strftime("%b")
    assert series.study.accepted_mismatch == (
        f"On {today.day} {month} {today.year}, ward stored it here although the scan carries another name than this "
        "patient."
    )
    assert said(series.study.accepted_mismatch).endswith("weichen von diesem Patienten ab (Name).")
    assert series.reason == "The series has 1 slice; at least 10 are needed."
    assert refusal(b"").reason == "The file is empty. Send it again from the source."

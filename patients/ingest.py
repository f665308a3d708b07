"""Files → patients, studies, series, instances: the one way in for page, API and command.

Each file is judged alone: it is stored, already here, refused or a collision, with a sentence, and
nothing that befalls one file touches the others. Running it twice over the same upload gives the
same outcomes, so a worker that died half-way is simply followed by another.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from .archives import Unpacking, count_members
from .dicom import DicomFile, Refused, check_file
from .models import Instance, Patient, Series, Site, Study, Upload

NO_PATIENT_ID = gettext_noop(
    "The file carries no patient ID, so it cannot be filed by itself: "
    "open the patient it belongs to, or make a new one, and upload it there."
)
COLLISION = gettext_noop(
    "Another image with the same identifier (SOP Instance UID) but other content is stored already. "
    "This file was kept aside and not used; ask the source to send the series with correct identifiers."
)
COLLISION_WITH_OTHER_PATIENT = gettext_noop(
    "An image of another patient of this site carries the same identifier (SOP Instance UID) but other content. "
    "This file was kept aside and not used; ask the source to send the series with correct identifiers."
)
OTHER_PATIENTS_IMAGE = gettext_noop(
    "This very image is stored already, with another patient of this site: it was not stored again."
)
HELD_BACK = gettext_noop("Held back: {difference!s}")
OTHER_IDENTITY = gettext_noop("the scan carries another {named!s} than this patient.")
SEVERAL_PEOPLE = gettext_noop("the files name several people, other than the patients they would go to.")
STORED_ALL_THE_SAME = gettext_noop("On {day}, {user} stored it here although {difference!s}")
SENT_TWICE = gettext_noop("The same image came twice in this upload: it is stored once.")
SYNTHETIC_MANUFACTURER = "CoronaTrend phantom"  # Manufacturer of series made by analysis/phantoms


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file; ``reason`` is a sentence, empty where it was stored."""

    name: str
    outcome: str  # "stored", "already_stored", "refused" or "collision"
    reason: str = ""


@dataclass
class Ingested:
    """The outcome of an upload. ``collisions`` counts, per series pk, files that clash with a stored one; ``handled``:
    instances (pk) that a file of this upload brought or met."""

    files: list[FileOutcome] = field(default_factory=list)
    series: dict[int, Series] = field(default_factory=dict)
    collisions: Counter[int] = field(default_factory=Counter)
    handled: set[int] = field(default_factory=set)
    mismatch: str = ""  # why the scan may not be of the patient it was sent to
    held_for: list[dict[str, Any]] = field(default_factory=list)  # as Upload.held_for


def store(
    upload: Upload,
    received: Sequence[tuple[str, Path]],
    on_progress: Callable[[float], None] = lambda done: None,
    why_undecodable: Callable[[Path], str] = lambda path: "",
) -> Ingested:
    """Store the upload's files, given as (name, local path); zips are opened.

    ``on_progress`` is called after each file with the share done; a zip counts as many files as it lists.
    ``why_undecodable`` says of a file that is new why its image cannot be decoded, or "": a broken image must not
    take the place of the whole one that may be sent later.
    """
    ingested = Ingested()
    total = sum(count_members(path) for _, path in received)
    unpacking = Unpacking()
    for name, path in received:
        for member_name, member in unpacking.iter_members(name, path):
            if isinstance(member, Refused):
                ingested.files.append(FileOutcome(member_name, "refused", member.reason))
            else:
                ingested.files.append(_store_file(upload, member_name, member, ingested, why_undecodable))
            on_progress(min(1.0, len(ingested.files) / total))
    return ingested


def _store_file(
    upload: Upload, name: str, path: Path, ingested: Ingested, why_undecodable: Callable[[Path], str]
) -> FileOutcome:
    try:
        dicom = check_file(path)
        patient = _patient_for(upload, dicom)
    except Refused as refused:
        return FileOutcome(name, "refused", refused.reason)
    difference = identity_difference(patient, dicom)
    if difference and not upload.confirmed_by:
        return _hold_back(name, patient, dicom, difference, ingested)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    stored = Instance.objects.filter(site=upload.site, sop_instance_uid=dicom.sop_instance_uid).first()
    if (stored is None or stored.sha256 != sha256) and (reason := why_undecodable(path)):
        return FileOutcome(name, "refused", reason)
    if stored is None:
        if patient.pk and not difference:
            difference = _complete(patient, dicom)
        if difference and not upload.confirmed_by:  # another worker has just stored somebody else's
            return _hold_back(name, patient, dicom, difference, ingested)
        stored, is_new = _store_instance(upload, patient, dicom, path, sha256)
        if is_new:
            if difference:
                _note_mismatch(upload, stored.series.study, difference)
            ingested.handled.add(stored.pk)
            ingested.series[stored.series_id] = stored.series
            return FileOutcome(name, "stored")
    return _outcome_of_known(upload, patient, name, path, sha256, stored, ingested)


def _hold_back(name: str, patient: Patient, dicom: DicomFile, difference: str, ingested: Ingested) -> FileOutcome:
    """The file waits until a user says whose it is; ``held_for`` then names each person once."""
    named = _identity(patient, dicom)
    known = next((each for each in ingested.held_for if _may_be_one(each, named)), None)
    if known is None:
        ingested.held_for.append(named)
    else:
        known.update({key: value for key, value in named.items() if not known[key]})
    ingested.mismatch = SEVERAL_PEOPLE if len(ingested.held_for) > 1 else ingested.mismatch or difference
    return FileOutcome(name, "refused", HELD_BACK.format(difference=difference))


def _outcome_of_known(
    upload: Upload, patient: Patient, name: str, path: Path, sha256: str, stored: Instance, ingested: Ingested
) -> FileOutcome:
    """The outcome of a file whose SOP Instance UID is stored already."""
    is_other_patients = stored.series.study.patient_id != patient.pk
    if stored.sha256 != sha256:
        with path.open("rb") as file:
            default_storage.save(f"collisions/{upload.pk}/{sha256}.dcm", File(file))
        if is_other_patients:
            return FileOutcome(name, "collision", COLLISION_WITH_OTHER_PATIENT)
        ingested.series[stored.series_id] = stored.series
        ingested.collisions[stored.series_id] += 1
        return FileOutcome(name, "collision", COLLISION)
    if is_other_patients:
        return FileOutcome(name, "refused", OTHER_PATIENTS_IMAGE)
    if not stored.file.storage.exists(stored.file.name):  # lost: sending the scan again repairs it
        with path.open("rb") as file:
            stored.file.storage.save(stored.file.name, File(file))
    ingested.series[stored.series_id] = stored.series
    if stored.pk in ingested.handled:
        return FileOutcome(name, "already_stored", SENT_TWICE)
    ingested.handled.add(stored.pk)
    by_an_earlier_attempt = stored.upload_id == upload.pk
    return FileOutcome(name, "stored" if by_an_earlier_attempt else "already_stored")


def _patient_for(upload: Upload, dicom: DicomFile) -> Patient:
    """The patient named by the upload, else the one the file names; a new one is not saved yet."""
    if upload.patient is not None:
        return upload.patient
    if not dicom.patient_id:
        raise Refused(NO_PATIENT_ID, code="no_patient_id")
    key = {
        "site": upload.site,
        "patient_id": dicom.patient_id,
        "issuer_of_patient_id": dicom.issuer_of_patient_id,
    }
    return _known(dicom, upload.site) or Patient(
        **key,
        patient_name=dicom.patient_name,
        birth_date=dicom.birth_date,
        sex=dicom.sex,
        synthetic=is_synthetic(dicom),
    )


def _known(dicom: DicomFile, site: Site) -> Patient | None:
    """The patient with the file's ID and issuer; where none has both, the only one with the ID who may be the same, as
    one of the two does not name an issuer."""
    issuer = dicom.issuer_of_patient_id
    same_id = list(Patient.objects.filter(site=site, patient_id=dicom.patient_id))
    exact = [each for each in same_id if each.issuer_of_patient_id == issuer]
    possible = [each for each in same_id if not (issuer and each.issuer_of_patient_id)]
    alike = exact or [each for each in possible if not identity_difference(each, dicom)]
    return alike[0] if len(alike) == 1 else None


def identity_difference(patient: Patient, dicom: DicomFile) -> str:
    """A sentence where the file's patient is not this one, else "". What is unknown does not differ.

    The sentence names the kinds of difference, not the values: it may be shown and logged.
    """
    differences = []
    if dicom.patient_id and dicom.patient_id != patient.patient_id:
        differences.append(gettext_noop("patient ID"))
    elif dicom.issuer_of_patient_id and patient.issuer_of_patient_id not in ("", dicom.issuer_of_patient_id):
        differences.append(gettext_noop("issuer of the patient ID"))
    if dicom.birth_date and patient.birth_date and dicom.birth_date != patient.birth_date:
        differences.append(gettext_noop("birth date"))
    if dicom.patient_name and patient.patient_name and _plain(dicom.patient_name) != _plain(patient.patient_name):
        differences.append(gettext_noop("name"))
    if dicom.sex and patient.sex and dicom.sex != patient.sex:
        differences.append(gettext_noop("sex"))
    if differences:
        *others, last = differences
        named = f"{', '.join(others)} and {last}" if others else last
        return OTHER_IDENTITY.format(named=named)
    if is_synthetic(dicom) != patient.synthetic:
        if patient.synthetic:
            return gettext_noop("the scan is of a person, but this patient is synthetic.")
        return gettext_noop("the scan is synthetic (made by a generator), but this patient is a person.")
    return ""


def _identity(patient: Patient, dicom: DicomFile) -> dict[str, Any]:
    """Whom a file names, and the patient that it would go to: one of ``Upload.held_for``."""
    return {
        "patient": patient.pk,
        "patient_id": dicom.patient_id or "",
        "patient_name": dicom.patient_name,
        "birth_date": dicom.birth_date.isoformat() if dicom.birth_date else "",
        "sex": dicom.sex,
    }


def _may_be_one(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two identities do not differ; what is unknown does not."""
    as_compared = {"patient_name": _plain}
    pairs = [(as_compared.get(key, str)(one[key]), as_compared.get(key, str)(other[key])) for key in one]
    return all(a == b or not a or not b for a, b in pairs)


def _complete(patient: Patient, dicom: DicomFile) -> str:
    """What the patient's record does not say is taken from the first file that does: the next one can differ then.

    Returns how this one differs (``identity_difference``) from what another worker took over meanwhile.
    """
    known = {
        "patient_name": dicom.patient_name,
        "birth_date": dicom.birth_date,
        "sex": dicom.sex,
        "issuer_of_patient_id": _issuer_to_take(patient, dicom),
    }
    if not any(value and not getattr(patient, name) for name, value in known.items()):
        return ""
    with transaction.atomic():
        patient.refresh_from_db(from_queryset=Patient.objects.select_for_update())
        if difference := identity_difference(patient, dicom):
            return difference
        missing = {name: value for name, value in known.items() if value and not getattr(patient, name)}
        for name, value in missing.items():
            setattr(patient, name, value)
        patient.save(update_fields=missing)
    return ""


def _issuer_to_take(patient: Patient, dicom: DicomFile) -> str:
    """That of the file, unless its ID is not the patient's or another row has both."""
    if patient.issuer_of_patient_id or dicom.patient_id != patient.patient_id:
        return ""
    key = {"patient_id": dicom.patient_id, "issuer_of_patient_id": dicom.issuer_of_patient_id}
    return "" if Patient.objects.filter(site=patient.site_id, **key).exists() else dicom.issuer_of_patient_id


def _complete_study(study: Study, dicom: DicomFile) -> None:
    """When it was taken is said by the first file that knows, before a user who did not have it."""
    if dicom.study_date is None or (study.study_date and not study.dated_by_hand):
        return
    said = {"study_date": dicom.study_date, "study_time": dicom.study_time, "dated_by_hand": False}
    if study.age_years is None:
        said["age_years"] = dicom.age_years
    Study.objects.filter(pk=study.pk).update(**said)


def _note_mismatch(upload: Upload, study: Study, difference: str) -> None:
    """Keep with the study that a user took files of another name for this patient's."""
    today = study.patient.site.today
    day = f"{today.day} {today:%b %Y}"
    sentence = STORED_ALL_THE_SAME.format(day=day, user=upload.confirmed_by, difference=difference)
    Study.objects.filter(pk=study.pk, accepted_mismatch="").update(accepted_mismatch=sentence)


def is_synthetic(dicom: DicomFile) -> bool:
    """Made by our own generator, not a scan of a person."""
    return dicom.manufacturer == SYNTHETIC_MANUFACTURER


def _plain(name: str) -> str:
    return " ".join(name.split("=")[0].replace("^", " ").casefold().split())


def _saved(patient: Patient) -> Patient:
    """The patient's row, made where it is new (another worker may have been quicker)."""
    if patient.pk is not None:
        return patient
    key = {name: getattr(patient, name) for name in ("site", "patient_id", "issuer_of_patient_id")}
    described = {name: getattr(patient, name) for name in ("patient_name", "birth_date", "sex", "synthetic")}
    return Patient.objects.get_or_create(**key, defaults=described)[0]


def _store_instance(
    upload: Upload, patient: Patient, dicom: DicomFile, path: Path, sha256: str
) -> tuple[Instance, bool]:
    """The stored instance, and whether this call stored it (another worker may have been quicker)."""
    try:
        with transaction.atomic():
            study, is_new = Study.objects.get_or_create(
                patient=_saved(patient),
                study_instance_uid=dicom.study_instance_uid,
                defaults={
                    "study_date": dicom.study_date,
                    "study_time": dicom.study_time,
                    "description": dicom.study_description,
                    "age_years": dicom.age_years,
                },
            )
            if not is_new:
                _complete_study(study, dicom)
            series, _ = Series.objects.get_or_create(
                study=study,
                series_instance_uid=dicom.series_instance_uid,
                defaults={
                    "series_number": dicom.series_number,
                    "description": dicom.series_description,
                    "convolution_kernel": dicom.convolution_kernel,
                },
            )
            instance = Instance(
                series=series,
                site=upload.site,
                upload=upload,
                sop_instance_uid=dicom.sop_instance_uid,
                sha256=sha256,
                instance_number=dicom.instance_number,
            )
            with path.open("rb") as file:
                instance.file.save(path.name, File(file), save=False)
            instance.save(force_insert=True)
            return instance, True
    except IntegrityError:
        return Instance.objects.get(site=upload.site, sop_instance_uid=dicom.sop_instance_uid), False

"""Uploads that come piece by piece, so that a broken connection costs one piece and not all that was sent.

A client announces its files, sends the pieces that are missing in requests of any size and order, and may send one
twice. The last one makes the upload like any other. Announcing the same files again leads to the same upload: after
a break of any length only the rest is sent.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from patients.archives import MAX_MEMBERS, MAX_TOTAL_BYTES
from patients.models import Patient, Site, Upload, UploadPart

from . import queue, services
from .stored_text import stored_text

PIECE_BYTES = 4 * 2**20  # seconds of a slow line
TOO_MANY_FILES = _("An upload may hold {count} files: send one exam at a time.")
TOO_LARGE = _("An upload may hold {gigabytes} GB: send one exam at a time.")
NOT_ANNOUNCED = _("A piece does not fit the files that were announced: choose the files again.")
BROKEN_OFF = gettext_noop("The upload broke off and was not gone on with for {hours} hours: send the files again.")

Piece = tuple[int, int]  # number of the file among those announced, number of the piece in it


def announce(files: Sequence[Mapping[str, Any]], *, site: Site, user: Any, patient: Patient | None = None) -> Upload:
    """The upload that waits for these files, ``{name, size, mark}`` each, of this user; a new one if there is none.

    ``mark``: what tells a file from others of its name and size, such as a checksum. services.Refusal where the files
    are too many or too large.
    """
    if len(files) > MAX_MEMBERS:
        raise services.Refusal(TOO_MANY_FILES.format(count=number_format(MAX_MEMBERS, force_grouping=True)))
    if sum(file["size"] for file in files) > MAX_TOTAL_BYTES:
        raise services.Refusal(TOO_LARGE.format(gigabytes=MAX_TOTAL_BYTES // 2**30))
    announced = [
        {"name": services.safe_name(file["name"])} | {key: file[key] for key in ("size", "mark")} for file in files
    ]
    named = {"site": site, "user": user, "patient": patient, "state": Upload.State.RECEIVING}
    for upload in Upload.objects.filter(**named):
        if upload.announced == announced:
            Upload.objects.filter(pk=upload.pk).update(heard_at=timezone.now())
            return upload
    return Upload.objects.create(**named, announced=announced)


def of_others(user: Any) -> Q:
    """Uploads that others are sending: to look at, not to add to or to give up."""
    return Q(state=Upload.State.RECEIVING) & ~Q(user=user)


def missing(upload: Upload) -> list[Piece]:
    """The pieces still to be sent, in order."""
    here = set(upload.parts.values_list("number", "piece"))
    return [piece for piece in _all_pieces(upload) if piece not in here]


def share_here(upload: Upload) -> float:
    """How much of the pieces has arrived, 0 to 1."""
    return 1 - len(missing(upload)) / len(_all_pieces(upload))


def add(upload: Upload, pieces: Mapping[Piece, File]) -> None:
    """Keep pieces of the announced files; with the last one the upload is queued. One that is here already is left out.

    services.Refusal where a piece does not fit, or the upload was given up. Where all are here nothing happens: the
    answer to the last piece may have been lost.
    """
    if upload.state != Upload.State.RECEIVING:
        if upload.state == Upload.State.FAILED:
            raise services.Refusal(stored_text(upload.reason))
        return
    if any(not _fits(upload, piece, file) for piece, file in pieces.items()):
        raise services.Refusal(NOT_ANNOUNCED)
    here = set(upload.parts.values_list("number", "piece"))
    parts = [_kept(upload, piece, file) for piece, file in pieces.items() if piece not in here]
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload.pk)
        if upload.state == Upload.State.RECEIVING:
            UploadPart.objects.bulk_create(parts, ignore_conflicts=True)  # a second sending of it may have been quicker
            _heard_of(upload)
            return
        here = set(upload.parts.values_list("number", "piece"))
    for part in parts:  # cancelled meanwhile, or worked off: what has no row would stay for ever
        if (part.number, part.piece) not in here:
            part.file.delete(save=False)
    if upload.state == Upload.State.FAILED:
        raise services.Refusal(stored_text(upload.reason))


def forget_broken_off() -> None:
    """Give up what nobody went on with."""
    hours = settings.UPLOAD_KEPT_OPEN_HOURS
    silent = Q(state=Upload.State.RECEIVING, heard_at__lt=timezone.now() - timedelta(hours=hours))
    for upload in Upload.objects.filter(silent):
        still_open = Upload.objects.filter(silent, pk=upload.pk)
        if still_open.update(state=Upload.State.FAILED, reason=BROKEN_OFF.format(hours=hours), announced=[]):
            upload.forget_parts()


def _piece_count(size: int) -> int:
    return max(1, -(-size // PIECE_BYTES))  # an empty file is one empty piece


def _all_pieces(upload: Upload) -> list[Piece]:
    return [
        (number, piece) for number, file in enumerate(upload.announced) for piece in range(_piece_count(file["size"]))
    ]


def _fits(upload: Upload, piece: Piece, file: File) -> bool:
    number, at = piece
    if number >= len(upload.announced) or at >= _piece_count(upload.announced[number]["size"]):
        return False
    return file.size == min(PIECE_BYTES, upload.announced[number]["size"] - at * PIECE_BYTES)


def _kept(upload: Upload, piece: Piece, file: File) -> UploadPart:
    number, at = piece
    part = UploadPart(upload=upload, number=number, piece=at, name=upload.announced[number]["name"])
    part.file.save(part.name, file, save=False)  # over the same piece, if an earlier try died here
    return part


def _heard_of(upload: Upload) -> None:
    """Note that a piece came, and queue the upload if it was the last."""
    upload.heard_at = timezone.now()
    if upload.parts.count() == len(_all_pieces(upload)):
        upload.state, upload.announced, upload.enqueued_at = Upload.State.RECEIVED, [], timezone.now()
        queue.wake()
    upload.save(update_fields=["state", "announced", "enqueued_at", "heard_at"])

"""Zips as people upload them: each file inside comes out alone, or the reason why it does not."""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from django.utils.translation import gettext_noop

from .part10 import Refused

MAX_MEMBERS = 20_000
"""Files in one upload; the longest CT studies have some thousands."""
MAX_DIRECTORY_BYTES = 8 * 2**20
"""Size of a zip's own table of contents, which is read into memory: about 100 bytes a file."""
MAX_MEMBER_BYTES = 64 * 2**20
"""One unpacked file, unless it is a zip itself."""
MAX_NESTED_ZIP_BYTES = 2 * 2**30
"""A zip inside a zip, which is unpacked to disk before its own files are."""
MAX_TOTAL_BYTES = 16 * 2**30
"""All files of one upload unpacked: 30,000 slices of 512 × 512."""
MAX_RATIO = 200
"""Unpacked ÷ packed size of a whole zip; CT packs to about a half, synthetic series to a tenth."""
RATIO_FREE_BYTES = 256 * 2**20
"""Below this unpacked size the ratio does not matter: no disk is filled by it."""
CHUNK_BYTES = 2**20
MAX_DEPTH = 2
"""A zip, and zips in it."""
MAX_NAME_LENGTH = 200
"""Longer names are cut in lists."""

_CLUTTER_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_DRIVE = re.compile("[A-Za-z]:")
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGED = gettext_noop("The zip file is damaged or incomplete: pack and upload it again.")
_TOO_MANY = gettext_noop("The upload holds more than {count:,} files: send it in parts.")
_TOO_LARGE = gettext_noop("The zip file unpacks to far more than a CT study can hold: it was not opened.")


class Unpacking:
    """What is left of the limits while one upload is unpacked."""

    def __init__(self) -> None:
        self.members_left = MAX_MEMBERS
        self.bytes_left = MAX_TOTAL_BYTES

    def iter_members(self, name: str, path: Path) -> Iterator[tuple[str, Path | Refused]]:
        """The files that one received file stands for: those inside a zip (zips in it included), or itself.

        Yields (name to show, local path or Refused). The path of a zip's member is a temporary file that
        lasts until the next step. Left out without a word: folders and what macOS and Windows add to them.
        """
        if _is_clutter(name):
            return
        if _is_zip(path):
            yield from self._members(name, path, depth=1)
        elif name.lower().endswith(".zip"):
            yield _shown(name), Refused(_DAMAGED, "damaged_zip")
        else:
            yield _shown(name), path

    def _members(self, name: str, path: Path, depth: int) -> Iterator[tuple[str, Path | Refused]]:
        with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="zip-") as folder:
            try:
                archive = zipfile.ZipFile(_with_bounded_directory(file))
                infos = [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
                self._take(infos, packed_bytes=path.stat().st_size)
            except Refused as refused:
                yield _shown(name), refused
                return
            except Exception:  # zipfile raises many kinds on damaged directories
                yield _shown(name), Refused(_DAMAGED, "damaged_zip")
                return
            if not infos:
                yield _shown(name), Refused(gettext_noop("The zip file holds no files."), "empty_zip")
            for info in infos:
                yield from self._member(name, archive, info, Path(folder) / "member", depth)

    def _take(self, infos: list[zipfile.ZipInfo], packed_bytes: int) -> None:
        """Count the members against the limits; zipfile never unpacks more than they declare."""
        total = sum(info.file_size for info in infos)
        if len(infos) > self.members_left:
            raise Refused(_TOO_MANY.format(count=MAX_MEMBERS), "zip_too_large")
        if total > min(self.bytes_left, max(RATIO_FREE_BYTES, MAX_RATIO * packed_bytes)):
            raise Refused(_TOO_LARGE, "zip_too_large")
        self.members_left -= len(infos)
        self.bytes_left -= total

    def _member(
        self, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, depth: int
    ) -> Iterator[tuple[str, Path | Refused]]:
        shown = f"{name}/{info.filename}"
        try:
            _check_member(info)
            _unpack(archive, info, target)
        except Refused as refused:
            yield _shown(shown), refused
            return
        if not _is_zip(target):
            yield _shown(shown), target
        elif depth < MAX_DEPTH:
            yield from self._members(shown, target, depth + 1)
        else:
            yield (
                _shown(shown),
                Refused(gettext_noop("A zip in a zip in a zip is not opened: unpack it first."), "nested_zip"),
            )


def count_members(path: Path) -> int:
    """How many files a received file stands for, as far as a look at a zip's table of contents tells."""
    try:
        with path.open("rb") as file:
            return max(1, len(zipfile.ZipFile(_with_bounded_directory(file)).infolist())) if _is_zip(path) else 1
    except Exception:  # a damaged zip is one refused file
        return 1


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _ZIP_STARTS


def _check_member(info: zipfile.ZipInfo) -> None:
    member = PurePosixPath(info.filename.replace("\\", "/"))
    if not member.parts or ".." in member.parts or member.is_absolute() or _DRIVE.match(info.filename):
        raise Refused(
            gettext_noop("Its name in the zip leads outside of the zip (such as ../): pack it anew."), "unsafe_name"
        )
    if member.name.upper() == "DICOMDIR":
        raise Refused(gettext_noop("This is a DICOMDIR, the index of a disc: not needed."), "dicomdir")
    if info.flag_bits & 0x1:
        raise Refused(
            gettext_noop("It is encrypted with a password: unpack the zip and upload the files."), "encrypted"
        )
    is_zip = member.name.lower().endswith(".zip")
    if info.file_size > (MAX_NESTED_ZIP_BYTES if is_zip else MAX_MEMBER_BYTES):
        raise Refused(
            gettext_noop("The file is far larger than one CT slice.") if not is_zip else _TOO_LARGE, "too_large"
        )


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    with target.open("wb") as unpacked:
        for chunk in _chunks(archive, info):
            unpacked.write(chunk)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                yield chunk
    except NotImplementedError as fault:
        raise Refused(
            gettext_noop("It is packed by a method that cannot be read: pack the zip anew."), "zip_method"
        ) from fault
    except Exception as fault:  # zipfile and its codecs raise many kinds, OSError among them
        raise Refused(
            gettext_noop("It is damaged inside the zip: pack and upload it again."), "damaged_member"
        ) from fault


def _with_bounded_directory(file: BinaryIO) -> BinaryIO:
    """``file``, after a look at the size of its table of contents (APPNOTE 4.3.14, 4.3.16)."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - 2**16 - 2**10))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    directory_bytes = int.from_bytes(tail[end + 12 : end + 16], "little")
    if (end_64 := tail.rfind(b"PK\x06\x06", 0, max(end, 0))) >= 0:
        directory_bytes = max(int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little"), directory_bytes % 0xFFFFFFFF)
    if end < 0:
        raise Refused(_DAMAGED, "damaged_zip")
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise Refused(_TOO_LARGE, "zip_too_large")
    file.seek(0)
    return file


def _is_clutter(name: str) -> bool:
    """What macOS and Windows put beside the files of people."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.name.startswith("._") or path.name.lower() in _CLUTTER_NAMES or "__MACOSX" in path.parts


def _shown(name: str) -> str:
    """One printable line of bounded length; the end of a name says more than its start."""
    clean = "".join(sign if sign.isprintable() else "�" for sign in name)
    return clean if len(clean) <= MAX_NAME_LENGTH else "…" + clean[1 - MAX_NAME_LENGTH :]

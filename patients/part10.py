"""The structure of a DICOM file: which elements it holds and whether it is whole.

Walks the elements itself (DICOM PS3.5 chapter 7, PS3.10 chapter 7) instead of trusting the lengths
that a damaged or hostile file declares: nothing is read beyond what is asked for, nesting and
counts are bounded, and a cut is found where it is.
"""

import io
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext_noop
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

MAX_VALUE_BYTES = 16_384
"""Longer values of the elements that are read (names, numbers) are nonsense and count as absent."""
MAX_LENGTH_IN_HEADER = 2**20
"""A header element that reaches over the end of the file: longer ones are nonsense, shorter ones cut."""
MAX_ELEMENTS = 200_000
"""Elements and items in one header, nested ones included; a CT has some hundreds."""
MAX_NESTING = 32
"""Depth of sequences of undefined length; a CT has two or three."""
MAX_INFLATED_BYTES = 64 * 2**20
"""A deflated file that grows beyond this is no CT slice."""

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA_TAGS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
TRAILING_PADDING = 0xFFFCFFFC

_LONG_VRS = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
_VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
_OTHER_KINDS = {
    b"%PDF": gettext_noop("a PDF document"),
    b"\xff\xd8\xff": gettext_noop("a JPEG picture"),
    b"\x89PNG": gettext_noop("a PNG picture"),
    b"PK\x03\x04": gettext_noop("a zip or Office file"),
    b"\x1f\x8b": gettext_noop("a gzip file"),
    b"Rar!": gettext_noop("a RAR archive"),
    b"7z\xbc\xaf": gettext_noop("a 7-Zip archive"),
    b"BM": gettext_noop("a bitmap picture"),
    b"II*\0": gettext_noop("a TIFF picture"),
    b"MM\0*": gettext_noop("a TIFF picture"),
    b"MZ": gettext_noop("a program"),
}


class Refused(Exception):
    """The file is not taken. ``reason``: one or two sentences for clinicians; ``code``: fixed word."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def damaged(detail: str) -> Refused:
    sentence = gettext_noop("This is a damaged DICOM file ({detail!s}). Send it again from the source.")
    return Refused(sentence.format(detail=detail), "damaged")


@dataclass(frozen=True)
class PixelElement:
    """Where the pixel data lie: ``start`` of the value and its declared ``length`` in bytes."""

    start: int
    length: int


@dataclass(frozen=True)
class Structure:
    """What :func:`scan` found. ``file`` holds the elements: the given one, or its inflated content."""

    file: BinaryIO
    size: int
    little_endian: bool
    explicit: bool
    file_meta: Dataset
    dataset: Dataset
    pixels: PixelElement | None


def scan(file: BinaryIO, keywords: Collection[str]) -> Structure:
    """Walk the file up to its pixel data and keep the top-level elements named by ``keywords``.

    ``file``: seekable, open for reading. Raises Refused: not DICOM, cut short, damaged.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(_start_of_elements(file, size))
    wanted = {int(Tag(keyword)) for keyword in keywords}
    meta = _Walk(file, size, little_endian=True, explicit=True, wanted=wanted)
    meta.run(stop_after_group=0x0002)
    file_meta = Dataset(meta.found)
    syntax = UID(str(file_meta.get("TransferSyntaxUID") or ""))
    if syntax == DeflatedExplicitVRLittleEndian:
        file = io.BytesIO(_inflate(file))
        size = len(file.getbuffer())
    little_endian = syntax != ExplicitVRBigEndian
    explicit = _looks_explicit(file)
    body = _Walk(file, size, little_endian=little_endian, explicit=explicit, wanted=wanted)
    pixels = body.run()
    return Structure(file, size, little_endian, explicit, file_meta, Dataset(body.found), pixels)


META_KEYWORDS = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")


def as_part10(file: BinaryIO) -> BinaryIO:
    """The file, rewound, if it has preamble and transfer syntax; else its elements behind them (PS3.10 7.1), in memory.

    Viewers insist on both. Raises Refused where the file is not DICOM.
    """
    size = file.seek(0, io.SEEK_END)
    start = _start_of_elements(file, size)
    file.seek(start)
    wanted = {int(Tag(keyword)) for keyword in META_KEYWORDS}
    meta = _Walk(file, size, little_endian=True, explicit=True, wanted=wanted)
    meta.run(stop_after_group=0x0002)
    file_meta = FileMetaDataset(Dataset(meta.found))
    if start and file_meta.get("TransferSyntaxUID"):
        file.seek(0)
        return file
    if not file_meta.get("TransferSyntaxUID"):  # taken as its elements look, as where it was received
        file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if _looks_explicit(file) else ImplicitVRLittleEndian
    file_meta.FileMetaInformationGroupLength = 0  # counted when written
    whole = io.BytesIO(b"\0" * 128 + b"DICM")
    whole.seek(132)
    write_file_meta_info(whole, file_meta, enforce_standard=False)
    whole.write(file.read())
    whole.seek(0)
    return whole


def _start_of_elements(file: BinaryIO, size: int) -> int:
    """132 after a preamble, 0 in an old file without one. Raises Refused where this is not DICOM."""
    if size == 0:
        raise Refused(gettext_noop("The file is empty. Send it again from the source."), "empty")
    file.seek(0)
    head = file.read(132)
    if head[128:] == b"DICM":
        return 132
    if _begins_like_dicom(head):
        return 0
    kind = next((name for magic, name in _OTHER_KINDS.items() if head.startswith(magic)), None)
    if kind is None and head.isascii() and b"\0" not in head:
        kind = gettext_noop("a text file")
    if kind is None:
        raise Refused(gettext_noop("This is not a DICOM file."), "not_dicom")
    raise Refused(gettext_noop("This is not a DICOM file but {kind!s}.").format(kind=kind), "not_dicom")


def _begins_like_dicom(head: bytes) -> bool:
    """Whether an element of group 0002 or 0008 stands at the very start (ACR-NEMA or bare dataset)."""
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    is_explicit = head[4:6] in _VRS
    return is_explicit or int.from_bytes(head[4:8], "little") <= MAX_VALUE_BYTES


def _looks_explicit(file: BinaryIO) -> bool:
    """Whether the next element spells its VR; files do not always keep to what they declare."""
    here = file.tell()
    head = file.read(6)
    file.seek(here)
    return head[4:6] in _VRS


def _inflate(file: BinaryIO) -> bytes:
    """The deflated rest of the file (DICOM PS3.5 A.5), bounded."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(file.read(MAX_INFLATED_BYTES), MAX_INFLATED_BYTES)
    except zlib.error as fault:
        raise damaged(gettext_noop("its compressed content cannot be unpacked")) from fault
    if not inflater.eof:
        if len(content) >= MAX_INFLATED_BYTES:
            raise Refused(gettext_noop("The file unpacks to far more than one CT slice can hold."), "too_large")
        raise Refused(
            gettext_noop("The file ends in the middle of its compressed content. Send it again from the source."),
            "truncated",
        )
    return content


class _Walk:
    """One pass over the elements of a dataset from where ``file`` stands."""

    def __init__(self, file: BinaryIO, size: int, *, little_endian: bool, explicit: bool, wanted: set[int]) -> None:
        self.file = file
        self.size = size
        self.little_endian = little_endian
        self.explicit = explicit
        self.wanted = wanted
        self.found: dict[BaseTag, RawDataElement] = {}
        self.count = 0

    def run(self, stop_after_group: int | None = None) -> PixelElement | None:
        """To the pixel data, which are returned, to the end of ``stop_after_group``, or to the end."""
        while True:
            here = self.file.tell()
            element = self._next_element()
            if element is None:
                return None
            tag, vr, length = element
            if stop_after_group is not None and tag >> 16 != stop_after_group:
                self.file.seek(here)
                return None
            start = self.file.tell()
            if tag in PIXEL_DATA_TAGS:
                return PixelElement(start, length)
            if tag == TRAILING_PADDING:
                return None
            if length == UNDEFINED_LENGTH:
                self._skip_sequence()
                continue
            self._need(length)
            if tag in self.wanted and length <= MAX_VALUE_BYTES:
                value = self.file.read(length)
                self.found[Tag(tag)] = RawDataElement(
                    Tag(tag), vr, length, value, start, vr is None, self.little_endian
                )
            self.file.seek(start + length)

    def _next_element(self) -> tuple[int, str | None, int] | None:
        """(tag, VR or None, length) of the element that begins here; None at the end of the file."""
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise damaged(gettext_noop("its header has no end"))
        head = self.file.read(8)
        if not head:
            return None
        if len(head) < 8:
            raise self._cut()
        order = "<" if self.little_endian else ">"
        group, number = struct.unpack(order + "HH", head[:4])
        tag = group << 16 | number
        vr = head[4:6]
        if self.explicit and group != 0xFFFE and vr.isalpha() and vr.isupper():
            if vr not in _LONG_VRS:
                return tag, vr.decode(), struct.unpack(order + "H", head[6:])[0]
            head = self.file.read(4)
            if len(head) < 4:
                raise self._cut()
            return tag, vr.decode(), struct.unpack(order + "L", head)[0]
        return tag, None, struct.unpack(order + "L", head[4:])[0]

    def _skip_sequence(self) -> None:
        """Past the end of a sequence of undefined length, whose start was just read."""
        depth = 1
        while depth:
            element = self._next_element()
            if element is None:
                raise self._cut()
            tag, _, length = element
            if tag == SEQUENCE_END:
                depth -= 1
            elif length == UNDEFINED_LENGTH:
                depth += tag != ITEM  # the content of an open item is walked like the rest
                if depth > MAX_NESTING:
                    raise damaged(gettext_noop("its header is nested too deeply"))
            elif tag != ITEM_END:
                self._need(length)
                self.file.seek(length, io.SEEK_CUR)

    def _need(self, length: int) -> None:
        """The file must hold ``length`` bytes more."""
        if self.file.tell() + length <= self.size:
            return
        if length > MAX_LENGTH_IN_HEADER:
            raise damaged(gettext_noop("an element of its header claims more bytes than the file has"))
        raise self._cut()

    def _cut(self) -> Refused:
        sentence = gettext_noop(
            "The file ends in the middle of its header (after {size:,} bytes), without image. "
            "Send it again from the source."
        )
        return Refused(sentence.format(size=self.size), "truncated_header")


def check_native_pixels(structure: Structure, pixels: PixelElement, expected_bytes: int) -> None:
    """Uncompressed pixel data must be there in the length that rows, columns and bits ask for."""
    if pixels.length == UNDEFINED_LENGTH:
        raise damaged(gettext_noop("its image data are packed otherwise than declared"))
    present = max(0, structure.size - pixels.start)
    if present < min(pixels.length, expected_bytes):
        sentence = gettext_noop(
            "The file ends in the middle of its image data ({present:,} of {expected:,} bytes). "
            "Send it again from the source."
        )
        raise Refused(sentence.format(present=present, expected=expected_bytes), "truncated")
    if pixels.length < expected_bytes:
        detail = gettext_noop("its image data have {present:,} bytes instead of {expected:,}")
        raise damaged(detail.format(present=pixels.length, expected=expected_bytes))


def check_encapsulated_pixels(structure: Structure, pixels: PixelElement) -> bytes:
    """Compressed pixel data: all fragments whole and the end marker there (DICOM PS3.5 A.4).

    Returns the compressed image, the fragments joined.
    """
    if pixels.length != UNDEFINED_LENGTH:
        raise damaged(gettext_noop("its image data are packed otherwise than declared"))
    file, size = structure.file, structure.size
    file.seek(pixels.start)
    fragments: list[bytes] = []
    while True:
        head = file.read(8)
        tag, length = _item(head)
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or length == UNDEFINED_LENGTH:
            raise damaged(gettext_noop("its compressed image data are out of order"))
        present = size - file.tell()
        if present < length:
            sentence = gettext_noop(
                "The file ends in the middle of its compressed image data ({present:,} of {expected:,} bytes of "
                "part {part}). Send it again from the source."
            )
            raise Refused(sentence.format(present=present, expected=length, part=len(fragments)), "truncated")
        if len(fragments) > MAX_ELEMENTS:
            raise damaged(gettext_noop("its compressed image data are in too many parts"))
        fragments.append(file.read(length))
    image = b"".join(fragments[1:])  # the first item is the offset table
    if not image:
        sentence = gettext_noop(
            "The file has no image data, its compressed image is empty. Send it again from the source."
        )
        raise Refused(sentence, "no_pixel_data")
    return image


def _item(head: bytes) -> tuple[int, int]:
    """(tag, length) of an item header, which is little endian in every compressed file."""
    if len(head) < 8:
        sentence = gettext_noop(
            "The file ends in the middle of its compressed image data: the end is missing. "
            "Send it again from the source."
        )
        raise Refused(sentence, "truncated")
    group, number, length = struct.unpack("<HHL", head)
    return group << 16 | number, length

"""Is a compressed image what the header says: its method, its size in pixels, one channel, its bits?

Only the start of the image is looked at, nothing is decoded. It keeps out images that no decoder
can read, those that would unpack to gigabytes, and those at which a decoder ends the process.
"""

import struct
from typing import NamedTuple

from django.utils.translation import gettext_noop
from pydicom.uid import UID, JPEG2000TransferSyntaxes, RLELossless

from .part10 import damaged

_JPEG_START = b"\xff\xd8"
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""JPEG markers that carry the image size (ITU-T T.81 B.1.1.3; F7: JPEG-LS, T.87 C.1.1)."""
_MARKERS_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_END_OF_HEADER = frozenset({0xD9, 0xDA})
_SIZ = struct.Struct(">8LHB")
"""Sizes and offsets of image and tiles, number of components, depth of the first (ITU-T T.800 A.5.1)."""
_SOF = struct.Struct(">BHHB")
"""Precision, lines, samples per line, number of components (ITU-T T.81 B.2.2)."""
MIN_BITS = 2
"""The smallest precision of any JPEG method (ITU-T T.81 B.2.2, T.87 C.2.2)."""
_RLE_HEADER = struct.Struct("<16L")
MAX_RLE_SEGMENTS = 15
"""DICOM PS3.5 G.5."""


class _Frame(NamedTuple):
    """What a compressed image says of itself; ``bits``: of one value in its first channel."""

    rows: int
    columns: int
    channels: int
    bits: int


def check_codestream(image: bytes, transfer_syntax_uid: UID, *, rows: int, columns: int, bits_allocated: int) -> None:
    """Raises Refused ("damaged") where ``image`` does not begin as its transfer syntax and header ask."""
    if transfer_syntax_uid == RLELossless:
        _check_rle(image)
        return
    is_jpeg_2000 = transfer_syntax_uid in JPEG2000TransferSyntaxes
    frame = _jpeg_2000_frame(image) if is_jpeg_2000 else _jpeg_frame(image)
    if frame is None:
        raise damaged(gettext_noop("its compressed image is not of the kind declared or is broken"))
    if (frame.rows, frame.columns) != (rows, columns):
        detail = gettext_noop(
            "its compressed image is of {columns} × {rows} pixels instead of {declared_columns} × {declared_rows}"
        )
        raise damaged(
            detail.format(columns=frame.columns, rows=frame.rows, declared_columns=columns, declared_rows=rows)
        )
    if frame.channels != 1:
        detail = gettext_noop("its compressed image has {count} colour channels instead of one")
        raise damaged(detail.format(count=frame.channels))
    if not MIN_BITS <= frame.bits <= bits_allocated:
        detail = gettext_noop("its compressed image has {bits} bits a pixel instead of {least} to {most}")
        raise damaged(detail.format(bits=frame.bits, least=MIN_BITS, most=bits_allocated))


def _jpeg_2000_frame(image: bytes) -> _Frame | None:
    """From the SIZ marker (ITU-T T.800 A.5.1), which may lie in a JP2 box."""
    start = image.find(_JPEG_2000_START, 0, 1024)
    if start < 0 or len(image) < start + 8 + _SIZ.size:
        return None
    width, height, left, top, *_, channels, depth = _SIZ.unpack_from(image, start + 8)
    return _Frame(height - top, width - left, channels, bits=(depth & 0x7F) + 1)  # its highest bit: signed


def _jpeg_frame(image: bytes) -> _Frame | None:
    """From the frame header of JPEG and JPEG-LS."""
    if not image.startswith(_JPEG_START):
        return None
    here = len(_JPEG_START)
    while here + 10 <= len(image) and image[here] == 0xFF:
        marker = image[here + 1]
        if marker in _FRAME_HEADERS:
            bits, height, width, channels = _SOF.unpack_from(image, here + 4)
            return _Frame(height, width, channels, bits)
        if marker in _END_OF_HEADER:
            return None
        if marker == 0xFF:  # fill byte
            here += 1
        elif marker in _MARKERS_WITHOUT_LENGTH:
            here += 2
        else:
            here += 2 + int.from_bytes(image[here + 2 : here + 4], "big")
    return None


def _check_rle(image: bytes) -> None:
    """The segments named by the header follow each other within the image (DICOM PS3.5 G.5)."""
    if len(image) >= _RLE_HEADER.size:
        count, *offsets = _RLE_HEADER.unpack(image[: _RLE_HEADER.size])
        used = offsets[:count]
        in_order = all(a < b for a, b in zip(used, [*used[1:], len(image)], strict=True)) if used else False
        if 1 <= count <= MAX_RLE_SEGMENTS and used[0] == _RLE_HEADER.size and in_order:
            return
    raise damaged(gettext_noop("its compressed image is not of the kind declared or is broken"))

"""Is a compressed image what the header says: its method, and its size in pixels?

Only the start of the image is looked at, nothing is decoded. It keeps out images that no decoder
can read and those that would unpack to gigabytes.
"""

import struct

from pydicom.uid import UID, JPEG2000TransferSyntaxes, RLELossless

from .part10 import damaged

_JPEG_START = b"\xff\xd8"
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""JPEG markers that carry the image size (ITU-T T.81 B.1.1.3; F7: JPEG-LS, T.87 C.1.1)."""
_MARKERS_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_END_OF_HEADER = frozenset({0xD9, 0xDA})
_RLE_HEADER = struct.Struct("<16L")
MAX_RLE_SEGMENTS = 15
"""DICOM PS3.5 G.5."""


def check_codestream(image: bytes, transfer_syntax_uid: UID, *, rows: int, columns: int) -> None:
    """Raises Refused ("damaged") where ``image`` does not begin as its transfer syntax asks."""
    if transfer_syntax_uid == RLELossless:
        _check_rle(image)
        return
    is_jpeg_2000 = transfer_syntax_uid in JPEG2000TransferSyntaxes
    size = _jpeg_2000_size(image) if is_jpeg_2000 else _jpeg_size(image)
    if size is None:
        raise damaged("its compressed image is not of the kind declared or is broken")
    if size != (rows, columns):
        raise damaged(f"its compressed image is of {size[1]} × {size[0]} pixels instead of {columns} × {rows}")


def _jpeg_2000_size(image: bytes) -> tuple[int, int] | None:
    """(rows, columns) from the SIZ marker (ITU-T T.800 A.5.1), which may lie in a JP2 box."""
    start = image.find(_JPEG_2000_START, 0, 1024)
    if start < 0 or len(image) < start + 24:
        return None
    width, height, left, top = struct.unpack(">4L", image[start + 8 : start + 24])
    return height - top, width - left


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    """(rows, columns) from the frame header of JPEG and JPEG-LS."""
    if not image.startswith(_JPEG_START):
        return None
    here = len(_JPEG_START)
    while here + 9 <= len(image) and image[here] == 0xFF:
        marker = image[here + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", image[here + 5 : here + 9])
            return height, width
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
    raise damaged("its compressed image is not of the kind declared or is broken")

"""From one file to Hounsfield units, in the calling process; run as a module, for another process over pipes.

Some codecs end their process at damaged images instead of raising, so compressed slices are decoded by
``python -m analysis.pipeline.decoding``, which decoder.py starts and speaks to. Keep its imports few: it starts often.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.filereader import read_partial
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import (
    HTJ2K,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    RLELossless,
)

from .headers import UnusableSeries
from .marked import gettext_noop

PIXEL_DATA_TAG = 0x7FE00010
HU_RANGE = (-1024, 3071)
"""The 12-bit range of CT numbers. Padding outside the scan circle (often -2000) lies below it and
metal above it; both are clipped, so padding reads as air."""
MAX_RESCALE_SLOPE = 100.0
MAX_RESCALE_INTERCEPT = 32768.0
"""A rescale beyond these does not lead to Hounsfield units."""

HuSlice = npt.NDArray[np.int16]


def undecodable(label: str) -> UnusableSeries:
    sentence = gettext_noop(
        "The image in {label!s} cannot be decoded: it is damaged, or compressed in a way that is not supported. "
        "Send it again from the source."
    )
    return UnusableSeries("damaged_pixels", sentence.format(label=label))


def decode(path: Path, label: str) -> HuSlice:
    """Decode one file to Hounsfield units, int16 (row, column), clipped to HU_RANGE.

    Raises UnusableSeries, naming the image by ``label``, where it cannot be decoded.
    """
    try:
        dataset = read_to_pixels(path)
        stored, padding = _stored_values(dataset)
        said = (dataset.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
        slope, intercept = (float("nan") if value is None else float(value) for value in said)
    except Exception as fault:  # pydicom and the codecs raise many kinds on damaged files
        raise undecodable(label) from fault
    if not (0 < slope <= MAX_RESCALE_SLOPE and abs(intercept) <= MAX_RESCALE_INTERCEPT):
        sentence = gettext_noop("How the values become Hounsfield units is not said in {label!s}.")
        raise UnusableSeries("no_rescale", sentence.format(label=label))
    hu: HuSlice = np.rint(stored * np.float32(slope) + np.float32(intercept)).clip(*HU_RANGE).astype(np.int16)
    hu[padding] = HU_RANGE[0]
    return hu


def read_to_pixels(path: Path) -> pydicom.Dataset:
    """The dataset up to its pixel data; what follows them does not matter and may be broken."""
    reached = False

    def after_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal reached
        stop, reached = reached, reached or tag == PIXEL_DATA_TAG
        return stop

    with path.open("rb") as file:
        return read_partial(file, stop_when=after_pixels, force=True)


def _stored_values(dataset: pydicom.Dataset) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Stored values, int32 (row, column), and where they are padding.

    MONOCHROME1 inverts the display, not the values (DICOM PS3.3 C.7.6.3.1.2), so it changes nothing here.
    """
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError("not greyscale")
    syntax = transfer_syntax(dataset)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    raw, _ = get_decoder(syntax).as_array(
        dataset,
        raw=True,
        decoding_plugin=_plugin(syntax),
        correct_unused_bits=False,  # type: ignore[arg-type]  # done below, for left-aligned values too
    )
    bits = int(dataset.BitsStored)
    unused_low_bits = max(0, int(dataset.get("HighBit", bits - 1)) + 1 - bits)
    signed = dataset.PixelRepresentation == 1
    stored = _keep_bits(raw.astype(np.int32) >> unused_low_bits, bits, signed)
    return stored, _padding(dataset, stored, bits, signed)


def transfer_syntax(dataset: pydicom.Dataset) -> UID:
    """As declared, or for an old file without that as the reader found the header encoded."""
    declared = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if declared:
        return UID(declared)
    implicit, little_endian = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def _plugin(syntax: UID) -> str:
    """The decoder plug-in of pydicom; "" for native pixels. (pylibjpeg's libjpeg is GPL, hence gdcm.)"""
    if not syntax.is_encapsulated:
        return ""
    if syntax in (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL):
        return "pylibjpeg"
    return "pydicom" if syntax == RLELossless else "gdcm"


def _keep_bits(values: npt.NDArray[np.int32], bits: int, signed: bool) -> npt.NDArray[np.int32]:
    """Drop what lies above BitsStored (overlays, missing sign bits; DICOM PS3.5 8.1.1)."""
    if bits >= 32:
        return values
    kept = values & ((1 << bits) - 1)
    return np.where(kept >> (bits - 1) == 1, kept - (1 << bits), kept) if signed else kept


def _padding(dataset: pydicom.Dataset, stored: npt.NDArray[np.int32], bits: int, signed: bool) -> npt.NDArray[np.bool_]:
    """Where ``stored`` is PixelPaddingValue (to PixelPaddingRangeLimit; DICOM PS3.3 C.7.5.1.1.2).

    Only where a corner of the image is padding too: some archives write a padding value that
    is an ordinary density, which would punch holes into the body.
    """
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, dtype=bool)
    last = dataset.get("PixelPaddingRangeLimit")
    limits = np.array([first, last if isinstance(last, int) else first], dtype=np.int64).astype(np.int32)
    low, high = sorted(_keep_bits(limits, bits, signed))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padding if padding[[0, 0, -1, -1], [0, -1, 0, -1]].any() else np.zeros_like(padding)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Decode what is asked for until ``requests`` end.

    A request is a line of JSON with ``path``, ``label`` and ``seconds``, after which the process ends. The reply is
    a line of JSON: ``shape`` and ``bytes`` of the slice, which follows as int16 in the machine's byte order, or
    ``code`` and ``message`` of UnusableSeries.
    """
    for line in requests:
        request = json.loads(line)
        answer: dict[str, object]
        signal.alarm(request["seconds"])  # ends the process, also within a codec
        try:
            hu = decode(Path(request["path"]), request["label"])
        except UnusableSeries as unusable:
            answer, pixels = {"code": unusable.code, "message": unusable.message}, b""
        else:
            answer, pixels = {"shape": hu.shape, "bytes": hu.nbytes}, hu.tobytes()
        signal.alarm(0)
        replies.write(json.dumps(answer).encode() + b"\n" + pixels)
        replies.flush()


def main() -> None:
    """Serve standard input and output. The process that started this one ends it by closing the pipe, or by dying."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for that process, which may finish its work
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a patient's image
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what a codec prints must not get among the replies
        serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()

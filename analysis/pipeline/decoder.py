"""Slices decoded where a codec that crashes takes nothing along: compressed ones in a child process."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydicom.errors import InvalidDicomError

from .decoding import HuSlice, decode, undecodable
from .headers import SliceHeader, UnusableSeries, read_header
from .marked import gettext_noop

ROOT = Path(__file__).resolve().parents[2]
"""Where ``analysis`` is imported from."""
MAX_SECONDS = 30
"""One slice takes 0.02 s, of 2048 × 2048 pixels 0.5 s; a codec that still works after this never ends."""
SIDE_BY_SIDE = max(2, min(8, os.cpu_count() or 2))
"""Children that decode one series. The process that started them only copies what they send: more are not kept busy."""
UNDECODABLE = gettext_noop("The image cannot be decoded: it is damaged. Send it again from the source.")


class Decoder:
    """Decodes one slice at a time. The child starts at the first compressed slice, and anew after a crash.

    ``begin`` and ``finish`` are the two halves of ``read_hu``: between them the child works.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._asked: SliceHeader | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *fault: object) -> None:
        self._end_child()

    def read_hu(self, header: SliceHeader) -> HuSlice:
        """Hounsfield units, int16 (row, column), clipped to HU_RANGE.

        Raises UnusableSeries, naming the image, where it cannot be decoded.
        """
        self.begin(header)
        return self.finish()

    def why_undecodable(self, path: Path) -> str:
        """A sentence where the file cannot be read or is a compressed image that cannot be decoded, else ""."""
        try:
            header = read_header(path)
            if header.compressed:
                self.read_hu(header)
        except (UnusableSeries, InvalidDicomError):
            return UNDECODABLE
        return ""

    def begin(self, header: SliceHeader) -> None:
        self._asked = header
        if header.compressed:
            self._ask(header)

    def finish(self) -> HuSlice:
        """The slice of the last ``begin``. Raises UnusableSeries as ``read_hu`` does."""
        header, self._asked = self._asked, None
        assert header is not None
        hu = self._answer(header) if header.compressed else decode(header.path, header.label)
        if hu.shape != (header.rows, header.columns):
            sentence = gettext_noop("The image in {label!s} is not of the size its header says.")
            raise UnusableSeries("damaged_pixels", sentence.format(label=header.label))
        return hu

    def forget(self) -> None:
        """Nobody waits any more for the slice of the last ``begin``, if there is one."""
        if self._asked is not None and self._asked.compressed:
            self._end_child()
        self._asked = None

    def _answer(self, header: SliceHeader) -> HuSlice:
        """From the child; a new one is asked where it ended, for that may have been an earlier slice's fault."""
        hu = self._reply()
        if hu is None:
            self._end_child()
            self._ask(header)
            hu = self._reply()
        if hu is None:
            self._end_child()
            raise undecodable(header.label)
        return hu

    def _ask(self, header: SliceHeader) -> None:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "analysis.pipeline.decoding"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        request = json.dumps({"path": str(header.path.absolute()), "label": header.label, "seconds": MAX_SECONDS})
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: so will its replies
            self._child.stdin.write(request.encode() + b"\n")
            self._child.stdin.flush()

    def _reply(self) -> HuSlice | None:
        """None where the child ended. Raises the child's UnusableSeries."""
        assert self._child is not None
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        reply = json.loads(line)
        if "code" in reply:
            raise UnusableSeries(reply["code"], reply["message"])
        pixels = self._child.stdout.read(reply["bytes"])
        whole = len(pixels) == reply["bytes"]
        return np.frombuffer(pixels, np.int16).reshape(reply["shape"]) if whole else None

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


_decoders = tuple(Decoder() for _ in range(SIDE_BY_SIDE))
"""Their children outlive a series: to start one takes as long as to decode thirty slices."""
_one_series = threading.Lock()
"""Held while they decode one: the slices of two would get mixed up."""


def read_all_hu(headers: Sequence[SliceHeader]) -> Generator[HuSlice]:
    """The slices one after the other as :meth:`Decoder.read_hu` gives them, while the next ones are being decoded.

    Another series waits until this one is at its end or closed (``contextlib.closing``).
    """
    with _one_series:
        try:
            for decoder, header in zip(_decoders, headers, strict=False):
                decoder.begin(header)
            for index in range(len(headers)):
                decoder = _decoders[index % SIDE_BY_SIDE]
                hu = decoder.finish()
                if index + SIDE_BY_SIDE < len(headers):
                    decoder.begin(headers[index + SIDE_BY_SIDE])
                yield hu
        finally:
            for decoder in _decoders:
                decoder.forget()

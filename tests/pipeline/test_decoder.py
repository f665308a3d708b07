"""Compressed slices are decoded in a child process, and what befalls it befalls one slice."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from analysis.pipeline import decoder as decoder_module
from analysis.pipeline.decoder import ROOT, UNDECODABLE, Decoder, read_all_hu
from analysis.pipeline.decoding import HU_RANGE
from analysis.pipeline.headers import SliceHeader, UnusableSeries, read_header
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.series import check_series
from tests.dicom_series import chest_hu, halve_image, make_series


def crash_codec(path: Path) -> None:
    """Change a JPEG 2000 slice so that GDCM ends its process: to values of 38 bits."""
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\x4f\xff\x51") + 42] = 37
    path.write_bytes(content)


@pytest.fixture
def headers(tmp_path: Path) -> list[SliceHeader]:
    """Twelve JPEG 2000 slices of ``chest_hu``."""
    return [read_header(path) for path in make_series(tmp_path, transfer_syntax_uid=JPEG2000Lossless)]


def expected(index: int) -> np.ndarray:
    return chest_hu(12)[index].clip(*HU_RANGE)


def test_the_image_that_crashes_the_codec_ends_its_process(headers: list[SliceHeader]) -> None:
    crash_codec(headers[1].path)
    code = "import sys, pathlib, analysis.pipeline.decoding as d; d.decode(pathlib.Path(sys.argv[1]), '')"
    done = subprocess.run([sys.executable, "-c", code, headers[1].path], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGABRT  # else the tests below show nothing


def test_a_crashing_codec_costs_one_slice(headers: list[SliceHeader]) -> None:
    crash_codec(headers[1].path)
    with Decoder() as decoder:
        assert np.array_equal(decoder.read_hu(headers[0]), expected(0))
        with pytest.raises(UnusableSeries, match=r"image 2 \(0001\.dcm\) cannot be decoded") as caught:
            decoder.read_hu(headers[1])
        assert np.array_equal(decoder.read_hu(headers[2]), expected(2))
    assert caught.value.code == "damaged_pixels"


def test_a_child_that_died_between_two_slices_is_replaced(headers: list[SliceHeader]) -> None:
    with Decoder() as decoder:
        decoder.read_hu(headers[0])
        decoder._child.kill()
        decoder._child.wait()
        assert np.array_equal(decoder.read_hu(headers[1]), expected(1))


def test_a_codec_that_never_ends_is_stopped(
    headers: list[SliceHeader], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_module, "MAX_SECONDS", 1)
    os.mkfifo(tmp_path / "endless.dcm")  # nobody writes into it
    endless = dataclasses.replace(headers[0], path=tmp_path / "endless.dcm")
    with Decoder() as decoder, pytest.raises(UnusableSeries, match="cannot be decoded"):
        decoder.read_hu(endless)


def test_the_broken_slice_is_named_however_many_are_under_way(headers: list[SliceHeader]) -> None:
    crash_codec(headers[6].path)
    read = []
    with pytest.raises(UnusableSeries, match="image 7 "):
        read.extend(read_all_hu(headers))


def test_all_slices_come_in_order(headers: list[SliceHeader]) -> None:
    assert np.array_equal(list(read_all_hu(headers)), chest_hu(12).clip(*HU_RANGE))


def test_says_which_files_cannot_be_decoded(headers: list[SliceHeader], tmp_path: Path) -> None:
    halve_image(headers[1].path, tmp_path / "half.dcm")
    crash_codec(headers[2].path)
    with Decoder() as decoder:
        whys = [decoder.why_undecodable(path) for path in (tmp_path / "half.dcm", *(h.path for h in headers[:4]))]
    assert whys == [UNDECODABLE, "", "", UNDECODABLE, ""]


def test_the_children_outlive_a_series(headers: list[SliceHeader]) -> None:
    list(read_all_hu(headers))
    children = [decoder._child for decoder in decoder_module._decoders]
    list(read_all_hu(headers))
    assert [decoder._child for decoder in decoder_module._decoders] == children
    assert all(child.poll() is None for child in children)


def test_what_a_reader_that_gave_up_had_asked_for_is_not_taken_for_another_slice(headers: list[SliceHeader]) -> None:
    abandoned = read_all_hu(headers)
    next(abandoned)
    abandoned.close()
    assert np.array_equal(list(read_all_hu(headers)), chest_hu(12).clip(*HU_RANGE))


def test_a_reader_that_fails_holds_up_no_other_series(tmp_path: Path) -> None:
    paths = make_series(tmp_path, transfer_syntax_uid=JPEG2000Lossless)
    geometry = check_series([read_header(path) for path in paths])

    def fails(fraction: float) -> None:
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone") as kept:  # with its traceback, and so with the frames in it
        read_volume(geometry, on_progress=fails)
    assert len(read_volume(geometry).hu) == len(paths)
    assert kept.value


def test_native_slices_need_no_child(tmp_path: Path) -> None:
    with Decoder() as decoder:
        for path in make_series(tmp_path):
            decoder.read_hu(read_header(path))
        assert decoder._child is None


def test_rejects_an_image_of_another_size_than_the_header_says(tmp_path: Path) -> None:
    header = read_header(make_series(tmp_path, transfer_syntax_uid=RLELossless)[0])
    with Decoder() as decoder, pytest.raises(UnusableSeries, match="not of the size"):
        decoder.read_hu(dataclasses.replace(header, rows=95))


def test_no_child_is_left_behind(headers: list[SliceHeader]) -> None:
    with Decoder() as decoder:
        decoder.begin(headers[0])
        child = decoder._child
    assert child.returncode == -signal.SIGKILL


def test_the_child_outlasts_the_signals_of_a_stopping_worker_and_ends_with_its_pipe() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "analysis.pipeline.decoding"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdin.write(b'{"path": "none.dcm", "label": "the file none.dcm", "seconds": 30}\n')
    child.stdin.flush()
    assert b"the file none.dcm cannot be decoded" in child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    child.stdin.write(b'{"path": "none.dcm", "label": "the file none.dcm", "seconds": 30}\n')
    child.stdin.flush()
    assert b"the file none.dcm cannot be decoded" in child.stdout.readline()
    child.communicate()
    assert child.returncode == 0

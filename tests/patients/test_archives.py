import io
import zipfile
import zlib
from pathlib import Path

import pytest

from patients import archives
from patients.archives import Unpacking, count_members
from patients.part10 import Refused


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def opened(path: Path, name: str = "scan.zip") -> dict[str, bytes | str]:
    """Each member's content, or the code of its refusal."""
    found = {}
    for shown, member in Unpacking().iter_members(name, path):
        assert shown not in found
        found[shown] = member.code if isinstance(member, Refused) else member.read_bytes()
        assert not isinstance(member, Refused) or member.reason.endswith((".", "!"))
    return found


def test_a_single_file_is_its_own_member(tmp_path):
    path = tmp_path / "0001"
    path.write_bytes(b"abc")
    assert list(Unpacking().iter_members("IM0001", path)) == [("IM0001", path)]


def test_streams_members_of_nested_folders_and_one_level_of_zips(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"x/IM2": b"two"}).read_bytes()
    path = zipped(tmp_path / "outer.zip", {"a/b/IM1": b"one", "a/": b"", "more.zip": inner})
    assert opened(path) == {"scan.zip/a/b/IM1": b"one", "scan.zip/more.zip/x/IM2": b"two"}


def test_refuses_a_third_level_of_zips(tmp_path):
    content = b"deep"
    for _ in range(3):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("in.zip", content)
        content = buffer.getvalue()
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert opened(path) == {"scan.zip/in.zip/in.zip": "nested_zip"}


def test_temporary_members_last_until_the_next_step(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1": b"one", "2": b"two"})
    members = Unpacking().iter_members("a.zip", path)
    _, first = next(members)
    assert first.read_bytes() == b"one"
    _, second = next(members)
    assert second.read_bytes() == b"two"
    members.close()
    assert not first.exists()
    assert not second.exists()


@pytest.mark.parametrize(
    "name", ["../evil.dcm", "a/../../evil.dcm", "/etc/passwd", "..\\evil.dcm", "C:\\evil.dcm", "d:evil.dcm"]
)
def test_refuses_names_that_lead_outside_and_keeps_the_others(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {"1.dcm": b"one", name: b"evil", "2.dcm": b"two"})
    assert list(opened(path).values()) == [b"one", "unsafe_name", b"two"]


def test_takes_names_with_a_colon(tmp_path):
    path = zipped(tmp_path / "a.zip", {"CT 2020-03-05 10:15/IM1": b"one", "10:15": b"two"})
    assert list(opened(path).values()) == [b"one", b"two"]


def test_leaves_out_clutter_and_names_the_dicomdir(tmp_path):
    clutter = {"__MACOSX/._1.dcm": b"", ".DS_Store": b"", "a/Thumbs.db": b"", "a/._2.dcm": b""}
    path = zipped(tmp_path / "a.zip", {**clutter, "DICOMDIR": b"", "1.dcm": b"one"})
    assert opened(path) == {"scan.zip/DICOMDIR": "dicomdir", "scan.zip/1.dcm": b"one"}
    assert opened(zipped(tmp_path / "b.zip", clutter)) == {"scan.zip": "empty_zip"}
    assert opened(tmp_path / "b.zip", name="folder/.DS_Store") == {}


def test_says_that_a_zip_is_empty(tmp_path):
    assert opened(zipped(tmp_path / "a.zip", {})) == {"scan.zip": "empty_zip"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no zip at all", b"PK\x05\x06"])
def test_says_that_a_zip_is_damaged(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert opened(path) == {"scan.zip": "damaged_zip"}


def test_a_cut_zip_is_damaged(tmp_path):
    path = zipped(tmp_path / "a.zip", {str(index): bytes(1000) for index in range(20)})
    path.write_bytes(path.read_bytes()[:-300])
    assert opened(path) == {"scan.zip": "damaged_zip"}


def test_a_damaged_member_does_not_take_the_others_along(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1": b"one" * 50, "2": b"two" * 50, "3": b"tri" * 50}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"twotwo", b"towtwo", 1))
    assert list(opened(path).values()) == [b"one" * 50, "damaged_member", b"tri" * 50]


def test_refuses_encrypted_members(tmp_path):
    raw = bytearray(zipped(tmp_path / "a.zip", {"1": b"one", "2": b"two"}).read_bytes())
    raw[raw.find(b"PK\x03\x04") + 6] |= 1
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    assert list(opened(tmp_path / "a.zip").values()) == ["encrypted", b"two"]


def test_refuses_an_unknown_packing_method(tmp_path):
    raw = bytearray(zipped(tmp_path / "a.zip", {"1": b"one"}).read_bytes())
    raw[raw.find(b"PK\x03\x04") + 8] = 9  # Deflate64
    raw[raw.find(b"PK\x01\x02") + 10] = 9
    (tmp_path / "a.zip").write_bytes(raw)
    assert opened(tmp_path / "a.zip") == {"scan.zip/1": "zip_method"}


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MAX_MEMBERS", 3), ("MAX_TOTAL_BYTES", 3_000), ("MAX_DIRECTORY_BYTES", 100)],
)
def test_does_not_open_zips_beyond_the_limits(tmp_path, monkeypatch, limit, value):
    path = zipped(tmp_path / "a.zip", {str(index): bytes(1000) for index in range(4)})
    assert len(opened(path)) == 4
    monkeypatch.setattr(archives, limit, value)
    assert opened(path) == {"scan.zip": "zip_too_large"}


def test_limits_count_over_nested_zips(tmp_path, monkeypatch):
    inner = zipped(tmp_path / "inner.zip", {str(index): bytes(1000) for index in range(4)}).read_bytes()
    path = zipped(tmp_path / "outer.zip", {"a.zip": inner, "b.zip": inner})
    monkeypatch.setattr(archives, "MAX_MEMBERS", 7)
    outcomes = opened(path)
    assert outcomes["scan.zip/b.zip"] == "zip_too_large"
    assert sum(value == bytes(1000) for value in outcomes.values()) == 4


def test_refuses_a_bomb_by_its_ratio(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"1": bytes(5_000_000)})
    assert opened(path) == {"scan.zip/1": bytes(5_000_000)}
    monkeypatch.setattr(archives, "RATIO_FREE_BYTES", 1_000_000)
    assert opened(path) == {"scan.zip": "zip_too_large"}


def test_a_member_that_unpacks_to_more_than_it_declares_is_stopped(tmp_path):
    raw = bytearray(zipped(tmp_path / "a.zip", {"1": bytes(5_000_000)}).read_bytes())
    for start in (raw.find(b"PK\x03\x04") + 22, raw.find(b"PK\x01\x02") + 24):
        raw[start : start + 4] = (1000).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw)
    assert opened(tmp_path / "a.zip") == {"scan.zip/1": "damaged_member"}


def test_refuses_one_file_far_larger_than_a_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    path = zipped(tmp_path / "a.zip", {"1": bytes(1001), "2": b"two"})
    assert list(opened(path).values()) == ["too_large", b"two"]


def test_shows_names_as_one_printable_line(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a\nb" + "x" * 500 + ".dcm": b""})
    (shown,) = opened(path)
    assert len(shown) == archives.MAX_NAME_LENGTH
    assert shown.endswith("x.dcm")
    assert shown.isprintable()


def test_no_outcome_depends_on_luck_with_flipped_bytes(tmp_path):
    """Whatever one byte of a zip is changed to, it is read or refused, never an exception."""
    raw = zipped(tmp_path / "a.zip", {"a/1": b"one" * 30, "2": zlib.compress(b"two" * 30)}).read_bytes()
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 0xFF
        (tmp_path / "b.zip").write_bytes(changed)
        assert opened(tmp_path / "b.zip")


def test_a_zip_that_is_too_large_leaves_the_limits_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    large = zipped(tmp_path / "large.zip", {str(n): b"x" for n in range(5)})
    small = zipped(tmp_path / "small.zip", {str(n): b"x" for n in range(2)})
    unpacking = Unpacking()
    (refused,) = [member for _, member in unpacking.iter_members("large.zip", large)]
    assert refused.code == "zip_too_large"
    assert all(isinstance(member, Path) for _, member in unpacking.iter_members("small.zip", small))


def test_limits_hold_for_all_zips_of_an_upload_together(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = zipped(tmp_path / "a.zip", {str(n): b"x" for n in range(2)})
    unpacking = Unpacking()
    assert all(isinstance(member, Path) for _, member in unpacking.iter_members("a.zip", path))
    (refused,) = [member for _, member in unpacking.iter_members("b.zip", path)]
    assert refused.code == "zip_too_large"


def test_a_zip_in_a_zip_has_a_size_limit_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_NESTED_ZIP_BYTES", 1000)
    path = zipped(tmp_path / "a.zip", {"in.zip": bytes(2000), "1": b"one"})
    assert opened(path) == {"scan.zip/in.zip": "too_large", "scan.zip/1": b"one"}


def test_members_are_counted_by_the_table_of_contents(tmp_path):
    file = tmp_path / "1.dcm"
    file.write_bytes(b"x")
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"PK\x03\x04 nothing more")
    path = zipped(tmp_path / "a.zip", {str(n): b"x" for n in range(7)})
    assert [count_members(one) for one in (path, file, damaged)] == [7, 1, 1]

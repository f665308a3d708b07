"""Local files are whole or not there; a request may carry thousands of them."""

import errno
import resource
import subprocess
import sys

import pytest
from django.core.files.base import ContentFile

from tests.conftest import ROOT
from webapp.files import WholeFileStorage


@pytest.fixture
def storage(tmp_path):
    return WholeFileStorage(location=tmp_path, allow_overwrite=True)


class FullDisk(ContentFile):
    """A file of which the second chunk finds no room."""

    def chunks(self, chunk_size=None):
        yield b"first"
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_stored_file_whole(storage, tmp_path):
    storage.save("a/scan.dcm", ContentFile(b"the whole scan"))
    with pytest.raises(OSError, match="No space left"):
        storage.save("a/scan.dcm", FullDisk(b"first and second"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["scan.dcm"]
    assert (tmp_path / "a" / "scan.dcm").read_bytes() == b"the whole scan"


def test_a_reader_of_a_file_that_is_written_anew_reads_it_whole(storage):
    storage.save("scan.dcm", ContentFile(b"x" * 100_000))
    with storage.open("scan.dcm") as reader:
        start = reader.read(10)
        storage.save("scan.dcm", ContentFile(b"x" * 100_000))
        assert len(start + reader.read()) == 100_000


def test_the_web_process_may_open_as_many_files_as_the_system_allows():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, r.getrlimit(r.RLIMIT_NOFILE)[1]));"
        "import webapp.wsgi; print(r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(answer.stdout) == (2**16 if hard == resource.RLIM_INFINITY else min(2**16, hard))

"""What all tests share: the real data where it is present."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real CT data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CORONATREND_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is absent: set CORONATREND_DATA or put it at {folder.name} beside the checkout")
    return folder

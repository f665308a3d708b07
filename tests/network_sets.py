"""Sets of networks on disk: the released ones with another threshold, and rows whose files only look like networks."""

import hashlib
import json
import shutil
from pathlib import Path

from django.conf import settings

from analysis.checks import WEIGHTS, WEIGHTS_DIR
from analysis.models import NetworkSet

CARD = (
    "# North 1\n\nTrained on *corrected* slices.\n\n| set | AUC |\n|---|---|\n| running | 0.90 |\n| North 1 | 0.95 |\n"
)


def write_candidate(folder: Path) -> Path:
    """A set that loads: the released networks, which call a slice abnormal from another probability on."""
    folder.mkdir()
    for name in WEIGHTS:
        shutil.copyfile(WEIGHTS_DIR / name, folder / name)
    point = json.loads((WEIGHTS_DIR / "working_point.json").read_text())
    (folder / "working_point.json").write_text(json.dumps(point | {"version": "north-1", "slice_threshold": 0.125}))
    (folder / "card.md").write_text(CARD)
    return folder


def kept_set(name: str, **values: object) -> NetworkSet:
    """A row with small files that no network can be made of."""
    folder = settings.MODELS_ROOT / name
    folder.mkdir(parents=True)
    versions = []
    for file in WEIGHTS:
        content = f"{file} of {name}".encode()
        (folder / file).write_bytes(content)
        stem = Path(file).stem
        versions.append({"name": stem, "version": "north-1", "sha256": hashlib.sha256(content).hexdigest()})
    return NetworkSet.objects.create(**{"name": name, "card": CARD, "versions": versions, **values})

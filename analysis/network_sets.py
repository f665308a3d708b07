"""Which networks analyse: those of the active set, else the released ones; and how that is changed."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from .checks import WEIGHTS, WEIGHTS_DIR, missing_weights
from .models import NetworkSet


def active() -> NetworkSet | None:
    """The set that analyses now; None stands for the released networks."""
    return NetworkSet.objects.filter(active=True).first()


def folder_of(network_set: NetworkSet | None) -> Path:
    return network_set.folder if network_set else WEIGHTS_DIR


def weights_of(network_set: NetworkSet | None) -> frozenset[str]:
    """The sha256 of each file, as results name the networks that made them."""
    return network_set.weights if network_set else _weights_in(WEIGHTS_DIR)


def fault(network_set: NetworkSet | None) -> str:
    """Why nothing can be analysed with these networks, in a few words; empty where all files are there and, but for the
    released ones, of which no hash is kept, as they were added."""
    folder = folder_of(network_set)
    if missing := missing_weights(folder):
        return gettext_noop("missing: {files}").format(files=", ".join(missing))
    return "" if _weights_in(folder) == weights_of(network_set) else gettext_noop("changed since they were added")


def _weights_in(folder: Path) -> frozenset[str]:
    found = ((folder / name, (folder / name).stat()) for name in WEIGHTS)
    return frozenset(_sha256(path, stat.st_mtime_ns, stat.st_size) for path, stat in found)


@lru_cache(maxsize=32)
def _sha256(path: Path, modified_ns: int, size: int) -> str:
    """Of a file as it was when it was last written: health checks ask every few seconds."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def activate(network_set: NetworkSet | None, user: Any) -> None:
    """Let this set make the analyses that start from now on; None: the released networks."""
    with transaction.atomic():
        list(NetworkSet.objects.select_for_update().order_by("pk"))  # of two users who change it, one after the other
        NetworkSet.objects.filter(active=True).update(active=False)
        if network_set:
            NetworkSet.objects.filter(pk=network_set.pk).update(
                active=True, activated_at=timezone.now(), activated_by=user
            )

"""``manage.py add_networks FOLDER --name NAME``: keep a set of networks, so that an administrator can activate it."""

import shutil
import tempfile
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from analysis.checks import WEIGHTS
from analysis.models import NetworkSet
from analysis.pipeline.weights import WeightsMissing, released

CARD = "card.md"


class Command(BaseCommand):
    help = "Check a folder of networks, copy it to MODELS_ROOT and list it in the administration."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help=f"holds {', '.join(WEIGHTS)} and {CARD}")
        parser.add_argument("--name", required=True, help="letters, digits, - and _")

    def handle(self, *, folder: Path, name: str, **options: Any) -> None:
        network_set = NetworkSet(name=name)
        _check_name(network_set)
        network_set.card, network_set.versions = _card(folder), _versions(folder)
        _copy(folder, network_set.folder)
        try:
            network_set.save(force_insert=True)
        except BaseException:  # no row would ever lead to these files
            shutil.rmtree(network_set.folder)
            raise
        self.stdout.write(f"{name} was added; activate it in the administration.")


def _check_name(network_set: NetworkSet) -> None:
    try:
        network_set.full_clean(exclude=("card", "versions"))
    except ValidationError as error:
        raise CommandError(f"“{network_set}” cannot be the name: {' '.join(error.messages)}") from error
    if network_set.folder.exists():
        raise CommandError(f"{network_set.folder} exists already: choose another name.")


def _card(folder: Path) -> str:
    """The model card of a folder that holds all files."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder.")
    if missing := [name for name in (*WEIGHTS, CARD) if not (folder / name).is_file()]:
        raise CommandError(f"{folder} is not complete: {', '.join(missing)} missing.")
    try:
        card = (folder / CARD).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise CommandError(f"{folder / CARD} is no text in UTF-8.") from error
    if not card:
        raise CommandError(f"{folder / CARD} is empty: say what the networks were trained on and how they compare.")
    return card


def _versions(folder: Path) -> list[dict[str, str]]:
    """As in a report of these networks, once they have been loaded."""
    try:
        return [asdict(version) for version in released(torch.device("cpu"), folder).versions]
    except WeightsMissing as error:
        raise CommandError(str(error)) from error


def _copy(folder: Path, kept: Path) -> None:
    """All or nothing, and never over files that another process put there meanwhile."""
    try:
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=settings.MODELS_ROOT) as temporary:
            copied = Path(temporary) / kept.name
            copied.mkdir()
            for name in (*WEIGHTS, CARD):
                shutil.copyfile(folder / name, copied / name)
            copied.rename(kept)
    except OSError as error:
        raise CommandError(f"The networks could not be copied to {kept}: {error.strerror}.") from error

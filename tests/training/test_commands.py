"""The commands that train and measure."""

import importlib
import pkgutil

import pytest

import analysis.training

COMMANDS = [one.name for one in pkgutil.iter_modules(analysis.training.__path__)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_imported(name: str) -> None:
    if name == "bench":
        pytest.importorskip("lungmask", reason="what the bench compares with is installed by make bench alone")
    importlib.import_module(f"analysis.training.{name}")

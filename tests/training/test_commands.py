"""The modules that train and measure, commands and their parts."""

import importlib
import pkgutil

import pytest

import analysis.training

MODULES = [one.name for one in pkgutil.iter_modules(analysis.training.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    if name == "bench":
        pytest.importorskip("lungmask", reason="what the bench compares with is installed by make bench alone")
    importlib.import_module(f"analysis.training.{name}")

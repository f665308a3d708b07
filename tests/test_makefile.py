"""What make does on machines that lack something."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def script(path: Path, lines: str) -> Path:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def make(*arguments, path):
    environment = {"PATH": f"{path}:/usr/bin:/bin"}
    return subprocess.run(["make", "-s", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("18.20.0", False), ("20.18.3", False), ("20.19.0", True), ("21.7.3", False), ("22.9.0", False),
        ("22.12.0", True), ("23.0.0", True), ("24.19.0", True), ("200.0.0", False),
    ],
)  # fmt: skip
def test_node_of_the_machine_is_used_where_vite_takes_it(tmp_path, version, fits):
    script(tmp_path / "node", f"echo v{version}")
    script(tmp_path / "npm", "")
    done = make("--eval", "npm: ; @echo $(NPM)", "npm", path=tmp_path)
    assert done.stdout.strip() == ("npm" if fits else ".venv/bin/npm"), done.stderr


def test_a_python_without_venv_is_said_at_every_try(tmp_path):
    """Debian's python3 without python3-venv leaves an environment without pip behind."""
    venv = tmp_path / "venv"
    half_made = f"mkdir -p {venv}/bin && cp {tmp_path}/no_pip {venv}/bin/python; exit 1"
    script(tmp_path / "no_pip", 'echo "No module named pip" >&2; exit 1')
    python = script(tmp_path / "python3", f'[ "$1" = -c ] && exec {sys.executable} "$@"\n{half_made}')
    for _ in range(2):
        done = make(f"VENV={venv}", f"PYTHON={python}", f"{venv}/run.stamp", path=tmp_path)
        assert done.returncode != 0
        assert "install python3-venv" in done.stderr
        assert "No module named pip" not in done.stderr


@pytest.mark.parametrize(("target", "what"), [("train", "train"), ("evaluate", "compare")])
def test_a_candidate_is_made_from_and_compared_with_the_networks_that_are_named(tmp_path, target, what):
    for arguments, running in (([], "analysis/weights"), (["RUNNING=models/north-1"], "models/north-1")):
        done = make("-n", target, "CORRECTIONS=said", "CANDIDATE=out", *arguments, path=tmp_path)
        assert f'candidate {what} "said" "out" --running "{running}"' in done.stdout, done.stderr

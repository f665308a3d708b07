"""Write one synthetic chest CT: ``python -m analysis.phantoms OUT --seed 3 --spacing 2.5 0.7 0.7 --opacity 8``."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .anatomy import make_patient
from .dicom import write_series
from .lesions import random_nodules, random_opacities
from .render import Grid, render
from .visit import Visit, follow_up


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m analysis.phantoms", description=__doc__)
    parser.add_argument("folder", type=Path, help="gets dicom/, masks.npz and truth.json")
    parser.add_argument("--seed", type=int, default=1, help="which patient and which lesions")
    parser.add_argument("--spacing", type=float, nargs=3, default=(5.0, 1.45, 1.45), metavar=("SLICE", "ROW", "COLUMN"))
    parser.add_argument("--matrix", type=int, default=256, help="rows and columns")
    parser.add_argument("--opacity", type=float, default=0.0, help="COVID-like opacities, per cent of the lung")
    parser.add_argument("--nodules", type=int, default=0)
    parser.add_argument("--day", type=int, default=0, help="days since the first scan")
    parser.add_argument("--growth", type=float, default=1.0, help="volume of all lesions on that day, of the first")
    options = parser.parse_args()

    anatomy = make_patient(options.seed)
    lesions = random_opacities(anatomy, options.seed, options.opacity)
    visit = Visit(anatomy, lesions + random_nodules(anatomy, options.seed, options.nodules))
    if options.day:
        visit = follow_up(visit, options.day, options.growth)
    phantom = render(visit, Grid.over_lungs(anatomy, tuple(options.spacing), options.matrix))
    write_series(phantom, options.folder / "dicom")
    np.savez_compressed(
        options.folder / "masks.npz",
        lungs=phantom.lungs,
        opacity=phantom.opacity,
        nodules=phantom.nodules,
        vessels=phantom.vessels,
        affine_lps=phantom.affine_lps,
    )
    truth = asdict(phantom.truth) | {"opacity_percent": phantom.truth.opacity_percent}
    (options.folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What becomes of masses: python -m analysis.training.mass_figures

One solid mass of 30 to 60 mm in each of some synthetic patients, and one at a time pasted into normal_001, by the test
seeds of the protocol. About three minutes on two CPU cores.
"""

import json

import numpy as np
import torch

from analysis.phantoms.lesions import SOLID
from analysis.pipeline.run import Analysis, analyse_volume
from analysis.pipeline.weights import Models, released
from analysis.training import data
from analysis.training.cases import ct_volume
from analysis.training.nodule_scans import NoduleScan, lungs_of, pasted_scan, phantom_with_mass

REAL = "normal_001"
GRID_MM = (2.5, 0.8)  # slices and pixels of the synthetic patients
RADIUS_MM = (15.0, 30.0)


def mass_figures(models: Models) -> dict:
    """Of each mass what is said; and what is remarked on in normal_001 without any."""
    seeds, volume = data.protocol()["nodules"]["test_masses"], ct_volume(REAL)
    real = NoduleScan(volume, lungs_of(volume, models.lung_unet), ())
    return {
        "seeds": seeds,
        "synthetic patients": [outcome(phantom_with_mass(seed, GRID_MM, models.lung_unet), models) for seed in seeds],
        REAL: [outcome(pasted_scan(real, seed, 1, models.lung_unet, (SOLID,), RADIUS_MM), models) for seed in seeds],
        "remarks_without": remarks(analyse_volume(volume, models)),
    }


def outcome(scan: NoduleScan, models: Models) -> dict:
    (mass,) = scan.nodules
    analysis = analyse_volume(scan.volume, models)
    findings = analysis.report.findings or ()
    x, y, z = np.rint(np.linalg.inv(scan.volume.affine_lps) @ [*mass.center_mm, 1.0])[:3].astype(int).tolist()
    listed_ml = [one.volume_ml for one in findings if mass.holds(one.centroid_mm)]
    return {
        "diameter_mm": 2 * mass.radius_mm,
        "volume_ml": mass.volume_ml,
        "listed_ml": max(listed_ml, default=None),
        "opacity": bool(analysis.opacity[z, y, x]),  # in the middle of it
        "remarks": remarks(analysis),
        "other_findings": len(findings) - len(listed_ml),
    }


def remarks(analysis: Analysis) -> list[str]:
    """Codes of those that ask to look at the scan."""
    return [flag.code for flag in analysis.report.quality if flag.severe]


def main() -> None:
    print(json.dumps(mass_figures(released(torch.device("cpu"))), indent=1))


if __name__ == "__main__":
    main()

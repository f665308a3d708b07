"""What becomes of masses: python -m analysis.training.mass_figures

One solid mass of 30 to 60 mm in each of some synthetic patients, and one at a time pasted into normal_001, deep in its
lungs and at their outside, by the test seeds of the protocol; and the tumour of tumour_A0002, 6 cm at the hilum, as it
is and after small changes of its scan. About six minutes on two CPU cores.
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from analysis.phantoms.lesions import SOLID
from analysis.pipeline.run import Analysis, analyse_volume
from analysis.pipeline.weights import Models, released
from analysis.training import data
from analysis.training.cases import ct_volume
from analysis.training.nodule_scans import NoduleScan, lungs_of, pasted_scan, phantom_with_mass
from analysis.training.repeatability import Variant, matrix, noisy

REAL = "normal_001"
GRID_MM = (2.5, 0.8)  # slices and pixels of the synthetic patients
RADIUS_MM = (15.0, 30.0)
TUMOUR, TUMOUR_ML = "tumour_A0002", 45.0  # as far as the lungs' mask holds it; nothing else there is half as large
WHERE = {f"{REAL}, deep": False, f"{REAL}, at the outside": True}


def _moved(rows: int, columns: int) -> Variant:
    return Variant(lambda hu: np.roll(hu, (rows, columns), (1, 2)))


def _denser(by_hu: int) -> Variant:
    return Variant(lambda hu: (hu + by_hu).astype(np.int16))


def _softer(sigma_pixels: float) -> Variant:
    return Variant(
        lambda hu: ndimage.gaussian_filter(hu.astype(np.float32), (0, *2 * (sigma_pixels,))).astype(np.int16)
    )


def _matrix(side: int) -> Variant:
    return Variant(lambda hu: matrix(hu, side), pixels=512 / side)


VARIANTS = (
    {"as it is": _moved(0, 0), "30 HU of noise": Variant(noisy)}
    | {f"{by} rows and {by} columns further": _moved(by, by) for by in (1, 2, 3, 5)}
    | {f"1 column further, {by} rows": _moved(by, 1) for by in (-4, 0, 7)}
    | {f"{by:+d} HU": _denser(by) for by in (-15, 10, 15, 25)}
    | {f"blurred by {sigma} pixels": _softer(sigma) for sigma in (0.6, 1.0)}
    | {f"{side} × {side} pixels": _matrix(side) for side in (384, 448, 576, 640)}
    | {f"as if the pixels were {by} × as large": Variant(lambda hu: hu, pixels=by) for by in (0.9, 1.1, 1.15, 1.25)}
)


def mass_figures(models: Models, seeds: Sequence[int] = ()) -> dict:
    """Of each mass what is said, of the protocol's seeds without others; and what is remarked on in normal_001 without
    any."""
    seeds, volume = seeds or data.protocol()["nodules"]["test_masses"], ct_volume(REAL)
    real = NoduleScan(volume, lungs_of(volume, models.lung_unet), ())
    masses = {"synthetic patients": [phantom_with_mass(seed, GRID_MM, models.lung_unet) for seed in seeds]}
    for name, at_wall in WHERE.items():
        masses[name] = [
            pasted_scan(real, seed, 1, models.lung_unet, (SOLID,), RADIUS_MM, at_wall=at_wall) for seed in seeds
        ]
    return {
        "seeds": seeds,
        "masses": {name: [outcome(scan, models) for scan in scans] for name, scans in masses.items()},
        "remarks_without": remarks(analyse_volume(volume, models)),
        TUMOUR: {name: tumour_outcome(variant, models) for name, variant in VARIANTS.items()},
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
        "shown": shown(analysis, scan.volume.spacing_mm[0], z, mass.radius_mm),
        "other_findings": len(findings) - len(listed_ml),
    }


def tumour_outcome(variant: Variant, models: Models) -> dict:
    analysis = analyse_volume(variant.of(ct_volume(TUMOUR), TUMOUR), models)
    least_ml = TUMOUR_ML / 2 * variant.pixels**2
    listed_ml = [one.volume_ml for one in analysis.report.findings or () if one.volume_ml > least_ml]
    return {"listed_ml": max(listed_ml, default=None), "remarks": remarks(analysis)}


def remarks(analysis: Analysis) -> list[str]:
    """Codes of those that ask to look at the scan."""
    return [flag.code for flag in analysis.report.quality if flag.severe]


def shown(analysis: Analysis, slice_mm: float, index: int, radius_mm: float) -> bool:
    """Whether a remark that asks to look at the scan names a slice of the mass, whose middle is in slice ``index``."""
    named = [flag.slice_number for flag in analysis.report.quality if flag.severe and flag.slice_number]
    return any(abs(number - 1 - index) * slice_mm <= radius_mm for number in named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=(), help="instead of the protocol's")
    print(json.dumps(mass_figures(released(torch.device("cpu")), parser.parse_args().seeds), indent=1))


if __name__ == "__main__":
    main()

"""How much score and findings of one scan depend on how it was taken: python -m analysis.training.repeatability

Prints the score of covid_P001 as other scanners might have stored it, by networks of the fold "release" (which never
saw it) at the thresholds of protocol.toml, and the coefficients of variation. That over the variants that no severe
flag marks goes into protocol.toml before the release. About half a minute. evaluate_released.py counts findings too, as
the networks of a fold have no detector of nodules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch

from analysis.pipeline.lesion_change import SIGNIFICANT, match
from analysis.pipeline.report import Finding
from analysis.pipeline.run import analyse_volume
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import Models
from analysis.training import data
from analysis.training.cases import ct_volume, fold_models, volume_of

CASE, SIDE = "covid_P001", 512  # 148 slices of 2 mm, SIDE × SIDE pixels
NOISE_HU = 30.0  # standard deviation added
NOISE_SEED = 0
STORED = "2 mm slices, as stored"

Hu = npt.NDArray[np.int16]  # (slice, row, column)


def thicker(hu: Hu, count: int) -> Hu:
    """Neighbouring slices averaged, ``count`` to one."""
    starts = range(0, len(hu) // count * count, count)
    return np.stack([hu[start : start + count].mean(0).astype(np.int16) for start in starts])


def between(hu: Hu) -> Hu:
    """The means of neighbours: slices that begin half a slice later, and are a little softer."""
    return np.stack([hu[index : index + 2].mean(0).astype(np.int16) for index in range(len(hu) - 1)])


def thinner(hu: Hu) -> Hu:
    """One more slice between any two."""
    doubled = np.empty((2 * len(hu) - 1, *hu.shape[1:]), np.int16)
    doubled[::2], doubled[1::2] = hu, between(hu)
    return doubled


def matrix(hu: Hu, side: int) -> Hu:
    """Slices of ``side`` × ``side`` pixels: averaged where these are larger, interpolated where smaller."""
    mode = "area" if side < hu.shape[1] else "bilinear"
    slices = [F.interpolate(torch.from_numpy(one).float()[None, None], (side, side), mode=mode) for one in hu]
    return np.stack([one[0, 0].numpy().astype(np.int16) for one in slices])


def wider(hu: Hu) -> Hu:
    """The same in a field of view a quarter larger, empty around it."""
    around = hu.shape[1] // 8
    return np.pad(hu, ((0, 0), (around, around), (around, around)), constant_values=-1024)


def narrower(hu: Hu) -> Hu:
    """The same in a field of view an eighth smaller, as near to the lungs as it gets."""
    around = hu.shape[1] // 16
    return hu[:, around:-around, around:-around]


def noisy(hu: Hu) -> Hu:
    random = np.random.default_rng(NOISE_SEED)
    return np.stack([(one + NOISE_HU * random.standard_normal(one.shape)).astype(np.int16) for one in hu])


@dataclass(frozen=True)
class Variant:
    """How the scan was taken. ``change``: its slices; ``slices`` and ``pixels``: their distances ÷ those of the scan;
    ``first``: slice and pixel of the scan, from its first ones, that the middle of the first voxel lies in."""

    change: Callable[[Hu], Hu]
    slices: float = 1.0
    pixels: float = 1.0
    first: tuple[float, float] = (0.0, 0.0)

    def of(self, volume: Volume, name: str) -> Volume:
        """The volume, upright and head first, in its own coordinates."""
        hu = np.ascontiguousarray(self.change(volume.hu))
        slice_mm, row_mm, column_mm = volume.spacing_mm
        changed = volume_of(hu, (slice_mm * self.slices, row_mm * self.pixels, column_mm * self.pixels), name)
        slices, pixels = self.first
        affine_lps = changed.affine_lps.copy()
        affine_lps[:3, 3] = column_mm * pixels, row_mm * pixels, -slice_mm * slices
        return replace(changed, affine_lps=affine_lps, z_mm=changed.z_mm - slice_mm * slices)


def _thicker(count: int) -> Variant:
    return Variant(lambda hu: thicker(hu, count), slices=count, first=((count - 1) / 2, 0.0))


def _matrix(side: int, pixels: float) -> Variant:
    return Variant(lambda hu: matrix(hu, side), pixels=pixels, first=(0.0, (pixels - 1) / 2))


VARIANTS = {
    "1 mm slices": Variant(thinner, slices=0.5),
    STORED: Variant(lambda hu: hu),
    "4 mm slices": _thicker(2),
    "6 mm slices": _thicker(3),
    "8 mm slices": _thicker(4),
    "half the pixel size": _matrix(1024, 0.5),
    "double pixel size": _matrix(256, 2),
    "a quarter larger field of view": Variant(wider, first=(0.0, -SIDE / 8)),
    "an eighth smaller field of view": Variant(narrower, first=(0.0, SIDE / 16)),
    "quarter of the resolution": _matrix(128, 4),
    "shifted by half a slice": Variant(between, first=(0.5, 0.0)),
    "added noise": Variant(noisy),
    "mirrored left to right": Variant(lambda hu: hu[..., ::-1]),
    "upside down": Variant(lambda hu: hu[::-1]),
}
THICKNESSES = tuple(VARIANTS)[:5]
WORSE = (*THICKNESSES, "quarter of the resolution", "added noise")
FLAGGED = ("quarter of the resolution",)  # as one to be checked
SAME = ("mirrored left to right", "upside down")  # by construction: mirror images are averaged, 148 slices fill groups
TRUSTED = tuple(name for name in VARIANTS if name not in (*FLAGGED, *SAME))


def measure(models: Models) -> dict:
    """Corona score of each variant in cm³, and coefficients of variation: over the slice thicknesses, over these with
    quarter resolution and noise, and over all that a user would trust, which differ by construction; of these also what
    became of the findings of the scan as stored."""
    volume = ct_volume(CASE)
    reports = {name: analyse_volume(one.of(volume, name), models).report for name, one in VARIANTS.items()}
    scores = {name: report.corona_score_cm3 for name, report in reports.items()}
    stored = reports[STORED].findings or ()
    others = [name for name in TRUSTED if stored and name != STORED]
    return {
        "scores": scores,
        "findings": {name: found_again(stored, reports[name].findings or ()) for name in others},
        "variation_of_thickness": variation([scores[name] for name in THICKNESSES]),
        "variation_of_worse_images": variation([scores[name] for name in WORSE]),
        "variation": variation([scores[name] for name in TRUSTED]),
    }


def found_again(stored: tuple[Finding, ...], found: tuple[Finding, ...]) -> dict[str, int]:
    """``found``: how many of the ``stored`` findings are matched by their centroids, 8 mm or 0.6 of the radius apart at
    most; ``close``: of these, whose volume a comparison would call stable."""
    centers = [np.array([one.centroid_mm for one in group]).reshape(-1, 3) for group in (found, stored)]
    matched = match(found, centers[0], stored, centers[1], np.ones((len(found), len(stored)), bool))
    factors = [found[now].volume_ml / stored[before].volume_ml for now, before in matched.items()]
    close = sum(1 / SIGNIFICANT < factor < SIGNIFICANT for factor in factors)
    return {"findings": len(stored), "found": len(factors), "close": close}


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation, of a sample."""
    return float(np.std(values, ddof=1) / np.mean(values))


def main() -> None:
    measured = measure(fold_models("release", data.protocol()["seeds"]["slice_classifier"][0]))
    for name, score in measured["scores"].items():
        print(f"{name}: {score:.1f} cm³")
    print(f"variation {measured['variation']:.3f}, over thicknesses {measured['variation_of_thickness']:.3f}")


if __name__ == "__main__":
    main()

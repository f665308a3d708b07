"""How well nodules are found and measured: python -m analysis.training.nodule_figures

On synthetic patients of the test seeds, on LIDC-0003 against the median of its readers, and on the other real series,
where findings are counted. About ten minutes on one CPU core.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from analysis.phantoms.lesions import CALCIFIED, GROUND_GLASS_NODULE, PART_SOLID, SOLID
from analysis.pipeline.findings import find_findings
from analysis.pipeline.nodule_model import NoduleModel
from analysis.pipeline.regions import zones
from analysis.pipeline.report import Finding
from analysis.pipeline.weights import Models, released
from analysis.training import data
from analysis.training.cases import CT_CASES, ct_volume
from analysis.training.measures import bootstrap
from analysis.training.nodule_scans import READ_BY_SEVERAL, Nodule, NoduleScan, lungs_of, phantom_scan, read_scan

LEAST_CONFIDENCE = 0.01  # from which the free-response curve is drawn
CURVE_FALSE_PER_SCAN = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # those of the LUNA16 challenge (Setio et al. 2017)
MEASURED_MM = 6.0  # nodules of this diameter and more are measured
CLOSE = 0.15  # relative error of a volume that is called close
TEXTURES = {"ground-glass": GROUND_GLASS_NODULE, "part-solid": PART_SOLID, "solid": SOLID}


@dataclass(frozen=True, eq=False)
class Found:
    """What was found on a scan of these nodules down to LEAST_CONFIDENCE, the surest first; ``hits``: index of the
    nodule that each finding is the first to find, -1 where it finds none and is false, -2 where it counts neither
    way."""

    nodules: tuple[Nodule, ...]
    findings: tuple[Finding, ...]
    hits: tuple[int, ...]

    @classmethod
    def on(cls, scan: NoduleScan, model: NoduleModel) -> "Found":
        volume = scan.volume
        found = find_findings(
            volume.hu, scan.lungs, zones(scan.lungs, volume.hu), volume.affine_lps, model.at(LEAST_CONFIDENCE)
        )
        findings = tuple(sorted(found.findings, key=lambda one: -one.confidence))
        hits: list[int] = []
        for finding in findings:
            at = [k for k, nodule in enumerate(scan.nodules) if nodule.holds(finding.centroid_mm)]
            if at and not scan.nodules[at[0]].counts:
                hits.append(-2)
            else:
                hits.append(at[0] if at and at[0] not in hits else -1)
        return cls(scan.nodules, findings, tuple(hits))

    def false(self, threshold: float) -> int:
        return sum(hit == -1 and one.confidence >= threshold for one, hit in zip(self.findings, self.hits, strict=True))

    def pairs(self, threshold: float) -> list[tuple[Nodule, Finding | None]]:
        """Each nodule that counts with the finding that found it."""
        by_nodule = {
            hit: finding
            for finding, hit in zip(self.findings, self.hits, strict=True)
            if finding.confidence >= threshold
        }
        return [(nodule, by_nodule.get(k)) for k, nodule in enumerate(self.nodules) if nodule.counts]


def free_response(found: list[Found]) -> list[dict[str, float]]:
    """False findings per scan and sensitivity at every threshold, the highest first."""
    points = []
    for threshold in sorted({one.confidence for scan in found for one in scan.findings}, reverse=True):
        pairs = [pair for scan in found for pair in scan.pairs(threshold)]
        points.append(
            {
                "threshold": threshold,
                "false_per_scan": sum(scan.false(threshold) for scan in found) / len(found),
                "sensitivity": sum(finding is not None for _, finding in pairs) / len(pairs),
            }
        )
    return points


def sensitivity_at(points: list[dict[str, float]], false_per_scan: float) -> float:
    return max((one["sensitivity"] for one in points if one["false_per_scan"] <= false_per_scan), default=0.0)


def threshold_at(points: list[dict[str, float]], false_per_scan: float) -> float:
    """The lowest at which there are no more false findings; above all confidences where there is none."""
    return min((one["threshold"] for one in points if one["false_per_scan"] <= false_per_scan), default=np.inf)


def sensitivity_interval(found: list[Found], threshold: float) -> tuple[float, float]:
    """95 %, over scans of different patients."""
    by_scan = {str(k): scan.pairs(threshold) for k, scan in enumerate(found)}

    def sensitivity(drawn: list[str]) -> float:
        return float(np.mean([one is not None for scan in drawn for _, one in by_scan[scan]]))

    return bootstrap(list(by_scan), sensitivity)


def phantom_figures(found: list[Found], threshold: float) -> dict:
    """Of scans of one grid."""
    pairs = [pair for scan in found for pair in scan.pairs(threshold)]
    large = [(nodule, one) for nodule, one in pairs if one and 2 * nodule.radius_mm >= MEASURED_MM]
    volume = np.array([one.volume_ml / nodule.volume_ml - 1 for nodule, one in large])
    long_mm = np.array([one.long_axis_mm - nodule.long_axis_mm for nodule, one in large])
    points = free_response(found)

    def share(chosen: list[tuple[Nodule, Finding | None]]) -> dict[str, int]:
        return {"nodules": len(chosen), "found": sum(one is not None for _, one in chosen)}

    sizes = {"below 6 mm": (0, MEASURED_MM), "6 to 10 mm": (MEASURED_MM, 10), "from 10 mm": (10, np.inf)}
    return {
        "scans": len(found),
        "nodules": len(pairs),
        "sensitivity": sum(one is not None for _, one in pairs) / len(pairs),
        "sensitivity_interval": sensitivity_interval(found, threshold),
        "false_per_scan": sum(scan.false(threshold) for scan in found) / len(found),
        "sensitivity_at": {str(false): sensitivity_at(points, false) for false in CURVE_FALSE_PER_SCAN},
        "sensitivity_at_1.0_interval": sensitivity_interval(found, threshold_at(points, 1.0)),
        "by_kind": {
            kind: share([pair for pair in pairs if pair[0].kind == kind]) for kind in sorted({n.kind for n, _ in pairs})
        },
        "by_diameter": {
            name: share([pair for pair in pairs if low <= 2 * pair[0].radius_mm < high])
            for name, (low, high) in sizes.items()
        },
        "texture_right": share_right(large),
        "volume_error": {
            "nodules": len(large),
            "mean_absolute": float(np.abs(volume).mean()),
            "median": float(np.median(volume)),
            "share_close": float((np.abs(volume) <= CLOSE).mean()),
        },
        "long_axis_error_mm": {"mean_absolute": float(np.abs(long_mm).mean()), "median": float(np.median(long_mm))},
        "free_response": points,
    }


def share_right(found: list[tuple[Nodule, Finding | None]]) -> float:
    """Of nodules that were found: whether texture and calcium are what the synthetic patient has."""
    said = [
        (nodule.kind, CALCIFIED if finding.calcified else TEXTURES[finding.texture])
        for nodule, finding in found
        if finding
    ]
    return sum(true == called for true, called in said) / len(said)


def read_figures(found: Found, threshold: float) -> dict:
    """Of LIDC-0003: each nodule of several readers with what was found of it."""
    return {
        "false": found.false(threshold),
        "nodules": [
            {
                "read_volume_ml": nodule.volume_ml,
                "read_long_axis_mm": nodule.long_axis_mm,
                "volume_ml": one and one.volume_ml,
                "long_axis_mm": one and one.long_axis_mm,
                "short_axis_mm": one and one.short_axis_mm,
                "confidence": one and one.confidence,
            }
            for nodule, one in found.pairs(threshold)
        ],
    }


def nodule_figures(models: Models) -> dict:
    """All figures at the released threshold, of synthetic patients by the distances of their slices and pixels."""
    settings, threshold = data.protocol()["nodules"], models.nodules.threshold
    by_grid: dict[tuple[float, float], list[Found]] = {tuple(grid_mm): [] for grid_mm in settings["grid_mm"]}
    for seed, grid_mm in itertools.product(settings["test"], by_grid):
        scan = phantom_scan(seed, grid_mm, settings["per_phantom"], models.lung_unet)
        by_grid[grid_mm].append(Found.on(scan, models.nodules))
    real = {}
    for name in CT_CASES:
        volume = ct_volume(name)
        lungs = lungs_of(volume, models.lung_unet)
        findings = find_findings(volume.hu, lungs, zones(lungs, volume.hu), volume.affine_lps, models.nodules).findings
        real[name] = [{"kind": one.kind, "texture": one.texture, "volume_ml": one.volume_ml,
                       "long_axis_mm": one.long_axis_mm, "confidence": one.confidence} for one in findings]  # fmt: skip
    return {
        "command": "python -m analysis.training.nodule_figures",
        "weights": next(one.sha256 for one in models.versions if one.name == "nodules"),
        "seeds": settings["test"],
        "threshold": threshold,
        "phantoms": {
            f"{slice_mm:g} × {pixel_mm:g} mm": {"slice_mm": slice_mm} | phantom_figures(found, threshold)
            for (slice_mm, pixel_mm), found in by_grid.items()
        },
        READ_BY_SEVERAL: read_figures(Found.on(read_scan(models.lung_unet), models.nodules), threshold),
        "real_ct": real,
    }


def print_table(figures: dict) -> None:
    for grid, of in figures["phantoms"].items():
        print(f"\nphantoms, slices × pixels of {grid}: {of['scans']} scans, {of['nodules']} nodules")
        print(f"  sensitivity {of['sensitivity']:.3f} at {of['false_per_scan']:.2f} false findings per scan")
        print("  free response: " + ", ".join(f"{s:.3f} at {f}" for f, s in of["sensitivity_at"].items()))
        for group in ("by_kind", "by_diameter"):
            print("  " + ", ".join(f"{name} {one['found']}/{one['nodules']}" for name, one in of[group].items()))
        error = of["volume_error"]
        print(
            f"  volume from {MEASURED_MM:.0f} mm ({error['nodules']}): mean absolute error "
            f"{error['mean_absolute']:.1%}, median {error['median']:+.1%}, "
            f"{error['share_close']:.0%} within {CLOSE:.0%}"
        )
        axis = of["long_axis_error_mm"]
        print(f"  long axis: mean absolute error {axis['mean_absolute']:.1f} mm, median {axis['median']:+.1f} mm")
    read = figures[READ_BY_SEVERAL]
    print(f"\n{READ_BY_SEVERAL}: {read['false']} false findings")
    for one in read["nodules"]:
        print("  read {read_volume_ml:.2f} ml, {read_long_axis_mm:.1f} mm; found ".format(**one), end="")
        print("{volume_ml:.2f} ml, {long_axis_mm:.1f} mm".format(**one) if one["confidence"] else "nothing")
    for name, findings in figures["real_ct"].items():
        print(f"\n{name}: {len(findings)} findings")
        for one in findings:
            print("  {kind}, {texture}, {volume_ml:.2f} ml, {long_axis_mm:.1f} mm, {confidence:.2f}".format(**one))


def main() -> None:
    print_table(nodule_figures(released(torch.device("cpu"))))


if __name__ == "__main__":
    main()

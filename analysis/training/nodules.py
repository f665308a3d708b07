"""Train how sure a nodule is: python -m analysis.training.nodules

Fits the logistic regression of ``pipeline/nodule_model.py`` to the outlines that the pipeline draws on synthetic
patients, with masses too, on LIDC-0003 as it is and with nodules pasted in, chooses the threshold by a cross-validation
over these scans, and writes analysis/weights/nodules.json. About twenty minutes.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch

from analysis.pipeline.findings import candidates, features
from analysis.pipeline.inference import Network
from analysis.pipeline.nodule_model import FEATURES, PRODUCTS, terms
from analysis.pipeline.weights import WEIGHTS, released_lung_unet, sha256_of
from analysis.training import data
from analysis.training.nodule_scans import NoduleScan, pasted_scan, phantom_scan, phantom_with_mass, read_scan

VERSION = "1.6"
TRUE_VOLUME = (0.5, 2.0)  # ÷ the nodule's: other outlines on it are neither right nor wrong
OUTLINES = data.RUNS / "nodules.npz"


@dataclass(frozen=True, eq=False)
class Outlines:
    """``features`` (outline, feature); ``label``: 1 a nodule, 0 none, -1 neither; ``scan``: index of its scan;
    ``nodule``: index of its nodule in all scans, -1 of none. ``nodules``: how many there are to find."""

    features: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]
    scan: npt.NDArray[np.int64]
    nodule: npt.NDArray[np.int64]
    nodules: int


def training_scans(lung_unet: Network) -> Iterator[NoduleScan]:
    settings = data.protocol()["nodules"]
    for seed, grid_mm in zip(settings["train"], cycle(settings["grid_mm"]), strict=False):
        yield phantom_scan(seed, grid_mm, settings["per_phantom"], lung_unet)
    for seed, grid_mm in zip(settings["train_masses"], cycle(settings["grid_mm"]), strict=False):
        yield phantom_with_mass(seed, grid_mm, lung_unet)
    read = read_scan(lung_unet)
    yield read
    for seed in settings["pasted"]:
        yield pasted_scan(read, seed, settings["per_pasted"], lung_unet)


def outlines(scans: Iterator[NoduleScan]) -> Outlines:
    rows: list[npt.NDArray[np.float64]] = []
    of: list[tuple[int, int, int]] = []  # label, scan, nodule
    before = 0
    for index, scan in enumerate(scans):
        for candidate in candidates(scan.volume.hu, scan.lungs, scan.volume.spacing_mm):
            rows.append(features(candidate.outlined, scan.volume.spacing_mm[0]))
            x, y, z = (scan.volume.affine_lps @ [*candidate.centroid[::-1], 1.0])[:3].tolist()
            hits = [k for k, nodule in enumerate(scan.nodules) if nodule.holds((x, y, z))]
            label = 0
            if hits:
                nodule = scan.nodules[hits[0]]
                low, high = TRUE_VOLUME
                close = low < candidate.outlined.volume_ml / nodule.volume_ml < high
                label = 1 if nodule.counts and close else -1
            of.append((label, index, before + hits[0] if hits else -1))
        before += len(scan.nodules)
        print(f"{scan.volume.series_instance_uid}: {len(of)} outlines", flush=True)
    label, scan_of, nodule_of = np.array(of).T
    return Outlines(np.array(rows), label, scan_of, nodule_of, before)


def fit(
    values: npt.NDArray[np.float64], label: npt.NDArray[np.int64], decay: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Coefficients and intercept of the logistic regression with the least cross-entropy + ``decay`` · |coefficients|²,
    of the outlines (outline, term) labelled 0 or 1."""
    x, y = torch.from_numpy(values), torch.from_numpy(label).double()
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ weights[:-1] + weights[-1], y)
        value = value + decay * (weights[:-1] ** 2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    fitted = weights.detach().numpy()
    return fitted[:-1], float(fitted[-1])


def threshold_for(
    confidence: npt.NDArray[np.float64], label: npt.NDArray[np.int64], scans: int, false_per_scan: float
) -> float:
    """The confidence above which so many false outlines per scan are left."""
    false = np.sort(confidence[label == 0])[::-1]
    return float(false[min(int(false_per_scan * scans), len(false) - 1)])


Numbers = npt.NDArray[np.float64]


def fitted(found: Outlines, used: npt.NDArray[np.bool_], decay: float) -> tuple[Numbers, Numbers, Numbers, float]:
    """Mean, deviation, coefficients and intercept by the outlines ``used`` (outline,)."""
    clear = used & (found.label >= 0)
    mean, deviation = found.features[clear].mean(0), found.features[clear].std(0)
    coefficients, intercept = fit(terms(found.features[clear], mean, deviation), found.label[clear], decay)
    return mean, deviation, coefficients, intercept


def held_out_confidence(found: Outlines, settings: dict, scans: int | None = None) -> Numbers:
    """Of each outline (outline,), by a fit to the scans of the other groups, or so many of them: those fitted to are
    judged too surely. The scans of LIDC-0003, with nodules pasted in and without, are in one group."""
    group = np.minimum(found.scan, len(settings["train"]) + len(settings["train_masses"])) % settings["folds"]
    confidence = np.empty(len(found.scan))
    for own in (group == number for number in range(settings["folds"])):
        others = np.random.default_rng(0).permutation(np.unique(found.scan[~own]))[:scans]
        mean, deviation, coefficients, intercept = fitted(found, np.isin(found.scan, others), settings["decay"])
        values = terms(found.features[own], mean, deviation)
        confidence[own] = 1 / (1 + np.exp(-(values @ coefficients + intercept)))
    return confidence


def at_false(found: Outlines, confidence: Numbers, false_per_scan: float) -> tuple[float, int]:
    """The confidence above which so many false outlines per scan are left, and how many nodules are found there."""
    threshold = threshold_for(confidence, found.label, int(found.scan.max()) + 1, false_per_scan)
    return threshold, len(np.unique(found.nodule[(found.label == 1) & (confidence > threshold)]))


def read_outlines() -> Outlines:
    """Those of the last run."""
    with np.load(OUTLINES) as stored:
        return Outlines(**{name: stored[name] for name in stored.files})


def write(found: Outlines, path: Path) -> None:
    settings = data.protocol()["nodules"]
    mean, deviation, coefficients, intercept = fitted(found, found.scan >= 0, settings["decay"])
    threshold, hits = at_false(found, held_out_confidence(found, settings), settings["false_per_scan"])
    print(f"{hits} of {found.nodules} nodules at {settings['false_per_scan']} false ones per scan, on scans held out")
    of_features, of_products = coefficients[: len(FEATURES)].tolist(), coefficients[len(FEATURES) :].tolist()
    stored = {
        "name": "nodules",
        "version": VERSION,
        "trained_on": "synthetic patients; LIDC-0003, as it is and with synthetic nodules pasted in",
        "recipe": "python -m analysis.training.nodules",
        "commit": data.commit(),
        "lung_unet_sha256": sha256_of(WEIGHTS / "lung_unet.safetensors"),  # which found the lungs that it looked in
        "use": "research use, not for diagnosis",
        "threshold": round(threshold, 4),
        "intercept": round(intercept, 4),
        "features": {
            name: {"mean": round(m, 4), "deviation": round(d, 4), "coefficient": round(c, 4)}
            for name, m, d, c in zip(FEATURES, mean.tolist(), deviation.tolist(), of_features, strict=True)
        },
        "products": {name: round(c, 4) for name, c in zip(PRODUCTS, of_products, strict=True)},
    }
    path.write_text(json.dumps(stored, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="fit anew to the outlines of the last run")
    if not parser.parse_args().again:
        found = outlines(training_scans(released_lung_unet(torch.device("cpu"))[0]))
        OUTLINES.parent.mkdir(exist_ok=True)
        np.savez(OUTLINES, **vars(found))
    write(read_outlines(), WEIGHTS / "nodules.json")


if __name__ == "__main__":
    main()

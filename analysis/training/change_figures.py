"""How well lesions are followed from one scan to the next: python -m analysis.training.change_figures

On synthetic patients scanned twice, breathed in and lying differently, whose nodules grow, shrink, come and go; both
scans go through the whole pipeline. Writes docs/evaluation/change.json, from which evaluation_page.py makes its part of
the page. About ten minutes on two CPU cores.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.phantoms import Anatomy, Grid, Lesion, Pose, Visit, make_patient, nodules_of_all_sizes, random_opacities
from analysis.phantoms import render as rendered
from analysis.pipeline.change import Change, compare
from analysis.pipeline.lesion_change import GROWN, NEW, RESOLVED, SHRUNK, SIGNIFICANT, STABLE, Scan
from analysis.pipeline.registration import Motion
from analysis.pipeline.run import analyse_volume
from analysis.pipeline.weights import Models, released
from analysis.training import data
from analysis.training.cases import volume_of
from analysis.training.evaluation_page import write
from analysis.training.measures import bootstrap

PIXEL_MM, MATRIX = 0.7, 512
DAYS = 90
GONE, CAME = 0.0, np.inf
FATES = (GONE, 0.4, 1.0, 1.0, 2.0, CAME)  # volume now ÷ before
FOUND_MM = 3.0  # a finding is a lesion's own within this or the lesion's radius
SAME_MM = 10.0  # findings of no lesion that lie this near to each other are one thing, a vessel for example
POINTS = 2000  # in the lungs, at which the registration's error is taken
NOT_FOUND = "not found"


@dataclass(frozen=True)
class Followed:
    """One true lesion. ``numbers``: of its findings in the prior and the current report, None where not found;
    ``status``: what the pipeline says of it; ``factor``: the volume's, None where it is not outlined twice."""

    fate: float
    numbers: tuple[int | None, int | None]
    status: str
    factor: float | None

    @property
    def true_status(self) -> str:
        if self.fate == GONE:
            return RESOLVED
        if self.fate == CAME:
            return NEW
        return GROWN if self.fate >= SIGNIFICANT else SHRUNK if self.fate <= 1 / SIGNIFICANT else STABLE

    @property
    def persists(self) -> bool:
        return self.fate not in (GONE, CAME)

    @property
    def found_twice(self) -> bool:
        return None not in self.numbers


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scans of one patient. ``wrong_matches``: of ``matches`` that join two different things; ``error_mm``: of the
    registration at points all over the lungs, which lie ``moved_mm`` from where they were."""

    lesions: list[Followed]
    matches: int
    wrong_matches: int
    error_mm: np.ndarray
    moved_mm: np.ndarray


def follow(seed: int, slice_mm: tuple[float, float], models: Models) -> Pair:
    settings = data.protocol()["change"]
    random = np.random.default_rng([seed, 9])
    patient = make_patient(seed)
    nodules = nodules_of_all_sizes(patient, seed, settings["nodules"])
    opacities = random_opacities(patient, seed, settings["opacity_percent"])
    fates = random.permutation(np.resize(FATES, len(nodules)))
    breath, shift = settings["breath_mm"], settings["shift_mm"]
    x, y, z = random.uniform(-shift, shift, 3).tolist()
    pose = Pose(float(random.uniform(-breath, breath)), (x, y, z))
    before = [None if fate == CAME else one for one, fate in zip(nodules, fates, strict=True)]
    now = [
        None if fate == GONE else one if fate == CAME else one.grown(fate)
        for one, fate in zip(nodules, fates, strict=True)
    ]
    grown = tuple(one.grown(random.uniform(0.4, 2.0)) for one in opacities)
    prior = _scan(Visit(patient, _there(before) + opacities), slice_mm[0], models)
    current = _scan(Visit(patient, _there(now) + grown, DAYS, pose), slice_mm[1], models)
    change, _, motion = compare(current, prior, DAYS)
    numbers = [(_number(a, prior, Pose()), _number(b, current, pose)) for a, b in zip(before, now, strict=True)]
    matches = [(one.prior_number, one.number) for one in change.lesions if one.prior_number and one.number]
    return Pair(
        lesions=[_followed(fate, own, change) for fate, own in zip(fates.tolist(), numbers, strict=True)],
        matches=len(matches),
        wrong_matches=sum(
            not _is_right(match, numbers, _places_mm(match, prior, current, pose), (opacities, grown))
            for match in matches
        ),
        **_registration(motion, patient, pose, random),
    )


def _there(lesions: list[Lesion | None]) -> tuple[Lesion, ...]:
    return tuple(one for one in lesions if one)


def _scan(visit: Visit, slice_mm: float, models: Models) -> Scan:
    phantom = rendered(visit, Grid.over_lungs(visit.anatomy, (slice_mm, PIXEL_MM, PIXEL_MM), MATRIX))
    volume = volume_of(phantom.hu, phantom.grid.spacing_mm, f"day {visit.day}")
    return Scan.of(analyse_volume(replace(volume, affine_lps=phantom.affine_lps), models))


def _number(lesion: Lesion | None, scan: Scan, pose: Pose) -> int | None:
    """Number of the finding that is this lesion."""
    if lesion is None or not scan.findings:
        return None
    center_mm = pose.to_scanner(np.array(lesion.center_mm))
    away_mm = [np.linalg.norm(one.centroid_mm - center_mm) for one in scan.findings]
    nearest = int(np.argmin(away_mm))
    return nearest + 1 if away_mm[nearest] <= max(FOUND_MM, lesion.radius_mm) else None


def _followed(fate: float, numbers: tuple[int | None, int | None], change: Change) -> Followed:
    prior_number, number = numbers
    own = [
        one
        for one in change.lesions
        if (number and one.number == number) or (prior_number and one.prior_number == prior_number)
    ]
    if len(own) == 2:  # found twice, not matched
        return Followed(fate, numbers, f"{own[0].status} and {own[1].status}", None)
    factor = own[0].volume_ml / own[0].prior_volume_ml if own and own[0].volume_change_percent is not None else None
    return Followed(fate, numbers, own[0].status if own else NOT_FOUND, factor)


def _places_mm(match: tuple[int, int], prior: Scan, current: Scan, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Centroids of a match's two findings, in the patient's reference coordinates."""
    before_mm, now_mm = prior.findings[match[0] - 1].centroid_mm, np.array(current.findings[match[1] - 1].centroid_mm)
    reference_mm = now_mm - pose.shift_mm
    reference_mm[2] = pose.reference_z(now_mm[2])
    return np.array(before_mm), reference_mm


def _is_right(
    match: tuple[int, int],
    numbers: list[tuple[int | None, int | None]],
    places_mm: tuple[np.ndarray, np.ndarray],
    opacities: tuple[Sequence[Lesion], Sequence[Lesion]],
) -> bool:
    """Whether both findings, at these places, are the same nodule, lie in the same opacity (prior and current, in the
    same order), or are no lesion and near to each other."""
    if match in numbers:
        return True
    if any(match[0] == before or match[1] == now for before, now in numbers):
        return False
    before, now = (
        {k for k, one in enumerate(of_scan) if one.distance_mm((place - one.center_mm).astype(np.float32)[None])[0] < 0}
        for of_scan, place in zip(opacities, places_mm, strict=True)
    )
    if before or now:
        return bool(before & now)
    return bool(np.linalg.norm(places_mm[1] - places_mm[0]) <= SAME_MM)


def _registration(motion: Motion, patient: Anatomy, pose: Pose, random: np.random.Generator) -> dict[str, np.ndarray]:
    inside = np.argwhere(patient.field("lung") < 0)
    places = inside[random.choice(len(inside), POINTS, replace=False)]
    origin_mm = np.array([patient.axes.x[0], patient.axes.y[0], patient.axes.z[0]], float)
    before_mm = origin_mm + places[:, ::-1] * patient.axes.step_mm
    now_mm = pose.to_scanner(before_mm)
    return {
        "error_mm": np.linalg.norm(motion.to_prior(now_mm) - before_mm, axis=1),
        "moved_mm": np.linalg.norm(now_mm - before_mm, axis=1),
    }


def shares(pairs: Sequence[Pair]) -> dict[str, float]:
    """Of lesions that are matched: among those outlined twice and among all that persist; and of wrong matches."""
    lesions = [lesion for pair in pairs for lesion in pair.lesions]
    matched = sum(lesion.found_twice and lesion.factor is not None for lesion in lesions)
    return {
        "matched": matched / sum(lesion.found_twice for lesion in lesions),
        "persisting_matched": matched / sum(lesion.persists for lesion in lesions),
        "wrong_matches": sum(pair.wrong_matches for pair in pairs) / sum(pair.matches for pair in pairs),
    }


def intervals(pairs: Sequence[Pair]) -> dict[str, tuple[float, float]]:
    """95 %, over patients."""
    by_name = {str(k): pair for k, pair in enumerate(pairs)}

    def of(name: str) -> tuple[float, float]:
        return bootstrap(list(by_name), lambda drawn: shares([by_name[one] for one in drawn])[name])

    return {name: of(name) for name in shares(pairs)}


def figures(pairs: list[Pair]) -> dict:
    lesions = [lesion for pair in pairs for lesion in pair.lesions]
    measured = [lesion for lesion in lesions if lesion.found_twice and lesion.factor]
    said = Counter((lesion.true_status, lesion.status) for lesion in lesions)
    factor_error = np.array([abs(lesion.factor / lesion.fate - 1) for lesion in measured])
    error_mm, moved_mm = (np.concatenate([getattr(pair, name) for pair in pairs]) for name in ("error_mm", "moved_mm"))
    return {
        "pairs": len(pairs),
        "lesions": len(lesions),
        "persisting": sum(lesion.persists for lesion in lesions),
        "found_twice": sum(lesion.found_twice for lesion in lesions),
        "matches": sum(pair.matches for pair in pairs),
        **shares(pairs),
        "intervals": intervals(pairs),
        "status": {
            true: {status: count for (own, status), count in sorted(said.items()) if own == true}
            for true in (NEW, GROWN, STABLE, SHRUNK, RESOLVED)
        },
        "volume_factor_error": {"median": float(np.median(factor_error)), "mean": float(factor_error.mean())},
        "error_mm": dict(zip(("median", "95 %"), np.percentile(error_mm, [50, 95]).tolist(), strict=True)),
        "moved_mm": dict(zip(("median", "95 %"), np.percentile(moved_mm, [50, 95]).tolist(), strict=True)),
    }


def change_figures(models: Models) -> dict:
    settings = data.protocol()["change"]
    distances = itertools.cycle(settings["slice_mm"])
    pairs = [follow(seed, slice_mm, models) for seed, slice_mm in zip(settings["seeds"], distances, strict=False)]
    return {
        "command": "python -m analysis.training.change_figures",
        "commit": data.commit(),
        "weights": {version.name: version.sha256 for version in models.versions},
        "seeds": settings["seeds"],
        "slice_mm": settings["slice_mm"],
    } | figures(pairs)


def main() -> None:
    found = change_figures(released(torch.device("cpu")))
    write("change", found)
    print(f"{found['pairs']} pairs of scans, {found['lesions']} lesions, {found['found_twice']} of them found twice")
    print(f"matched {found['matched']:.1%} of these, {found['persisting_matched']:.1%} of all that persist")
    print(f"{found['wrong_matches']:.1%} of {found['matches']} matches wrong")
    for true, said in found["status"].items():
        print(f"  {true}: " + ", ".join(f"{count} {status}" for status, count in said.items()))
    print("factor of the volume: error median {median:.0%}, mean {mean:.0%}".format(**found["volume_factor_error"]))
    for name in ("moved_mm", "error_mm"):
        print(f"{name}: " + ", ".join(f"{part} {mm:.1f}" for part, mm in found[name].items()))


if __name__ == "__main__":
    main()

"""Cases for the evaluation: whole series with their truth, run through the very pipeline that users run."""

import csv
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from analysis.phantoms import Grid, Visit, make_patient, random_opacities, render
from analysis.pipeline.inference import Network, ready
from analysis.pipeline.networks import LUNG_INPUT, SLICE_INPUT, LungUNet, OpacityDecoder, SliceClassifier, SliceNetworks
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.report import ModelVersion, Report
from analysis.pipeline.run import Analysis, analyse_volume
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import Models, sha256_of
from analysis.training import data
from analysis.training.measures import auc
from analysis.training.release import halved

# opacity_masks does not say its spacings. Shares of the lung do not depend on them; how much neighbouring slices have a
# say in a probability does, so the slice AUC is given without neighbours as well.
NOMINAL_SPACING_MM = (8.0, 1.4, 1.4)
CT_CASES = ("covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002")


@dataclass(frozen=True, eq=False)
class Case:
    """A volume, the truth about it and what the pipeline made of it; all arrays (slice, row, column)."""

    name: str
    truth: data.Slices
    analysis: Analysis

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """Of each slice, NaN where the pipeline saw no lung."""
        values = [one_slice.probability for one_slice in self.analysis.report.slices]
        return np.array([np.nan if value is None else value for value in values])

    @property
    def counts(self) -> npt.NDArray[np.bool_]:
        """Slices that count for the AUC: lung slices with a clear label."""
        return np.isfinite(self.probability) & (self.truth.label >= 0)

    @property
    def opacity_percent(self) -> float:
        return float(100 * self.truth.opacity.sum() / self.truth.lung.sum())

    def score_percent(self, paper: bool = False) -> float:
        """Corona score as a share of the lung found."""
        report = self.analysis.report
        score = report.corona_score_paper_cm3 if paper else report.corona_score_cm3
        return 100 * score / report.lung_volume_ml


def fold_network(name: str, fold: str, seed: int, network: nn.Module) -> nn.Module:
    """A run's network as its released file would have it: with weights of half precision."""
    data.load_run(name, fold, seed, network)
    network.load_state_dict(halved(network.state_dict()))
    return network.requires_grad_(False)


def fold_lungs(fold: str, seed: int) -> Network:
    return ready(fold_network("lung_unet", fold, seed, LungUNet()), LUNG_INPUT, torch.device("cpu"))


def fold_models(fold: str, seed: int) -> Models:
    """The networks of a fold at the protocol's thresholds, each of the run of this seed."""
    working_point, cpu = data.protocol()["working_point"], torch.device("cpu")
    classifier = fold_network("slice_classifier", fold, seed, SliceClassifier())
    decoder = fold_network("opacity_decoder", fold, seed, OpacityDecoder())
    return Models(
        lung_unet=fold_lungs(fold, seed),
        slices=ready(SliceNetworks(classifier, decoder), SLICE_INPUT, cpu),
        slice_classifier=classifier.eval(),
        nodules=None,  # the same for all folds, measured by nodule_figures.py
        slice_threshold=working_point["slice_threshold"],
        case_threshold=working_point["case_threshold"],
        score_variation=working_point["score_variation"],
        versions=tuple(
            ModelVersion(name, f"{fold} seed {seed}", sha256_of(data.run_path(name, fold, seed)))
            for name in ("lung_unet", "slice_classifier", "opacity_decoder")
        ),
        device=cpu,
    )


def volume_of(hu: npt.NDArray[np.int16], spacing_mm: tuple[float, float, float], name: str) -> Volume:
    """An array as a series of its own."""
    slice_mm, row_mm, column_mm = spacing_mm
    z_mm = -np.arange(len(hu)) * slice_mm
    return Volume(hu, np.diag([column_mm, row_mm, -slice_mm, 1.0]), z_mm, name, tuple(f"{name}.{i}" for i in z_mm))


def opacity_cases(volumes: list[int], models: Models) -> list[Case]:
    """Volumes of opacity_masks through the pipeline, each slice on its own."""
    slices = data.opacity_masks(volumes)
    cases = []
    for volume in volumes:
        truth = slices.where(slices.group == str(volume))
        series = volume_of(truth.hu, NOMINAL_SPACING_MM, f"volume {volume}")
        cases.append(Case(f"volume {volume}", truth, analyse_volume(series, models)))
    return cases


def ct_volume(name: str) -> Volume:
    return read_volume(check_series(find_series(data.SHARED_DATA / "ct" / name)))


def labelled_auc(name: str, report: Report) -> float | None:
    """AUC against slice_labels.csv (one reader's infection labels, noisy at the borders) where the series has it."""
    path = data.SHARED_DATA / "ct" / name / "slice_labels.csv"
    if not path.exists():
        return None
    with path.open(newline="") as file:
        infected = {row["sop_instance_uid"]: row["infection"] == "1" for row in csv.DictReader(file)}
    scored = [one for one in report.slices if one.probability is not None]
    probability = np.array([one.probability for one in scored], float)
    return auc(probability, np.array([infected[one.sop_instance_uid] for one in scored]))


def phantom_case(
    seed: int, percent_of_lung: float, spacing_mm: tuple[float, float, float], models: Models
) -> tuple[Case, float]:
    """A synthetic patient through the pipeline, and its true opacity in cm³."""
    patient = make_patient(seed)
    matrix = round(360 / spacing_mm[1])
    phantom = render(
        Visit(patient, random_opacities(patient, seed, percent_of_lung)), Grid.over_lungs(patient, spacing_mm, matrix)
    )
    name = f"phantom {seed}, {percent_of_lung} %, {spacing_mm[0]} × {spacing_mm[1]} mm"
    volume = volume_of(phantom.hu, spacing_mm, name)
    index = np.arange(len(phantom.hu))
    truth = data.Slices(phantom.hu, phantom.lungs > 0, phantom.opacity > 0, np.full(len(index), name), index)
    opacity_cm3 = phantom.truth.ground_glass_ml + phantom.truth.consolidation_ml
    return Case(name, truth, analyse_volume(volume, models)), opacity_cm3

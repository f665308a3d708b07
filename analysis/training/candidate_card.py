"""The card of a candidate: what it and the running networks say of the same cases."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from analysis.pipeline.run import analyse_volume
from analysis.pipeline.series import UnusableSeries
from analysis.pipeline.weights import Models, released
from analysis.training import data
from analysis.training.cases import ct_volume, labelled_auc, opacity_cases
from analysis.training.corrections import CorrectedSeries, UnusableCorrections
from analysis.training.markdown import table
from analysis.training.measures import agreement, auc
from analysis.training.slice_classifier import Part

CPU = torch.device("cpu")
Figures = dict[str, float]


def of_corrections(series: Sequence[CorrectedSeries], models: Models) -> Figures:
    """Slices whose readers' decisions no network learnt, and the other lung slices of their series.

    Raises UnusableCorrections where no such slice is left.
    """
    probability, abnormal, others, patients = [], [], [], set()
    for one in series:
        try:
            report = analyse_volume(one.volume(), models).report
        except UnusableSeries:
            continue
        patients.add(one.patient)
        for each in report.slices:
            if each.probability is not None and each.sop_instance_uid in one.abnormal:
                probability.append(each.probability)
                abnormal.append(one.abnormal[each.sop_instance_uid])
            elif each.probability is not None:
                others.append(each.probability)
    if not probability:
        raise UnusableCorrections("No corrected slice of the patients held out shows lungs: gather more corrections.")
    positive, label = np.array(probability) >= models.slice_threshold, np.array(abnormal, bool)
    return {
        "patients held out": len(patients),
        "their corrected slices": len(label),
        "… of which the reader calls abnormal": int(label.sum()),
        "… AUC": auc(np.array(probability), label),
        "… sensitivity": _share(positive[label]),
        "… specificity": _share(~positive[~label]),
        "their other lung slices": len(others),
        "… of which the networks call abnormal": sum(one >= models.slice_threshold for one in others),
    }


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def of_series(models: Models) -> Figures:
    """The two real series that no network was trained on."""
    covid, normal = (analyse_volume(ct_volume(name), models).report for name in ("covid_P001", "normal_001"))
    return {
        "covid_P001: AUC of its reader's labels": labelled_auc("covid_P001", covid),
        "covid_P001: positive ratio": covid.positive_ratio,
        "covid_P001: Corona score, cm³": covid.corona_score_cm3,
        "normal_001 (healthy): positive ratio": normal.positive_ratio,
        "normal_001 (healthy): Corona score, cm³": normal.corona_score_cm3,
    }


def of_volumes(models: Models) -> Figures:
    """Volumes that both sets learnt: is what was known still known?"""
    cases = opacity_cases(data.trained_volumes("release"), models)
    probability = np.concatenate([case.probability[case.counts] for case in cases])
    positive = np.concatenate([case.truth.label[case.counts] == 1 for case in cases])
    score = agreement([case.score_percent() for case in cases], [case.opacity_percent for case in cases])
    return {
        "volumes that both learnt: slice AUC": auc(probability, positive),
        "volumes that both learnt: error of the score, points": score["mean_absolute_error"],
    }


def write_card(folder: Path, held_out: Sequence[CorrectedSeries], learnt: Part, running: Path) -> None:
    """``card.md`` in the folder of the candidate, compared with the networks in ``running``.

    Raises UnusableCorrections as ``of_corrections`` does.
    """
    sets = {"running": released(CPU, running), "candidate": released(CPU, folder)}
    figures = {
        name: of_corrections(held_out, models) | of_series(models) | of_volumes(models) for name, models in sets.items()
    }
    rows: list[list[object]] = [[row, *(figures[name][row] for name in sets)] for row in figures["running"]]
    versions = [
        [name, version.name, version.version, version.sha256]
        for name, models in sets.items()
        for version in models.versions
    ]
    text = [
        "# Candidate",
        f"Trained on {len(learnt.label)} corrected slices of {len(set(learnt.slices.group))} patients, beside "
        "what the released networks learnt from; compared with the running networks (their versions are at the end) on "
        "those of other patients and on other scans, each set at its own slice "
        f"threshold ({sets['running'].slice_threshold:.2f} and {sets['candidate'].slice_threshold:.2f}). Made at "
        f"commit `{data.commit()}`. Research use, not for diagnosis.",
        table(["", *sets], rows),
        "**Corrected slices are no fair test of the networks that were corrected.** Readers speak up where those were "
        "wrong, so their right decisions are not among these slices, and any other networks, even worse ones, look "
        "better there. Go by them only where readers judged whole scans; else go by the other lung slices, on which "
        "readers let the running networks' decisions stand, and by the scans below.",
        "A candidate that marks the healthy scan, or no longer the diseased one, is worse whatever it learnt; an AUC "
        "of few slices or patients says little.",
        table(["set", "network", "version", "SHA-256"], versions),
    ]
    (folder / "card.md").write_text("\n\n".join(text) + "\n")

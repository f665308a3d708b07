"""The figures of docs/evaluation, drawn from its JSON files."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw_roc(results: dict, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    for number, one in enumerate(results["curves"], start=1):
        label = f"seeds {number} of {len(results['curves'])}"
        axes.plot(one["false_positive_rate"], one["true_positive_rate"], linewidth=1, label=label)
    mean = results["held_out"]["mean"]["slices"]
    axes.plot(1 - mean["specificity"], mean["sensitivity"], "ko", label="working point, mean")
    axes.set(xlabel="False positive rate", ylabel="True positive rate", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title(f"Held-out slices, AUC {mean['auc']:.3f}", fontsize=10)
    axes.legend(loc="lower right")
    _save(figure, path)


def draw_reliability(results: dict, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    for number, one in enumerate(results["curves"], start=1):
        bins = one["reliability"]
        label = f"seeds {number} of {len(results['curves'])}"
        axes.plot([b["mean_probability"] for b in bins], [b["abnormal"] for b in bins], "o-", linewidth=1, label=label)
    axes.set(xlabel="Probability, mean of a tenth", ylabel="Share of abnormal slices", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")
    _save(figure, path)


def draw_scores(percent: dict, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    true = [one["true"] for one in percent.values()]
    for name, marker in (("headline", "o"), ("paper", "x")):
        axes.plot(true, [one[name] for one in percent.values()], marker, label=name)
    axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    axes.set(xlabel="True opacity, % of lung", ylabel="Corona score ÷ lung volume, %")
    axes.legend()
    _save(figure, path)


def draw_free_response(phantoms: dict, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    for grid, one in phantoms.items():
        false, true = zip(*((at["false_per_scan"], at["sensitivity"]) for at in one["free_response"]), strict=True)
        axes.step(false, true, where="post", linewidth=1, label=grid)
    axes.set(xlabel="False findings per scan", ylabel="Sensitivity", xlim=(0, 8), ylim=(0, 1.01))
    axes.set_title("Nodules of synthetic patients, by slice and pixel distance", fontsize=10)
    axes.legend(loc="lower right")
    _save(figure, path)


def _save(figure: pyplot.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

"""The parts of docs/evaluation on held-out volumes: lungs, slices, heat map, score and opacity."""

from analysis.pipeline.opacity import HIGH_HU
from analysis.training import data
from analysis.training.markdown import table
from analysis.training.thresholds import UNSEEN_SENSITIVITY


def cases(results: dict) -> str:
    runs = len(results["seeds"])
    rows = [
        [name, one["opacity_percent"], one["positive_ratio"], f"{runs * one['suspected']:.0f} of {runs}"]
        for name, one in results["held_out"]["mean"]["cases"].items()
    ]
    return f"""## Decisions of the case

Of the nine volumes, each by the networks that never saw it; the ratio is the mean over the seeds, and suspected is what
lies above {results["case_threshold"]:.2f}. Volume 6 alone is healthy, and chose that threshold with the others:

{table(["volume", "opacity, % of lung", "ratio", "suspected by so many seeds"], rows)}

Whole real scans stand under "Real series". No AUC of cases is given: it would take many more, healthy ones above all.
Gozes et al. 2020 report 0.996 on their own data; four commercial products reached 0.54 to 0.79 on 500 CTs that they did
not know (Jungmann et al. 2022, European Radiology 32:3152)."""


_INTERVALS = {
    "auc": "slices, AUC",
    "sensitivity": "slices, sensitivity",
    "specificity": "slices, specificity",
    "lung_dice": "lungs, Dice, mean",
    "opacity_inside": "opacity inside the lungs found",
    "heat_dice_mean": "heat map, Dice, mean",
    "opacity_dice_mean": "opacity outlines, Dice, mean",
    "score_r": "score, r",
    "score_r_without_volume_9": "score, r, without volume 9",
    "score_error": "score, mean absolute error, points",
    "score_error_without_volume_9": "score, mean absolute error, points, without volume 9",
}


def intervals(results: dict) -> str:
    rows = [[_INTERVALS[name], f"{low:.3f}–{high:.3f}"] for name, (low, high) in results["intervals"].items()]
    return f"""## Intervals

95 %, bootstrap over the seven groups of volumes that are held out together (2,000 draws), of the mean over the seeds.
Of so few they are wide:

{table(["figure", "95 % interval"], rows)}"""


def _ranged(results: dict, part: str, name: str, digits: int = 3) -> str:
    """Mean over the seeds and range of one figure."""
    mean, low, high = (f"{results['held_out'][which][part][name]:.{digits}f}" for which in ("mean", "min", "max"))
    return f"{mean} ({low}–{high})"


def lung(results: dict) -> str:
    volumes, by_slices = results["held_out"]["mean"]["lung_volumes"], results["lung_slices"]

    def ranged(split: str, figure: str) -> str:
        mean, low, high = (by_slices[which][split][figure] for which in ("mean", "min", "max"))
        return f"{mean:.3f} ({low:.3f}–{high:.3f})"

    rows = [
        [split, f"{one['slices']:.0f}", ranged(split, "mean"), ranged(split, "min")]
        for split, one in by_slices["mean"].items()
    ]
    return f"""## Lungs

Dice per slice on lung_masks ({data.WRONG_MASK} left out: its mask is wrong), by networks trained as the
released one is, which is that of the first seed:

{table(["split", "slices", "mean", "min"], rows)}

Dice per volume of opacity_masks, by the fold's network that never saw it:

{table(list(volumes["dice"]), [list(volumes["dice"].values())])}

Share of the reference opacity inside the lungs found:
{volumes["opacity_inside"]:.3f}, without volume 9 {volumes["opacity_inside_without_volume_9"]:.3f}
(the reference lung masks themselves hold {volumes["opacity_inside_reference"]:.3f} and
{volumes["opacity_inside_reference_without_volume_9"]:.3f}). On the
{volumes["slices_without_lung"]:.0f} slices of these volumes without reference lung,
{volumes["lung_pixels_there"]:.0f} pixels were called lung. Of each volume inside:

{table(list(volumes["opacity_inside_per_volume"]), [list(volumes["opacity_inside_per_volume"].values())])}"""


def slices(results: dict) -> str:
    one, scaled = (results["held_out"]["mean"][part] for part in ("slices", "temperature_scaled"))
    low, high = results["intervals"]["auc"]
    per_volume = one["auc_per_volume"]
    by_pixels = [
        [name, f"{own['slices']:.0f}", own["sensitivity"]] for name, own in one["sensitivity_by_pixels"].items()
    ]
    return f"""## Slices

{one["slices"]:.0f} lung slices of volumes never trained on, {one["positive"]:.0f} of them abnormal
(≥ {data.POSITIVE_PIXELS} opacity pixels at 256²; slices with fewer, but some, are left out). The distance of their
slices is not known; 8 mm is assumed where neighbours speak for each other.

Pooled AUC **{_ranged(results, "slices", "auc", 4)}**, 95 % bootstrap over groups of volumes {low:.3f}–{high:.3f};
of each slice without its neighbours {_ranged(results, "slices", "auc_alone", 4)}.
At the working point (probability ≥ {one["slice_threshold"]:.2f}):
sensitivity {_ranged(results, "slices", "sensitivity")}, specificity {_ranged(results, "slices", "specificity")}.
Where each group of volumes is judged at the threshold that the held-out volumes of the others choose for a sensitivity
of {UNSEEN_SENSITIVITY} (decision 23), they are {_ranged(results, "slices", "blind_sensitivity")} and
{_ranged(results, "slices", "blind_specificity")}.
Expected calibration error of the probabilities, over ten bins: {_ranged(results, "slices", "calibration_error")};
scaled by the temperature of the other volumes (mean {scaled["temperature"]:.2f}), which the product does not do:
{_ranged(results, "temperature_scaled", "calibration_error")}.
AUC of the volumes with at least 10 slices of either kind, which look like one patient:

{table(list(per_volume), [list(per_volume.values())])}

Sensitivity of slices by their pixels of opacity at 256² (of about 2 mm² each in a usual field of view):

{table(["pixels", "slices", "sensitivity"], by_pixels)}"""


def heat(results: dict) -> str:
    heat = results["held_out"]["mean"]["heat_map"]
    names = ("opacity_percent", "pixel_auc", "dice", "dice_gated", "dice_at_own_threshold", "opacity_under_map")
    rows = [[volume, *(one[name] for name in names)] for volume, one in heat["per_volume"].items()]
    of_slices = [[volume, *one["of_slices"].values()] for volume, one in heat["per_volume"].items()]
    return f"""## Heat map

Inside the reference lung, positive slices only, at 256²; Dice at one threshold ({heat["threshold"]:.2f}; pages and
reports draw the map from a lower value on, which marks more) for all,
without and with the density gate. Over volumes with at least 1 % opacity: pixel AUC median
{heat["pixel_auc_median"]:.3f}, worst {heat["pixel_auc_worst"]:.3f}; Dice mean {heat["dice_mean"]:.3f}, median
{heat["dice_median"]:.3f}, worst {heat["dice_worst"]:.3f}; gated {heat["dice_gated_mean"]:.3f},
{heat["dice_gated_median"]:.3f} and {heat["dice_gated_worst"]:.3f}. Beside them the best Dice, with the threshold that
suits the volume most, and the share of the opacity that lies under the map.

{table(["volume", "opacity, %", "pixel AUC", "Dice", "Dice, gated", "best Dice", "opacity under the map"], rows)}

The same slice by slice, medians over the positive slices:

{table(["volume", "pixel AUC", "Dice", "opacity under the map"], of_slices)}"""


def score(results: dict) -> str:
    score = results["held_out"]["mean"]["score"]
    names = list(score["all"])
    rows = [
        [name, cases, one[name]["r"], one[name]["rho"], one[name]["mean_absolute_error"]]
        for cases, one in (("all", score["all"]), ("without volume 9", score["without_volume_9"]))
        for name in names
    ]
    volumes = [[name, *one.values()] for name, one in score["percent_of_lung"].items()]
    return f"""## Score

Corona score ÷ lung volume against the true opacity, both in % of the lung. The same of the outlined opacity stands
below.

{table(["score", "volumes", "r", "rho", "mean absolute error, points"], rows)}

{table(["volume", "true", *names], volumes)}

Activation of a slice against its true opacity, Pearson's r over all slices of each volume with at least 10 abnormal
ones:

{table(list(score["per_slice_r"]), [list(score["per_slice_r"].values())])}"""


def opacity(results: dict) -> str:
    opacity = results["held_out"]["mean"]["opacity"]
    rows = [
        [name, one["true"], one["found"], one["dice"], one["high"], one["severity"]]
        for name, one in opacity["per_volume"].items()
    ]
    shares = [
        [cases, one["r"], one["rho"], one["mean_absolute_error"]]
        for cases, one in (("all", opacity["all"]), ("without volume 9", opacity["without_volume_9"]))
    ]
    return f"""## Opacity

What the opacity network outlines against the reference, whole volumes, within the lungs found. Dice, mean over volumes
with at least 1 % opacity: **{_ranged(results, "opacity", "dice_mean")}**. Opacity and its dense part
(above {HIGH_HU:.0f} HU) in % of the lung, severity 0 to 24:

{table(["volume", "true", "found", "Dice", "dense", "severity"], rows)}

Share found against the true share:

{table(["volumes", "r", "rho", "mean absolute error, points"], shares)}

The reference parts ground-glass from consolidation too, but not by density (in volumes 4 to 9 much of its
consolidation is as light as ground-glass), so the dense part is not compared with it."""

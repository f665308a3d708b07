"""The goals, set before anything was measured, beside what was: the first table of docs/evaluation."""

import numpy as np

from analysis.training.evaluation_intervals import of_median
from analysis.training.goals import Goal
from analysis.training.speed_goals import speed_goals
from analysis.training.thresholds import MIN_OPACITY_PERCENT

NODULE_SLICE_MM = 2.5  # of the goals on nodules of synthetic patients, at most


def goals_by_card(
    results: dict, released: dict, plain: dict, labels: dict, change: dict, bench: dict
) -> dict[str, list[Goal]]:
    """All goals, by the model card that they stand in; "speed" stands in none. Of the JSON files in docs/evaluation."""
    return {
        "lung_unet": lung_goals(results),
        "slice_classifier": [
            *slice_goals(results, released, plain, labels),
            *heat_goals(results, plain, labels),
            *score_goals(results, released, plain, labels),
        ],
        "opacity_decoder": opacity_goals(results),
        "nodules": [*nodule_goals(released["nodules"]), *change_goals(change)],
        "speed": speed_goals(bench),
    }


def of_all_models(series: str, results: dict, released: dict) -> list[dict]:
    """What each set of networks said of a real series."""
    return [released["real_ct"][series], *results["real_ct"][series].values()]


def lung_goals(results: dict) -> list[Goal]:
    slices, volumes = results["lung_slices"]["mean"]["val + test"], results["held_out"]["mean"]["lung_volumes"]
    edge = (
        "where the reference follows bronchi and large vessels at the hilum and where it leaves them out differs from "
        "slice to slice (seen by eye)."
    )
    dense = (
        "consolidation as dense as the soft tissue beside it, at the spine and above the diaphragm (seen by eye), most "
        f"of it in volume 1, of which {volumes['opacity_inside_per_volume']['volume 1']:.3f} are inside."
    )
    return [
        Goal("Dice of held-out slices, mean", slices["mean"], at_least=0.987, limit=edge),
        Goal(
            "Dice of held-out slices, worst",
            slices["min"],
            at_least=0.965,
            limit="the dome of the liver, which on a single slice lies in the lung like a consolidation, is in part "
            "taken for one (seen by eye on the two worst slices, which have no neighbours that would tell).",
        ),
        Goal("Dice of volume 8", volumes["dice"]["volume 8"], at_least=0.985, limit=edge),
        Goal("Dice of volume 9, half consolidated", volumes["dice"]["volume 9"], at_least=0.975, limit=edge),
        Goal(
            "opacity inside the lungs found, without volume 9",
            volumes["opacity_inside_without_volume_9"],
            at_least=0.985,
            limit=dense,
        ),
        Goal(
            "opacity inside the lungs found, all volumes",
            volumes["opacity_inside"],
            at_least=0.99,
            interval=results["intervals"]["opacity_inside"],
            limit="the same.",
        ),
        Goal("pixels called lung on slices without", volumes["lung_pixels_there"], at_most=0, digits=0),
    ]


def slice_goals(results: dict, released: dict, plain: dict, labels: dict) -> list[Goal]:
    slices, interval = results["held_out"]["mean"]["slices"], results["intervals"]
    healthy = of_all_models("normal_001", results, released)
    false = "{:.0f} of {:.0f} slices are called abnormal by the worst of the models.".format
    small = slices["sensitivity_by_pixels"]["20 to 99"]
    worst_alone, worst_smoothed = (
        max(((one[name], one["lung_slices"]) for one in healthy), key=lambda counted: counted[0] / counted[1])
        for name in ("positive_alone", "positive_slices")
    )
    limit = (
        f"slices with little opacity: of the {small['slices']:.0f} with 20 to 99 pixels {small['sensitivity']:.0%} are "
        "called abnormal, of those from 200 on nearly all."
    )
    return [
        Goal(
            "AUC of slices, pooled",
            slices["auc"],
            at_least=0.98,
            interval=interval["auc"],
            plain=plain["auc"],
            labels=labels["auc"],
            limit=limit,
        ),
        Goal(
            "AUC of slices, worst volume (of 2 and 3, which look like one patient)",
            min(slices["auc_per_volume"].values()),
            at_least=0.93,
        ),
        Goal(
            "sensitivity at the working point",
            slices["sensitivity"],
            at_least=0.92,
            interval=interval["sensitivity"],
            plain=plain["sensitivity"],
            labels=labels["sensitivity"],
            limit=limit,
        ),
        Goal(
            "false slices on normal_001, each slice on its own, worst of all models",
            worst_alone[0] / worst_alone[1],
            at_most=0.05,
            limit=false(*worst_alone),
        ),
        Goal(
            "false slices on normal_001, with neighbours, worst of all models",
            worst_smoothed[0] / worst_smoothed[1],
            at_most=0.01,
            limit=false(*worst_smoothed),
        ),
    ]


def heat_goals(results: dict, plain: dict, labels: dict) -> list[Goal]:
    heat = results["held_out"]["mean"]["heat_map"]
    clear = {
        volume: of_volume["pixel_auc"]
        for volume, of_volume in heat["per_volume"].items()
        if of_volume["opacity_percent"] >= MIN_OPACITY_PERCENT
    }
    intervals = {"pixel_auc_median": of_median(clear), "dice_mean": results["intervals"]["heat_dice_mean"]}

    def goal(what: str, name: str, at_least: float) -> Goal:
        of = {"interval": intervals.get(name), "plain": plain[name], "labels": labels[name]}
        return Goal(f"heat map, {what}", heat[name], at_least=at_least, **of)

    return [
        goal("AUC of pixels, median", "pixel_auc_median", 0.93),
        goal("AUC of pixels, worst volume", "pixel_auc_worst", 0.78),
        goal("Dice, mean", "dice_mean", 0.7),
    ]


def score_goals(results: dict, released: dict, plain: dict, labels: dict) -> list[Goal]:
    score, repeated = results["held_out"]["mean"]["score"], released["repeatability"]
    density, volume_9 = "density threshold, no network", score["percent_of_lung"]["volume 9"]
    plain_9, labels_9 = (one["per_volume"]["volume 9"] for one in (plain, labels))
    worst = min(score["per_slice_r"], key=score["per_slice_r"].get)
    marked, true = (score["percent_of_lung"][worst][name] for name in ("headline", "true"))
    healthy = max(one["corona_score_cm3"] for one in of_all_models("normal_001", results, released))
    stored = repeated["scores"]["2 mm slices, as stored"]
    variants = ("8 mm slices", "quarter of the resolution", "double pixel size")
    thickest, coarse, doubled = np.array([repeated["scores"][name] for name in variants]) / stored - 1  # NaN of a 0

    error = score["without_volume_9"]["headline"]["mean_absolute_error"]
    heavy = (
        "volume 9 alone, more than half of whose lungs is opaque, as in no volume that its networks learnt from; of "
        f"the others the mean error is {error:.1f} points."
    )

    def agreement(what: str, which: str, name: str, within: str, limit: str = "", **bound: float) -> Goal:
        of, of_plain, of_labels = score[which], plain[which], labels[which]
        others: dict = {"interval": results["intervals"][within]}
        others |= {"plain": of_plain[name], "labels": of_labels[name], "threshold": of[density][name]}
        return Goal(what, of["headline"][name], limit=limit, **others, **bound)

    return [
        Goal(
            f"score and opacity of the slices of a volume, r of the worst ({worst})",
            score["per_slice_r"][worst],
            at_least=0.92,
            limit=f"the map marks {marked:.1f} % of the lung there, the reference {true:.1f} %: faint haze, of which "
            "it is not known which of the two is right.",
        ),
        agreement(
            "score and opacity, r, without volume 9", "without_volume_9", "r", "score_r_without_volume_9", at_least=0.93
        ),
        agreement("score and opacity, r, all volumes", "all", "r", "score_r", at_least=0.97),
        agreement(
            "score and opacity, mean error in points of % of lung",
            "all",
            "mean_absolute_error",
            "score_error",
            heavy,
            at_most=2.5,
        ),
        Goal(
            "score of volume 9 ÷ its opacity",
            volume_9["headline"] / volume_9["true"],
            at_least=0.7,
            plain=plain_9["score"] / plain_9["true"],
            labels=labels_9["score"] / labels_9["true"],
            threshold=volume_9[density] / volume_9["true"],
            limit=heavy,
        ),
        Goal("score of normal_001 in cm³, worst of all models", healthy, at_most=8, digits=1),
        Goal(
            "variation of the score over slices of 1 to 8 mm",
            repeated["variation_of_thickness"],
            at_most=0.03,
            limit=f"thick slices mix an opacity with the lung around it; 8 mm raise the score by {thickest:.0%}.",
        ),
        Goal(
            "the same with a quarter of the resolution, and with noise",
            repeated["variation_of_worse_images"],
            at_most=0.06,
            limit=f"the quarter of the resolution alone: pixels of 3 mm raise the score by {coarse:.0%}, with the map "
            "itself, not with the density gate. Such a scan is flagged (coarse_pixels) and to be checked. Pixels of "
            f"twice the size, a quarter of their number, change it by {abs(doubled):.1%}.",
        ),
    ]


def opacity_goals(results: dict) -> list[Goal]:
    opacity = results["held_out"]["mean"]["opacity"]
    return [
        Goal(
            "opacity outlines, Dice, mean",
            opacity["dice_mean"],
            at_least=0.72,
            interval=results["intervals"]["opacity_dice_mean"],
            limit="volumes 5 and 8, of which the first is outlined too largely and the second has small opacities.",
        ),
        Goal(
            "opacity outlines, Dice of volume 9",
            opacity["per_volume"]["volume 9"]["dice"],
            at_least=0.84,
            limit="of lungs this dense there is no other volume to learn from.",
        ),
    ]


def nodule_goals(nodules: dict) -> list[Goal]:
    phantoms = [one for one in nodules["phantoms"].values() if one["slice_mm"] <= NODULE_SLICE_MM]
    read = nodules["nodules_LIDC-0003"]["nodules"]
    found = [one for one in read if one["volume_ml"] is not None]
    at_one = min(phantoms, key=lambda one: one["sensitivity_at"]["1.0"])
    released = min(phantoms, key=lambda one: one["sensitivity"])
    small = "small ones: " + "; ".join(
        f"{size} {one['found']} of {one['nodules']} are found" for size, one in released["by_diameter"].items()
    )
    small += ", at the released threshold."
    worst = max((one["volume_error"] for one in phantoms), key=lambda error: error["mean_absolute"])
    volume = max((abs(one["volume_ml"] / one["read_volume_ml"] - 1) for one in found), default=None)
    long_mm = max((abs(one["long_axis_mm"] - one["read_long_axis_mm"]) for one in found), default=None)
    return [
        Goal("nodules of LIDC-0003 (trained on) found, of three", len(found), at_least=3, digits=0),
        Goal("their volume, largest error", volume, at_most=0.25),
        Goal(
            "their long axis, largest error in mm",
            long_mm,
            at_most=3,
            digits=1,
            limit="the narrow tail of the largest is cut off as a vessel would be.",
        ),
        Goal("findings on normal_001", len(nodules["real_ct"]["normal_001"]), at_most=2, digits=0),
        Goal(
            "sensitivity at one false finding per scan, slices of 1 to 2.5 mm, the worst",
            at_one["sensitivity_at"]["1.0"],
            at_least=0.95,
            interval=at_one["sensitivity_at_1.0_interval"],
            limit=small,
        ),
        Goal(
            f"the same at the released threshold, {released['false_per_scan']:.2f} false per scan",
            released["sensitivity"],
            at_least=0.95,
            interval=released["sensitivity_interval"],
            limit=small,
        ),
        Goal(
            "volume error from 6 mm on, mean, the worst of the same slices",
            worst["mean_absolute"],
            at_most=0.15,
            limit=f"a few outlines that are far off: {worst['share_close']:.0%} lie within 15 %.",
        ),
    ]


def change_goals(change: dict) -> list[Goal]:
    wrong = round(change["wrong_matches"] * change["matches"])
    lasting, twice, within = change["persisting"], change["found_twice"], change["intervals"]
    return [
        Goal(
            f"lesions that persist, {lasting}, matched",
            change["persisting_matched"],
            at_least=0.978,
            interval=within["persisting_matched"],
            limit=f"{lasting - twice} of them are not outlined on at least one of the two scans, of which some have "
            "slices of 5 mm, and all opacities beside the nodules.",
        ),
        Goal(
            f"of these the {twice} that both scans outline, matched",
            change["matched"],
            at_least=0.978,
            interval=within["matched"],
        ),
        Goal(
            "matches that join two different things (by a rule changed after a first result, see below)",
            change["wrong_matches"],
            at_most=0.01,
            interval=within["wrong_matches"],
            limit=f"{wrong} of {change['matches']} matches; one would be allowed.",
        ),
    ]

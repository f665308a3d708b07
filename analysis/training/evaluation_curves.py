"""The parts of docs/evaluation on learning curves: what more scans would bring."""

from analysis.training import data
from analysis.training.markdown import table


def slice_curve(curve: dict) -> str:
    rows = [
        [
            f"{one['volumes']:.1f}",
            f"{one['images']}",
            one["auc"],
            one["sensitivity"],
            one["specificity"],
            one["pixel_auc_median"],
            one["dice_median"],
            one["without_volume_9"]["r"],
        ]
        for one in curve["points"]
    ]
    heads = ["volumes", "images", "slice AUC", "sensitivity", "specificity", "pixel AUC", "Dice", "score, r without 9"]
    return f"""## Learning curve of the slice classifier

`{curve["command"]}`, commit {curve["commit"]}. The slice classifier, seed {curve["seed"]}, trained on fewer of the
volumes with opacity masks (mean over the folds; all other sources stay) or on fewer images, then measured on the
held-out volumes, bare: without neighbours, mirror image and density gate, with thresholds of the volumes it learnt
from; score by the paper's definition. The last line is that seed of the runs that are evaluated above.

{table(heads, rows)}"""


def lung_curve(curves: dict, results: dict) -> str:
    settings, volumes = data.protocol()["goal_curves"], results["held_out"]["mean"]["lung_volumes"]
    held_out = results["lung_slices"]["mean"]["val + test"]
    (volume,) = data.protocol()["held_out"][settings["lung_fold"]]
    short = str(settings["lung_images"])
    rows = [
        [f"{one['share']:.0%}", one["volumes"], short, one["mean"], one["min"], one["opacity_inside"]]
        for one in curves["lung_unet"]
    ]
    rows.append(
        [
            "all",
            "all",
            str(data.protocol()["lung_unet"]["images"]),
            held_out["mean"],
            held_out["min"],
            volumes["opacity_inside_per_volume"][f"volume {volume}"],
        ]
    )
    heads = ["patients of lung_masks", "volumes", "images", "Dice, mean", "Dice, worst", "opacity inside"]
    return f"""## Learning curve of the lung U-Net

{_made_by(curves)} Short trainings on some of the patients, all without volume {volume}: Dice of the held-out slices of
lung_masks, and how much of the opacity of volume {volume}, of which most is missed, is inside the lungs found. The last
line is of trainings as long as the release's, as evaluated above: its Dice of networks that learnt from volume {volume}
too, its opacity of those that did not.

{table(heads, rows)}"""


def decoder_curve(curves: dict, results: dict) -> str:
    settings = data.protocol()["goal_curves"]
    (volume,) = data.protocol()["held_out"][settings["decoder_fold"]]
    of_all = results["held_out"]["mean"]["opacity"]["per_volume"][f"volume {volume}"]["dice"]
    rows = [[one["volumes"], str(settings["decoder_images"]), one["dice"]] for one in curves["opacity_decoder"]]
    rows.append(["all others", str(data.protocol()["opacity_decoder"]["images"]), of_all])
    return f"""## Learning curve of the opacity decoder

{_made_by(curves)} Short trainings on some of the volumes, on one classifier (a short training too) that learnt from all
but volume {volume}: Dice of the outlines of volume {volume} in its reference lungs. The last line is of the trainings
that are evaluated above, in the lungs found.

{table(["volumes", "images", f"Dice of volume {volume}"], rows)}"""


def nodule_curve(curves: dict) -> str:
    settings = data.protocol()["nodules"]
    scans = sum(len(settings[name]) for name in ("train", "train_masses", "pasted")) + 1  # and LIDC-0003 as it is
    rows = [[one["scans"], one["sensitivity"]] for one in curves["nodules"]]
    made_by = _made_by(curves | {"commit": curves["nodules_commit"]})
    return f"""## Learning curve of the nodules' judge

{made_by} The regression fitted to some of the training scans, on all grids, and measured on those held out
from it: share of their nodules found at one false finding per scan, of all sizes and on all grids, those with slices of
5 and 8 mm too, so that it is no figure to set beside the goals. The release learns from {scans} scans.

{table(["scans", "sensitivity"], rows)}"""


def _made_by(curves: dict) -> str:
    return f"`{curves['command']}`, commit {curves['commit']}, seed {curves['seed']}."

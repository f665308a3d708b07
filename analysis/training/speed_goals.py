"""The goals of time and memory, beside what `make bench` measured."""

import numpy as np

from analysis.training.goals import Goal

GROWTH_SLICES = 600  # up to here growth is compared with that beyond
GEMM, CLASSIFIER = "product of matrices, 10⁹ operations a second", "classifier and decoder, with mirror images"
LINEAR = 1.1  # of linear growth, as times on one machine differ


def speed_goals(bench: dict) -> list[Goal]:
    first, last = bench["growth"][0], bench["growth"][-1]
    middle = max(one for one in bench["growth"] if one[0] <= GROWTH_SLICES)
    (more_seconds, more_gigabytes), before = _each_slice(middle, last), _each_slice(first, middle)
    seconds, gigabytes = bench["stretched"]
    ratios, accuracy = bench["ratios"], bench["accuracy"]
    networks, rate = bench["network_seconds"], bench["shares"][GEMM]
    long = "the body is stretched to 60 cm, twice the usual."
    slow = (
        f"{networks:.1f} s of covid_P001 are the networks, classifier and decoder {bench['shares'][CLASSIFIER]:.0%} as "
        f"fast as the machine multiplies matrices, which it did at {rate:.0f}·10⁹ operations a second in this run."
    )
    return [
        Goal(
            "covid_P001, 148 slices, whole analysis in seconds",
            bench["whole_seconds"],
            at_most=8,
            digits=1,
            limit=slow,
        ),
        Goal(
            "the same ÷ (lungmask R231 + grad-cam)",
            ratios["whole_to_r231_and_grad_cam"],
            at_most=0.04,
            limit=f"our networks take {networks:.1f} s of it; the rest is reading, the search for nodules, and maps in "
            f"the scan's own resolution. Those two take {bench['r231_and_grad_cam_seconds']:.0f} s here; they took "
            "longer where the goal was set.",
        ),
        Goal(
            "the same ÷ our networks alone in plain torch",
            ratios["whole_to_networks_in_torch"],
            at_most=0.4,
            limit="these few networks are quick in plain torch too: everything else would have to take no time. The "
            f"networks alone, as they run, take {ratios['networks_to_torch']:.2f} of that.",
        ),
        Goal(
            "600 slices of 1 mm, seconds",
            seconds,
            at_most=30,
            digits=1,
            limit=f"{long} Besides, {slow}",
        ),
        Goal("600 slices of 1 mm, GB", gigabytes, at_most=2.5, digits=2, limit=long),
        Goal(
            f"seconds of each slice more, from {middle[0]} to {last[0]} ÷ up to {middle[0]}",
            more_seconds / before[0],
            at_most=LINEAR,
            digits=2,
            limit="the search for nodules, which in longer scans waits for the networks, to save memory.",
        ),
        Goal(
            "gigabytes of the same",
            more_gigabytes / before[1],
            at_most=LINEAR,
            digits=2,
            limit="maps in the scan's own resolution: HU, lungs, zones, heat, opacity and findings are held at once "
            "while findings are looked for; in shorter scans the networks' own memory hides them.",
        ),
        Goal(
            "score, compiled against float32, relative change",
            abs(float(np.divide(accuracy["score_cm3"][0], accuracy["score_cm3"][-1])) - 1),  # NaN of a score of 0
            at_most=0.01,
            digits=5,
        ),
        Goal(
            "AUC (of slices trained on), compiled against float32, change",
            abs(accuracy["auc"][0] - accuracy["auc"][-1]),
            at_most=0.001,
            digits=5,
        ),
        *_gpu_goals(bench["gpu"]),
    ]


def _each_slice(fewer: list[float], more: list[float]) -> tuple[float, float]:
    """Seconds and gigabytes that each slice more takes, between two lines of the table of growth."""
    return (more[1] - fewer[1]) / (more[0] - fewer[0]), (more[2] - fewer[2]) / (more[0] - fewer[0])


def _gpu_goals(measured: dict[str, float] | None) -> list[Goal]:
    if measured is None:
        study = studies = to_forward = None
        limit = "the machine of the bench has no GPU."
    else:
        study, studies = measured["study_seconds"], measured["studies_per_second"]
        to_forward = study / measured["forward_seconds"]
        limit = "what lies around the networks runs on the processor."
    return [
        Goal("GPU: seconds of a study after decoding", study, at_most=1, limit=limit),
        Goal("GPU: studies a second, decoding beside", studies, at_least=2, limit=limit),
        Goal("GPU: time of a study ÷ that of its forward passes", to_forward, at_most=2, limit=limit),
    ]

"""Training everything: each network of each fold and seed, and what is released, once."""

from analysis.training import data
from analysis.training.all_runs import planned


def test_the_release_comes_first_and_every_fold_has_its_runs():
    seeds, runs = data.protocol()["seeds"], planned()
    released = ["lung_unet", "slice_classifier", "opacity_decoder"]
    assert runs[: len(released)] == [(network, "release", 0) for network in released]
    for network in seeds:
        for seed in seeds[network]:
            assert runs.count((network, "without_6_7", seed)) == 1
    of_lungs = [seed for network, fold, seed in runs if (network, fold) == ("lung_unet", "release")]
    assert of_lungs == seeds["lung_unet"]  # the slices that no fold holds out are measured with each
    others = len(of_lungs) - 1
    assert len(set(runs)) == len(runs) == len(released) + others + len(data.folds()) * sum(map(len, seeds.values()))

"""Training everything: each network of each fold and seed, and what is released, once."""

from analysis.training import data
from analysis.training.all_runs import planned


def test_the_release_comes_first_and_every_fold_has_its_runs():
    seeds, runs = data.protocol()["seeds"], planned()
    released = ["lung_unet", "slice_classifier", "opacity_decoder"]
    assert runs[: len(released)] == [(network, "release", 0) for network in released]
    for network in seeds:
        assert sorted(runs[len(released) :]).count((network, "without_6_7", seeds[network][0])) == 1
    assert len(set(runs)) == len(runs) == len(released) + len(data.folds()) * sum(map(len, seeds.values()))

"""Training everything: each network of each fold and seed, and what is released, once."""

from analysis.training import data
from analysis.training.all_runs import planned


def test_the_release_comes_first_and_every_fold_has_its_runs():
    seeds, runs = data.protocol()["seeds"], planned()
    assert {run[1:] for run in runs[: len(seeds)]} == {("release", 0)}
    for network in seeds:
        assert sorted(runs[len(seeds) :]).count((network, "without_4_8", seeds[network][0])) == 1
    assert len(set(runs)) == len(runs) == len(seeds) + len(data.folds()) * sum(map(len, seeds.values()))

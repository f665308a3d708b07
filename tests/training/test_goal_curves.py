"""What the learning curves are made of where a goal is missed."""

import numpy as np
import pytest

from analysis.pipeline.nodule_model import FEATURES
from analysis.training import data
from analysis.training.goal_curves import SomePatients, nodule_point
from analysis.training.nodules import Outlines


def test_fewer_patients_are_among_more_and_none_is_held_out(shared_data, monkeypatch):
    monkeypatch.setattr(data, "phantoms", lambda: data.opacity_masks([7]))  # rendering takes half a minute
    fold = data.protocol()["goal_curves"]["lung_fold"]
    quarter, every = (SomePatients(fold, 0, share).of_patients(fold) for share in (0.25, 1.0))
    for name, slices in every.items():
        assert set(quarter[name].group) < set(slices.group), name
    assert len(quarter["lung_masks"]) == pytest.approx(len(every["lung_masks"]) / 4, abs=1)
    assert len(set(quarter["opacity_masks"].group)) == 2
    held_out = {str(volume) for volume in data.protocol()["held_out"][fold]}
    assert not held_out & set(every["opacity_masks"].group)


@pytest.mark.parametrize(("apart", "least", "most"), [(6.0, 0.95, 1.0), (0.0, 0.0, 0.3)])
def test_nodules_are_found_as_far_as_their_features_tell_them(apart, least, most):
    random, scans, each = np.random.default_rng(0), 40, 30
    label = np.tile(np.arange(each) < 3, scans).astype(np.int64)
    features = random.normal(0, 1, (scans * each, len(FEATURES)))
    features[:, 0] += apart * label
    nodule = np.where(label == 1, np.cumsum(label) - 1, -1)
    found = Outlines(features, label, np.repeat(np.arange(scans), each), nodule, int(label.sum()))
    point = nodule_point(found, 30)
    assert point["scans"] == 30
    assert least <= point["sensitivity"] <= most

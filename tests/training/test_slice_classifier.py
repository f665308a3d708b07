"""What the slice classifier is trained on."""

import numpy as np
import torch

from analysis.pipeline.weights import released
from analysis.training import data
from analysis.training.slice_classifier import BREATHING_HU, DEPENDENT_HU, Sources, breathed, labelled, mosmed


def test_breathing_changes_the_density_of_aerated_lung_alone() -> None:
    hu = torch.full((200, 1, 8, 8), -870.0)
    hu[..., 4:] = -100.0  # vessel or consolidation
    lung = torch.zeros_like(hu)
    lung[..., 2:, :] = 1
    change = breathed(hu, lung, torch.Generator().manual_seed(0)) - hu
    assert not change[..., :2, :].any()
    assert not change[..., 4:].any()
    of_scan = change[..., 2:, :4].mean((1, 2, 3))
    assert of_scan.min() < BREATHING_HU[0] / 2
    assert of_scan.max() > BREATHING_HU[1] / 2


def test_breathing_keeps_the_order_of_densities() -> None:
    hu = torch.linspace(-1000, 200, 1000).view(1, 1, 1, -1).expand(300, -1, 5, -1)
    changed = breathed(hu, torch.ones_like(hu), torch.Generator().manual_seed(1))
    assert (changed.diff(dim=-1) >= -1e-3).all()


def test_the_lowest_lung_gets_denser_than_the_middle() -> None:
    hu = torch.full((300, 1, 9, 8), -870.0)
    change = (breathed(hu, torch.ones_like(hu), torch.Generator().manual_seed(0)) - hu).mean((0, 1, 3))
    assert change[-1] > change[4] + DEPENDENT_HU / 3
    assert abs(change[0] - change[4]) < DEPENDENT_HU / 10


def test_healthy_slabs_leave_out_the_tumours(shared_data) -> None:
    """The readers outlined nodules of LIDC-0003 from slice 38 to 84; A0002 has its tumour on slices 10 to 18."""
    for slabs, healthy in data.tumour_slabs():
        name, size = slabs.group[0].split(", ")
        first, end = {"nodules_LIDC-0003": (38, 85), "tumour_A0002": (10, 19)}[name]
        size = int(size.split()[0])
        beside = [index for index in np.flatnonzero(healthy) if index * size < end and (index + 1) * size > first]
        assert healthy.any()
        assert not beside


def test_slices_without_outlines_have_boxes_of_their_own_lungs(shared_data) -> None:
    network = released(torch.device("cpu")).lung_unet
    slices, boxes, abnormal = mosmed(network)
    assert len(slices) == len(boxes) == len(abnormal) > 850
    centre = np.array([np.argwhere(lung).mean(0) for lung in slices.lung])
    assert np.percentile(np.abs(boxes[:, :2] - centre), 99) < 25
    assert boxes.dtype == np.float32


def test_drawn_slices_say_whether_their_opacity_is_outlined() -> None:
    shape = (2, 256, 256)
    sources = Sources.__new__(Sources)
    sources.random = np.random.default_rng(0)
    none = np.zeros(shape, bool)
    sources.slices = data.Slices(np.zeros(shape, np.int16), none, none, np.array(["a", "b"]), np.arange(2))
    sources.boxes = np.array([[100, 100, 50], [120, 120, 60]], np.float32)
    sources.members, sources.pasted = [np.array([0]), np.array([1])], [False, False]
    sources.outlined, sources.share = [True, False], np.array([0.5, 0.5])
    *_, boxes, outlined = sources.batch(40)
    assert set(outlined.tolist()) == {True, False}
    assert (boxes[outlined][:, 2] == 50).all()
    assert (boxes[~outlined][:, 2] == 60).all()


def test_a_crop_without_outline_is_abnormal_and_one_with_a_speck_does_not_count() -> None:
    pixels, outlined = torch.tensor([0.0, 0.0, 5.0, 20.0]), torch.tensor([True, False, True, True])
    label, counts = labelled(pixels, outlined)
    assert label.tolist() == [0, 1, 0, 1]
    assert counts.tolist() == [1, 1, 0, 1]

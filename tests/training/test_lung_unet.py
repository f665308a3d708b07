"""Training of the lung U-Net: image and masks move together, opacities weigh more."""

import numpy as np
import torch

from analysis.pipeline.networks import LUNG_INPUT
from analysis.training import data
from analysis.training.lung_unet import Sources, augmented, loss


def test_image_and_masks_are_turned_and_cropped_together():
    rows, columns = np.indices((256, 256))
    lung = torch.from_numpy(np.hypot(rows - 110, columns - 100) < 60).float().expand(8, 1, -1, -1)
    opacity = lung * torch.from_numpy(columns < 100).float()
    hu = torch.where(opacity > 0, -300.0, torch.where(lung > 0, -900.0, 40.0))
    image, moved_lung, moved_opacity = augmented(hu, lung, opacity, torch.Generator().manual_seed(0))
    assert image.shape == moved_lung.shape == moved_opacity.shape == (8, 1, LUNG_INPUT, LUNG_INPUT)
    opaque, clear = moved_opacity > 0.99, (moved_lung > 0.99) & (moved_opacity < 0.01)
    for one in range(8):  # -300 HU in the window of -1000…200, give or take the jitter
        assert abs(image[one][opaque[one]].median() - 700 / 1200) < 0.1
        assert image[one][clear[one]].median() < 0.2


def test_a_missed_opacity_costs_more_than_missed_clear_lung():
    lung, none = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    half = none.clone()
    half[..., :4] = 1
    misses_half = torch.where(half > 0, -5.0, 5.0)
    assert loss(misses_half, lung, half) > loss(misses_half, lung, none)
    assert loss(torch.full_like(lung, 20.0), lung, half) < 0.01


def test_a_fold_draws_from_every_source(shared_data, monkeypatch):
    monkeypatch.setattr(data, "phantoms", lambda: data.opacity_masks([7]))  # rendering takes half a minute
    sources = Sources("without_6_7", 0)
    assert set(sources.share) == {"lung_masks", "opacity_masks", "pasted", "without_lung", "phantoms"}
    assert sum(sources.share.values()) == 1
    opacity_groups = set(sources.slices.group[sources.members["opacity_masks"]])
    assert opacity_groups == {str(volume) for volume in data.trained_volumes("without_6_7")}
    hu, lung, opacity = sources.batch(6)
    assert hu.shape == lung.shape == opacity.shape == (6, 1, 256, 256)
    assert not (opacity > lung).any()

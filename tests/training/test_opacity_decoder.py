"""The loss of the opacity decoder on masks of a few pixels."""

import pytest
import torch

from analysis.training.opacity_decoder import OUTSIDE_WEIGHT, loss


@pytest.fixture
def masks() -> tuple[torch.Tensor, torch.Tensor]:
    """Lung in the left half, opacity in its upper half."""
    lung, opacity = torch.zeros(2, 1, 1, 224, 224)
    lung[..., :112] = 1
    opacity[..., :112, :112] = 1
    return lung, opacity


def test_the_true_mask_costs_nothing_and_its_opposite_most(masks: tuple[torch.Tensor, torch.Tensor]) -> None:
    lung, opacity = masks
    right = 20 * (2 * opacity - 1)
    assert loss(right, lung, opacity).item() < 1e-3
    assert loss(-right, lung, opacity) > loss(torch.zeros_like(right), lung, opacity) > 0.5


def test_what_lies_outside_the_lung_counts_little(masks: tuple[torch.Tensor, torch.Tensor]) -> None:
    lung, opacity = masks
    right = 20 * (2 * opacity - 1)
    inside, outside = right.clone(), right.clone()
    inside[..., 112:, :112] = 20
    outside[..., 112:, 112:] = 20
    cost = loss(inside, lung, opacity), loss(outside, lung, opacity)
    assert cost[1] == pytest.approx(20 * 0.25 * OUTSIDE_WEIGHT / (0.5 + 0.5 * OUTSIDE_WEIGHT), rel=0.01)
    assert cost[0] > 8 * cost[1]


def test_slices_without_opacity_have_a_loss(masks: tuple[torch.Tensor, torch.Tensor]) -> None:
    lung, opacity = masks
    none = torch.zeros_like(opacity)
    assert loss(torch.full_like(lung, -20.0), lung, none).item() < 1e-3
    assert loss(torch.full_like(lung, 20.0), lung, none) > 1

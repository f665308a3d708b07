"""The paper's network, which ours is compared with."""

import numpy as np
import torch

from analysis.training import data
from analysis.training.plain_figures import Said
from analysis.training.plain_network import PlainNetwork


def test_maps_of_both_scales_are_scaled_per_slice_and_multiplied(shared_data) -> None:
    torch.manual_seed(0)
    probability, heat = PlainNetwork().eval().seen(torch.rand(2, 1, 224, 224))
    assert probability.shape == (2,)
    assert heat.shape == (2, 1, 28, 28)
    assert heat.min() >= 0
    assert heat.max() <= 1


def test_a_map_comes_back_to_its_place_on_the_slice() -> None:
    """A box from row 64 to 192 and column 32 to 160; the heat in its lower left quarter."""
    lung = np.ones((1, 256, 256), bool)
    opacity = np.zeros_like(lung)
    opacity[:, 128:192, 32:96] = True
    truth = data.Slices(np.zeros(lung.shape, np.int16), lung, opacity, np.array(["1"]), np.array([0]))
    heat = np.zeros((1, 28, 28), np.float16)
    heat[:, 14:, :14] = 1
    stored = {
        "probability": np.array([0.9]),
        "map": heat,
        "box": np.array([[128, 96, 128]], np.float32),
        "lung_pixels": np.array([65536]),
    }
    said = Said(stored, 1, truth, np.array([True]))
    assert (said.heat >= 0.5)[opacity].mean() > 0.95
    assert (said.heat >= 0.5)[~opacity].mean() < 0.01
    assert abs(said.score_percent(threshold=0.5) - 100 * 64 * 64 / 65536) < 0.4
    assert said.score_percent(threshold=0.95) == 0

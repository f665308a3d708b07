"""The paper's network, which ours is compared with."""

import numpy as np
import torch

from analysis.training import data
from analysis.training.plain_figures import Said
from analysis.training.plain_network import PlainNetwork


def test_maps_of_both_scales_are_scaled_per_slice_and_multiplied(shared_data) -> None:
    torch.manual_seed(0)
    network, image = PlainNetwork().eval(), torch.rand(2, 1, 224, 224)
    _, heat = network.seen(image, torch.ones(2, 1, 28, 28))
    logit, layer2, layer3 = network(image)
    gradients = torch.autograd.grad(logit.sum(), (layer2, layer3))
    raw = [
        (gradient.mean((2, 3), keepdim=True) * layer).sum(1, keepdim=True).relu()
        for layer, gradient in zip((layer2, layer3), gradients, strict=True)
    ]
    fine, coarse = (one / one.amax((2, 3), keepdim=True) for one in raw)
    expected = fine * torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")
    assert expected.amax((1, 2, 3)).min() > 0.01
    torch.testing.assert_close(heat, expected, rtol=1e-3, atol=1e-5)


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
    stored["lung_pixels"] = np.array([data.MIN_LUNG_PIXELS - 1])
    assert Said(stored, 1, truth, np.array([True])).score_percent(threshold=0.5) == 0

"""The compiled networks say what torch says of the same weights."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from analysis.pipeline.inference import PART, InTorch, OnProcessor
from analysis.pipeline.networks import (
    LUNG_INPUT,
    SLICE_INPUT,
    LungUNet,
    OpacityDecoder,
    SliceClassifier,
    SliceNetworks,
    has_bfloat16,
)

CPU = torch.device("cpu")
TOLERANCE = 0.03 if has_bfloat16(CPU) else 1e-4  # mean difference ÷ mean size of an output


@pytest.fixture(scope="module", params=["lung U-Net", "slice networks", "slice networks in torch"])
def network(request):
    """A module with random weights, its input's side, and the same ready to run. Torch is what runs on a GPU; here it
    runs on the processor."""
    torch.manual_seed(0)
    if request.param == "lung U-Net":
        module, side = LungUNet(), LUNG_INPUT
    else:
        module, side = SliceNetworks(SliceClassifier(), OpacityDecoder()), SLICE_INPUT
    module = module.eval().requires_grad_(False)
    return module, side, InTorch(deepcopy(module), CPU) if "torch" in request.param else OnProcessor(module, side)


def plainly(module: torch.nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        said = module(images)
    return said if isinstance(said, tuple) else (said,)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean() / other.abs().mean())


def test_says_what_the_module_says(network):
    module, side, compiled = network
    images = torch.rand(3, 1, side, side)
    said = compiled(images)
    expected = plainly(module, images)
    assert [one.shape for one in said] == [one.shape for one in expected]
    assert {one.dtype for one in said} == {torch.float32}
    for one, other in zip(said, expected, strict=True):
        assert difference(one, other) < TOLERANCE
        assert difference(one.flip(0), other) > 2 * difference(one, other)  # image by image, not on average


def test_an_image_has_the_same_result_in_any_company(network):
    """Not the first of its part, as it is alone."""
    _, side, compiled = network
    images = torch.rand(min(compiled.batch, 4 * PART), 1, side, side)
    together, alone = compiled(images), compiled(images[-1:])
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[-1:], other)


def test_more_images_than_a_batch_are_refused():
    compiled = OnProcessor(LungUNet().eval().requires_grad_(False), LUNG_INPUT)
    with pytest.raises(ValueError, match="are more than the"):
        compiled(torch.zeros(compiled.batch + 1, 1, LUNG_INPUT, LUNG_INPUT))


def test_results_stay_when_the_network_runs_again(network):
    _, side, compiled = network
    first = compiled(torch.rand(2, 1, side, side))
    kept = [one.clone() for one in first]
    compiled(torch.rand(2, 1, side, side))
    for one, other in zip(first, kept, strict=True):
        assert torch.equal(one, other)

"""Crop, slabs, neighbours and map of the slice classifier; what the trained network finds is tested in test_run."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch

from analysis.pipeline.grid import GRID, crop
from analysis.pipeline.inference import ready
from analysis.pipeline.networks import (
    LUNG_INPUT,
    SLICE_INPUT,
    LungUNet,
    OpacityDecoder,
    SliceClassifier,
    SliceNetworks,
    pool,
)
from analysis.pipeline.slices import classify, lung_box, slab_size, with_neighbours
from analysis.pipeline.weights import Models


@pytest.fixture(scope="module")
def untrained() -> Models:
    """All networks with random weights: what is tested here must hold for any."""
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    classifier = SliceClassifier().requires_grad_(False).eval()
    slices = ready(SliceNetworks(classifier, OpacityDecoder()), SLICE_INPUT, cpu)
    return Models(ready(LungUNet(), LUNG_INPUT, cpu), slices, classifier, None, 0.5, 0.1, 0.05, (), cpu)


class SaysWhatItSees:
    """In place of the slice networks."""

    batch = 16

    def __call__(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return image, image, 20 * (image - 0.5)


def test_networks_that_fail_on_one_batch_are_not_taken_for_a_healthy_scan(untrained: Models) -> None:
    class FailsOnce:
        batch = 2

        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.calls += 1
            layers = untrained.slices(images)
            return tuple(torch.full_like(one, torch.nan) for one in layers) if self.calls == 2 else layers

    lung = np.zeros((3, GRID, GRID), bool)
    lung[:, 80:180, 60:200] = True
    models, grid_hu = replace(untrained, slices=FailsOnce()), torch.full((3, 1, GRID, GRID), -800.0)
    with pytest.raises(ArithmeticError, match="decoder"):
        classify(grid_hu, lung, np.ones(3, bool), slice_spacing_mm=8.0, models=models, on_batch=lambda done: None)


def test_crop_samples_the_box() -> None:
    image = torch.zeros(1, 1, 256, 256)
    image[..., 100:150, 60:110] = 1
    cut = crop(image, torch.tensor([[125.0, 85.0, 50.0]]), 50)
    torch.testing.assert_close(cut, torch.ones_like(cut))


def test_lung_box_is_square_and_holds_all_slices() -> None:
    lung = np.zeros((2, 256, 256), bool)
    lung[0, 80:120, 40:100] = True
    lung[1, 100:160, 150:240] = True
    row, column, side = lung_box(lung)
    assert (row, column) == (120, 140)
    assert side == pytest.approx(1.1 * 200)


@pytest.mark.parametrize(("spacing_mm", "slices"), [(0.625, 6), (1.0, 4), (2.0, 2), (2.5, 2), (4.0, 1), (8.0, 1)])
def test_thin_slices_are_averaged(spacing_mm: float, slices: int) -> None:
    assert slab_size(spacing_mm) == slices


def test_map_equals_grad_cam() -> None:
    """The head is linear, so weighting the features by their mean gradients (Grad-CAM) gives the map, but for a factor
    and the bias: layer2 and layer3 each, Selvaraju et al. 2017, equations 1 and 2 before the ReLU."""
    torch.manual_seed(1)
    network = SliceClassifier().eval()
    image = torch.rand(1, 1, 224, 224)
    lung = torch.rand(1, 1, 28, 28)
    with torch.no_grad():
        layer1 = network.features(image).layer1
    layer2 = network.layer2(layer1)
    layer3 = network.layer3(layer2.detach())
    layer2, layer3 = layer2.detach().requires_grad_(), layer3.detach().requires_grad_()
    locations = network.head2(layer2) + F.interpolate(network.head3(layer3), scale_factor=2.0, mode="bilinear")
    (network.slice_scale * pool(locations, lung) + network.slice_bias).sum().backward()
    for features, head in ((layer2, network.head2), (layer3, network.head3)):
        assert features.grad is not None
        importance = features.grad.mean((2, 3), keepdim=True)  # Grad-CAM's α
        grad_cam = (importance * features).sum(1)
        cam = F.conv2d(features, head.weight)[:, 0] / features[0, 0].numel()
        torch.testing.assert_close(grad_cam, cam, rtol=1e-3, atol=1e-6)


def test_pooling_ignores_what_is_outside_the_lung() -> None:
    locations = torch.full((1, 1, 28, 28), -5.0)
    lung = torch.zeros(1, 1, 28, 28)
    lung[..., :14, :] = 1
    before = pool(locations, lung)
    locations[..., 14:, :] = 8
    torch.testing.assert_close(pool(locations, lung), before, atol=0.05, rtol=0)
    locations[..., 3, 3] = 8
    assert pool(locations, lung) > before + 3


def test_scores_lung_slices_only_and_maps_stay_in_the_lung(untrained: Models) -> None:
    random = np.random.default_rng(0)
    grid_hu = torch.from_numpy(random.normal(-700, 200, (6, 1, GRID, GRID)).astype(np.float32))
    lung = np.zeros((6, GRID, GRID), bool)
    lung[1:5, 60:200, 40:220] = True
    scored = lung.any((1, 2))
    shares: list[float] = []
    found = classify(grid_hu, lung, scored, slice_spacing_mm=2.0, models=untrained, on_batch=shares.append)
    for probability in (found.probability, found.probability_alone):
        assert np.isfinite(probability).tolist() == scored.tolist()
        assert probability[2] == probability[3]  # one slab
    assert not found.activation[~lung].any()
    assert 0 <= found.activation.min() < found.activation.max() <= 1
    assert shares[-1] == 1


def test_a_mirrored_scan_has_the_mirrored_result(untrained: Models) -> None:
    random = np.random.default_rng(1)
    grid_hu = torch.from_numpy(random.normal(-700, 200, (2, 1, GRID, GRID)).astype(np.float32))
    lung = np.zeros((2, GRID, GRID), bool)
    lung[:, 60:200, 40:190] = True
    scored = np.array([True, True])
    found, mirrored = (
        classify(hu, mask, scored, slice_spacing_mm=5.0, models=untrained, on_batch=lambda done: None)
        for hu, mask in ((grid_hu, lung), (grid_hu.flip(-1), np.flip(lung, -1).copy()))
    )
    np.testing.assert_allclose(mirrored.probability, found.probability, atol=1e-4)
    np.testing.assert_allclose(np.flip(mirrored.activation, -1), found.activation, atol=1e-3)


def test_slices_speak_for_their_neighbours_by_their_distance_in_mm() -> None:
    logits = np.array([4.0, 0.0, 0.0])
    near, far = np.exp(-0.5 * 1.0**2), np.exp(-0.5 * 2.0**2)
    averaged = with_neighbours(logits, np.array([0.0, 5.0, 10.0]))
    np.testing.assert_allclose(averaged, [4 / (1 + near + far), 4 * near / (1 + 2 * near), 4 * far / (1 + near + far)])
    np.testing.assert_allclose(with_neighbours(logits, np.array([0.0, 40.0, 80.0])), logits, atol=1e-9)


def test_a_scan_without_scored_slices_has_no_probabilities(untrained: Models) -> None:
    lung = np.zeros((2, GRID, GRID), bool)
    lung[:, 100:104, 100:104] = True
    found = classify(
        torch.zeros(2, 1, GRID, GRID),
        lung,
        np.array([False, False]),
        slice_spacing_mm=5.0,
        models=untrained,
        on_batch=lambda done: None,
    )
    assert np.isnan(found.probability).all()
    assert not found.activation.any()


def test_maps_lie_where_the_networks_looked(untrained: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that is hot where the image is dense must be hot at the same place of the slice."""
    lung = np.zeros((1, GRID, GRID), bool)
    lung[0, 50:210, 30:230] = True
    grid_hu = torch.full((1, 1, GRID, GRID), -900.0)
    grid_hu[..., 90:130, 150:190] = 0

    def dense(layer2: torch.Tensor, layer3: torch.Tensor, share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(share)), 20 * (F.avg_pool2d(layer2, 8) - 0.5)

    monkeypatch.setattr(untrained.slice_classifier, "classify", dense)
    models = replace(untrained, slices=SaysWhatItSees())
    scored = np.array([True])
    found = classify(grid_hu, lung, scored, slice_spacing_mm=5.0, models=models, on_batch=lambda done: None)
    rows, columns = np.nonzero(found.activation[0] > 0.5)
    half_a_cell = 4
    assert abs(rows.mean() - 109.5) < half_a_cell
    assert abs(columns.mean() - 169.5) < half_a_cell
    assert abs(len(rows) - 1600) < 350

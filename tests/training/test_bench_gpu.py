"""What a GPU would be timed for, here on the processor."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from analysis.pipeline.inference import Network
from analysis.pipeline.run import analyse
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.weights import released
from analysis.training import bench_gpu, timing

CPU = torch.device("cpu")


class Counted:
    """A network that counts the images of each of its calls."""

    def __init__(self, network: Network) -> None:
        self.network, self.batch, self.images = network, network.batch, list[int]()

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        self.images.append(len(images))
        return self.network(images)


def test_the_forward_passes_are_those_of_a_study(exams: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "RUNS", 1)
    monkeypatch.setattr(bench_gpu, "AT_ONCE", 1)
    monkeypatch.setattr(bench_gpu, "STUDIES", 1)
    models = released(CPU)
    lung_unet, slices = Counted(models.lung_unet), Counted(models.slices)
    counted = replace(models, lung_unet=lung_unet, slices=slices)
    monkeypatch.setattr(bench_gpu, "released", lambda device: counted)
    geometry = check_series(find_series(exams[0]))
    measured = bench_gpu.on_gpu(geometry, CPU)
    assert min(measured.values()) > 0
    rounds = timing.RUNS + 1
    forward = 2 * len(geometry.headers)  # images with mirror images; of the slices too, as slabs of 5 mm are slices
    assert sum(lung_unet.images) == rounds * 2 * forward  # in a study and in the forward passes
    lung_slices = [one for one in analyse(geometry).report.slices if one.probability is not None]
    assert sum(slices.images) == rounds * (2 * len(lung_slices) + forward)

"""How long an analysis takes, beside other ways to run its networks: python -m analysis.training.bench [SERIES_DIR]

Prints one table: medians of interleaved runs in one process, each way warmed up by one run before. Without SERIES_DIR
of covid_P001. The other ways: the same networks in plain torch and in OpenVINO, torchvision's ResNet-50 as the paper
used it, SimpleITK's reader.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import SimpleITK as sitk  # noqa: N813 - as everywhere
import torch
from openvino import Core
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from analysis.pipeline.networks import LUNG_INPUT, SLICE_INPUT, half_precision
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.run import analyse
from analysis.pipeline.series import Geometry, check_series, find_series
from analysis.pipeline.slices import BATCH, slab_size
from analysis.pipeline.torchvision_import import resnet50
from analysis.pipeline.weights import Models, released
from analysis.training import data

RUNS = 5
CPU = torch.device("cpu")

Work = Callable[[], object]


class SliceNetworks(nn.Module):
    """Classifier and decoder on a batch, as one network without the mirror image."""

    def __init__(self, models: Models) -> None:
        super().__init__()
        self.classifier, self.decoder = models.slice_classifier, models.opacity_decoder

    def forward(self, image: Tensor, lung: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.classifier.features(image)
        return *self.classifier.classify(features, lung), self.decoder(image, features)


def torch_run(network: nn.Module, inputs: tuple[Tensor, ...], *, half: bool) -> Work:
    def run() -> object:
        with torch.inference_mode(), half_precision(CPU) if half else torch.autocast("cpu", enabled=False):
            return network(*inputs)

    return run


def openvino_run(network: nn.Module, inputs: tuple[Tensor, ...], precision: str) -> Work:
    with torch.inference_mode():
        traced = torch.jit.trace(network, inputs, check_trace=False)
    decoder = TorchScriptPythonDecoder(traced)
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    compiled = Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    arrays = [one.contiguous().numpy() for one in inputs]
    return lambda: compiled(arrays)


def interleaved(works: dict[str, Work]) -> dict[str, float]:
    """Median seconds of each, one run of each after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(RUNS + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}


def network_rows(models: Models, geometry: Geometry) -> dict[str, float]:
    """Seconds for all slices of the series, from those of one batch."""
    slices = len(geometry.headers)
    slabs = slices / slab_size(float(abs(geometry.z_mm[0] - geometry.z_mm[1])))
    image = torch.rand(BATCH, 1, SLICE_INPUT, SLICE_INPUT).contiguous(memory_format=torch.channels_last)
    lung, thorax = torch.rand(BATCH, 1, 28, 28), torch.rand(BATCH, 1, LUNG_INPUT, LUNG_INPUT)
    thorax = thorax.contiguous(memory_format=torch.channels_last)
    plain = resnet50(weights=None).eval()
    both = SliceNetworks(models).eval()
    works: dict[str, tuple[Work, float]] = {}
    for name, network, inputs, count in (
        ("lung U-Net", models.lung_unet, (thorax,), slices),
        ("classifier and decoder, with mirror images", both, (image, lung), 2 * slabs),
    ):
        works[f"{name}: torch, half precision where there is any"] = torch_run(network, inputs, half=True), count
        works[f"{name}: torch float32"] = torch_run(network, inputs, half=False), count
        works[f"{name}: OpenVINO float32"] = openvino_run(network, inputs, "f32"), count
        works[f"{name}: OpenVINO bfloat16"] = openvino_run(network, inputs, "bf16"), count
    colour = image.expand(-1, 3, -1, -1)
    works["torchvision ResNet-50, every slice: torch float32"] = torch_run(plain, (colour,), half=False), slices
    measured = interleaved({name: work for name, (work, _) in works.items()})
    return {name: seconds * works[name][1] / BATCH for name, seconds in measured.items()}


def reading_rows(geometry: Geometry) -> dict[str, float]:
    names = [str(header.path) for header in geometry.headers]
    return interleaved(
        {
            "reading: as the pipeline does": lambda: read_volume(geometry),
            "reading: SimpleITK": lambda: sitk.ReadImage(names),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = data.SHARED_DATA / "ct" / "covid_P001"
    parser.add_argument("series_dir", nargs="?", type=Path, default=default, metavar="SERIES_DIR")
    geometry = check_series(find_series(parser.parse_args().series_dir))
    stages: list[dict[str, float]] = []
    whole = interleaved({"whole analysis, warm": lambda: stages.append(analyse(geometry, device="cpu").report.seconds)})
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    rows = whole | {f"  {name}": median(one[name] for one in stages[1:]) for name in stages[0]}
    rows |= reading_rows(geometry) | network_rows(released(CPU), geometry)
    print(
        f"{len(geometry.headers)} slices, {torch.get_num_threads()} threads, {memory_gb:.2f} GB at most in the analysis"
    )
    for name, seconds in rows.items():
        print(f"{seconds:8.2f} s  {name}")


if __name__ == "__main__":
    main()

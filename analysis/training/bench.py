"""How long an analysis takes, beside what one would run otherwise: python -m analysis.training.bench

Writes docs/evaluation/bench.json and bench.md: the stages on covid_P001, the networks and other ways to do the same,
what compiling them costs in accuracy, and how time and memory grow with the number of slices. Medians of interleaved
runs in one process, each way warmed up by one run before; the growth in a process of its own for each series. A quarter
of an hour.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk  # noqa: N813 - as everywhere
import torch
from lungmask import LMInferer
from lungmask.resunet import UNet as LungmaskUNet
from monai.inferers import SliceInferer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from analysis.pipeline.decoding import decode
from analysis.pipeline.inference import InTorch, Network, OnProcessor
from analysis.pipeline.networks import (
    LUNG_INPUT,
    SLICE_INPUT,
    LungUNet,
    OpacityDecoder,
    SliceClassifier,
    SliceNetworks,
    has_bfloat16,
)
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.run import analyse, analyse_volume
from analysis.pipeline.series import Geometry, check_series, find_series
from analysis.pipeline.slices import slab_size
from analysis.pipeline.torchvision_import import resnet50
from analysis.pipeline.weights import WEIGHTS, Models, load_weights, released
from analysis.training import data
from analysis.training.bench_gpu import AT_ONCE, on_gpu
from analysis.training.bench_growth import COUNTS, STRETCHED, STRETCHED_MM, growth, stretched
from analysis.training.cases import opacity_cases
from analysis.training.evaluation_page import FOLDER, write
from analysis.training.markdown import table
from analysis.training.measures import auc
from analysis.training.timing import RUNS, Work, interleaved

SAMPLE = 16  # slices, for ways that take minutes for a series; their time is scaled
CASE = data.SHARED_DATA / "ct" / "covid_P001"
CPU = torch.device("cpu")
MATRICES = (1024, 2048, 4096)  # sides of the matrices whose products say what the machine does well: the best counts

WHOLE = "whole analysis, warm"
READING, SITK = "reading: as the pipeline does", "reading: SimpleITK"
DECODING = "decoding alone, in one process"
LUNGS, SLICES = "lung U-Net, with mirror images", "classifier and decoder, with mirror images"
COMPILED, FLOAT32 = ": OpenVINO, as the pipeline does", ": torch float32"
COMPILED_FLOAT32, HALF = ": OpenVINO float32", ": torch bfloat16, channels last"
MONAI = "lung U-Net: MONAI's SliceInferer"
RESNET = "torchvision's ResNet-50 on every slice: torch float32"
R231_ROW, GRAD_CAM = "lungmask R231 (random weights, no clean-up)", "grad-cam on torchvision's ResNet-50"

RATIOS = {
    "whole_to_r231_and_grad_cam": "whole analysis ÷ (lungmask R231 + grad-cam)",
    "whole_to_networks_in_torch": "whole analysis ÷ our networks alone in torch float32",
    "networks_to_torch": "our networks as they run ÷ in torch float32",
    "reading_to_simpleitk": "reading ÷ SimpleITK's reading",
}
ACCURACY = {"score_cm3": "Corona score of covid_P001, cm³", "positive_ratio": "its positive ratio", "auc": "slice AUC"}


def modules() -> dict[str, tuple[nn.Module, int]]:
    """The released networks as torch modules, and the side of their input."""
    lung_unet, classifier, decoder = LungUNet(), SliceClassifier(), OpacityDecoder()
    for name, module in (("lung_unet", lung_unet), ("slice_classifier", classifier), ("opacity_decoder", decoder)):
        load_weights(module, WEIGHTS / f"{name}.safetensors")
    return {LUNGS: (lung_unet, LUNG_INPUT), SLICES: (SliceNetworks(classifier, decoder), SLICE_INPUT)}


BATCH = 16  # images at a time, where torch runs them


class PlainTorch:
    """A network as one would run it without more ado: float32."""

    batch = BATCH

    def __init__(self, module: nn.Module) -> None:
        self._module = module.eval().requires_grad_(False)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            said = self._module(images)
        return said if isinstance(said, tuple) else (said,)


def network_ways(geometry: Geometry, models: Models) -> dict[str, tuple[Work, float]]:
    """The pipeline's networks on a batch, and how often one fits into the series, were all its slices in the lungs."""
    slices = len(geometry.headers)
    slabs = slices / slab_size(float(abs(geometry.z_mm[0] - geometry.z_mm[1])))
    images = {LUNGS: 2 * slices, SLICES: 2 * slabs}
    ways: dict[str, tuple[Work, float]] = {}
    for way, networks in ready_ways(models).items():
        for name, (network, side) in networks.items():
            size = network.batch if isinstance(network, OnProcessor) else BATCH
            batch = torch.rand(size, 1, side, side)
            ways[name + way] = (lambda network=network, batch=batch: network(batch), images[name] / size)
    return ways


def ready_ways(models: Models) -> dict[str, dict[str, tuple[Network, int]]]:
    """Both networks, with the side of their input, in each way to run them."""
    as_they_run = {LUNGS: models.lung_unet, SLICES: models.slices}

    def of(make: Callable[[nn.Module, int], Network]) -> dict[str, tuple[Network, int]]:
        return {name: (make(module.eval(), side), side) for name, (module, side) in modules().items()}

    return {
        COMPILED: {name: (as_they_run[name], side) for name, (_, side) in modules().items()},
        COMPILED_FLOAT32: of(lambda module, side: OnProcessor(module, side, half=False)),
        HALF: of(lambda module, _: InTorch(module.requires_grad_(False), CPU)),
        FLOAT32: of(lambda module, _: PlainTorch(module)),
    }


def outside_ways(geometry: Geometry) -> dict[str, tuple[Work, float]]:
    """What others would take, on a sample of slices, and how often it fits into the series."""
    from pytorch_grad_cam import GradCAM  # imports torchvision, which torchvision_import must have done before

    times = len(geometry.headers) / SAMPLE
    hu, colour = read_volume(geometry).hu[:SAMPLE], torch.rand(SAMPLE, 3, SLICE_INPUT, SLICE_INPUT)
    volume, (lung_unet, _) = torch.rand(1, 1, SAMPLE, LUNG_INPUT, LUNG_INPUT), modules()[LUNGS]
    monai = SliceInferer(roi_size=(LUNG_INPUT, LUNG_INPUT), sw_batch_size=BATCH, spatial_dim=0)
    unet, plain, to_explain = PlainTorch(lung_unet), PlainTorch(resnet50(weights=None)), resnet50(weights=None).eval()
    cam, inferer = GradCAM(to_explain, [to_explain.layer4[-1]]), _lungmask()
    return {
        MONAI: (torch.inference_mode()(lambda: monai(volume, lambda images: unet(images)[0])), times),
        RESNET: (lambda: plain(colour), times),
        R231_ROW: (lambda: inferer.apply(hu), times),
        GRAD_CAM: (lambda: cam(colour, None), times),
    }


def _lungmask() -> LMInferer:
    """With random weights, as R231's own need a download; random masks would keep its clean-up busy for ever."""
    network = LungmaskUNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r231.pth"
        torch.save(network.state_dict(), path)
        return LMInferer(modelpath=str(path), force_cpu=True, volume_postprocessing=False, tqdm_disable=True)


def limit_ways(geometry: Geometry) -> dict[str, Work]:
    """What the machine does at best: products of matrices, and the codec without more ado."""
    precision = torch.bfloat16 if has_bfloat16(CPU) else torch.float32
    matrices = {side: torch.rand(side, side).to(precision) for side in MATRICES}
    products = {_product(side): lambda one=one: one @ one for side, one in matrices.items()}
    return {**products, DECODING: lambda: [decode(header.path, "") for header in geometry.headers]}


def _product(side: int) -> str:
    return f"product of two matrices of {side} × {side}"


def against_limits(seconds: dict[str, float], geometry: Geometry, models: Models) -> dict[str, float]:
    """Of each network: its operations a second ÷ those of the fastest product of matrices; of reading: the time that
    decoding alone would take on all processors ÷ its own."""
    rate = max(2 * side**3 / seconds[_product(side)] for side in MATRICES)
    shares = {"product of matrices, 10⁹ operations a second": rate / 1e9}
    for name, (module, side) in modules().items():
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            module.eval()(torch.rand(BATCH, 1, side, side))
        times = network_ways(geometry, models)[name + COMPILED][1]
        shares[name] = counter.get_total_flops() * times / rate / seconds[name + COMPILED]
    slices = len(geometry.headers)
    return shares | {
        "decoding in one process, slices a second": slices / seconds[DECODING],
        "reading": seconds[DECODING] / (os.cpu_count() or 1) / seconds[READING],
    }


def accuracy(geometry: Geometry, models: Models) -> dict[str, list[float]]:
    """What the networks say in each way to run them. The volumes of the AUC trained them: it is there for the
    difference alone."""
    volume = read_volume(geometry)
    rows: dict[str, list[float]] = {name: [] for name in ACCURACY}
    for ready in ready_ways(models).values():
        (lung_unet, _), (slices, _) = ready[LUNGS], ready[SLICES]
        networks = replace(models, lung_unet=lung_unet, slices=slices, nodules=None)
        report = analyse_volume(volume, networks).report
        cases = opacity_cases(data.trained_volumes("release"), networks)
        probability = np.concatenate([case.probability[case.counts] for case in cases])
        positive = np.concatenate([case.truth.label[case.counts] == 1 for case in cases])
        figures = (report.corona_score_cm3, report.positive_ratio, auc(probability, positive))
        for values, value in zip(rows.values(), figures, strict=True):
            values.append(value)
    return rows


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    def ratio(mine: tuple[str, ...], others: tuple[str, ...]) -> float:
        return sum(seconds[name] for name in mine) / sum(seconds[name] for name in others)

    networks, plain = (LUNGS + COMPILED, SLICES + COMPILED), (LUNGS + FLOAT32, SLICES + FLOAT32)
    return {
        "whole_to_r231_and_grad_cam": ratio((WHOLE,), (R231_ROW, GRAD_CAM)),
        "whole_to_networks_in_torch": ratio((WHOLE,), plain),
        "networks_to_torch": ratio(networks, plain),
        "reading_to_simpleitk": ratio((READING,), (SITK,)),
    }


def page(measured: dict) -> str:
    seconds, stages = measured["seconds"], measured["stages"]
    parts = [
        "# Bench",
        f"Made by `make bench` at commit `{measured['commit']}`: covid_P001, 148 slices in JPEG Lossless, "
        f"{measured['processors']} processors, {'bfloat16' if measured['bfloat16'] else 'no bfloat16'}; median of "
        f"{RUNS} interleaved runs, warm. "
        f"Ways marked * ran on {SAMPLE} slices, and their time is scaled to the series.",
        table(
            ["", "seconds"],
            [
                *([name, seconds[name]] for name in (WHOLE,)),
                *([f"- {name}{BESIDE if name == 'findings' else ''}", value] for name, value in stages.items()),
                *(
                    [name + (" *" if name in STARRED else ""), value]
                    for name, value in seconds.items()
                    if name != WHOLE
                ),
            ],
        ),
        f"During an analysis {measured['busy']:.0%} of the processors' time is in use, that of the processes which "
        "decode not counted: reading beside the networks would save no more than the rest.",
        table(["ratio", ""], [[RATIOS[name], value] for name, value in measured["ratios"].items()]),
        f"Against the machine: operations a second of the networks ÷ those of torch's product of two matrices in the "
        f"same precision, the fastest of {', '.join(map(str, MATRICES))} rows, in the same interleaved runs; and the "
        "time that decoding alone would take on all processors ÷ that of reading.",
        table(["", ""], [list(row) for row in measured["shares"].items()]),
        "What each way costs in accuracy. The slices of the AUC trained the networks: it is there for the difference "
        "alone.",
        table(
            ["", *(way.removeprefix(": ") for way in (COMPILED, COMPILED_FLOAT32, HALF, FLOAT32))],
            [[ACCURACY[name], *(f"{value:.4f}" for value in values)] for name, values in measured["accuracy"].items()],
        ),
        "Growth: covid_P001 interpolated along the body to so many slices, uncompressed, by "
        "`python -m analysis.pipeline`, start of Python and loading of the networks included.",
        table(["slices", "seconds", "GB at most"], [list(row) for row in measured["growth"]]),
        f"The same with {STRETCHED} slices {STRETCHED_MM:.0f} mm apart, the body stretched to twice its length, so "
        "that there is twice as much to look at: {0:.1f} s, {1:.2f} GB.".format(*measured["stretched"]),
        gpu(measured["gpu"]),
        "Released weights (SHA-256):\n\n"
        + "\n".join(f"- {name}: `{sha256}`" for name, sha256 in measured["weights"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def gpu(measured: dict | None) -> str:
    if measured is None:
        return "The machine has no GPU: on one that has, the same command times the analysis there too."
    return "On the GPU:\n\n" + table(
        ["", ""],
        [
            ["seconds of a study after decoding", measured["study_seconds"]],
            ["seconds of its forward passes alone", measured["forward_seconds"]],
            [f"studies a second from files on, {AT_ONCE} at a time", measured["studies_per_second"]],
        ],
    )


BESIDE = ": what is left to wait for, as they are looked for beside the slices"
STARRED = (MONAI, RESNET, R231_ROW, GRAD_CAM)


def main() -> None:
    of_commit = data.commit()  # of the start
    geometry = check_series(find_series(CASE))
    models = released(CPU)
    names = [str(header.path) for header in geometry.headers]
    stages: list[dict[str, float]] = []
    busy: list[float] = []

    def whole() -> None:
        started, used = time.perf_counter(), time.process_time()
        stages.append(analyse(geometry, device="cpu").report.seconds)
        busy.append((time.process_time() - used) / (time.perf_counter() - started) / (os.cpu_count() or 1))

    ways: dict[str, tuple[Work, float]] = {
        WHOLE: (whole, 1),
        READING: (lambda: read_volume(geometry), 1),
        SITK: (lambda: sitk.ReadImage(names), 1),
        **{name: (work, 1.0) for name, work in limit_ways(geometry).items()},
        **network_ways(geometry, models),
        **outside_ways(geometry),
    }
    one_run = interleaved({name: work for name, (work, _) in ways.items()})
    seconds = {name: one_run[name] * times for name, (_, times) in ways.items()}
    by_stage = {name: median(one[name] for one in stages[1:]) for name in stages[0]}
    measured = {
        "command": "python -m analysis.training.bench",
        "commit": of_commit,
        "weights": {version.name: version.sha256 for version in models.versions},
        "processors": os.cpu_count(),
        "bfloat16": has_bfloat16(CPU),
        "whole_seconds": seconds[WHOLE],
        "network_seconds": seconds[LUNGS + COMPILED] + seconds[SLICES + COMPILED],
        "r231_and_grad_cam_seconds": seconds[R231_ROW] + seconds[GRAD_CAM],
        "seconds": seconds,
        "stages": by_stage,
        "busy": median(busy[1:]),
        "ratios": ratios(seconds),
        "shares": against_limits(seconds, geometry, models),
        "accuracy": accuracy(geometry, models),
        "growth": growth(geometry, COUNTS),
        "stretched": stretched(geometry),
        "gpu": on_gpu(geometry, torch.device("cuda")) if torch.cuda.is_available() else None,
    }
    write("bench", measured)
    (FOLDER / "bench.md").write_text(page(measured))
    print(page(measured))


if __name__ == "__main__":
    main()

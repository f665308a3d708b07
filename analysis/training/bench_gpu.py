"""How long an analysis takes on a GPU: a part of `python -m analysis.training.bench` where there is one."""

import time
from concurrent.futures import ThreadPoolExecutor

import torch

from analysis.pipeline.inference import Network
from analysis.pipeline.networks import LUNG_INPUT, SLICE_INPUT
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.run import analyse, analyse_volume
from analysis.pipeline.series import Geometry
from analysis.pipeline.slices import slab_size
from analysis.pipeline.weights import released
from analysis.training.timing import interleaved

AT_ONCE, STUDIES = 4, 16  # studies that are read and analysed at the same time, and in all


def on_gpu(geometry: Geometry, device: torch.device) -> dict[str, float]:
    """Seconds of a study once it is decoded and of its forward passes alone, and studies a second from files on."""
    models, volume = released(device), read_volume(geometry)
    slabs = len(volume.hu) / slab_size(volume.spacing_mm[0])
    seconds = interleaved(
        {
            "study": lambda: analyse_volume(volume, models),
            "forward": lambda: (
                _forward(models.lung_unet, 2 * len(volume.hu), LUNG_INPUT, device),
                _forward(models.slices, round(2 * slabs), SLICE_INPUT, device),
            ),
        }
    )
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: analyse(geometry, device=device.type), range(STUDIES)))
    return {
        "study_seconds": seconds["study"],
        "forward_seconds": seconds["forward"],
        "studies_per_second": STUDIES / (time.perf_counter() - started),
    }


def _forward(network: Network, images: int, side: int, device: torch.device) -> None:
    """So many images, mirror images among them, that lie on the device already."""
    for start in range(0, images, network.batch):
        network(torch.zeros(min(network.batch, images - start), 1, side, side, device=device))
    if device.type == "cuda":
        torch.cuda.synchronize()

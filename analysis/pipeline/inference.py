"""Networks ready to run, on a processor by OpenVINO, on a GPU by torch, in bfloat16 where the machine has it."""

from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from openvino import AsyncInferQueue, Core, InferRequest
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from analysis.pipeline.networks import half_precision, has_bfloat16

PART = 4
"""Images that OpenVINO compiles a network for: more at a time are no faster on a processor."""
PARTS, MOST_PARTS = 2, 16
"""Parts of a batch: so many for each part that the processor runs at a time, and at most, for memory's sake."""
GPU_BATCH = 128
"""Images that a GPU takes at a time: a chest CT in one or two batches."""


class Network(Protocol):
    """From images (n, 1, side, side), of the processor, to what the network says of each: float32, where it runs.

    ``batch``: images that it takes at most at a time.
    """

    batch: int

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]: ...


def ready(module: nn.Module, side: int, device: torch.device) -> Network:
    """A module of one image tensor, for images of ``side`` pixels, ready to run on ``device``."""
    module = module.eval().requires_grad_(False)
    return OnProcessor(module, side) if device.type == "cpu" else InTorch(module, device)


class InTorch:
    """The module as torch runs it, in bfloat16 where ``device`` has it; not compiled (decision 24)."""

    batch = GPU_BATCH

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        images = images.to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode(), half_precision(self._device):
            said = self._module(images)
        return tuple(one.float() for one in (said if isinstance(said, tuple) else (said,)))


class OnProcessor:
    """OpenVINO's compilation of the module for ``PART`` images, of which several run side by side; fewer are filled up.

    Each part on a core of its own is quicker than all cores on one: they wait for nobody, and least while the cores
    have other work too, as when findings are looked for. By the front end for TorchScript:
    ``openvino.convert_model`` does the same, but reports its use over the network, and the one for ``torch.export``
    (2026.4) logs tracebacks of operations that it then converts well.
    """

    def __init__(self, module: nn.Module, side: int, half: bool = has_bfloat16(torch.device("cpu"))) -> None:
        with torch.inference_mode():
            one_image = torch.zeros(1, 1, side, side)
            traced = torch.jit.trace(module, one_image, check_trace=False)  # type: ignore[no-untyped-call]
        front_end = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # which must outlive the conversion
        model = front_end.convert(front_end.load(decoder))
        model.reshape([PART, 1, side, side])
        how = {"INFERENCE_PRECISION_HINT": "bf16" if half else "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        self._compiled = Core().compile_model(model, "CPU", how)
        self._queue = AsyncInferQueue(self._compiled)
        self._queue.set_callback(_keep)
        self.batch = PART * min(PARTS * len(self._queue), MOST_PARTS)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        if len(images) > self.batch:
            raise ValueError(f"{len(images)} images are more than the {self.batch} that the network takes.")
        count = -(-len(images) // PART) * PART
        said = tuple(torch.empty(count, *output.shape[1:]) for output in self._compiled.outputs)
        filled = F.pad(images, (0, 0, 0, 0, 0, 0, 0, count - len(images))).contiguous().numpy()
        for start in range(0, count, PART):
            part = slice(start, start + PART)
            self._queue.start_async([filled[part]], [one[part] for one in said])
        self._queue.wait_all()
        return tuple(one[: len(images)] for one in said)


def _keep(request: InferRequest, into: list[Tensor]) -> None:
    """Copy what a request says, which the next one overwrites."""
    for k, own in enumerate(into):
        own.copy_(torch.from_numpy(request.get_output_tensor(k).data))

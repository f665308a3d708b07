"""Import torchvision also beside a torch build for which its compiled operators do not load.

A CPU-only torch next to the common (CUDA) torchvision wheel makes ``import torchvision`` fail with
"operator torchvision::nms does not exist": the Python part registers shape functions for two compiled
operators. None of the models used here calls them, so declaring their schemas is enough.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is not installed; install requirements.txt")
    libraries = [path for path in Path(spec.origin).parent.glob("_C.*") if path.suffix in (".so", ".pyd", ".dylib")]
    try:
        for library in libraries:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(libraries)


_declared = None
if not _operators_load():
    # Must stay referenced, else torch forgets the schemas.
    _declared = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _schema in _SCHEMAS:
        _declared.define(_schema)  # type: ignore[no-untyped-call]

from torchvision.models import resnet50  # noqa: E402

__all__ = ["resnet50"]

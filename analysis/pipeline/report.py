"""What the pipeline says about one series: frozen, and the JSON of the contract."""

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

METHOD_VERSION = 4
"""Raised with a change of code that moves scores, volumes or decisions of the same networks: results of two versions
are not compared without a word."""
_PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@dataclass(frozen=True)
class SliceReport:
    """One slice. ``probability``, ``positive`` and ``activation_cm2`` are None outside the lungs."""

    sop_instance_uid: str
    z_mm: float
    lung_area_cm2: float
    probability: float | None
    positive: bool | None
    activation_cm2: float | None


@dataclass(frozen=True)
class RegionOpacity:
    """``percent`` of the region's lung that is opaque, ``percent_high`` the denser part of that (consolidation)."""

    name: str
    percent: float
    percent_high: float


@dataclass(frozen=True)
class Severity:
    """Points by the share of each lung zone that is opaque, as ``opacity.py`` says."""

    score: int
    maximum: int


@dataclass(frozen=True)
class Opacity:
    """What the opacity network outlined, as shares of the lungs and of their regions."""

    percent_of_lung: float
    percent_high: float
    regions: tuple[RegionOpacity, ...]
    severity: Severity


@dataclass(frozen=True)
class Finding:
    """A nodule or focal opacity; ``centroid_mm`` is (x, y, z) in DICOM patient coordinates.

    ``kind``: "nodule", "mass" or "focal opacity"; ``texture``: "solid", "part-solid" or "ground-glass"; diameters on
    axial sections; ``confidence`` in [0, 1]; ``lung``: "left" or "right"; ``zone``: "upper", "middle" or "lower" third
    of that lung's height.
    """

    kind: str
    texture: str
    centroid_mm: tuple[float, float, float]
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float
    calcified: bool
    confidence: float
    lung: str
    zone: str


@dataclass(frozen=True)
class QualityFlag:
    """A reason to look twice at the result: a fixed ``code`` and a plain sentence.

    ``severe``: the numbers may be wrong as a whole and are to be checked before they are believed; else what is faint
    or small in them is unsure. ``slice_number``: where to look, from 1 on.
    """

    code: str
    message: str
    severe: bool = False
    slice_number: int | None = None


@dataclass(frozen=True)
class ModelVersion:
    """The network that made a number; ``sha256`` of its weights file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Method:
    """What the code measured by, beside the networks: ``METHOD_VERSION``, and what ``score.py``, ``slices.py`` and
    ``opacity.py`` define."""

    version: int
    gate_hu: float
    gate_mm: float
    slab_mm: float
    opacity_threshold: float
    high_hu: float


@dataclass(frozen=True)
class Report:
    """The result of one analysis. None means "not computed", an empty tuple "looked, none found".

    ``slices``: head to feet. ``positive_ratio``: positive slices ÷ lung slices;
    a slice is positive from a probability of ``slice_threshold`` on, the case
    ``suspected`` where the ratio exceeds ``threshold`` (Gozes et al. 2020, section 2, case decision).
    ``corona_score_paper_cm3``: Σ over positive slices of the activation map × voxel volume as
    the paper defines it; ``corona_score_cm3``: the headline score (see ``score.py``);
    ``score_variation``: its coefficient of variation over variants of one scan.
    ``seconds``: wall time by stage; of the findings, looked for beside the slices, what was left to wait for.
    """

    series_instance_uid: str
    slices: tuple[SliceReport, ...]
    lung_volume_ml: float
    positive_ratio: float
    threshold: float
    slice_threshold: float
    suspected: bool
    corona_score_cm3: float
    corona_score_paper_cm3: float
    score_variation: float
    opacity: Opacity
    findings: tuple[Finding, ...] | None
    quality: tuple[QualityFlag, ...]
    models: tuple[ModelVersion, ...]
    method: Method
    software_version: str
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The contract's JSON object, of plain dicts, lists and numbers."""
        return asdict(self)


@cache
def software_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads(_PYPROJECT.read_text())["project"]["version"])

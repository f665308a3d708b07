"""How sure it is that an outline is a nodule or focal opacity: a logistic regression over its shape.

Its numbers lie in a small file that people can read; ``training/nodules.py`` writes it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

FEATURES = (
    "log_radius", "narrow", "middle", "compact", "reach", "wall", "hanging", "own_share", "arms", "contrast",
    "response", "roundness", "shift", "dense", "halo", "log_scale",
)  # fmt: skip
"""Of an outline, as ``findings.features`` works them out."""
CLIP = 3.0  # standard deviations beyond which a feature says no more


@dataclass(frozen=True, eq=False)
class NoduleModel:
    """``mean``, ``deviation`` and ``coefficients``: float64 (feature,), in the order of FEATURES; ``threshold``:
    confidence from which an outline is reported."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    coefficients: npt.NDArray[np.float64]
    intercept: float
    threshold: float

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "NoduleModel":
        """From the JSON object of the file.

        Raises KeyError where it is not one of ours, ValueError where it wants other features.
        """
        rows = stored["features"]
        if tuple(rows) != FEATURES:
            raise ValueError(f"The features are {', '.join(rows)}.")
        return cls(
            mean=np.array([row["mean"] for row in rows.values()]),
            deviation=np.array([row["deviation"] for row in rows.values()]),
            coefficients=np.array([row["coefficient"] for row in rows.values()]),
            intercept=stored["intercept"],
            threshold=stored["threshold"],
        )

    def at(self, threshold: float) -> "NoduleModel":
        """The same with another threshold."""
        return replace(self, threshold=threshold)

    def scaled(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Features (…, feature) in standard deviations from the mean."""
        return ((features - self.mean) / self.deviation).clip(-CLIP, CLIP)

    def confidence(self, features: npt.NDArray[np.float64]) -> float:
        """In [0, 1], of one outline's features (feature,)."""
        logit = float(self.scaled(features) @ self.coefficients) + self.intercept
        return float(1 / (1 + np.exp(-logit)))

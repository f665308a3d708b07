"""How sure it is that an outline is a nodule or focal opacity: a logistic regression over its shape, of each figure and
of the products of any two.

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
_FIRST, _SECOND = np.triu_indices(len(FEATURES))
PRODUCTS = tuple(f"{FEATURES[a]} × {FEATURES[b]}" for a, b in zip(_FIRST, _SECOND, strict=True))
"""Of two features, or of one with itself."""
CLIP = 3.0  # standard deviations beyond which a feature says no more


@dataclass(frozen=True, eq=False)
class NoduleModel:
    """``mean`` and ``deviation``: float64 (feature,), in the order of FEATURES; ``coefficients``: float64 (term,), of
    FEATURES and then of PRODUCTS; ``threshold``: confidence from which an outline is reported."""

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
        rows, products = stored["features"], stored["products"]
        if tuple(rows) != FEATURES or tuple(products) != PRODUCTS:
            raise ValueError(f"The features are {', '.join(rows)}.")
        return cls(
            mean=np.array([row["mean"] for row in rows.values()]),
            deviation=np.array([row["deviation"] for row in rows.values()]),
            coefficients=np.array([*(row["coefficient"] for row in rows.values()), *products.values()]),
            intercept=stored["intercept"],
            threshold=stored["threshold"],
        )

    def at(self, threshold: float) -> "NoduleModel":
        """The same with another threshold."""
        return replace(self, threshold=threshold)

    def confidence(self, features: npt.NDArray[np.float64]) -> float:
        """In [0, 1], of one outline's features (feature,)."""
        logit = float(terms(features, self.mean, self.deviation) @ self.coefficients) + self.intercept
        return float(1 / (1 + np.exp(-logit)))


def terms(
    features: npt.NDArray[np.float64], mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Features (…, feature) in standard deviations from the mean, and their products: (…, term)."""
    scaled = ((features - mean) / deviation).clip(-CLIP, CLIP)
    return np.concatenate([scaled, scaled[..., _FIRST] * scaled[..., _SECOND]], -1)

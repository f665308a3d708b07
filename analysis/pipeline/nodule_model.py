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
    "response", "roundness", "shift", "dense", "halo", "log_scale", "log_slice",
)  # fmt: skip
"""Of an outline, as ``findings.features`` works them out; new ones are added at the end."""
FIRST = 16
"""So many of them the oldest files that are still read know."""


def products(features: tuple[str, ...]) -> tuple[str, ...]:
    """Names of those of two features, or of one with itself."""
    return tuple(f"{features[a]} × {features[b]}" for a, b in zip(*np.triu_indices(len(features)), strict=True))


PRODUCTS = products(FEATURES)
_FIRST, _SECOND = np.triu_indices(len(FEATURES))
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
        """From the JSON object of the file; features that came after it have no say.

        Raises KeyError where it is not one of ours, ValueError where it wants other features.
        """
        rows, of_products = stored["features"], stored["products"]
        known = tuple(rows)
        if len(known) < FIRST or known != FEATURES[: len(known)] or tuple(of_products) != products(known):
            raise ValueError(f"The features are {', '.join(rows)}.")
        no_say = {"mean": 0.0, "deviation": 1.0, "coefficient": 0.0}
        every = [rows.get(name, no_say) for name in FEATURES]
        of_every_product = [of_products.get(name, 0.0) for name in PRODUCTS]
        return cls(
            mean=np.array([row["mean"] for row in every]),
            deviation=np.array([row["deviation"] for row in every]),
            coefficients=np.array([*(row["coefficient"] for row in every), *of_every_product]),
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

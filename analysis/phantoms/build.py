"""What differs between synthetic patients, drawn from the seed."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Build:
    """What differs between patients: scales (1 is the average adult), mm and HU."""

    sex: str
    age: int
    width: float
    depth: float
    height: float
    fat_mm: float
    heart: float
    dome_mm: float
    lung_hu: float

    @classmethod
    def of_seed(cls, seed: int) -> "Build":
        rng = np.random.default_rng([seed, 1])
        sex = "F" if rng.random() < 0.5 else "M"
        size = rng.uniform(0.91, 1.0) if sex == "F" else rng.uniform(0.97, 1.05)
        width, depth, height = (float(size * part) for part in rng.uniform(0.97, 1.03, 3))
        return cls(
            sex=sex,
            age=int(rng.integers(28, 80)),
            width=width,
            depth=depth,
            height=height,
            fat_mm=float(rng.uniform(5, 20)),
            heart=float(rng.uniform(0.92, 1.1)),
            dome_mm=float(rng.uniform(-12, 12)),
            lung_hu=float(rng.uniform(-880, -845)),
        )

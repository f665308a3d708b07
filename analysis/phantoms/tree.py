"""Branching trees that fill a lung: arteries, veins and bronchi.

The grower splits a cloud of target points in two again and again and sends a branch part of the
way to the middle of each half, as Tawhai et al. 2004 ("CT-based geometry analysis and finite
element models of the human and ovine bronchial tree") do for airways.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ADVANCE = 0.42  # part of the way from a branching point to the centroid of its targets; Tawhai et al. use 0.4
MURRAY_EXPONENT = 3.0  # Murray 1926: radius³ is shared out at a fork


@dataclass(frozen=True)
class Tree:
    """Straight segments: ``start``, ``end`` (segment, xyz) in mm, ``radius_mm`` (segment,)."""

    start: npt.NDArray[np.float32]
    end: npt.NDArray[np.float32]
    radius_mm: npt.NDArray[np.float32]

    def thicker_than(self, radius_mm: float) -> "Tree":
        keep = self.radius_mm >= radius_mm
        return Tree(self.start[keep], self.end[keep], self.radius_mm[keep])

    def narrowed(self, factor: float) -> "Tree":
        return Tree(self.start, self.end, self.radius_mm * factor)


def join(*trees: Tree) -> Tree:
    return Tree(
        np.concatenate([tree.start for tree in trees]),
        np.concatenate([tree.end for tree in trees]),
        np.concatenate([tree.radius_mm for tree in trees]),
    )


def grow(
    rng: np.random.Generator, root_xyz: npt.ArrayLike, targets: npt.NDArray[np.float64], tip_radius_mm: float
) -> Tree:
    """A tree from ``root_xyz`` towards all ``targets`` (point, xyz); radius by the targets served."""
    segments: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]] = []
    open_branches = [(np.asarray(root_xyz, float), targets)]
    while open_branches:
        start, cloud = open_branches.pop()
        radius = tip_radius_mm * len(cloud) ** (1 / MURRAY_EXPONENT)
        middle = cloud.mean(axis=0)
        if len(cloud) == 1:
            segments.append((start, middle, radius))
            continue
        end = start + ADVANCE * (middle - start) + rng.normal(0, 0.03, 3) * np.linalg.norm(middle - start)
        segments.append((start, end, radius))
        apart = cloud - middle
        longest = np.linalg.eigh(apart.T @ apart)[1][:, -1]
        order = np.argsort(apart @ (longest + rng.normal(0, 0.15, 3)))
        cut = min(max(round(len(cloud) * rng.uniform(0.35, 0.65)), 1), len(cloud) - 1)
        open_branches += [(end, cloud[order[:cut]]), (end, cloud[order[cut:]])]
    start, end, radius = zip(*segments, strict=True)
    return Tree(np.array(start, np.float32), np.array(end, np.float32), np.array(radius, np.float32))

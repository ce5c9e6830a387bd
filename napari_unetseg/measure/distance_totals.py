"""Distances between contours, counted as they come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Distances: TypeAlias = npt.NDArray[np.float64]

#: Distances are counted in steps of this part of the first image's pixel width.
STEP_PX = 0.001


@dataclass(slots=True)
class DirectedDistances:
    """From each pixel of one contour to the nearest of the other, pooled.

    Attributes
    ----------
    n_px : int
        Pixels of the contour.
    n_near_px : int
        Those within the tolerance of the other contour.
    n_measured_px, total, longest : int, float, float
        Pixels that have a distance, as the other contour is there; sum and maximum of these.
    steps : Counter of int
        How many distances are of so many steps: memory grows with the number of different
        distances, not with that of pixels.
    """

    n_px: int = 0
    n_near_px: int = 0
    n_measured_px: int = 0
    total: float = 0.0
    longest: float = 0.0
    steps: Counter[int] = field(default_factory=Counter)

    def add(self, distances: Distances, tolerance: float, step: float) -> None:
        """Count distances; those that are infinite belong to a pixel that nothing matches."""
        self.n_px += len(distances)
        # A diagonal neighbour is within √2 px, whatever the rounding of its distance.
        self.n_near_px += int(np.count_nonzero(distances <= tolerance * (1 + 1e-9)))
        finite = distances[np.isfinite(distances)]
        if not finite.size:
            return
        self.n_measured_px += len(finite)
        self.total += float(finite.sum())
        self.longest = max(self.longest, float(finite.max()))
        keys, counts = np.unique(np.rint(finite / step).astype(np.int64), return_counts=True)
        self.steps.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def percentile(self, percent: float, step: float) -> float:
        """Return a percentile of the distances, between two of them as `numpy.percentile` does."""
        keys = np.array(sorted(self.steps), np.int64)
        upto = np.cumsum([self.steps[int(key)] for key in keys])
        at = percent / 100 * (upto[-1] - 1)
        below, above = (
            float(keys[np.searchsorted(upto, place, side="right")]) * step
            for place in (int(np.floor(at)), int(np.ceil(at)))
        )
        return below + (above - below) * float(at - np.floor(at))


@dataclass(slots=True)
class ClassDistances:
    """Both directions of one class.

    Attributes
    ----------
    n_one_sided : int
        Slices, or volumes, in which only truth or only the prediction has a contour.
    """

    from_truth: DirectedDistances = field(default_factory=DirectedDistances)
    from_predicted: DirectedDistances = field(default_factory=DirectedDistances)
    n_one_sided: int = 0

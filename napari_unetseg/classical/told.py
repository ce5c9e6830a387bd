"""How probable a network finds classes, as a chain of refinements is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Probabilities of classes, to be indexed by slices.

    Attributes
    ----------
    values : array-like, shape (K, n_planes, Y, X), uint8
        255 is certain; of background nothing is kept.
    codes : sequence of int
        What each of the K classes is in the annotations.
    """

    values: Any
    codes: Sequence[int]

    def __getitem__(self, planes: int | slice) -> npt.NDArray[np.float32]:
        """Return background and the classes that follow, (classes, Y, X) for each slice."""
        shares = np.asarray(self.values[:, planes], np.float32) / 255
        told = np.zeros((max(self.codes, default=1), *shares.shape[1:]), np.float32)
        told[0] = np.maximum(1 - shares.sum(axis=0), 0)
        for code, share in zip(self.codes, shares, strict=True):
            told[code - 1] += share
        return told if isinstance(planes, int) else np.moveaxis(told, 1, 0)

"""Pixels counted by what they are and what they were taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED


class ConfusionMatrix:
    """Counts of pixels by true and predicted code, pooled over everything that is added.

    Parameters
    ----------
    n_classes : int
        Classes to begin with, background included; larger codes make the matrix grow.

    Attributes
    ----------
    counts : ndarray, shape (n_classes + 1, n_classes + 1), int64
        Rows are true codes, columns predicted ones. Row 0 stays empty: unlabelled truth is left
        out. Column 0 holds labelled pixels for which nothing was predicted.

    Examples
    --------
    >>> matrix = ConfusionMatrix(2)
    >>> matrix.add(np.array([1, 1, 2, 0], np.uint8), np.array([1, 2, 2, 2], np.uint8))
    >>> matrix.counts[1:, 1:].tolist()
    [[1, 1], [0, 1]]
    """

    def __init__(self, n_classes: int = 2) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros((n_classes + 1, n_classes + 1), np.int64)

    @property
    def n_classes(self) -> int:
        """Number of classes there is room for, background included."""
        return len(self.counts) - 1

    @property
    def n_px(self) -> int:
        """Number of labelled pixels counted."""
        return int(self.counts.sum())

    def add(self, truth_codes: npt.NDArray[Any], predicted_codes: npt.NDArray[Any]) -> None:
        """Count the pixels of a plane, or of anything else of equal shapes.

        Parameters
        ----------
        truth_codes, predicted_codes : ndarray of equal shape, uint8
            0 unlabelled, 1 background, k + 1 class k.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if truth_codes.shape != predicted_codes.shape:
            raise ValueError(f"shapes {truth_codes.shape} and {predicted_codes.shape} differ")
        if not truth_codes.size:
            return
        self._grow(int(max(truth_codes.max(), predicted_codes.max())))
        side = self.counts.shape[0]
        pairs = truth_codes.ravel().astype(np.intp) * side + predicted_codes.ravel()
        found = np.bincount(pairs, minlength=side * side).reshape(side, side)
        found[UNLABELLED] = 0
        self.counts += found

    def _grow(self, largest_code: int) -> None:
        missing = largest_code - self.n_classes
        if missing > 0:
            self.counts = np.pad(self.counts, (0, missing))

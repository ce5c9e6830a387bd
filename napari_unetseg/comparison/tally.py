"""What was answered where it is known what is right, square by square."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED
from napari_unetseg.measure import ConfusionMatrix, ContourDistances

from .split import Codes, Part, Where

#: How often squares are drawn anew to see how much a score depends on which there are.
_DRAWS = 1000


class Tally:
    """Pixels counted by what they are and what they were taken for, in each square scored.

    Parameters
    ----------
    n_codes : int
        Codes there are: unlabelled, background and the classes.
    """

    def __init__(self, n_codes: int) -> None:
        self._n_codes = n_codes
        self._counts: dict[tuple[Where, int], npt.NDArray[np.int64]] = {}
        self._contours = ContourDistances(near_only=True)

    def add(self, part: Part, where: Where, answered: Codes) -> None:
        """Count a slice, shape (Y, X); pixels that are not scored on are left out."""
        truth = part.scored(where)
        known = part.images[where[0]].codes[where[1]]
        self._contours.add(known, answered, where=truth != UNLABELLED)
        at = np.flatnonzero(truth)
        n = self._n_codes
        squares = part.split.squares(where).ravel()[at]
        pairs = (squares * n + truth.ravel()[at]) * n + answered.ravel()[at]
        counts = np.bincount(pairs, minlength=part.split.n_squares(where) * n * n)
        for square, found in enumerate(counts.reshape(-1, n, n)):
            if found.any():
                key = where, square
                self._counts[key] = self._counts.get(key, 0) + found

    def matrix(self) -> ConfusionMatrix:
        """Return the counts of all squares together."""
        matrix = ConfusionMatrix(self._n_codes - 1)
        matrix.counts += self._stacked().sum(axis=0)
        return matrix

    def boundary_f1(self) -> float | None:
        """Return the mean boundary F1 over the classes; None where nothing has a contour.

        Contours count where they are scored on; what lies around them is what they may match.
        """
        return self._contours.scores().mean("boundary_f1")

    def spread(self) -> float | None:
        """Return the standard error of the mean IoU: how far other squares would move it.

        Squares are drawn with replacement. They lie near each other, so between images of another
        day scores differ by more than this.

        Returns
        -------
        float or None
            None where there is a single square, or all are needed to have every class.
        """
        drawn = self._drawn_ious()
        return None if drawn is None else float(drawn.std())

    def spread_of_difference(self, other: Tally) -> float | None:
        """Return the standard error of the difference to another method on the same squares."""
        ours, theirs = self._drawn_ious(), other._drawn_ious()
        if ours is None or theirs is None:
            return None
        return float((ours - theirs).std())

    def _drawn_ious(self) -> npt.NDArray[np.float64] | None:
        counts = self._stacked()
        if len(counts) < 2:
            return None
        # The same squares for every method, so that these compare.
        random = np.random.default_rng(0)
        even = np.full(len(counts), 1 / len(counts))
        weights = random.multinomial(len(counts), even, size=_DRAWS)
        drawn = np.tensordot(weights, counts, axes=1)
        # A class that happens to be in no square drawn has no IoU, rather than one of 0.
        is_annotated = drawn.sum(axis=2) > 0
        whole = (is_annotated == is_annotated.any(axis=0)).all(axis=1)
        if len(np.unique(weights[whole], axis=0)) < 2:
            return None
        return mean_ious(drawn[whole])

    def _stacked(self) -> npt.NDArray[np.int64]:
        return np.stack([self._counts[key] for key in sorted(self._counts)])


def mean_ious(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the mean IoU of confusion matrices, shape (n, codes, codes) → (n,).

    Over the classes that are there or were answered, as `measure.Scores.mean_iou` has it.
    """
    hits = np.diagonal(counts, axis1=1, axis2=2)[:, UNLABELLED + 1 :]
    union = (counts.sum(axis=1) + counts.sum(axis=2))[:, UNLABELLED + 1 :] - hits
    iou = np.divide(hits, union, out=np.zeros(hits.shape), where=union > 0)
    there = np.maximum((union > 0).sum(axis=1), 1)
    return np.asarray(iou.sum(axis=1) / there, np.float64)

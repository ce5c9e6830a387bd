"""Precision and recall at every threshold of a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from .class_names import names_of

#: Probabilities are told apart to 1 part in so many, which is exact for those of 8 and 16 bits.
_LEVELS = (1 << 16) - 1

#: Thresholds of a curve in `ProbabilityScores.curves`.
CURVE_THRESHOLDS = tuple(percent / 100 for percent in range(101))


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall of one class where at least so much probability is taken for it.

    Attributes
    ----------
    thresholds, precision, recall : ndarray, shape (n,), float64
        Ascending thresholds. Where nothing is as probable, precision is 1.
    """

    thresholds: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProbabilityScores:
    """How well probabilities rank pixels, whatever the threshold.

    Attributes
    ----------
    average_precision : dict of str to float or None
        By class: the sum over thresholds of precision × the recall that is gained, in [0, 1];
        None for a class that the truth lacks.
    curves : dict of str to Curve
        Of the classes that the truth has, at the thresholds 0, 0.01 … 1.
    """

    average_precision: dict[str, float | None]
    curves: dict[str, Curve]

    @property
    def mean_average_precision(self) -> float | None:
        """Mean over the classes that the truth has."""
        defined = [value for value in self.average_precision.values() if value is not None]
        return fmean(defined) if defined else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as builtins, for JSON."""
        return {
            "mean_average_precision": self.mean_average_precision,
            "average_precision": self.average_precision,
            "precision_recall": {
                name: {
                    "thresholds": curve.thresholds.tolist(),
                    "precision": curve.precision.tolist(),
                    "recall": curve.recall.tolist(),
                }
                for name, curve in self.curves.items()
            },
        }


class PrecisionRecall:
    """Counts of pixels by probability, pooled over everything that is added.

    Memory does not grow: probabilities are counted in 65,536 levels.

    Examples
    --------
    >>> counts = PrecisionRecall()
    >>> truth = np.array([2, 2, 1, 2, 1, 1], np.uint8)
    >>> counts.add(truth, 2, np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    >>> round(counts.average_precision(2), 2)
    0.92
    """

    def __init__(self) -> None:
        # By code: pixels that are not of the class, and that are, by level.
        self._counts: dict[int, npt.NDArray[np.int64]] = {}

    def add(
        self, truth_codes: npt.NDArray[np.uint8], code: int, probabilities: npt.NDArray[Any]
    ) -> None:
        """Count the probabilities of one class in a plane, or in anything of equal shapes.

        Parameters
        ----------
        truth_codes : ndarray, uint8
            0 unlabelled, which is left out, 1 background, k + 1 class k.
        code : int
            Of the class.
        probabilities : ndarray, float in [0, 1]

        Raises
        ------
        ValueError
            If the shapes differ, or a probability is none.
        """
        if truth_codes.shape != probabilities.shape:
            raise ValueError(f"shapes {truth_codes.shape} and {probabilities.shape} differ")
        counts = self._counts.setdefault(code, np.zeros((2, _LEVELS + 1), np.int64))
        known = truth_codes > 0
        values = probabilities[known].astype(np.float64)
        if not values.size:
            return
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"probabilities from {values.min()} to {values.max()}")
        levels = np.rint(values * _LEVELS).astype(np.intp)
        positive = truth_codes[known] == code
        counts[0] += np.bincount(levels[~positive], minlength=_LEVELS + 1)
        counts[1] += np.bincount(levels[positive], minlength=_LEVELS + 1)

    def curve(self, code: int) -> Curve:
        """Return precision and recall at every threshold at which they change."""
        counts = self._counts[code]
        taken = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        wrong, right = taken[:, counts.any(axis=0)]
        thresholds = np.flatnonzero(counts.any(axis=0)) / _LEVELS
        n_true = counts[1].sum()
        recall = right / n_true if n_true else np.zeros(len(right))
        return Curve(thresholds, right / (wrong + right), recall)

    def average_precision(self, code: int) -> float | None:
        """Return the area under the curve, as steps; None where the truth lacks the class."""
        if not self._counts[code][1].any():
            return None
        curve = self.curve(code)
        gained = curve.recall - np.append(curve.recall[1:], 0)
        return float(gained @ curve.precision)

    def scores(self, class_names: Sequence[str] = ()) -> ProbabilityScores:
        """Score every class that was added."""
        names = names_of(sorted(self._counts), class_names)
        found = {code: self.average_precision(code) for code in names}
        return ProbabilityScores(
            {names[code]: value for code, value in found.items()},
            {
                names[code]: self._at(self.curve(code), np.array(CURVE_THRESHOLDS))
                for code, value in found.items()
                if value is not None
            },
        )

    @staticmethod
    def _at(curve: Curve, thresholds: npt.NDArray[np.float64]) -> Curve:
        """Read a curve at other thresholds."""
        at = np.searchsorted(curve.thresholds, thresholds - 0.5 / _LEVELS)
        precision, recall = np.append(curve.precision, 1.0), np.append(curve.recall, 0.0)
        return Curve(thresholds, precision[at], recall[at])

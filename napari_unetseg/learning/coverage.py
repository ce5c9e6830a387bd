"""Which regions stand for most of what nothing annotated stands for yet.

Each region of the images is covered as well as the annotated or chosen one that is most like it
covers it. What adds most to the sum, in which each counts as much as it is worth, stands for most.
Choosing that again and again is the greedy algorithm for facility location (G. Nemhauser, L. Wolsey
and M. Fisher, "An analysis of approximations for maximizing submodular set functions", Mathematical
Programming 14, 1978), which K. Wei, R. Iyer and J. Bilmes found to choose well what to annotate
("Submodularity in data subset selection and active learning", ICML 2015).

Of regions that stand for as much, that comes first which is worth most itself, so that a rare class
is seen, and which is far from those that are annotated or chosen: the sum is multiplied with both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .candidates import Nearness
from .region_features import similarity

Numbers = npt.NDArray[np.float64]

#: Share of a region from which another one counts as the same again.
SAME_AGAIN = 0.25

#: Regions that are to be covered, evenly spread over all of them: more would change little, and
#: take memory.
MOST_COVERED = 1024


class Coverage:
    """How well the regions of some images are covered.

    Parameters
    ----------
    descriptions : ndarray, shape (regions, numbers)
        Standardised.
    annotated : ndarray, shape (regions,)
        From 0 to 1: the part of each that is annotated. One covers others that much less.
    worth : ndarray, shape (regions,)
        How much it counts that each is covered, and that it is chosen.
    nearness : Nearness

    Attributes
    ----------
    by_annotated : ndarray, shape (regions,)
        How well each is covered by what is annotated.
    """

    def __init__(
        self,
        descriptions: Numbers,
        annotated: Numbers,
        worth: Numbers,
        nearness: Nearness,
    ) -> None:
        self._nearness = nearness
        step = -(-len(descriptions) // MOST_COVERED)
        self._ground = slice(0, None, step)
        self._worth = worth
        self._alike = similarity(descriptions[self._ground], descriptions).astype(np.float32)
        touched = np.flatnonzero(annotated)
        self.by_annotated = np.zeros(len(descriptions))
        if len(touched):
            alike = self._alike if step == 1 else similarity(descriptions, descriptions[touched])
            columns = alike[:, touched] if step == 1 else alike
            self.by_annotated = (columns * annotated[touched]).max(axis=1)
        self._apart = self._apart_from(annotated)

    def _apart_from(self, annotated: Numbers) -> Numbers:
        """Return how far regions are from what is annotated, of which none counts twice."""
        apart, left = np.ones(len(annotated)), annotated.copy()
        while left.any():
            most = int(left.argmax())
            apart *= 1 - left[most] * self._nearness.to(most)
            left[self._nearness.shared(most) >= SAME_AGAIN] = 0
        return apart

    def choose(self, free: npt.NDArray[np.bool_]) -> Iterator[tuple[int, float]]:
        """Choose regions, the one that adds most first.

        Parameters
        ----------
        free : ndarray, shape (regions,), bool
            Which may be chosen.

        Yields
        ------
        index : int
        gain : float
            What it adds, less where it is near to those before it.
        """
        covered, free = self.by_annotated[self._ground].astype(np.float32), free.copy()
        counted = self._worth[self._ground].astype(np.float32)
        apart = self._apart.copy()
        while free.any():
            added = np.maximum(self._alike - covered[:, None], 0)
            gains = counted @ added * self._worth * apart
            best = int(np.where(free, gains, -1).argmax())
            yield best, float(gains[best])
            covered = np.maximum(covered, self._alike[:, best])
            apart *= 1 - self._nearness.to(best)
            free &= self._nearness.shared(best) < SAME_AGAIN

"""Which regions stand for most of what nothing annotated stands for yet.

Each region of the images is covered as well as the annotated or chosen one that is most like it
covers it. What is chosen next adds most to the sum, in which each counts as much as it is worth.
That is the greedy algorithm for facility location, whose result is within 1 − 1/e of the best (G.
Nemhauser, L. Wolsey and M. Fisher, "An analysis of approximations for maximizing submodular set
functions", Mathematical Programming 14, 1978). That it chooses well what to annotate was found by
K. Wei, R. Iyer and J. Bilmes, "Submodularity in data subset selection and active learning", ICML
2015.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .candidates import Nearness, Region
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
    regions : sequence of Region
    descriptions : ndarray, shape (regions, numbers)
        Standardised.
    annotated : ndarray, shape (regions,)
        From 0 to 1: the part of each that is annotated. One covers others that much less.
    worth : ndarray, shape (regions,)
        How much it counts that each is covered.
    nearness : Nearness

    Attributes
    ----------
    by_annotated : ndarray, shape (regions,)
        How well each is covered by what is annotated.
    """

    def __init__(
        self,
        regions: Sequence[Region],
        descriptions: Numbers,
        annotated: Numbers,
        worth: Numbers,
        nearness: Nearness,
    ) -> None:
        self._regions, self._nearness = regions, nearness
        step = -(-len(regions) // MOST_COVERED)
        self._ground = slice(0, None, step)
        self._worth = worth[self._ground, None].astype(np.float32)
        self._alike = similarity(descriptions[self._ground], descriptions).astype(np.float32)
        touched = np.flatnonzero(annotated)
        self.by_annotated = np.zeros(len(regions))
        if len(touched):
            alike = self._alike if step == 1 else similarity(descriptions, descriptions[touched])
            columns = alike[:, touched] if step == 1 else alike
            self.by_annotated = (columns * annotated[touched]).max(axis=1)

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
        apart = np.ones(len(free))
        while free.any():
            added = np.maximum(self._alike - covered[:, None], 0)
            gains = (self._worth * added).sum(axis=0) * apart
            best = int(np.where(free, gains, -1).argmax())
            yield best, float(gains[best])
            covered = np.maximum(covered, self._alike[:, best])
            near = self._nearness.to(self._regions[best], self._regions)
            apart = np.minimum(apart, 1 - near)
            free &= ~(self._in_slice_of(best) & (near >= SAME_AGAIN))
            free[best] = False

    def _in_slice_of(self, index: int) -> npt.NDArray[np.bool_]:
        here = self._regions[index]
        same = ((r.image, r.plane) == (here.image, here.plane) for r in self._regions)
        return np.fromiter(same, bool, len(self._regions))

"""Why a region is suggested, in a few words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND

from .candidates import Region
from .region_features import CELL_PX, SliceMaps

#: Times the mean share of a class, or the mean uncertainty, from which a region has much of it.
MUCH = 1.5

#: Share of all regions that are less like what is annotated than any that is not called unlike it.
UNLIKE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of a region.

    Attributes
    ----------
    annotated : float
        Share of its squares in which anything is annotated.
    codes : frozenset of int
        That are annotated anywhere in its slice.
    shares : ndarray or None, shape (K,)
        Mean probability of each class, background first; None without a model.
    entropy : float
        Mean of its pixels.
    """

    annotated: float
    codes: frozenset[int]
    shares: npt.NDArray[np.float32] | None = None
    entropy: float = 0.0

    @classmethod
    def of(cls, region: Region, maps: SliceMaps, annotated: float, codes: frozenset[int]) -> Seen:
        """Sum up the maps of a slice in a region."""
        if maps.probabilities is None or maps.entropy is None:
            return cls(annotated, codes)
        where = region.cells(CELL_PX)
        shares = maps.probabilities[:, *where].mean(axis=(1, 2))
        return cls(annotated, codes, shares, float(maps.entropy[where].mean()))

    @property
    def worth(self) -> float:
        """How evenly the model finds all classes here; 1 without a model.

        The entropy of the mean probabilities, as a share of the largest possible. It is that of
        single pixels and what there is between them: large where the model is uncertain, and where
        it finds several classes, of which background alone teaches little.
        """
        if self.shares is None:
            return 1.0
        shares = self.shares.astype(float).clip(1e-12, 1)
        return float(-(shares * np.log(shares)).sum() / math.log(len(shares)))


class Reasons:
    """Says of regions why they are suggested.

    Parameters
    ----------
    seen : sequence of Seen
        Of all regions.
    by_annotated : ndarray, shape (regions,)
        How alike each is to something annotated.
    names : sequence of str
        Of the model's classes, from class 1.
    """

    def __init__(
        self, seen: Sequence[Seen], by_annotated: npt.NDArray[np.float64], names: Sequence[str]
    ) -> None:
        self._seen, self._alike, self._names = seen, by_annotated, names
        self._unlike = float(np.quantile(by_annotated, UNLIKE))
        self._unsure = MUCH * float(np.mean([s.entropy for s in seen]))
        shares = [s.shares for s in seen if s.shares is not None]
        self._usual = np.mean(shares, axis=0) if shares else np.zeros(0)

    def of(self, index: int) -> str:
        """Say why one is suggested."""
        seen, found = self._seen[index], []
        if self._alike.any() and self._alike[index] <= self._unlike:
            found.append("unlike anything annotated yet")
        if seen.shares is not None and seen.entropy >= self._unsure > 0:
            found.append("the model is unsure here")
        found += self._of_class(seen)
        return ", ".join(found) or "like much that is not annotated yet"

    def _of_class(self, seen: Seen) -> list[str]:
        """Name the class of which there is most in comparison, where that is much."""
        if seen.shares is None:
            return []
        times = seen.shares[1:] / np.maximum(self._usual[1:], 1e-6)
        k = int(times.argmax()) + 1
        if times[k - 1] < MUCH:
            return []
        # The classes that are annotated may be others than those of a base model.
        nothing = all(code <= BACKGROUND for code in seen.codes)
        return [f"much {self._names[k - 1]}" + ", none annotated in this slice" * nothing]

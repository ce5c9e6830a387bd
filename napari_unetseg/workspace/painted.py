"""What is painted on an image as methods are given it: slice by slice, when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .image_entry import ImageEntry
from .slots import Codes


class Painted:
    """Annotations within the region of an image, as they are by now, and points clicked on it.

    Parameters
    ----------
    entry : ImageEntry
    clicked : ndarray, shape (planes, Y, X), uint8, optional
        Codes that count where they are not 0, whatever is painted there.
    """

    def __init__(self, entry: ImageEntry, clicked: Codes | None = None) -> None:
        self._entry = entry
        self._clicked = clicked

    def __len__(self) -> int:
        return self._entry.shape[0]

    def __iter__(self) -> Iterator[Codes]:
        return (self[plane] for plane in range(len(self)))

    def planes(self) -> list[int]:
        """Return the slices on which there may be something."""
        clicked = () if self._clicked is None else np.flatnonzero(self._clicked.any(axis=(1, 2)))
        return sorted({*self._entry.annotated_planes(), *map(int, clicked)})

    def __getitem__(self, planes: int | slice) -> Codes:
        if isinstance(planes, slice):
            return np.stack([self[plane] for plane in range(*planes.indices(len(self)))])
        entry = self._entry
        codes = entry.codes[planes] if entry.region is None else entry.training_codes(planes)
        if self._clicked is None:
            return codes
        return np.where(self._clicked[planes] > 0, self._clicked[planes], codes)

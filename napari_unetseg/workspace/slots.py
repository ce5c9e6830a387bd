"""Predictions are stored in slots, so that classes may change without touching them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED

Codes = npt.NDArray[np.uint8]


class Slots:
    """Which code each slot of a prediction is shown as.

    Classes may be renamed, merged, deleted and brought back: only this table changes. No slot is
    ever given to a second class: what was answered for one that was added and taken back is
    nothing, and not the next one.

    Attributes
    ----------
    shown_as : ndarray of uint8, shape (256,)
        The code of each slot, 0 for none.
    """

    def __init__(self, n_classes: int) -> None:
        self._n_given = 0
        self.shown_as = self.with_classes(np.zeros(256, np.uint8), n_classes)

    def of_codes(self) -> Codes:
        """Return the slot in which each present code is stored.

        Returns
        -------
        ndarray of uint8, shape (256,)
        """
        slots = np.zeros(256, np.uint8)
        slots[self.shown_as[::-1]] = np.arange(256, dtype=np.uint8)[::-1]
        return slots

    def with_classes(self, shown_as: Codes, n_classes: int) -> Codes:
        """Return a table with a slot for every code there is, and none for any other."""
        n_codes = n_classes + 2
        table = np.where(shown_as < n_codes, shown_as, np.uint8(UNLABELLED))
        for code in sorted(set(range(1, n_codes)) - set(table.tolist())):
            self._n_given += 1
            # After hundreds of classes in one sitting, slots of long deleted ones come again.
            free = np.flatnonzero(table[1:] == UNLABELLED) + 1
            table[self._n_given if self._n_given in free else free[-1]] = code
        return table

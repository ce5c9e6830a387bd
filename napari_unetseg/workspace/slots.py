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
        self._predictions: list[Codes] = []
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

    def keep(self, prediction: Codes) -> None:
        """Take note of an array that holds slots, shape (planes, Y, X)."""
        self._predictions.append(prediction)

    def with_classes(self, shown_as: Codes, n_classes: int) -> Codes:
        """Return a table with a slot for every code there is, and none for any other."""
        n_codes = n_classes + 2
        table = np.where(shown_as < n_codes, shown_as, np.uint8(UNLABELLED))
        for code in sorted(set(range(1, n_codes)) - set(table.tolist())):
            self._n_given += 1
            if table[1:].all():
                self._store_alike(table)
            # After hundreds of classes in one sitting, slots of long deleted ones come again.
            free = np.flatnonzero(table[1:] == UNLABELLED) + 1
            table[self._n_given if self._n_given in free else free[-1]] = code
        return table

    def _store_alike(self, table: Codes) -> None:
        """Use one slot for what is shown alike, where classes were merged; free the others."""
        codes, first = np.unique(table, return_index=True)
        first_of = np.zeros(256, np.uint8)
        first_of[codes] = first
        for prediction in self._predictions:
            for plane in prediction:
                plane[...] = first_of[table[plane]]
        table[first_of[table] != np.arange(256)] = UNLABELLED

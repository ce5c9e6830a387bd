"""How many pixels true and predicted objects share, counted plane by plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

#: Tables of so many rows are added up before more are kept.
_ROWS_KEPT = 1 << 18


class Overlaps:
    """Pixels by true and predicted id, of one volume.

    Memory grows with the number of pairs of ids that share a pixel, 16 bytes each, and not with
    that of pixels.
    """

    def __init__(self) -> None:
        self._tables: list[tuple[npt.NDArray[np.uint64], Counts]] = []
        self._n_rows = 0
        self._limit = _ROWS_KEPT

    def add(self, true_ids: npt.NDArray[Any], predicted_ids: npt.NDArray[Any]) -> None:
        """Count a plane; both integers up to 2³² − 1, of equal shape, 0 background."""
        if not true_ids.size:
            return
        pairs = (true_ids.astype(np.uint64) << np.uint64(32)) | predicted_ids.astype(np.uint64)
        pairs = pairs.ravel()
        # Neighbours mostly belong together: sorting runs is ten times faster than sorting pixels.
        starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
        lengths = np.diff(starts, append=len(pairs))
        self._tables.append(_added_up(pairs[starts], lengths))
        self._n_rows += len(self._tables[-1][0])
        if self._n_rows > self._limit:
            self._pool()

    def table(self) -> tuple[Counts, Counts, Counts]:
        """Return true ids, predicted ids and the pixels they share, for all pairs but (0, 0)."""
        self._pool()
        pairs, n_px = self._tables[0]
        kept = pairs > 0
        true = (pairs[kept] >> np.uint64(32)).astype(np.int64)
        predicted = (pairs[kept] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return true, predicted, n_px[kept]

    def _pool(self) -> None:
        """Add up all tables into one."""
        pairs = np.concatenate([table[0] for table in self._tables] or [np.empty(0, np.uint64)])
        n_px = np.concatenate([table[1] for table in self._tables] or [np.empty(0, np.int64)])
        self._tables = [_added_up(pairs, n_px)]
        self._n_rows = len(self._tables[0][0])
        self._limit = max(_ROWS_KEPT, 2 * self._n_rows)


def _added_up(pairs: npt.NDArray[np.uint64], n_px: Counts) -> tuple[npt.NDArray[np.uint64], Counts]:
    values, where = np.unique(pairs, return_inverse=True)
    total = np.zeros(len(values), np.int64)
    np.add.at(total, where, n_px)
    return values, total

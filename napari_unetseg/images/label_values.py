"""From the values in a labels file to codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import MAX_CLASSES, UNLABELLED
from napari_unetseg.errors import UserError

#: Beyond this range a table of all values is slower than a search.
_TABLE_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class ValueMap:
    """Which value in a file is which code.

    Attributes
    ----------
    codes : dict of int to int
        Value in the file → code, for every value that occurs.
    recorded : dict of str to int
        Value in the file → class `k`, where they differ; empty otherwise.
    n_classes : int
        The largest class.
    """

    codes: dict[int, int]
    recorded: dict[str, int] = field(default_factory=dict)
    n_classes: int = 0

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Translate an array of values, all of which the map knows, into codes."""
        if values.dtype == bool:
            values = values.view(np.uint8)
        known = np.array(sorted(self.codes), np.int64)
        codes = np.array([self.codes[int(value)] for value in known], np.uint8)
        if known[-1] < _TABLE_SIZE:
            table = np.zeros(int(known[-1]) + 1, np.uint8)
            table[known] = codes
            translated: npt.NDArray[np.uint8] = table[values]
            return translated
        translated = codes[np.searchsorted(known, values.astype(np.int64))]
        return translated


def values_in(values: npt.NDArray[Any]) -> set[int]:
    """Collect the values of an integer array."""
    return set(counts_in(values))


def counts_in(values: npt.NDArray[Any]) -> dict[int, int]:
    """Count how often each value of an integer array is there."""
    if not values.any():
        return {0: values.size} if values.size else {}
    if values.dtype == bool:
        n = int(np.count_nonzero(values))
        return {value: k for value, k in ((0, values.size - n), (1, n)) if k}
    if int(values.min()) >= 0 and int(values.max()) < _TABLE_SIZE:
        counts = np.bincount(values.ravel().astype(np.intp))
        found = np.flatnonzero(counts)
        return dict(zip(found.tolist(), counts[found].tolist(), strict=True))
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def map_annotations(values: Iterable[int], n_known: int = 0) -> ValueMap:
    """Keep 0 (unlabelled) and 1 (background); classes in ascending order from 2 on.

    Parameters
    ----------
    values : iterable of int
        Every value of the file or files.
    n_known : int
        Number of classes the file names; where it names any, codes mean what they say.
    """
    present = set(values)
    foreground = sorted(value for value in present if value > 1)
    codes: dict[int, int] = {value: value for value in (0, 1) if value in present}
    return _map(codes, foreground, first_value=2, n_known=n_known)


def map_masks(values: Iterable[int], n_known: int = 0) -> ValueMap:
    """Take 0 for background and the other values for classes, in ascending order.

    Examples
    --------
    >>> map_masks([0, 255]).codes, map_masks([0, 255]).recorded
    ({0: 1, 255: 2}, {'255': 1})
    """
    present = set(values)
    foreground = sorted(present - {0})
    codes = {0: 1} if 0 in present else {}
    return _map(codes, foreground, first_value=1, n_known=n_known)


def _map(
    codes: dict[int, int], foreground: list[int], *, first_value: int, n_known: int
) -> ValueMap:
    """Give `foreground` the codes from 2 on; `first_value` is what class 1 should look like."""
    in_range = not foreground or foreground[-1] < first_value + n_known
    if n_known and in_range:
        kept = {value: value - first_value + 2 for value in foreground}
        return ValueMap({**codes, **kept}, {}, n_known)
    classes = {value: k for k, value in enumerate(foreground, start=1)}
    differs = any(value != k + first_value - 1 for value, k in classes.items())
    recorded = {str(value): k for value, k in classes.items()} if differs else {}
    if len(classes) > MAX_CLASSES:
        return ValueMap({}, recorded, len(classes))
    return ValueMap({**codes, **{v: k + 1 for v, k in classes.items()}}, recorded, len(classes))


def check_label_values(values: Iterable[int], name: str, *, limit: int) -> None:
    """Raise UserError for values that no label can have."""
    present = set(values)
    if present and min(present) < UNLABELLED:
        raise UserError(
            f"{name} holds the negative value {min(present)}; labels count from 0, so replace it."
        )
    if present and max(present) > limit:
        raise UserError(
            f"{name} holds the value {max(present)}; labels go up to {limit}, so number them anew."
        )

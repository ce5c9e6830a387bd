"""The same value is the same class in truth and prediction, also where values have gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import MAX_CLASSES
from napari_unetseg.errors import UserError

from .sources import Pair, Side

#: What programs write for white, which says that there is a class and not which.
_WHITE = (255, 65535)


def agree_on_values(pairs: Sequence[Pair]) -> list[Pair]:
    """Give a value the same class on both sides, where one was numbered for itself.

    Values in files with gaps become classes in ascending order, each side for itself: a
    prediction of {0, 2} would have its class 2 compared with class 1 of a truth of {0, 1}. So the
    values of both sides together become classes in ascending order, but for those that are
    classes already on a side without gaps. Where one side is grey up to white, and nothing of
    that is on the other ({0, 255} against {0, 1}), the order is all there is.

    Raises
    ------
    UserError
        If both sides together have more values than there are classes.
    """
    truth, predicted = [pair.truth for pair in pairs], [pair.predicted for pair in pairs]
    sides = [*truth, *predicted]
    of_objects = any(side.labels.mapping is None for side in sides)
    if of_objects or not any(side.labels.values for side in sides):
        return list(pairs)
    ours, theirs = _values(truth), _values(predicted)
    if not set(ours) & set(theirs) and (_is_grey(ours) or _is_grey(theirs)):
        return list(pairs)
    known = max((len(side.labels.classes) for side in sides if not side.labels.values), default=0)
    classes = _classes({*ours, *theirs}, known)
    tables = _table(ours, classes), _table(theirs, classes)
    return [
        dataclasses.replace(
            pair,
            truth=dataclasses.replace(pair.truth, table=tables[0]),
            predicted=dataclasses.replace(pair.predicted, table=tables[1]),
        )
        for pair in pairs
    ]


def _values(several: Sequence[Side]) -> dict[int, int]:
    """Return which value, as masks have it, stands for each class that occurs: value → k."""
    found: dict[int, int] = {}
    for labels in (side.labels for side in several):
        offset = 1 if labels.kind == "annotations" else 0
        recorded = {k: int(value) - offset for value, k in labels.values.items()}
        found |= {recorded.get(k, k): k for k in labels.classes_present if k > 0}
    return found


def _is_grey(values: Mapping[int, int]) -> bool:
    return max(values, default=0) in _WHITE


def _classes(values: set[int], n_known: int) -> dict[int, int]:
    """Return value → k: up to `n_known` the value itself, beyond that in ascending order."""
    beyond = sorted(value for value in values if value > n_known)
    if n_known + len(beyond) > MAX_CLASSES:
        raise UserError(
            f"Truth and prediction hold {n_known + len(beyond)} values together, and there are up "
            f"to {MAX_CLASSES} classes; if they are ids of objects, say so with --kind objects."
        )
    named = {value: value for value in values if value <= n_known}
    return named | {value: k for k, value in enumerate(beyond, start=n_known + 1)}


def _table(have: Mapping[int, int], classes: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for value, k in have.items():
        table[k + 1] = classes[value] + 1
    return table

"""The same value is the same class in truth and prediction, also where values have gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .sources import Pair, Side


def agree_on_values(pairs: Sequence[Pair]) -> list[Pair]:
    """Undo the renumbering of one side where the other side shows what its values mean.

    Values in files with gaps become classes in ascending order, each side for itself: a
    prediction of {0, 2} would have its class 2 compared with class 1 of a truth of {0, 1, 2}. So
    where all values of one side occur on the other, they take the classes they have there.
    Otherwise ({0, 255} against {0, 1}) the order is all there is.
    """
    truth = _values([pair.truth for pair in pairs])
    predicted = _values([pair.predicted for pair in pairs])
    if not any(pair.truth.labels.values or pair.predicted.labels.values for pair in pairs):
        return list(pairs)
    if set(predicted) <= set(truth):
        table = _table(predicted, truth)
        return [
            dataclasses.replace(pair, predicted=dataclasses.replace(pair.predicted, table=table))
            for pair in pairs
        ]
    if set(truth) <= set(predicted):
        table = _table(truth, predicted)
        return [
            dataclasses.replace(pair, truth=dataclasses.replace(pair.truth, table=table))
            for pair in pairs
        ]
    return list(pairs)


def _values(several: Sequence[Side]) -> dict[int, int]:
    """Return which value, as masks have it, stands for each class that occurs: value → k."""
    found: dict[int, int] = {}
    for labels in (side.labels for side in several):
        offset = 1 if labels.kind == "annotations" else 0
        recorded = {k: int(value) - offset for value, k in labels.values.items()}
        found |= {recorded.get(k, k): k for k in labels.classes_present if k > 0}
    return found


def _table(have: dict[int, int], want: dict[int, int]) -> npt.NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for value, k in have.items():
        table[k + 1] = want[value] + 1
    return table

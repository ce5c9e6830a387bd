"""Objects found, matched one to one where their IoU is at least a half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ObjectScores:
    """How many objects were found, and how well; all but the counts in [0, 1].

    A true and a predicted object match where their IoU is at least 0.5; each matches once.

    Attributes
    ----------
    precision, recall, f1 : float
        Of matched objects among predicted, among true, and their harmonic mean.
    mean_matched_iou : float
        Mean IoU of the matched pairs, 0 where there are none.
    seg : float
        SEG of the Cell Tracking Challenge: mean over true objects of the IoU with the predicted
        object that covers more than half of it, 0 where none does (M. Maška et al., "A benchmark
        for comparison of cell tracking algorithms", Bioinformatics 30 (2014) 1609–1617).
    n_true, n_predicted, n_matched : int
    """

    precision: float
    recall: float
    f1: float
    mean_matched_iou: float
    seg: float
    n_true: int
    n_predicted: int
    n_matched: int


class ObjectMatcher:
    """Overlaps of true and predicted objects, added plane by plane, pooled over volumes.

    Examples
    --------
    >>> matcher = ObjectMatcher()
    >>> matcher.add(np.array([[1, 1, 2, 2]]), np.array([[7, 7, 0, 0]]))
    >>> matcher.scores().recall
    0.5
    """

    def __init__(self) -> None:
        self._pairs: dict[int, list[npt.NDArray[np.uint64]]] = {}

    def add(
        self, true_ids: npt.NDArray[Any], predicted_ids: npt.NDArray[Any], volume: int = 0
    ) -> None:
        """Count the overlaps in a plane.

        Parameters
        ----------
        true_ids, predicted_ids : ndarray of equal shape, integers up to 2³² − 1
            0 background.
        volume : int
            Which image or time point the plane belongs to: ids of one are not those of another.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if true_ids.shape != predicted_ids.shape:
            raise ValueError(f"shapes {true_ids.shape} and {predicted_ids.shape} differ")
        pairs = (true_ids.astype(np.uint64) << np.uint64(32)) | predicted_ids.astype(np.uint64)
        values, counts = np.unique(pairs[pairs > 0], return_counts=True)
        self._pairs.setdefault(volume, []).append(
            np.stack([values, counts.astype(np.uint64)], axis=1)
        )

    def scores(self) -> ObjectScores:
        """Match the objects of each volume and score them all together."""
        matched: list[float] = []
        seg: list[float] = []
        n_true = n_predicted = 0
        for tables in self._pairs.values():
            true, predicted, overlap = _pool(tables)
            true_sizes = _sizes(true, overlap)
            predicted_sizes = _sizes(predicted, overlap)
            n_true += len(true_sizes)
            n_predicted += len(predicted_sizes)
            taken: set[int] = set()
            for i, j, n in zip(true.tolist(), predicted.tolist(), overlap.tolist(), strict=True):
                if not (i and j):
                    continue
                union = true_sizes[i] + predicted_sizes[j] - n
                # Two candidates can only be two exact halves, so taking the first is optimal.
                if 2 * n >= union and taken.isdisjoint((i, -j)):
                    taken |= {i, -j}
                    matched.append(n / union)
                if 2 * n > true_sizes[i]:
                    seg.append(n / union)
        return _object_scores(matched, seg, n_true, n_predicted)


def _object_scores(
    matched: list[float], seg: list[float], n_true: int, n_predicted: int
) -> ObjectScores:
    return ObjectScores(
        precision=len(matched) / n_predicted if n_predicted else 0.0,
        recall=len(matched) / n_true if n_true else 0.0,
        f1=2 * len(matched) / (n_true + n_predicted) if n_true + n_predicted else 0.0,
        mean_matched_iou=sum(matched) / len(matched) if matched else 0.0,
        seg=sum(seg) / n_true if n_true else 0.0,
        n_true=n_true,
        n_predicted=n_predicted,
        n_matched=len(matched),
    )


def _pool(
    tables: list[npt.NDArray[np.uint64]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Add up the planes of a volume: true ids, predicted ids and the pixels they share."""
    joined = np.concatenate(tables)
    values, where = np.unique(joined[:, 0], return_inverse=True)
    overlap = np.zeros(len(values), np.int64)
    np.add.at(overlap, where, joined[:, 1].astype(np.int64))
    true = (values >> np.uint64(32)).astype(np.int64)
    predicted = (values & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return true, predicted, overlap


def _sizes(ids: npt.NDArray[np.int64], overlap: npt.NDArray[np.int64]) -> dict[int, int]:
    """Return the size in px of each object, whatever it overlaps."""
    present, where = np.unique(ids, return_inverse=True)
    sizes = np.zeros(len(present), np.int64)
    np.add.at(sizes, where, overlap)
    return {i: n for i, n in zip(present.tolist(), sizes.tolist(), strict=True) if i}

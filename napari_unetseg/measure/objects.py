"""Objects found, matched one to one at an IoU."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .overlaps import Overlaps
from .regions import RegionScores, region_scores

#: The IoU at which objects count as found, unless another is asked for.
MATCHING_IOU = 0.5

#: The thresholds over which the average precision is averaged: 0.5, 0.55 … 0.95.
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


@dataclass(frozen=True, slots=True)
class ObjectScores:
    """How many objects were found, and how well; all but the counts in [0, 1].

    A true and a predicted object match where their IoU is at least `iou`, 0.5 unless another is
    asked for; each matches once, so that as many match as can. A ratio whose denominator is 0
    (the precision where nothing was predicted) is 0; without any object, true or predicted,
    nothing is defined, and what can be None is None.

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
    iou : float
        At which objects match.
    average_precision : float or None
        Matched ÷ (matched + missed + predicted in excess), as StarDist and Cellpose define it
        (U. Schmidt et al., "Cell detection with star-convex polygons", MICCAI 2018).
    mean_average_precision : float or None
        Mean of that at the IoUs 0.5, 0.55 … 0.95.
    panoptic_quality : float or None
        F1 × mean IoU of the matched pairs (A. Kirillov et al., "Panoptic segmentation",
        CVPR 2019).
    average_precisions : dict of float to float
        The average precision at each of these IoUs; empty where it is not defined.
    """

    precision: float
    recall: float
    f1: float
    mean_matched_iou: float
    seg: float
    n_true: int
    n_predicted: int
    n_matched: int
    iou: float = MATCHING_IOU
    average_precision: float | None = None
    mean_average_precision: float | None = None
    panoptic_quality: float | None = None
    average_precisions: dict[float, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as builtins, for JSON."""
        by_iou = {f"{iou:.2f}": value for iou, value in self.average_precisions.items()}
        return {**dataclasses.asdict(self), "average_precisions": by_iou}


class ObjectMatcher:
    """Overlaps of true and predicted objects, added plane by plane, pooled over volumes.

    Memory grows with the number of objects that overlap, and not with that of pixels.

    Examples
    --------
    >>> matcher = ObjectMatcher()
    >>> matcher.add(np.array([[1, 1, 2, 2]]), np.array([[7, 7, 0, 0]]))
    >>> matcher.scores().recall
    0.5
    """

    def __init__(self) -> None:
        self._volumes: dict[int, Overlaps] = {}

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
        self._volumes.setdefault(volume, Overlaps()).add(true_ids, predicted_ids)

    def regions(self) -> RegionScores:
        """Score objects as groups of pixels: what was split and what was merged."""
        return region_scores(self._volumes.values())

    def scores(self, iou: float = MATCHING_IOU) -> ObjectScores:
        """Match the objects of each volume and score them all together.

        Parameters
        ----------
        iou : float
            In (0, 1]: pairs of at least so much match.
        """
        volumes = [_Candidates.of(volume) for volume in self._volumes.values()]
        n_true = sum(volume.n_true for volume in volumes)
        n_predicted = sum(volume.n_predicted for volume in volumes)
        matched = [found for volume in volumes for found in volume.matched(iou)]
        covered = sum(volume.covered for volume in volumes)
        n_any = n_true + n_predicted
        precisions = {}
        if n_any:
            for threshold in THRESHOLDS:
                n = sum(len(volume.matched(threshold)) for volume in volumes)
                precisions[threshold] = n / (n_any - n)
        mean_iou = fmean(matched) if matched else 0.0
        f1 = 2 * len(matched) / n_any if n_any else 0.0
        return ObjectScores(
            precision=len(matched) / n_predicted if n_predicted else 0.0,
            recall=len(matched) / n_true if n_true else 0.0,
            f1=f1,
            mean_matched_iou=mean_iou,
            seg=covered / n_true if n_true else 0.0,
            n_true=n_true,
            n_predicted=n_predicted,
            n_matched=len(matched),
            iou=iou,
            average_precision=len(matched) / (n_any - len(matched)) if n_any else None,
            mean_average_precision=fmean(precisions.values()) if n_any else None,
            panoptic_quality=f1 * mean_iou if n_any else None,
            average_precisions=precisions,
        )


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Pairs of objects in one volume that overlap.

    Attributes
    ----------
    true, predicted : ndarray of int64
        Ids.
    iou : ndarray of float64
    covered : float
        Sum over true objects of the IoU with what covers more than half of them.
    """

    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]
    covered: float
    n_true: int
    n_predicted: int

    @classmethod
    def of(cls, overlaps: Overlaps) -> Self:
        """Find them in a table of overlaps."""
        true, predicted, shared = overlaps.table()
        true_index, true_sizes = _sizes(true, shared)
        predicted_index, predicted_sizes = _sizes(predicted, shared)
        both = (true > 0) & (predicted > 0)
        of_true = true_sizes[true_index[both]]
        iou = shared[both] / (of_true + predicted_sizes[predicted_index[both]] - shared[both])
        return cls(
            true[both],
            predicted[both],
            iou,
            float(iou[2 * shared[both] > of_true].sum()),
            len(np.unique(true[true > 0])),
            len(np.unique(predicted[predicted > 0])),
        )

    def matched(self, threshold: float) -> list[float]:
        """Return the IoUs of the pairs that match: as many as can, and of these the best."""
        good = self.iou >= threshold
        true, predicted, iou = self.true[good], self.predicted[good], self.iou[good]
        # Above a half an object has no second candidate.
        if len(np.unique(true)) == len(true) and len(np.unique(predicted)) == len(predicted):
            return [float(value) for value in iou]
        return _assigned(true, predicted, iou)


def _assigned(
    true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], iou: npt.NDArray[np.float64]
) -> list[float]:
    """Match where objects have several candidates: each group that is connected for itself."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, row = np.unique(true, return_inverse=True)
    columns, column = np.unique(predicted, return_inverse=True)
    n = len(rows) + len(columns)
    graph = coo_array((np.ones(len(row)), (row, column + len(rows))), shape=(n, n))
    group = connected_components(graph, directed=False)[1][row]
    found: list[float] = []
    for members in _grouped(group):
        own_rows, at_row = np.unique(row[members], return_inverse=True)
        own_columns, at_column = np.unique(column[members], return_inverse=True)
        overlap = np.zeros((len(own_rows), len(own_columns)))
        overlap[at_row, at_column] = iou[members]
        # A match is worth more than any sum of overlaps, so that as many match as can.
        value = overlap + len(members) * (overlap > 0)
        best = overlap[linear_sum_assignment(value, maximize=True)]
        found += best[best > 0].tolist()
    return found


def _grouped(group: npt.NDArray[np.int32]) -> list[npt.NDArray[np.intp]]:
    """Return the places of each group's members."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _sizes(
    ids: npt.NDArray[np.int64], shared: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the index of each row's object, and the size in px of each object."""
    present, index = np.unique(ids, return_inverse=True)
    sizes = np.zeros(len(present), np.int64)
    np.add.at(sizes, index, shared)
    return index, sizes

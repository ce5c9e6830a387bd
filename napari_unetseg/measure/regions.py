"""Segmentations compared as partitions: what was split, and what was merged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .overlaps import Overlaps


@dataclass(frozen=True, slots=True)
class RegionScores:
    """How well pixels are grouped, whatever the groups are called.

    Pixels whose truth is background are left out, as the challenges on neurites do; background
    that was predicted among the others is one group. None where there is nothing to compare: no
    object, or no two pixels of one group.

    Attributes
    ----------
    adapted_rand_error : float or None
        1 − F of pairs of pixels, in [0, 1], 0 for equal groups.
    rand_precision, rand_recall : float or None
        Share of the pairs in one predicted group that are in one true group (less where groups
        are merged), and of the pairs in one true group that are in one predicted group (less
        where groups are split).
    voi_split, voi_merge : float or None
        The two parts of the variation of information, in bits, 0 for equal groups: what is not
        known of the prediction given the truth, and of the truth given the prediction.

    References
    ----------
    I. Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
    connectomics", Frontiers in Neuroanatomy 9 (2015) 142. M. Meilă, "Comparing clusterings — an
    information based distance", Journal of Multivariate Analysis 98 (2007) 873–895.
    """

    adapted_rand_error: float | None
    rand_precision: float | None
    rand_recall: float | None
    voi_split: float | None
    voi_merge: float | None


def region_scores(volumes: Iterable[Overlaps]) -> RegionScores:
    """Score the groups of several volumes together; groups of different volumes are different."""
    shared = in_truth = in_prediction = 0.0
    n_px = 0
    split = merge = 0.0
    for volume in volumes:
        true, predicted, n = (column.astype(np.float64) for column in volume.table())
        inside = true > 0
        n = n[inside]
        (n_true, true_sizes), (n_predicted, predicted_sizes) = (
            _groups(ids[inside], n) for ids in (true, predicted)
        )
        shared += _n_pairs(n)
        in_truth += _n_pairs(n_true)
        in_prediction += _n_pairs(n_predicted)
        split += float(n @ np.log2(true_sizes / n))
        merge += float(n @ np.log2(predicted_sizes / n))
        n_px += int(n.sum())
    both = in_truth + in_prediction
    return RegionScores(
        adapted_rand_error=1 - 2 * shared / both if both else None,
        rand_precision=shared / in_prediction if in_prediction else None,
        rand_recall=shared / in_truth if in_truth else None,
        voi_split=split / n_px if n_px else None,
        voi_merge=merge / n_px if n_px else None,
    )


def _groups(
    ids: npt.NDArray[np.float64], n_px: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the size of each group, and of the group of each row."""
    _, group = np.unique(ids, return_inverse=True)
    sizes: npt.NDArray[np.float64] = np.bincount(group, weights=n_px).astype(np.float64)
    return sizes, sizes[group]


def _n_pairs(sizes: npt.NDArray[np.float64]) -> float:
    """Return how many ordered pairs of different pixels groups hold."""
    return float(sizes @ (sizes - 1))

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

    Pixels whose truth is background are left out. Of the others, those that were predicted to be
    background are each alone in the pairs of the Rand error, and one group in the variation of
    information, as the challenges on neurites (SNEMI3D, CREMI) have it. None where nothing can be
    said: there is no object, none was predicted (of the variation of information), or there are no
    two pixels of one group.

    Attributes
    ----------
    adapted_rand_error : float or None
        1 − F of pairs of pixels, in [0, 1], 0 for equal groups, 1 where all is missed.
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
    n_px = n_found_px = 0
    split = merge = 0.0
    for volume in volumes:
        true, predicted, n = (column.astype(np.float64) for column in volume.table())
        inside = true > 0
        n = n[inside]
        found = predicted[inside] > 0
        true_sizes, predicted_sizes = (_group_sizes(ids[inside], n) for ids in (true, predicted))
        shared += _n_pairs(n[found], n[found])
        in_truth += _n_pairs(n, true_sizes)
        in_prediction += _n_pairs(n[found], predicted_sizes[found])
        split += float(n @ np.log2(true_sizes / n))
        merge += float(n @ np.log2(predicted_sizes / n))
        n_px += int(n.sum())
        n_found_px += int(n[found].sum())
    both = in_truth + in_prediction
    return RegionScores(
        adapted_rand_error=1 - 2 * shared / both if both else None,
        rand_precision=shared / in_prediction if in_prediction else None,
        rand_recall=shared / in_truth if in_truth else None,
        voi_split=split / n_px if n_found_px else None,
        voi_merge=merge / n_px if n_found_px else None,
    )


def _group_sizes(
    ids: npt.NDArray[np.float64], n_px: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how many pixels the group of each row has."""
    _, group = np.unique(ids, return_inverse=True)
    return np.bincount(group, weights=n_px)[group].astype(np.float64)


def _n_pairs(n_px: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> float:
    """Return how many ordered pairs of different pixels lie in one group."""
    return float(n_px @ (sizes - 1))

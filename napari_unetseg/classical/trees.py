"""Extremely randomised trees, as plain arrays and back, and quickly asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .filter_bank import Image
from .step import Codes
from .threads import cores

#: Leaves of a tree: at least so many, and more where it learns from more pixels. Trees of 256 stay
#: in the cache, and answer twice as fast as full ones, as well.
_LEAVES, _PX_PER_LEAF = 256, 60

#: Share of the features that a split chooses from.
_TRIED = 0.4

#: Votes are sums of 32-bit numbers: no lead of less than this is a lead.
_ROUNDING = 1e-3


class TrainedForest:
    """A forest, and the pixels that it was grown from.

    The same pixels grow the same forest, so that they are all that needs to be kept of it.

    Parameters
    ----------
    features : ndarray, shape (n, F), float32
    codes : ndarray, shape (n,), uint8
        Of at least two classes: 1 background, k + 1 class k.
    weights : ndarray, shape (n,), float32
        How much each pixel counts.
    n_trees, seed : int

    Attributes
    ----------
    codes : ndarray, shape (K,), uint8
        Those that it tells apart, the smallest first.
    """

    def __init__(
        self,
        features: Image,
        codes: Codes,
        weights: npt.NDArray[np.float32],
        *,
        n_trees: int,
        seed: int,
    ) -> None:
        # Takes most of a second to import, and forms are made from modules that need this one.
        from sklearn.ensemble import ExtraTreesClassifier

        self._samples: dict[str, npt.NDArray[Any]] = {
            "features": features,
            "codes": codes,
            "weights": weights,
        }
        self._numbers = {"n_trees": n_trees, "seed": seed}
        self.codes, targets = np.unique(codes, return_inverse=True)
        forest = ExtraTreesClassifier(
            n_trees,
            max_leaf_nodes=max(_LEAVES, len(codes) // _PX_PER_LEAF),
            min_samples_leaf=2,
            max_features=_TRIED,
            n_jobs=cores(),
            random_state=seed,
        ).fit(features, targets, weights)
        self._trees = [tree.tree_ for tree in forest.estimators_]
        self._leaves = [_shares(tree.value[:, 0]) for tree in self._trees]

    @property
    def n_features(self) -> int:
        """How many features a pixel has."""
        return int(self._samples["features"].shape[1])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that `forest_from_arrays` needs."""
        return self._samples | {key: np.array(value) for key, value in self._numbers.items()}

    def shares(self, pixels: Image) -> Image:
        """Return the share of votes for each of `codes`.

        Parameters
        ----------
        pixels : ndarray, shape (n, F), float32, C-contiguous

        Returns
        -------
        ndarray, shape (n, K), float32
        """
        votes = np.zeros((len(pixels), len(self.codes)), np.float32)
        self._vote(pixels, votes, slice(None))
        votes /= np.float32(len(self._trees))
        return votes

    def decide(self, pixels: Image) -> Codes:
        """Return the code with most votes, shape (n,).

        Trees beyond the first half are asked only where they can still change the answer.
        """
        votes = np.zeros((len(pixels), len(self.codes)), np.float32)
        n = len(self._trees)
        first = (n + 1) // 2 + n // 8
        self._vote(pixels, votes, slice(first))
        if first < n:
            still_open = np.flatnonzero(_lead(votes) < n - first + _ROUNDING)
            rest = votes[still_open]
            self._vote(pixels[still_open], rest, slice(first, None))
            votes[still_open] = rest
        winners = votes[:, 1] > votes[:, 0] if len(self.codes) == 2 else votes.argmax(axis=1)
        return np.asarray(self.codes[winners.astype(np.uint8)])

    def _vote(self, pixels: Image, votes: Image, which: slice) -> None:
        """Add what some of the trees say, shape (n, K), to `votes`."""
        for tree, leaves in zip(self._trees[which], self._leaves[which], strict=True):
            votes += leaves.take(tree.apply(pixels), axis=0)


def forest_from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> TrainedForest:
    """Grow the same forest again from what `TrainedForest.to_arrays` returned."""
    return TrainedForest(
        arrays["features"],
        arrays["codes"],
        arrays["weights"],
        n_trees=int(arrays["n_trees"]),
        seed=int(arrays["seed"]),
    )


def _shares(values: npt.NDArray[np.float64]) -> Image:
    """Return the share of each class in every node, shape (nodes, K)."""
    return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)


def _lead(votes: Image) -> Image:
    """Return by how much the first is ahead of the second, shape (n,)."""
    if votes.shape[1] == 2:
        return np.asarray(np.abs(votes[:, 0] - votes[:, 1]))
    best = np.partition(votes, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])

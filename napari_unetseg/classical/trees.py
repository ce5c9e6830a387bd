"""Extremely randomised trees, as plain arrays and back, and quickly asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND

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


#: What is kept of a forest, and in which types.
_KEPT = {
    "codes": "uint8",
    "n_features": "int32",
    "n_nodes": "int32",
    "left": "int32",
    "right": "int32",
    "feature": "uint16",
    "threshold": "float32",
    "shares": "float32",
}


class TrainedForest:
    """A forest: trees, and what their leaves say.

    Parameters
    ----------
    codes : ndarray, shape (K,), uint8
        Those that it tells apart, the smallest first: 1 background, k + 1 class k.
    trees : sequence of sklearn.tree._tree.Tree
    leaves : sequence of ndarray, shape (nodes, K), float32
        Share of each code in every node, tree by tree; of leaves alone they are looked at.
    """

    def __init__(self, codes: Codes, trees: Sequence[Any], leaves: Sequence[Image]) -> None:
        self.codes = codes
        self._trees = list(trees)
        self._leaves = list(leaves)

    @property
    def n_features(self) -> int:
        """How many features a pixel has."""
        return int(self._trees[0].n_features)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that `forest_from_arrays` needs, exactly; the trees one after the other.

        Features are 32-bit numbers, so that a threshold rounded down to one decides the same.
        """
        nodes = [tree.__getstate__()["nodes"] for tree in self._trees]
        joined = np.concatenate(nodes)
        is_leaf = joined["left_child"] < 0
        inner = joined[~is_leaf]
        return {
            "codes": self.codes,
            "n_features": np.array(self.n_features, np.int32),
            "n_nodes": np.array([len(of_tree) for of_tree in nodes], np.int32),
            "left": np.where(is_leaf, 0, joined["left_child"]).astype(np.int32),
            "right": inner["right_child"].astype(np.int32),
            "feature": inner["feature"].astype(np.uint16),
            "threshold": _rounded_down(inner["threshold"]),
            "shares": np.concatenate(self._leaves)[is_leaf],
        }

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


def grown(
    features: Image,
    codes: Codes,
    weights: npt.NDArray[np.float32],
    *,
    n_trees: int,
    seed: int,
) -> TrainedForest:
    """Grow a forest; the same pixels grow the same one.

    Parameters
    ----------
    features : ndarray, shape (n, F), float32
    codes : ndarray, shape (n,), uint8
        Of at least two classes: 1 background, k + 1 class k.
    weights : ndarray, shape (n,), float32
        How much each pixel counts.
    """
    # Takes most of a second to import, and forms are made from modules that need this one.
    from sklearn.ensemble import ExtraTreesClassifier

    told_apart, targets = np.unique(codes, return_inverse=True)
    forest = ExtraTreesClassifier(
        n_trees,
        max_leaf_nodes=max(_LEAVES, len(codes) // _PX_PER_LEAF),
        min_samples_leaf=2,
        max_features=_TRIED,
        n_jobs=cores(),
        random_state=seed,
    ).fit(features, targets, weights)
    trees = [tree.tree_ for tree in forest.estimators_]
    return TrainedForest(told_apart, trees, [_shares(tree.value[:, 0]) for tree in trees])


def forest_from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> TrainedForest:
    """Return the forest of which `TrainedForest.to_arrays` returned these.

    Raises
    ------
    ValueError
        If they are not those of a forest.
    """
    _check(arrays)
    codes, n_features = arrays["codes"], int(arrays["n_features"])
    is_leaf = arrays["left"] == 0
    shares = np.zeros((len(is_leaf), len(codes)), np.float32)
    shares[is_leaf] = arrays["shares"]
    right, feature = np.full(len(is_leaf), -1), np.full(len(is_leaf), -2)
    threshold = np.full(len(is_leaf), -2.0)
    right[~is_leaf], feature[~is_leaf] = arrays["right"], arrays["feature"]
    threshold[~is_leaf] = arrays["threshold"]
    ends = np.cumsum(arrays["n_nodes"])[:-1]
    parts = (np.where(is_leaf, -1, arrays["left"]), right, feature, threshold, shares)
    trees, leaves = [], []
    for *nodes, of_tree in zip(*(np.split(part, ends) for part in parts), strict=True):
        trees.append(_tree(n_features, *nodes))
        leaves.append(of_tree)
    return TrainedForest(codes, trees, leaves)


def _check(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise ValueError unless every node leads to later ones of its tree, and to features."""
    if {name: array.dtype.name for name, array in arrays.items()} != _KEPT:
        raise ValueError(f"its arrays are not {', '.join(_KEPT)} of their types")
    codes, n_nodes, left = arrays["codes"], arrays["n_nodes"], arrays["left"]
    n_left = np.repeat(n_nodes, n_nodes) if (n_nodes > 0).all() else n_nodes
    place = np.concatenate([np.arange(n) for n in n_nodes]) if len(n_nodes) else n_nodes
    inner = left != 0
    n_inner = int(inner.sum())
    fits = (
        len(n_nodes) > 0
        and left.shape == place.shape == n_left.shape
        and len(codes) >= 2
        and bool((np.diff(codes.astype(int)) > 0).all() and codes[0] >= BACKGROUND)
        and arrays["right"].shape == arrays["feature"].shape == (n_inner,)
        and arrays["threshold"].shape == (n_inner,)
        and arrays["shares"].shape == (len(left) - n_inner, len(codes))
    )
    if not fits:
        raise ValueError("its arrays do not belong together")
    children = np.stack([left[inner], arrays["right"]])
    if (children <= place[inner]).any() or (children >= n_left[inner]).any():
        raise ValueError("its trees have nodes that lead nowhere")
    if (arrays["feature"] >= int(arrays["n_features"])).any():
        raise ValueError("its trees ask for features that there are not")


def _tree(
    n_features: int,
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    feature: npt.NDArray[Any],
    threshold: npt.NDArray[Any],
) -> Any:
    """Return a tree of scikit-learn, as it is when it comes out of a pickle."""
    from sklearn.tree._tree import NODE_DTYPE, Tree

    nodes = np.zeros(len(left), NODE_DTYPE)
    nodes["left_child"], nodes["right_child"] = left, right
    nodes["feature"], nodes["threshold"] = feature, threshold
    tree = Tree(n_features, np.ones(1, np.intp), 1)
    values = np.zeros((len(left), 1, 1))
    tree.__setstate__({"max_depth": 0, "node_count": len(left), "nodes": nodes, "values": values})
    return tree


def _rounded_down(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the largest 32-bit numbers that are not above.

    >>> _rounded_down(np.array([0.5, 0.1])).tolist() == [0.5, float(np.float32(0.1)) - 2**-27]
    True
    """
    rounded = values.astype(np.float32)
    above = rounded > values
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded


def _shares(values: npt.NDArray[np.float64]) -> Image:
    """Return the share of each class in every node, shape (nodes, K)."""
    return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)


def _lead(votes: Image) -> Image:
    """Return by how much the first is ahead of the second, shape (n,)."""
    if votes.shape[1] == 2:
        return np.asarray(np.abs(votes[:, 0] - votes[:, 1]))
    best = np.partition(votes, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])

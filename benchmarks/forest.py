"""A random forest on scikit-image's multiscale features: what a pixel classifier reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

#: Pixels the trees are grown from, drawn from all annotated ones.
TRAINING_PX = 300_000


def features(plane: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Compute intensity, edges and texture at σ = 1 … 16 px of each channel.

    Parameters
    ----------
    plane : ndarray, shape (C, Y, X)

    Returns
    -------
    ndarray, shape (Y, X, F), float32
    """
    found: npt.NDArray[np.floating] = multiscale_basic_features(
        np.moveaxis(plane, 0, -1).astype(np.float32),
        intensity=True,
        edges=True,
        texture=True,
        sigma_min=1,
        sigma_max=16,
        channel_axis=-1,
    )
    return found.astype(np.float32)


class Forest:
    """A random forest over `features`.

    Parameters
    ----------
    planes : sequence of ndarray, shape (C, Y, X)
    codes : sequence of ndarray, shape (Y, X), uint8
        0 unlabelled; the others are learned.
    """

    def __init__(
        self,
        planes: Sequence[npt.NDArray[np.floating]],
        codes: Sequence[npt.NDArray[np.uint8]],
        *,
        n_trees: int = 100,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        share = min(1.0, TRAINING_PX / sum(np.count_nonzero(c) for c in codes))
        rows, answers = [], []
        for plane, plane_codes in zip(planes, codes, strict=True):
            labelled = np.flatnonzero(plane_codes)
            drawn = rng.choice(labelled, round(share * len(labelled)), replace=False)
            table = features(plane).reshape(plane_codes.size, -1)
            rows.append(table[drawn])
            answers.append(plane_codes.ravel()[drawn])
        self._trees = RandomForestClassifier(
            n_trees, max_depth=25, min_samples_leaf=4, n_jobs=-1, random_state=seed
        )
        self._trees.fit(np.concatenate(rows), np.concatenate(answers))

    def apply(self, plane: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
        """Return codes, shape (Y, X), of a plane, shape (C, Y, X)."""
        table = features(plane)
        answer: npt.NDArray[np.uint8] = self._trees.predict(table.reshape(-1, table.shape[-1]))
        return answer.reshape(table.shape[:2])

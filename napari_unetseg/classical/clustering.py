"""k-means: groups of pixels that look alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import LabelClass, default_color

from .grey import intensity, smoothed, working_dtype
from .method import SIGMAS_PX, BaselineParams, LevelMethod, Levels
from .step import Codes, Pixels, View

#: Pixels that the centres are fitted to: 10 ms, and centres within a grey value of all pixels'.
_SAMPLE_PX = 50_000


class KMeansParams(BaselineParams):
    """Parameters of k-means."""

    n_clusters: int = Field(
        4, ge=2, le=12, description="groups of pixels; the first of them is background"
    )
    features: Literal["channels", "intensity"] = Field(
        "channels", description="cluster by all channels, or by their mean"
    )
    foreground: Literal["bright", "dark"] = Field(
        "bright", description="bright: groups are numbered from dark to bright; dark: reversed"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the random start")


class KMeans(LevelMethod[KMeansParams]):
    """Colour quantisation: each pixel goes to the nearest of K centres, ordered by brightness.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28
    (1982) 129–137.
    """

    name: ClassVar[str] = "kmeans"
    title: ClassVar[str] = "k-means"
    family: ClassVar[str] = "Clustering"
    summary: ClassVar[str] = "Groups pixels by grey value or colour into K clusters."
    good_for: ClassVar[str] = "Several tissues or phases that differ in brightness or colour."
    params = KMeansParams

    def feature_key(self, params: KMeansParams) -> tuple[object, ...]:
        """Add which features are used."""
        return params.sigma_px, params.features

    def features(self, view: View, params: KMeansParams) -> Pixels:
        """Return smoothed channels, shape (C, Y, X), or intensity, shape (1, Y, X)."""
        if params.features == "intensity":
            channels = intensity(view.pixels)[np.newaxis]
        else:
            pixels = view.pixels
            channels = pixels.astype(working_dtype(pixels.dtype), copy=False)
        return np.stack([smoothed(channel, params.sigma_px) for channel in channels])

    def measure(self, features: Sequence[Pixels], params: KMeansParams) -> Levels:
        """Return the centres, shape (K, F), from background on; fewer if colours are fewer."""
        # Takes most of a second to import, and forms are made from this module.
        from sklearn.cluster import KMeans as Lloyd
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        pixels = _sample(features, params.seed)
        # One thread: on a busy machine waiting for the others costs ten times what they save.
        with threadpool_limits(1, "openmp"), warnings.catch_warnings():
            # Fewer distinct colours than clusters: the surplus centres coincide and are merged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = Lloyd(params.n_clusters, n_init=1, random_state=params.seed).fit(pixels)
        centres = np.unique(fitted.cluster_centers_.astype(float), axis=0)
        centres = centres[np.argsort(centres.mean(axis=1), kind="stable")]
        return np.asarray(centres if params.foreground == "bright" else centres[::-1])

    def label(self, features: Pixels, params: KMeansParams, levels: Levels) -> Codes:
        """Give each pixel the code of its nearest centre, 1 for the first."""
        nearest = np.ones(features.shape[1:], np.uint8)
        best = _squared_distance(features, levels[0])
        for k, centre in enumerate(levels[1:], start=2):
            distance = _squared_distance(features, centre)
            closer = distance < best
            nearest[closer] = k
            np.minimum(best, distance, out=best)
        return nearest

    def grid(self, views: Sequence[View]) -> Iterator[KMeansParams]:
        """Try 2 to 6 clusters, of channels and of intensity, per slice and for all."""
        kinds: tuple[Literal["channels", "intensity"], ...] = ("channels", "intensity")
        for sigma in SIGMAS_PX:
            for features in kinds[: 1 if views[0].pixels.shape[0] == 1 else 2]:
                base = KMeansParams(sigma_px=sigma, features=features)
                for k in range(2, 7):
                    yield base.replace(n_clusters=k)
                    yield base.replace(n_clusters=k, per_slice=False)

    def classes(self, params: KMeansParams) -> tuple[LabelClass, ...]:
        """Name clusters 2, 3, …; the first is background."""
        return tuple(
            LabelClass(name=f"cluster {k + 1}", color=default_color(k))
            for k in range(1, params.n_clusters)
        )


def _sample(features: Sequence[Pixels], seed: int) -> npt.NDArray[Any]:
    """Return up to 50,000 pixels of all planes, shape (n, F)."""
    random = np.random.default_rng(seed)
    n = _SAMPLE_PX // len(features)
    chosen = []
    for plane in features:
        pixels = plane.reshape(plane.shape[0], -1)
        if pixels.shape[1] > n:
            pixels = pixels[:, random.integers(pixels.shape[1], size=n)]
        chosen.append(pixels.T)
    return np.concatenate(chosen)


def _squared_distance(features: Pixels, centre: npt.NDArray[Any]) -> npt.NDArray[Any]:
    total = np.zeros(features.shape[1:], features.dtype)
    for feature, value in zip(features, centre, strict=True):
        difference = feature - feature.dtype.type(value)
        difference *= difference
        total += difference
    return total


KMEANS = KMeans()

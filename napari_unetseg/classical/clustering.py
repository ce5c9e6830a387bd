"""Groups of pixels that look alike: k-means and Gaussian mixtures."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import LabelClass, default_color

from .grey import intensity, smoothed, working_dtype
from .method import SIGMAS_PX, BaselineParams, LevelMethod, Levels
from .step import IN_3D, Codes, Pixels, View

#: Pixels that centres are fitted to: 10 ms, and centres within a grey value of all pixels'.
_SAMPLE_PX = 50_000

#: Pixels that a mixture converges on before it sees all of the sample.
_FIRST_PX = 5_000

#: Pixels that are labelled at once, so that what is computed of them stays in the cache.
_CHUNK_PX = 2**15

#: Features of what surrounds a pixel.
_N_LOCAL = 3

#: Of a coordinate that runs evenly from 0 to 1.
_SPREAD_OF_POSITIONS = 12**-0.5


_GROUPS = "groups of pixels, the first of them being background; more tell finer differences apart"


class ClusterParams(BaselineParams):
    """What k-means and mixtures have in common."""

    n_clusters: int = Field(4, ge=2, le=16, description=_GROUPS)
    features: Literal["channels", "intensity"] = Field(
        "channels",
        description="channels: pixels are alike if each channel is, such as colours; intensity: if "
        "the mean of the channels is",
    )
    local_px: float = Field(
        0.0,
        ge=0,
        le=50,
        description="also by what surrounds a pixel: how bright, how steep and how uneven it is "
        "within so many px (standard deviation of a Gaussian); more: smoother groups; 0: not",
    )
    position_weight: float = Field(
        0.0,
        ge=0,
        le=10,
        description="also by where a pixel lies; more: groups that hang together, each in its part "
        "of the image; at 1 the longest side counts as much as brightness; 0: not",
    )
    foreground: Literal["bright", "dark"] = Field(
        "bright", description="bright: groups are numbered from dark to bright; dark: reversed"
    )
    in_3d: bool = Field(False, description=IN_3D)
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="another number starts from other pixels, at random"
    )


class KMeansParams(ClusterParams):
    """Parameters of k-means."""


class MixtureParams(ClusterParams):
    """Parameters of a Gaussian mixture."""

    n_clusters: int = Field(3, ge=2, le=16, description=_GROUPS)


P = TypeVar("P", bound=ClusterParams)


class _Clusters(LevelMethod[P]):
    """A method with one level per cluster, ordered by brightness.

    The first row of its levels is what features are multiplied by before they are compared; then
    comes one row for each cluster, from background on.

    Attributes
    ----------
    most_searched : int
        As many clusters a search tries.
    """

    family: ClassVar[str] = "Clustering"
    groups: ClassVar[bool] = True
    most_searched: ClassVar[int]

    def feature_key(self, params: P) -> tuple[object, ...]:
        """Add which features are used."""
        where = params.position_weight > 0
        return params.sigma_px, params.in_3d, params.features, params.local_px, where

    def features(self, view: View, params: P) -> Pixels:
        """Return channels or intensity, then what surrounds each pixel, then where it is.

        Coordinates run from 0 to 1 along the longest side.
        """
        grey = intensity(view.pixels)
        if params.features == "intensity":
            channels = grey[np.newaxis]
        else:
            channels = view.pixels.astype(working_dtype(view.pixels.dtype), copy=False)
        found = [smoothed(channel, view.per_axis(params.sigma_px)) for channel in channels]
        if params.local_px:
            found += _surroundings(grey, view, params.local_px)
        if params.position_weight:
            found += _positions(view, found[0].dtype)
        return np.stack(found)

    def measure(self, features: Sequence[Pixels], params: P) -> Levels:
        """Return the levels of clusters; fewer where colours are fewer."""
        pixels = _sample(features, params.seed).astype(float)
        n_channels = _n_channels(pixels.shape[1], params)
        scales = _scales(pixels, n_channels, params)
        pixels *= scales
        levels = self._fit(pixels, params)
        order = np.argsort(levels[:, :n_channels].mean(axis=1), kind="stable")
        ordered = levels[order if params.foreground == "bright" else order[::-1]]
        first = np.zeros((1, levels.shape[1]))
        first[0, : len(scales)] = scales
        return np.concatenate([first, ordered])

    @abstractmethod
    def _fit(self, pixels: npt.NDArray[np.float64], params: P) -> Levels:
        """Return one row per cluster, its centre first; pixels have the shape (n, F)."""

    @abstractmethod
    def _distances(self, pixels: Pixels, levels: Levels) -> Pixels:
        """Return how far pixels, shape (F, n), are from clusters, shape (K, n)."""

    def label(self, features: Pixels, params: P, levels: Levels) -> Codes:
        """Give each pixel the code of its nearest cluster, 1 for the first."""
        codes = np.ones(features[0].size, np.uint8)
        if len(levels) > 2:
            for part, pixels in _in_chunks(features, levels[0]):
                codes[part] += self._distances(pixels, levels[1:]).argmin(axis=0).astype(np.uint8)
        return codes.reshape(features.shape[1:])

    def grid(self, views: Sequence[View]) -> Iterator[P]:
        """Try few clusters, of channels and of intensity, per slice and for all."""
        kinds: tuple[Literal["channels", "intensity"], ...] = ("channels", "intensity")
        for sigma in SIGMAS_PX:
            for features in kinds[: 1 if views[0].pixels.shape[0] == 1 else 2]:
                base = self.params(sigma_px=sigma, features=features)
                for k in range(2, self.most_searched + 1):
                    yield base.replace(n_clusters=k)
                    yield base.replace(n_clusters=k, per_slice=False)

    def refine(self, best: P) -> Iterator[P]:
        """Try what surrounds pixels."""
        for local_px in (1.0, 2.0, 4.0):
            yield best.replace(local_px=local_px)

    def classes(self, params: P) -> tuple[LabelClass, ...]:
        """Name clusters 2, 3, …; the first is background."""
        return tuple(
            LabelClass(name=f"cluster {k + 1}", color=default_color(k))
            for k in range(1, params.n_clusters)
        )


class KMeans(_Clusters[KMeansParams]):
    """Colour quantisation: each pixel goes to the nearest of K centres, ordered by brightness.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28
    (1982) 129–137.
    """

    name: ClassVar[str] = "kmeans"
    title: ClassVar[str] = "k-means"
    summary: ClassVar[str] = "Puts pixels of similar grey value or colour into so many groups."
    good_for: ClassVar[str] = "Several tissues or phases that differ in brightness or colour."
    params = KMeansParams
    most_searched: ClassVar[int] = 6

    def _fit(self, pixels: npt.NDArray[np.float64], params: KMeansParams) -> Levels:
        """Return the centres, shape (K, F)."""
        # Takes most of a second to import, and forms are made from this module.
        from sklearn.cluster import KMeans as Lloyd
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        n_clusters = min(params.n_clusters, len(pixels))
        # One thread: on a busy machine waiting for the others costs ten times what they save.
        with threadpool_limits(1, "openmp"), warnings.catch_warnings():
            # Fewer distinct colours than clusters: the surplus centres coincide and are merged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = Lloyd(n_clusters, n_init=1, random_state=params.seed).fit(pixels)
        return np.unique(fitted.cluster_centers_, axis=0)

    def label(self, features: Pixels, params: KMeansParams, levels: Levels) -> Codes:
        """Give each pixel the code of its nearest centre, 1 for the first."""
        if len(features) > 1:
            return super().label(features, params, levels)
        centres = np.sort(levels[1:, 0] / levels[0, 0])
        codes = np.ones(features[0].shape, np.uint8)
        for level in (centres[1:] + centres[:-1]) / 2:
            codes += features[0] > features.dtype.type(level)
        return codes if params.foreground == "bright" else np.uint8(len(levels)) - codes

    def _distances(self, pixels: Pixels, levels: Levels) -> Pixels:
        """Return squared distances, less what is the same for all centres."""
        middle = levels.mean(axis=0)
        centres = (levels - middle).astype(pixels.dtype)
        moved = pixels - middle[:, np.newaxis].astype(pixels.dtype)
        of_centres = (centres * centres).sum(axis=1)[:, np.newaxis]
        return np.asarray(of_centres - 2 * (centres @ moved))


class Mixture(_Clusters[MixtureParams]):
    """A mixture of Gaussians: clusters that differ in how wide they are as well as in brightness.

    Each pixel goes to the Gaussian that most probably made it; the rarer and the wider, the less
    probable. Clusters are ordered by the brightness of their centres.

    References
    ----------
    A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39 (1977) 1–38.
    """

    name: ClassVar[str] = "mixture"
    title: ClassVar[str] = "Gaussian mixture"
    summary: ClassVar[str] = (
        "Puts pixels into so many groups by grey value or colour, some even, some that vary widely."
    )
    good_for: ClassVar[str] = (
        "Tissues or phases whose brightness overlaps, some even and some mottled; it also says how "
        "sure it is."
    )
    params = MixtureParams
    most_searched: ClassVar[int] = 4

    def _fit(self, pixels: npt.NDArray[np.float64], params: MixtureParams) -> Levels:
        """Return of each Gaussian the mean, the logarithm of its height, and how it is whitened.

        Shape (K, F + 1 + F · F).
        """
        from threadpoolctl import threadpool_limits

        mean, spread = pixels.mean(axis=0), pixels.std(axis=0)
        spread[spread == 0] = 1
        whole = (np.repeat(pixels, 2, axis=0) if len(pixels) == 1 else pixels) - mean
        whole /= spread
        n_clusters = _n_distinct(whole, params.n_clusters)
        with threadpool_limits(1):
            fitted = _mixture(whole, n_clusters, params.seed)
        whiten = fitted.precisions_cholesky_ / spread[:, np.newaxis]  # (K, F, F)
        height = np.log(fitted.weights_) + np.log(
            np.diagonal(fitted.precisions_cholesky_, axis1=1, axis2=2)
        ).sum(axis=1)
        means = fitted.means_ * spread + mean
        flat = whiten.reshape(n_clusters, -1)
        return np.concatenate([means, height[:, np.newaxis], flat], axis=1)

    def _distances(self, pixels: Pixels, levels: Levels) -> Pixels:
        """Return how improbable pixels are: −log of weight times density, but for a constant."""
        n = len(pixels)
        found = np.empty((len(levels), pixels.shape[1]), pixels.dtype)
        for k, level in enumerate(levels):
            whiten = level[n + 1 :].reshape(n, n).astype(pixels.dtype)
            white = whiten.T @ (pixels - level[:n, np.newaxis].astype(pixels.dtype))
            np.einsum("fn,fn->n", white, white, out=found[k])
            found[k] *= 0.5
            found[k] -= level[n]
        return found

    def probabilities(
        self, view: View, params: MixtureParams, prepared: Levels | None = None
    ) -> npt.NDArray[np.float32]:
        """Return how probable each cluster is, shape (K, …), float32; they add up to 1."""
        features = self.features(view, params)
        levels = self.measure([features], params) if prepared is None else prepared
        found = np.zeros((params.n_clusters, features[0].size), np.float32)
        for part, pixels in _in_chunks(features, levels[0]):
            improbable = self._distances(pixels, levels[1:])
            probable = np.exp(improbable.min(axis=0) - improbable)
            found[: len(probable), part] = probable / probable.sum(axis=0)
        return found.reshape(-1, *view.shape)


def _surroundings(grey: Pixels, view: View, sigma_px: float) -> list[Pixels]:
    """Return mean, steepness in grey values per `sigma_px`, and standard deviation nearby."""
    sigmas = view.per_axis(sigma_px)
    mean = smoothed(grey, sigmas)
    squares = np.zeros_like(mean)
    for axis, steps in enumerate(sigmas):
        if grey.shape[axis] > 1:
            slope = ndimage.correlate1d(mean, [-0.5, 0, 0.5], axis, mode="nearest")
            squares += (slope * slope.dtype.type(steps)) ** 2
    # About the mean of all, so that differences of squares keep their digits.
    centre = grey.mean(dtype=float).astype(grey.dtype)
    centred = grey - centre
    variance = smoothed(centred * centred, sigmas) - (mean - centre) ** 2
    return [mean, np.sqrt(squares), np.sqrt(np.maximum(variance, 0))]


def _positions(view: View, dtype: np.dtype[Any]) -> list[Pixels]:
    """Return where pixels are along Z, Y and X, from 0 to 1 along the longest side; Z 0 in 2D."""
    px = [1 / steps for steps in view.per_axis(1.0)]
    longest = max(n * size for n, size in zip(view.shape, px, strict=True))
    grid = np.indices(view.shape, sparse=True)
    found: list[Pixels] = [
        np.broadcast_to((index * size / longest).astype(dtype), view.shape)
        for index, size in zip(grid, px, strict=True)
    ]
    return [*(np.zeros(view.shape, dtype) for _ in range(3 - view.ndim)), *found]


def _n_channels(n_features: int, params: ClusterParams) -> int:
    """Return how many of the features are channels; the others come after them."""
    return n_features - _N_LOCAL * (params.local_px > 0) - 3 * (params.position_weight > 0)


def _scales(
    pixels: npt.NDArray[np.float64], n_channels: int, params: ClusterParams
) -> npt.NDArray[np.float64]:
    """Return what features are multiplied by, so that each kind spreads as brightness does."""
    scales = np.ones(pixels.shape[1])
    spread = pixels.std(axis=0)
    brightness = spread[:n_channels].mean() or 1.0
    local = slice(n_channels, n_channels + _N_LOCAL * (params.local_px > 0))
    scales[local] = brightness / np.where(spread[local], spread[local], 1)
    scales[local.stop :] = params.position_weight * brightness / _SPREAD_OF_POSITIONS
    return scales


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


def _in_chunks(features: Pixels, scales: Levels) -> Iterator[tuple[slice, Pixels]]:
    """Yield some pixels after the other, shape (F, n), multiplied by `scales`."""
    flat = features.reshape(len(features), -1)
    by = scales[: len(features), np.newaxis].astype(features.dtype)
    for start in range(0, flat.shape[1], _CHUNK_PX):
        part = slice(start, start + _CHUNK_PX)
        yield part, flat[:, part] * by


def _n_distinct(pixels: npt.NDArray[np.float64], at_most: int) -> int:
    """Return how many different pixels there are, counted up to `at_most`."""
    return min(len(np.unique(pixels, axis=0)), at_most)


def _mixture(pixels: npt.NDArray[np.float64], n_clusters: int, seed: int) -> Any:
    """Fit on some pixels until that converges, then on all."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    some = pixels[:: max(1, len(pixels) // _FIRST_PX)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = GaussianMixture(n_clusters, random_state=seed, reg_covar=1e-4).fit(some)
        return GaussianMixture(
            n_clusters,
            random_state=seed,
            reg_covar=1e-4,
            weights_init=first.weights_,
            means_init=first.means_,
            precisions_init=first.precisions_,
        ).fit(pixels)


KMEANS = KMeans()
MIXTURE = Mixture()

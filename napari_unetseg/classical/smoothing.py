"""Filters against noise, before a method: Gaussian, median, non-local means, total variation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from napari_unetseg.config import Config

from .grey import smoothed, working_dtype
from .median import median
from .step import IN_3D, Filter, Pixels, View


class GaussianParams(Config):
    """Parameters of the Gaussian."""

    sigma_px: float = Field(
        1.0,
        ge=0,
        le=50,
        description="width of the blur in px (standard deviation); higher: more grain goes, and "
        "what is narrower fades; 0 for none",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Gaussian(Filter[GaussianParams]):
    """Weighted means of neighbours.

    References
    ----------
    L. G. Shapiro and G. C. Stockman, Computer Vision (Prentice Hall, 2001), section 5.10.
    """

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "Gaussian"
    family: ClassVar[str] = "Smoothing"
    summary: ClassVar[str] = "Blurs each channel by a Gaussian."
    good_for: ClassVar[str] = "Grainy images whose fine detail does not matter."
    params = GaussianParams

    def apply(self, view: View, params: GaussianParams) -> Pixels:
        """Blur every channel."""
        sigmas = view.per_axis(params.sigma_px)
        return _by_channel(view, lambda channel: smoothed(channel, sigmas))


class MedianParams(Config):
    """Parameters of the median."""

    radius_px: int = Field(
        1,
        ge=1,
        le=10,
        description="how far around a pixel is looked, in px; higher: larger specks go, and thin "
        "lines with them",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Median(Filter[MedianParams]):
    """The middle one of the values in a disc, or a ball.

    References
    ----------
    J. W. Tukey, Exploratory Data Analysis (Addison-Wesley, 1977), chapter 7; see also `median`.
    """

    name: ClassVar[str] = "median"
    title: ClassVar[str] = "Median"
    family: ClassVar[str] = "Smoothing"
    summary: ClassVar[str] = "Replaces each pixel by the median of those around it."
    good_for: ClassVar[str] = "Single bright or dark pixels, such as hot pixels; edges stay sharp."
    params = MedianParams

    def apply(self, view: View, params: MedianParams) -> Pixels:
        """Take the median of every channel; the dtype stays."""
        footprint = ball(view.per_axis(params.radius_px))
        return np.stack([median(channel, footprint) for channel in view.pixels])


class NonLocalMeansParams(Config):
    """Parameters of non-local means."""

    strength_percent: float = Field(
        80.0,
        ge=0,
        le=300,
        description="in % of the noise found; higher: smoother, fine detail fades",
    )
    patch_px: int = Field(
        5,
        ge=3,
        le=15,
        description="side of the squares that are compared, in px; larger: only what looks alike "
        "over a wider area is averaged",
    )
    reach_px: int = Field(
        6,
        ge=1,
        le=20,
        description="how far away similar squares are looked for, in px; higher: smoother, and "
        "slower",
    )
    in_3d: bool = Field(False, description=IN_3D)


class NonLocalMeans(Filter[NonLocalMeansParams]):
    """Means of pixels whose surroundings look alike.

    References
    ----------
    A. Buades, B. Coll and J.-M. Morel, "A non-local algorithm for image denoising", CVPR (2005)
    60–65; J. Darbon, A. Cunha, T. F. Chan, S. Osher and G. J. Jensen, "Fast nonlocal filtering
    applied to electron cryomicroscopy", ISBI (2008) 1331–1334.
    """

    name: ClassVar[str] = "nl_means"
    title: ClassVar[str] = "Non-local means"
    family: ClassVar[str] = "Smoothing"
    summary: ClassVar[str] = "Averages pixels whose surroundings look alike."
    good_for: ClassVar[str] = "Noisy images whose edges and fine structure have to stay; slow."
    params = NonLocalMeansParams
    is_slow: ClassVar[bool] = True

    def apply(self, view: View, params: NonLocalMeansParams) -> Pixels:
        """Denoise every channel by as much noise as it has."""
        from skimage.restoration import denoise_nl_means

        def denoised(channel: Pixels) -> Pixels:
            noise = noise_of(channel)
            h = params.strength_percent / 100 * noise
            if h == 0:
                return channel
            return np.asarray(
                denoise_nl_means(channel, params.patch_px, params.reach_px, h, sigma=noise),
                channel.dtype,
            )

        return _by_channel(view, denoised)


class TotalVariationParams(Config):
    """Parameters of total variation."""

    strength_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="in % of the grey values' range; higher: flatter areas, faint detail goes",
    )
    in_3d: bool = Field(False, description=IN_3D)


class TotalVariation(Filter[TotalVariationParams]):
    """The image nearest to what is given of those whose gradients are small or rare.

    References
    ----------
    L. I. Rudin, S. Osher and E. Fatemi, "Nonlinear total variation based noise removal
    algorithms", Physica D 60 (1992) 259–268; A. Chambolle, "An algorithm for total variation
    minimization and applications", Journal of Mathematical Imaging and Vision 20 (2004) 89–97.
    """

    name: ClassVar[str] = "total_variation"
    title: ClassVar[str] = "Total variation"
    family: ClassVar[str] = "Smoothing"
    summary: ClassVar[str] = "Flattens areas and keeps the edges between them."
    good_for: ClassVar[str] = "Structures of even brightness in noise, before a threshold; slow."
    params = TotalVariationParams
    is_slow: ClassVar[bool] = True

    def apply(self, view: View, params: TotalVariationParams) -> Pixels:
        """Flatten every channel."""
        from skimage.restoration import denoise_tv_chambolle

        def flattened(channel: Pixels) -> Pixels:
            span = float(np.ptp(channel))
            if span == 0 or params.strength_percent == 0:
                return channel
            scaled = (channel - channel.min()) / channel.dtype.type(span)
            flat = denoise_tv_chambolle(scaled, params.strength_percent / 100, max_num_iter=50)  # type: ignore[no-untyped-call]
            return np.asarray(flat * span + float(channel.min()), channel.dtype)

        return _by_channel(view, flattened)


def ball(radii: tuple[float, ...]) -> Pixels:
    """Return which offsets lie in an ellipsoid, by its radius along each axis in steps.

    >>> ball((1, 1)).astype(int)
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    axes = [np.arange(-int(radius), int(radius) + 1) / max(radius, 1e-9) for radius in radii]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.asarray(sum(g**2 for g in grid) <= 1 + 1e-9)


def _by_channel(view: View, change: Callable[[Pixels], Any]) -> Pixels:
    working = working_dtype(view.pixels.dtype)
    return np.stack([change(np.asarray(channel, working)) for channel in view.pixels])


def noise_of(channel: Pixels) -> float:
    """Return the standard deviation of white noise in an image.

    References
    ----------
    D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika
    81 (1994) 425–455; here with the diagonal details of Haar's wavelet.
    """
    details = channel
    for axis in range(channel.ndim):
        details = np.diff(details, axis=axis)[(slice(None),) * axis + (slice(None, None, 2),)]
    if not details.size:
        return 0.0
    details = details / 2 ** (channel.ndim / 2)
    return float(np.median(np.abs(details))) / 0.6745


GAUSSIAN = Gaussian()
MEDIAN = Median()
NL_MEANS = NonLocalMeans()
TOTAL_VARIATION = TotalVariation()

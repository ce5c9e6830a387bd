"""Thresholds that follow the background: each pixel is compared with its neighbourhood."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from .grey import intensity, smoothed
from .method import LEVELS_IN_3D, BaselineParams, LevelMethod, Levels, foreground_codes, is_beyond
from .step import Codes, Pixels, View
from .threshold import grey_range

Image = npt.NDArray[Any]

#: Windows and smoothings that a search tries, in px.
_WINDOWS_PX, _SIGMAS_PX = (15, 31, 61, 121), (0.0, 1.0, 2.0)

#: A pixel is beyond its neighbourhood by at least this part of the grey range: in flat areas, by
#: which side of their mean pixels are is rounding.
_LEAST = 1e-4

#: Pixels of a neighbourhood, along each axis, that its median is taken of.
_MEDIAN_OF = 7


class LocalParams(BaselineParams):
    """Parameters that local thresholds have."""

    window_px: int = Field(
        51,
        ge=3,
        le=501,
        description="how wide the neighbourhood is that a pixel is compared with, in px: wider "
        "than the structure, else its middle is lost; narrower follows uneven light more closely",
    )
    per_slice: bool = Field(
        True,
        description="on: contrast is measured by the grey values of each slice; "
        "off: by those of the whole stack, which is steadier where slices are empty",
    )
    in_3d: bool = Field(False, description=LEVELS_IN_3D)


class LocalThresholdParams(LocalParams):
    """Parameters of a threshold at an average of the neighbourhood."""

    neighbourhood: Literal["gaussian", "mean", "median"] = Field(
        "gaussian",
        description="gaussian: near pixels count more; mean: all alike; "
        "median: outliers and small structures do not count",
    )
    offset_percent: float = Field(
        5.0,
        ge=-50,
        le=50,
        description="how much brighter than its neighbourhood, or darker, a pixel must be, "
        "in % of the image's range of grey values; higher: less is found, and less grain",
    )


class SauvolaParams(LocalParams):
    """Parameters of Sauvola's threshold."""

    k: float = Field(
        0.2,
        ge=0,
        le=1,
        description="how much contrast is asked of even neighbourhoods; higher: less is found, and "
        "empty areas stay empty; lower: fainter structures, and grain; 0 asks for none",
    )


class NiblackParams(LocalParams):
    """Parameters of Niblack's threshold."""

    k: float = Field(
        0.8,
        ge=-3,
        le=3,
        description="how far beyond the mean of its neighbourhood a pixel must be, in standard "
        "deviations there; higher: less is found",
    )


P = TypeVar("P", bound=LocalParams)


class _LocalMethod(LevelMethod[P]):
    """Features are grey value, local average, and where needed local standard deviation.

    Levels are the darkest and the brightest grey value, by which contrast is measured.
    """

    family: ClassVar[str] = "Threshold"
    is_mirrored: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = True

    def feature_key(self, params: P) -> tuple[object, ...]:
        """Add the window."""
        return (*super().feature_key(params), params.window_px)

    def features(self, view: View, params: P) -> Pixels:
        """Return grey value, average and perhaps deviation, shape (2 or 3, …)."""
        grey = smoothed(intensity(view.pixels), view.per_axis(params.sigma_px))
        window = tuple(2 * int(width // 2) + 1 for width in view.per_axis(params.window_px))
        return np.stack([grey, *self.neighbourhood(grey, window, params)])

    def measure(self, features: Sequence[Pixels], params: P) -> Levels:
        """Return the range of grey values, shape (2,)."""
        return np.array(grey_range([plane[0] for plane in features]))

    def label(self, features: Pixels, params: P, levels: Levels) -> Codes:
        """Compare each pixel with the threshold of its neighbourhood."""
        low, high = levels.tolist()
        if low == high:
            return foreground_codes(np.zeros(features.shape[1:], bool))
        beyond = features[0] - self.threshold(features, params, low, high)
        least = _LEAST * (high - low)
        return foreground_codes(
            is_beyond(beyond, least if params.foreground == "bright" else -least, params.foreground)
        )

    @abstractmethod
    def neighbourhood(self, grey: Image, window: tuple[int, ...], params: P) -> tuple[Image, ...]:
        """Return what `threshold` needs of neighbourhoods, each of the image's shape.

        Parameters
        ----------
        window : tuple of int
            Odd, along each axis.
        """

    @abstractmethod
    def threshold(self, features: Pixels, params: P, low: float, high: float) -> Image:
        """Return the threshold of each pixel, for grey values from `low` to `high`."""


class LocalThreshold(_LocalMethod[LocalThresholdParams]):
    """A threshold at the average of the neighbourhood, and a constant beyond.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 2nd edition, Prentice Hall 2002,
    pages 600–612.
    """

    name: ClassVar[str] = "local"
    title: ClassVar[str] = "Local threshold"
    summary: ClassVar[str] = "Everything brighter, or darker, than its neighbourhood."
    good_for: ClassVar[str] = (
        "Uneven illumination or staining, where no single grey value separates the structure."
    )
    params = LocalThresholdParams

    def feature_key(self, params: LocalThresholdParams) -> tuple[object, ...]:
        """Add the kind of average."""
        return (*super().feature_key(params), params.neighbourhood)

    def neighbourhood(
        self, grey: Image, window: tuple[int, ...], params: LocalThresholdParams
    ) -> tuple[Image, ...]:
        """Return the average, as scikit-image does; of wide windows an approximate median."""
        if params.neighbourhood == "gaussian":
            # A window holds three standard deviations on either side.
            return (smoothed(grey, tuple((width - 1) / 6 for width in window)),)
        if params.neighbourhood == "mean":
            return (_mean(grey, window, "reflect"),)
        return (_median(grey, window),)

    def threshold(
        self, features: Pixels, params: LocalThresholdParams, low: float, high: float
    ) -> Image:
        """Return the average with the offset."""
        offset = params.offset_percent / 100 * (high - low)
        return np.asarray(features[1] + (offset if params.foreground == "bright" else -offset))

    def grid(self, views: Sequence[View]) -> Iterator[LocalThresholdParams]:
        """Try smoothings, windows and offsets of both polarities."""
        for sigma in _SIGMAS_PX:
            for window in _WINDOWS_PX:
                for offset in (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0, 15.0, 20.0):
                    base = LocalThresholdParams(
                        sigma_px=sigma,
                        window_px=window,
                        neighbourhood="mean",  # the fastest
                        offset_percent=offset,
                    )
                    yield base
                    yield base.replace(foreground="dark")

    def refine(self, best: LocalThresholdParams) -> Iterator[LocalThresholdParams]:
        """Try offsets in between, then other averages."""
        for step in (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5):
            yield best.replace(offset_percent=best.offset_percent + step)
        yield best.replace(neighbourhood="gaussian")
        yield best.replace(neighbourhood="median")


class Sauvola(_LocalMethod[SauvolaParams]):
    """The mean of the neighbourhood, and farther beyond it the less the neighbourhood varies.

    The paper's formula is for dark structures on white: grey values are taken from the darkest
    one of the image to the brightest, and half of that is the greatest standard deviation. Bright
    structures are found as the same ones of the inverted image.

    References
    ----------
    J. Sauvola and M. Pietikäinen, "Adaptive document image binarization", Pattern Recognition 33
    (2000) 225–236.
    """

    name: ClassVar[str] = "sauvola"
    title: ClassVar[str] = "Sauvola threshold"
    summary: ClassVar[str] = (
        "Everything beyond its neighbourhood's mean, by more where the neighbourhood is even."
    )
    good_for: ClassVar[str] = (
        "Thin dark lines, such as membranes, on an uneven bright ground; empty areas stay empty."
    )
    params = SauvolaParams

    def neighbourhood(
        self, grey: Image, window: tuple[int, ...], params: SauvolaParams
    ) -> tuple[Image, ...]:
        """Return mean and standard deviation."""
        return mean_and_deviation(grey, window)

    def threshold(self, features: Pixels, params: SauvolaParams, low: float, high: float) -> Image:
        """Return the paper's threshold, mirrored for bright structures."""
        _, mean, deviation = features
        weight = 1 + params.k * (deviation * (2 / (high - low)) - 1)
        ground = high if params.foreground == "bright" else low
        return np.asarray(ground + (mean - ground) * weight)

    def grid(self, views: Sequence[View]) -> Iterator[SauvolaParams]:
        """Try smoothings, windows and strictness of both polarities."""
        for sigma in _SIGMAS_PX:
            for window in _WINDOWS_PX:
                for k in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5):
                    base = SauvolaParams(sigma_px=sigma, window_px=window, k=k)
                    yield base
                    yield base.replace(foreground="dark")

    def refine(self, best: SauvolaParams) -> Iterator[SauvolaParams]:
        """Try strictness in between."""
        for step in (-0.04, -0.02, 0.02, 0.04):
            if 0 <= best.k + step <= 1:
                yield best.replace(k=best.k + step)


class Niblack(_LocalMethod[NiblackParams]):
    """Pixels beyond their neighbourhood's mean by some standard deviations.

    References
    ----------
    W. Niblack, "An introduction to digital image processing", Prentice Hall 1986, pages 115–116.
    """

    name: ClassVar[str] = "niblack"
    title: ClassVar[str] = "Niblack threshold"
    summary: ClassVar[str] = (
        "Everything that stands out from its neighbourhood, the more so the more that varies."
    )
    good_for: ClassVar[str] = (
        "Structures everywhere in the image, such as membranes; in empty areas it picks up noise."
    )
    params = NiblackParams

    def neighbourhood(
        self, grey: Image, window: tuple[int, ...], params: NiblackParams
    ) -> tuple[Image, ...]:
        """Return mean and standard deviation."""
        return mean_and_deviation(grey, window)

    def threshold(self, features: Pixels, params: NiblackParams, low: float, high: float) -> Image:
        """Return the mean and k standard deviations beyond."""
        _, mean, deviation = features
        k = params.k if params.foreground == "bright" else -params.k
        return np.asarray(mean + k * deviation)

    def grid(self, views: Sequence[View]) -> Iterator[NiblackParams]:
        """Try smoothings, windows and strictness of both polarities."""
        for sigma in _SIGMAS_PX:
            for window in _WINDOWS_PX:
                for k in (-0.5, 0.0, 0.3, 0.6, 0.9, 1.2, 1.6):
                    base = NiblackParams(sigma_px=sigma, window_px=window, k=k)
                    yield base
                    yield base.replace(foreground="dark")

    def refine(self, best: NiblackParams) -> Iterator[NiblackParams]:
        """Try strictness in between."""
        for step in (-0.2, -0.1, 0.1, 0.2):
            yield best.replace(k=best.k + step)


def mean_and_deviation(image: Image, window: tuple[int, ...]) -> tuple[Image, Image]:
    """Return mean and standard deviation of each pixel's window; mirrored beyond the borders.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), float
    window : tuple of int
        Odd, along each axis.
    """
    # Squares of values far from 0 would leave no digits for what differs between them.
    middle = image.dtype.type(image.mean(dtype=np.float64))
    centred = image - middle
    mean = _mean(centred, window, "mirror")
    variance = _mean(centred * centred, window, "mirror")
    variance -= mean * mean
    return mean + middle, np.sqrt(np.maximum(variance, 0, out=variance), out=variance)


def _mean(image: Image, window: tuple[int, ...], mode: str) -> Image:
    return np.asarray(ndimage.uniform_filter(image, window, mode=mode))


def _median(image: Image, window: tuple[int, ...]) -> Image:
    """Return the median of each pixel's window; of wide windows, of pixels spread over them.

    Medians are taken at every few pixels and interpolated in between, which a wide window's hardly
    differ from: 1000 times as fast at 101 px.
    """
    strides = [-(-width // _MEDIAN_OF) for width in window]
    thin = image[tuple(slice(stride // 2, None, stride) for stride in strides)]
    if not thin.size:
        return np.full_like(image, np.median(image))
    size = [2 * (width // stride // 2) + 1 for width, stride in zip(window, strides, strict=True)]
    median = ndimage.median_filter(thin, size, mode="reflect")
    for axis, stride in enumerate(strides):
        median = _stretched(median, axis, stride, image.shape[axis])
    return np.asarray(median)


def _stretched(image: Image, axis: int, stride: int, length: int) -> Image:
    """Interpolate along an axis of which every few pixels are given, from ``stride // 2`` on."""
    if stride == 1:
        return image
    at = np.clip((np.arange(length) - stride // 2) / stride, 0, image.shape[axis] - 1)
    before = np.minimum(at.astype(int), max(image.shape[axis] - 2, 0))
    after = np.minimum(before + 1, image.shape[axis] - 1)
    shape = [1] * image.ndim
    shape[axis] = length
    part = (at - before).astype(image.dtype).reshape(shape)
    first = image.take(before, axis)
    return np.asarray(first + part * (image.take(after, axis) - first))


LOCAL = LocalThreshold()
SAUVOLA = Sauvola()
NIBLACK = Niblack()

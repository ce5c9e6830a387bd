"""Filters that even out or turn round brightness, before a method."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError

from .grey import smoothed, working_dtype
from .step import IN_3D, Filter, Pixels, View

_FAMILY = "Background and contrast"

#: A Gaussian spans as many blocks of an image that is reduced for it as standard deviation.
_BLOCKS = 6


class BackgroundParams(Config):
    """Parameters of subtracting the background."""

    method: Literal["gaussian", "rolling ball", "top-hat"] = Field(
        "gaussian",
        description="gaussian: what a wide blur leaves; rolling ball: what a ball that rolls below "
        "the grey values touches; top-hat: what lies below all narrower structures",
    )
    radius_px: float = Field(
        50.0,
        ge=1,
        le=500,
        description="how wide what is subtracted is, in px: larger than the structures to keep; "
        "smaller takes away more",
    )
    foreground: Literal["bright", "dark"] = Field(
        "bright", description="is the structure brighter or darker than what surrounds it"
    )
    in_3d: bool = Field(False, description=IN_3D)


class Background(Filter[BackgroundParams]):
    """What is left of the grey values when what changes slowly is subtracted.

    The ball rolls over an image that is reduced by as much as its radius allows, as ImageJ does it,
    and that is stretched to 256 grey values.

    References
    ----------
    S. R. Sternberg, "Biomedical image processing", Computer 16 (1983) 22–34; F. Meyer,
    "Iterative image transformations for an automatic screening of cervical smears", Journal of
    Histochemistry and Cytochemistry 27 (1979) 128–135.
    """

    name: ClassVar[str] = "background"
    title: ClassVar[str] = "Subtract background"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Subtracts what changes slowly across the image."
    good_for: ClassVar[str] = "Uneven illumination, haze, or staining that is stronger on one side."
    params = BackgroundParams

    def apply(self, view: View, params: BackgroundParams) -> Pixels:
        """Subtract from every channel what is its background."""
        working = working_dtype(view.pixels.dtype)
        radii = view.per_axis(params.radius_px)
        sign = working(1 if params.foreground == "bright" else -1)
        channels = (np.asarray(channel, working) * sign for channel in view.pixels)
        return np.stack([sign * (c - _background(c, radii, params.method)) for c in channels])


def _background(channel: Pixels, radii: tuple[float, ...], method: str) -> Pixels:
    if method == "gaussian":
        return _wide_blur(channel, radii)
    if method == "top-hat":
        size = [2 * int(radius) + 1 for radius in radii]
        return np.asarray(ndimage.grey_opening(channel, size))
    return _rolling_ball(channel, radii)


def _wide_blur(channel: Pixels, sigmas: tuple[float, ...]) -> Pixels:
    """Return a Gaussian of an image, of one that is reduced where the Gaussian is wide."""
    by = [max(1, int(sigma / _BLOCKS)) for sigma in sigmas]
    narrowed = tuple(sigma / n for sigma, n in zip(sigmas, by, strict=True))
    reduced = smoothed(_in_blocks(channel, by).mean(axis=-1, dtype=channel.dtype), narrowed)
    return np.asarray(_enlarged(reduced, by, channel.shape), channel.dtype)


def _rolling_ball(channel: Pixels, radii: tuple[float, ...]) -> Pixels:
    """Return how high a ball comes that rolls below the grey values."""
    from skimage.restoration import ellipsoid_kernel, rolling_ball

    span = float(np.ptp(channel))
    if span == 0:
        return channel
    by = [_reduction(radius) for radius in radii]
    low = channel.min()
    reduced = np.asarray(_in_blocks(channel, by).min(axis=-1) - low, np.float64)
    shape = [2 * max(1, round(r / n)) + 1 for r, n in zip(radii, by, strict=True)]
    ball = ellipsoid_kernel(shape, radii[-1] * span / 255)  # type: ignore[no-untyped-call]
    touched = _enlarged(rolling_ball(reduced, kernel=ball), by, channel.shape)
    return np.asarray(np.minimum(np.asarray(touched, channel.dtype) + low, channel))


def _reduction(radius: float) -> int:
    """Return by how much ImageJ reduces an image for a ball of that radius."""
    return 1 if radius <= 10 else 2 if radius <= 30 else 4 if radius <= 100 else 8


def _in_blocks(image: Pixels, by: list[int]) -> Pixels:
    """Return an image cut into blocks, the pixels of each along the last axis."""
    padding = [(0, -size % n) for size, n in zip(image.shape, by, strict=True)]
    padded = np.pad(image, padding, mode="edge")
    split: list[int] = []
    for size, n in zip(padded.shape, by, strict=True):
        split += [size // n, n]
    axes = [*range(0, len(split), 2), *range(1, len(split), 2)]
    blocks = padded.reshape(split).transpose(axes)
    return blocks.reshape(*blocks.shape[: image.ndim], -1)


def _enlarged(image: Pixels, by: list[int], shape: tuple[int, ...]) -> Pixels:
    """Return an image of blocks in its former size, linear between their middles."""
    for axis, (size, n) in enumerate(zip(shape, by, strict=True)):
        at = np.clip((np.arange(size) + 0.5) / n - 0.5, 0, image.shape[axis] - 1)
        below = at.astype(int)
        above = np.minimum(below + 1, image.shape[axis] - 1)
        share = (at - below).astype(image.dtype)
        share = share.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        image = image.take(below, axis) * (1 - share) + image.take(above, axis) * share
    return image


class ClaheParams(Config):
    """Parameters of CLAHE."""

    tile_px: int = Field(
        128,
        ge=8,
        le=1000,
        description="side of the areas that contrast is raised in, in px; smaller evens out more",
    )
    clip_percent: float = Field(
        1.0, gt=0, le=100, description="limit of the rise: higher brings out more, noise included"
    )
    in_3d: bool = Field(False, description=IN_3D)


class Clahe(Filter[ClaheParams]):
    """Contrast limited adaptive histogram equalisation.

    References
    ----------
    K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV (1994)
    474–485.
    """

    name: ClassVar[str] = "clahe"
    title: ClassVar[str] = "Local contrast (CLAHE)"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Raises contrast area by area, to values from 0 to 1."
    good_for: ClassVar[str] = "Structures that are faint in some parts of the image."
    params = ClaheParams

    def apply(self, view: View, params: ClaheParams) -> Pixels:
        """Equalise every channel."""
        from skimage.exposure import equalize_adapthist

        wanted = [max(1, round(length)) for length in view.per_axis(params.tile_px)]
        tile = [min(length, size) for length, size in zip(wanted, view.shape, strict=True)]

        def equalised(channel: Pixels) -> Pixels:
            low, high = float(channel.min()), float(channel.max())
            if low == high:
                return np.zeros(channel.shape, np.float32)
            scaled = ((np.asarray(channel, np.float64) - low) / (high - low)).astype(np.float32)
            found = equalize_adapthist(scaled, tile, params.clip_percent / 100)
            return np.asarray(found, np.float32)

        return np.stack([equalised(channel) for channel in view.pixels])


class InvertParams(Config):
    """Parameters of inverting: none."""


class Invert(Filter[InvertParams]):
    """The negative: of unsigned integers the largest value minus each, of others −1 times each.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, Digital Image Processing (Pearson, 2018), section 3.2.
    """

    name: ClassVar[str] = "invert"
    title: ClassVar[str] = "Invert"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Makes what is bright dark, and what is dark bright."
    good_for: ClassVar[str] = "Dark structures, for a method that looks for bright ones."
    params = InvertParams

    def apply(self, view: View, params: InvertParams) -> Pixels:
        """Return the negative; unsigned integers keep their dtype."""
        pixels = view.pixels
        if pixels.dtype.kind == "u":
            return np.asarray(np.iinfo(pixels.dtype).max - pixels)
        return np.negative(pixels, dtype=working_dtype(pixels.dtype))


class ChannelParams(Config):
    """Parameters of taking one channel."""

    channel: int = Field(1, ge=1, le=64, description="which one; the first is 1")


class Channel(Filter[ChannelParams]):
    """One channel of several.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, Digital Image Processing (Pearson, 2018), section 6.2.
    """

    name: ClassVar[str] = "channel"
    title: ClassVar[str] = "One channel"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Takes one channel and leaves the others out."
    good_for: ClassVar[str] = "Images of several stains, of which one shows the structure."
    params = ChannelParams

    def apply(self, view: View, params: ChannelParams) -> Pixels:
        """Return the channel, shape (1, …).

        Raises
        ------
        UserError
            If there is no such channel.
        """
        n: Any = len(view.pixels)
        if params.channel > n:
            has = "one channel" if n == 1 else f"{n} channels"
            raise UserError(f"The image has {has}; there is no channel {params.channel}.")
        return view.pixels[params.channel - 1 : params.channel]


BACKGROUND = Background()
CLAHE = Clahe()
INVERT = Invert()
CHANNEL = Channel()

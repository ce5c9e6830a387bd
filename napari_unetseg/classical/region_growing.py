"""Region growing: from every stroke as far as grey values stay alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import BACKGROUND, Config

from .channels import grey_range, smooth_channels
from .step import IN_3D, SMOOTHING, Codes, Method, View

Mask = npt.NDArray[np.bool_]
_Box = tuple[slice, ...]

#: An area is first looked for no farther than this from its stroke, in px; then four times as far.
_MARGIN_PX = 48

#: Smaller strokes say too little of how grey values vary: their neighbours are counted in.
_ENOUGH_PX = 9


class GrowParams(Config):
    """Parameters of region growing."""

    tolerance: Literal["absolute", "adaptive"] = Field(
        "absolute",
        description="absolute: you set how far grey values may lie from those of the stroke; "
        "adaptive: that is learned from what has grown",
    )
    percent: float = Field(
        25.0,
        ge=0,
        le=100,
        description="absolute: how far a grey value may lie from the mean of the stroke, in % of "
        "the way from the darkest to the brightest (of several channels, that where this is "
        "farthest); higher: areas grow farther",
    )
    grey_value: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="absolute: the same in grey values of the image, instead of in %",
    )
    deviations: float = Field(
        2.5,
        ge=0,
        le=20,
        description="adaptive: how far a grey value may lie from the mean of the area, in standard "
        "deviations of it; higher: areas grow farther",
    )
    rounds: int = Field(
        4,
        ge=1,
        le=20,
        description="adaptive: how often mean and deviation are learned anew; more lets areas "
        "reach what is less like the stroke",
    )
    sigma_px: float = Field(1.0, ge=0, le=50, description=SMOOTHING)
    in_3d: bool = Field(False, description=IN_3D)


class Grow(Method[GrowParams]):
    """Areas that are connected with a stroke through grey values like its own.

    Every stroke grows by itself, with a mean and a tolerance of its own. Where areas of several
    classes overlap, a pixel goes to that whose mean is nearest, measured in their tolerances. What
    no area reaches is background. In images of several channels, each of them has to be alike.

    References
    ----------
    R. Adams and L. Bischof, "Seeded region growing", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 16 (1994) 641–647; the adaptive tolerance as in confidence-connected
    growing: L. Ibáñez et al., "The ITK Software Guide", 2nd ed. 2005, section 9.1.3.
    """

    name: ClassVar[str] = "grow"
    title: ClassVar[str] = "Region growing"
    family: ClassVar[str] = "Regions"
    summary: ClassVar[str] = "Grows each stroke or click over pixels of similar grey value."
    good_for: ClassVar[str] = (
        "A few even structures, such as vessels or organelles, that you can click on one by one."
    )
    params = GrowParams
    needs_strokes: ClassVar[bool] = True
    #: Where strokes are many, and each grows far.
    is_slow: ClassVar[bool] = True

    def segment(self, view: View, params: GrowParams, prepared: Any = None) -> Codes:
        """Grow every stroke, and let the areas compete."""
        strokes = view.strokes
        if strokes is None or not strokes.any():
            return np.zeros(view.shape, np.uint8)
        channels = smooth_channels(view, params.sigma_px)
        fixed = _fixed_tolerance(channels, params)
        codes = np.full(view.shape, BACKGROUND, np.uint8)
        nearest = np.full(view.shape, np.inf, np.float32)
        for code in np.unique(strokes[strokes > 0]):
            for box, stroke in _strokes_of(strokes == code):
                window, area, apart = _grown(channels, box, stroke, params, fixed)
                wins = area & (apart < nearest[window])
                codes[window][wins] = code
                nearest[window][wins] = apart[wins]
        codes[strokes > 0] = strokes[strokes > 0]
        return codes

    def by_grey_value(self, view: View, params: GrowParams) -> dict[str, float]:
        """Return the absolute tolerance in grey values."""
        widest = _widest(smooth_channels(view, params.sigma_px))
        return {"grey_value": params.percent / 100 * widest}

    def grid(self, views: Sequence[View]) -> Iterator[GrowParams]:
        """Try tolerances of both kinds."""
        for sigma in (1.0, 2.0):
            for deviations in (1.5, 2.5, 3.5):
                yield GrowParams(sigma_px=sigma, deviations=deviations)
            for percent in (5, 10, 15, 20, 30, 40):
                yield GrowParams(sigma_px=sigma, tolerance="absolute", percent=percent)


def _fixed_tolerance(channels: npt.NDArray[Any], params: GrowParams) -> npt.NDArray[Any] | None:
    """Return the tolerance of each channel, shape (C,); None where it is learned."""
    if params.tolerance == "adaptive":
        return None
    if params.grey_value is not None:
        return np.full(len(channels), params.grey_value)
    return np.full(len(channels), params.percent / 100 * _widest(channels))


def _widest(channels: npt.NDArray[Any]) -> float:
    """Return from how dark to how bright grey values run in the channel where that is farthest."""
    return max(high - low for low, high in map(grey_range, channels))


def _strokes_of(painted: Mask) -> Iterator[tuple[_Box, Mask]]:
    """Yield each connected stroke: its bounding box, and its pixels in there."""
    ids, _ = ndimage.label(painted, np.ones((3,) * painted.ndim))
    for number, box in enumerate(ndimage.find_objects(ids), start=1):
        yield box, ids[box] == number


def _grown(
    channels: npt.NDArray[Any],
    box: _Box,
    stroke: Mask,
    params: GrowParams,
    fixed: npt.NDArray[Any] | None,
) -> tuple[_Box, Mask, npt.NDArray[Any]]:
    """Grow a stroke; return where, its area there, and how far pixels lie from it in tolerances."""
    window, area = box, stroke
    if stroke.sum() < _ENOUGH_PX:
        window = _widened(box, 1, channels.shape[1:])
        area = ndimage.binary_dilation(_placed(stroke, box, window), np.ones((3,) * stroke.ndim))
    n_px = -1
    for _ in range(params.rounds if fixed is None else 1):
        own = channels[(slice(None), *window)][:, area].astype(float)
        mean = own.mean(axis=1)
        tolerance = params.deviations * own.std(axis=1) if fixed is None else fixed
        window, area, apart = _flooded(channels, box, stroke, mean, tolerance)
        n_before, n_px = n_px, int(np.count_nonzero(area))
        if n_px == n_before:
            break
    return window, area, apart


def _widened(box: _Box, margin: int, shape: tuple[int, ...]) -> _Box:
    return tuple(
        slice(max(0, part.start - margin), min(length, part.stop + margin))
        for part, length in zip(box, shape, strict=True)
    )


def _placed(stroke: Mask, box: _Box, window: _Box) -> Mask:
    """Return the pixels of a stroke within a window around its box."""
    around = [
        (part.start - wide.start, wide.stop - part.stop)
        for part, wide in zip(box, window, strict=True)
    ]
    return np.pad(stroke, around)


def _flooded(
    channels: npt.NDArray[Any],
    box: _Box,
    stroke: Mask,
    mean: npt.NDArray[Any],
    tolerance: npt.NDArray[Any],
) -> tuple[_Box, Mask, npt.NDArray[Any]]:
    """Return the pixels within tolerance that are connected with a stroke.

    A window around the stroke is looked at, and a larger one as long as the area runs out of it.
    """
    shape = channels.shape[1:]
    per_channel = (-1, *(1 for _ in shape))
    middle = mean.astype(channels.dtype).reshape(per_channel)
    scale = np.maximum(tolerance, np.finfo(np.float32).tiny).astype(channels.dtype)
    margin = _MARGIN_PX
    while True:
        window = _widened(box, margin, shape)
        seeds = _placed(stroke, box, window)
        apart = np.abs(channels[(slice(None), *window)] - middle)
        with np.errstate(over="ignore"):  # a tolerance of 0
            apart = (apart / scale.reshape(per_channel)).max(axis=0)
        alike = (apart <= 1) | seeds
        areas, n = ndimage.label(alike)
        is_reached = np.zeros(n + 1, bool)
        is_reached[areas[seeds]] = True
        area = is_reached[areas]
        if not _runs_out(area, window, shape):
            return window, area, apart
        margin *= 4


def _runs_out(area: Mask, window: _Box, shape: tuple[int, ...]) -> bool:
    """Return whether an area reaches a side of its window that is no border of the image."""
    for axis, (part, length) in enumerate(zip(window, shape, strict=True)):
        faces = np.moveaxis(area, axis, 0)
        if (part.start > 0 and faces[0].any()) or (part.stop < length and faces[-1].any()):
            return True
    return False


GROW = Grow()

"""Thresholds of grey values: what they have in common, and those set by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from scipy import ndimage

from .grey import intensity, sample, smoothed
from .method import (
    LEVELS_IN_3D,
    SIGMAS_PX,
    BaselineParams,
    LevelMethod,
    Levels,
    P,
    foreground_codes,
    is_beyond,
    nowhere,
)
from .step import Codes, Pixels, View

#: A slice's grey values run between these percentiles; beyond them are hot and dead pixels.
_RANGE_PERCENTILES = (0.1, 99.9)


class ThresholdParams(BaselineParams):
    """Parameters of a threshold set by hand."""

    percent: float = Field(
        50.0,
        ge=0,
        le=100,
        description="the threshold in % of the way from the darkest to the brightest grey value; "
        "higher: less of the image is bright",
    )
    grey_value: float | None = Field(
        None,
        allow_inf_nan=False,
        description="the threshold as a grey value of the image, instead of in %",
    )


class HysteresisParams(BaselineParams):
    """Parameters of a threshold with hysteresis."""

    lower_percent: float = Field(
        25.0,
        ge=0,
        le=100,
        description="the lower of two thresholds, in % of the way from the darkest to the "
        "brightest grey value; bright structures go on down to it: higher, and faint ends go; "
        "what is darker is surely part of dark ones: higher, and more of them are found",
    )
    upper_percent: float = Field(
        50.0,
        ge=0,
        le=100,
        description="the upper of two thresholds, in % as the lower; what is brighter is surely "
        "part of bright structures: higher, and fewer of them are found; dark ones go on up to it: "
        "higher, and faint ends are kept",
    )
    lower_grey_value: float | None = Field(
        None,
        allow_inf_nan=False,
        description="the lower threshold as a grey value of the image, instead of in %",
    )
    upper_grey_value: float | None = Field(
        None,
        allow_inf_nan=False,
        description="the upper threshold as a grey value of the image, instead of in %",
    )
    in_3d: bool = Field(False, description=LEVELS_IN_3D)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.upper_percent < self.lower_percent:
            raise ValueError("upper_percent must not be below lower_percent")
        lower, upper = self.lower_grey_value, self.upper_grey_value
        if lower is not None and upper is not None and upper < lower:
            raise ValueError("upper_grey_value must not be below lower_grey_value")
        return self


class GreyLevelMethod(LevelMethod[P]):
    """A method whose levels are grey values, the first of its features."""

    decides_by_grey: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    def features(self, view: View, params: P) -> Pixels:
        """Return the smoothed intensity, shape (1, Y, X) or (1, Z, Y, X).

        Small integers that nothing smooths stay integers: then histograms are exact.
        """
        pixels = view.pixels
        small = pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2
        if small and params.sigma_px == 0 and pixels.shape[0] == 1:
            return pixels
        return smoothed(intensity(pixels), view.per_axis(params.sigma_px))[np.newaxis]

    def label(self, features: Pixels, params: P, levels: Levels) -> Codes:
        """Call everything beyond the level foreground."""
        return foreground_codes(is_beyond(features[0], float(levels[0]), params.foreground))


class Threshold(GreyLevelMethod[ThresholdParams]):
    """A threshold set by hand.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 4th edition, Pearson 2018,
    section 10.3.
    """

    name: ClassVar[str] = "threshold"
    title: ClassVar[str] = "Threshold"
    family: ClassVar[str] = "Threshold"
    summary: ClassVar[str] = "Everything beyond one grey value that you choose."
    good_for: ClassVar[str] = (
        "One brightness separates the structure everywhere, and you can see where it lies."
    )
    params = ThresholdParams
    set_by_hand: ClassVar[tuple[str, ...]] = ("grey_value",)

    def measure(self, features: Sequence[Pixels], params: ThresholdParams) -> Levels:
        """Return the threshold as a grey value, shape (1,)."""
        if params.grey_value is not None:
            return np.array([params.grey_value])
        low, high = grey_range([plane[0] for plane in features])
        if low == high:
            return np.array([nowhere(params.foreground)])
        return np.array([low + params.percent / 100 * (high - low)])

    def grid(self, views: Sequence[View]) -> Iterator[ThresholdParams]:
        """Try grey values at 63 quantiles of the image, and percentages of each slice's range."""
        grey = sample([intensity(view.pixels) for view in views])
        values = np.unique(np.quantile(grey, np.arange(1, 64) / 64))
        for sigma in SIGMAS_PX:
            for value in values:
                yield ThresholdParams(sigma_px=sigma, per_slice=False, grey_value=float(value))
            for percent in range(2, 100, 2):
                yield ThresholdParams(sigma_px=sigma, percent=percent)

    def refine(self, best: ThresholdParams) -> Iterator[ThresholdParams]:
        """Try percentages in between; grey values are already as fine as their quantiles."""
        if best.grey_value is None:
            for step in (-1.5, -1, -0.5, 0.5, 1, 1.5):
                yield best.replace(percent=best.percent + step)


class Hysteresis(GreyLevelMethod[HysteresisParams]):
    """Two thresholds: structures begin beyond the strict one and go on as far as the lenient one.

    References
    ----------
    J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 8 (1986) 679–698.
    """

    name: ClassVar[str] = "hysteresis"
    title: ClassVar[str] = "Hysteresis threshold"
    family: ClassVar[str] = "Threshold"
    summary: ClassVar[str] = (
        "What passes a strict threshold, and all that hangs on to it and passes a lenient one."
    )
    good_for: ClassVar[str] = (
        "Vessels, filaments or membranes that fade in places, among faint specks."
    )
    params = HysteresisParams
    pixelwise: ClassVar[bool] = False
    is_mirrored: ClassVar[bool] = False
    set_by_hand: ClassVar[tuple[str, ...]] = ("lower_grey_value", "upper_grey_value")

    def measure(self, features: Sequence[Pixels], params: HysteresisParams) -> Levels:
        """Return the lower and the upper threshold as grey values, shape (2,)."""
        low, high = grey_range([plane[0] for plane in features])
        if low == high:
            return np.full(2, nowhere(params.foreground))
        percents = np.array([params.lower_percent, params.upper_percent])
        levels = low + percents / 100 * (high - low)
        for i, value in enumerate((params.lower_grey_value, params.upper_grey_value)):
            if value is not None:
                levels[i] = value
        return np.sort(levels)

    def names_of_levels(self, params: HysteresisParams) -> tuple[str, ...]:
        """Say beyond which of the two structures are sure, and up to which they go on."""
        return ("goes on", "sure") if params.foreground == "bright" else ("sure", "goes on")

    def label(self, features: Pixels, params: HysteresisParams, levels: Levels) -> Codes:
        """Keep what the lenient level admits, where pixels that share sides reach a strict one."""
        is_bright = params.foreground == "bright"
        lenient, strict = levels if is_bright else levels[::-1]
        pieces, n = ndimage.label(is_beyond(features[0], lenient, params.foreground))
        kept = np.zeros(n + 1, bool)
        kept[pieces[is_beyond(features[0], strict, params.foreground)]] = True
        return foreground_codes(kept[pieces])

    def grid(self, views: Sequence[View]) -> Iterator[HysteresisParams]:
        """Try pairs of percentages, for both polarities."""
        for sigma in SIGMAS_PX[:3]:
            for lower in range(10, 90, 10):
                for upper in range(lower + 10, 100, 20):
                    base = HysteresisParams(
                        sigma_px=sigma, lower_percent=lower, upper_percent=upper
                    )
                    yield base
                    yield base.replace(foreground="dark")

    def refine(self, best: HysteresisParams) -> Iterator[HysteresisParams]:
        """Try percentages in between."""
        for lower in (-5, 0, 5):
            for upper in (-5, 0, 5):
                pair = best.lower_percent + lower, best.upper_percent + upper
                yield best.replace(lower_percent=pair[0], upper_percent=pair[1])


def grey_range(images: Sequence[npt.NDArray[Any]]) -> tuple[float, float]:
    """Return the darkest and the brightest grey value, hot and dead pixels left out."""
    low, high = np.percentile(sample(images), _RANGE_PERCENTILES)
    return float(low), float(high)


THRESHOLD = Threshold()
HYSTERESIS = Hysteresis()

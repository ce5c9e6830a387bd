"""Thresholds: Otsu's, and one set by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field
from skimage.filters import threshold_otsu

from .grey import intensity, sample, smoothed
from .method import (
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

#: Bins of the histogram that Otsu's method splits; enough for a 16-bit image with a few hot pixels.
_BINS = 1024

#: A slice's grey values run between these percentiles; beyond them are hot and dead pixels.
_RANGE_PERCENTILES = (0.1, 99.9)


class OtsuParams(BaselineParams):
    """Parameters of Otsu's threshold."""


class ThresholdParams(BaselineParams):
    """Parameters of a threshold set by hand."""

    percent: float = Field(
        50.0,
        ge=0,
        le=100,
        description="threshold in % of the way from the darkest to the brightest grey value",
    )
    grey_value: float | None = Field(
        None,
        allow_inf_nan=False,
        description="threshold as a grey value of the image; where given, percent is not used",
    )


class _Threshold(LevelMethod[P]):
    """A method with one level, of grey values."""

    decides_by_grey: ClassVar[bool] = True

    def features(self, view: View, params: P) -> Pixels:
        """Return the smoothed intensity, shape (1, Y, X).

        Small integers that nothing smooths stay integers: then Otsu's histogram is exact.
        """
        pixels = view.pixels
        small = pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2
        if small and params.sigma_px == 0 and pixels.shape[0] == 1:
            return pixels
        return smoothed(intensity(pixels), params.sigma_px)[np.newaxis]

    def label(self, features: Pixels, params: P, levels: Levels) -> Codes:
        """Call everything beyond the level foreground."""
        return foreground_codes(is_beyond(features[0], float(levels[0]), params.foreground))


class Otsu(_Threshold[OtsuParams]):
    """The threshold that best splits the histogram into two groups.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
    Systems, Man and Cybernetics 9 (1979) 62–66.
    """

    name: ClassVar[str] = "otsu"
    title: ClassVar[str] = "Otsu threshold"
    family: ClassVar[str] = "Threshold"
    summary: ClassVar[str] = "Splits grey values where the two groups differ most."
    good_for: ClassVar[str] = (
        "Nuclei or cells that are clearly brighter, or darker, than an even background."
    )
    params = OtsuParams

    def measure(self, features: Sequence[Pixels], params: OtsuParams) -> Levels:
        """Return the threshold as a grey value, shape (1,)."""
        grey = np.concatenate([plane.ravel() for plane in features])
        if grey.min() == grey.max():
            return np.array([nowhere(params.foreground)])
        level = threshold_otsu(grey, nbins=_BINS)  # type: ignore[no-untyped-call]
        return np.array([float(level)])

    def grid(self, views: Sequence[View]) -> Iterable[OtsuParams]:
        """Try every smoothing, with levels per slice and for all."""
        return [
            OtsuParams(sigma_px=sigma, per_slice=per_slice)
            for sigma in SIGMAS_PX
            for per_slice in (True, False)
        ]


class Threshold(_Threshold[ThresholdParams]):
    """A threshold set by hand."""

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
        low, high = np.percentile(sample(features), _RANGE_PERCENTILES)
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


OTSU = Otsu()
THRESHOLD = Threshold()

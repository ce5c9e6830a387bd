"""Edge detectors: Canny's and Sobel's, as lines or as the areas that edges bound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator
from skimage.feature import canny

from .grey import gradient_magnitude, intensity, sample, smoothed
from .method import (
    SIGMAS_PX,
    BaselineParams,
    LevelMethod,
    Levels,
    foreground_codes,
    nowhere,
)
from .regions import EdgeOutput, Mask, close_gaps, fill_regions, widen
from .step import Codes, Pixels, View


class EdgeParams(BaselineParams):
    """Parameters of every edge detector; `foreground` says which side of the edges is meant."""

    output: EdgeOutput = Field(
        "regions",
        description="regions: all areas between edges; enclosed: only areas closed on all sides; "
        "edges: the edge lines themselves",
    )
    close_px: int = Field(
        1, ge=0, le=20, description="bridge gaps in the edges up to twice this many px"
    )
    widen_px: int = Field(
        1, ge=0, le=20, description="px by which edge lines grow on each side; for output edges"
    )


class CannyParams(EdgeParams):
    """Parameters of Canny's edge detector."""

    sigma_px: float = Field(2.0, ge=0, le=50, description="smoothing: standard deviation in px")
    low_percent: float = Field(
        70.0,
        ge=0,
        le=100,
        description="an edge goes on where it is steeper than this % of pixels",
    )
    high_percent: float = Field(
        90.0,
        ge=0,
        le=100,
        description="an edge begins where it is steeper than this % of pixels",
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.high_percent < self.low_percent:
            raise ValueError("high_percent must not be below low_percent")
        return self


class SobelParams(EdgeParams):
    """Parameters of Sobel's gradient with a threshold."""

    percent: float = Field(
        80.0, ge=0, le=100, description="edges are where it is steeper than this % of pixels"
    )


E = TypeVar("E", bound=EdgeParams)


class _EdgeDetector(LevelMethod[E]):
    """Features are the smoothed intensity and the norm of its gradient, shape (2, Y, X).

    Levels are the grey value halfway up the edges, then thresholds of the gradient. The former is
    the mean grey value weighted by gradient (J. Kittler, J. Illingworth and J. Föglein,
    "Threshold selection based on a simple image statistic", Computer Vision, Graphics and Image
    Processing 30 (1985) 125–147).
    """

    pixelwise: ClassVar[bool] = False

    def features(self, view: View, params: E) -> Pixels:
        """Return smoothed intensity and gradient, shape (2, Y, X)."""
        grey = smoothed(intensity(view.pixels), params.sigma_px)
        return np.stack([grey, gradient_magnitude(grey)])

    def measure(self, features: Sequence[Pixels], params: E) -> Levels:
        """Return the grey value halfway up the edges, then the gradient's thresholds."""
        grey = sample([plane[0] for plane in features])
        gradient = sample([plane[1] for plane in features]).astype(float)
        total = gradient.sum()
        halfway = (
            nowhere(params.foreground) if total == 0 else float((grey * gradient).sum() / total)
        )
        return np.array([halfway, *np.percentile(gradient, self.percentiles(params))])

    def label(self, features: Pixels, params: E, levels: Levels) -> Codes:
        """Find edges, and what lies between them where that is asked for."""
        edges = close_gaps(self.edges(features, levels), params.close_px)
        if params.output == "edges":
            return foreground_codes(widen(edges, params.widen_px))
        enclosed = params.output == "enclosed"
        return foreground_codes(
            fill_regions(edges, features[0], levels[0], params.foreground, enclosed=enclosed)
        )

    @abstractmethod
    def percentiles(self, params: E) -> Sequence[float]:
        """Return the percentiles of the gradient that are its thresholds."""

    @abstractmethod
    def edges(self, features: Pixels, levels: Levels) -> Mask:
        """Return the edges, shape (Y, X)."""


class Canny(_EdgeDetector[CannyParams]):
    """Thin edges that begin where it is steep and go on where it is less so.

    References
    ----------
    J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 8 (1986) 679–698.
    """

    name: ClassVar[str] = "canny"
    title: ClassVar[str] = "Canny edges"
    family: ClassVar[str] = "Edges"
    summary: ClassVar[str] = "Thin edges, followed along their length, and the areas they bound."
    good_for: ClassVar[str] = (
        "Objects with a sharp outline whose inside is as bright as their surroundings."
    )
    params = CannyParams

    def percentiles(self, params: CannyParams) -> Sequence[float]:
        """Return low and high."""
        return params.low_percent, params.high_percent

    def edges(self, features: Pixels, levels: Levels) -> Mask:
        """Return edges one pixel wide."""
        _, low, high = levels
        # Smoothed already; a mode other than "constant" spares skimage a second Gaussian. It finds
        # no edge in the outermost pixels, and areas would run into each other there.
        grey = np.pad(features[0], 1, mode="symmetric")
        found = canny(  # type: ignore[no-untyped-call]
            grey, 0, low_threshold=low, high_threshold=high, mode="reflect"
        )
        return np.asarray(found[1:-1, 1:-1])

    def grid(self, views: Sequence[View]) -> Iterator[CannyParams]:
        """Try smoothings, steepnesses, lines of several widths and areas of both polarities."""
        for sigma in SIGMAS_PX:
            for low, high in ((20, 40), (40, 60), (50, 80), (70, 80), (70, 90), (85, 95)):
                base = CannyParams(sigma_px=sigma, low_percent=low, high_percent=high)
                yield from _outputs(base)


class Sobel(_EdgeDetector[SobelParams]):
    """Wide edges, wherever the gradient passes a threshold.

    References
    ----------
    I. Sobel and G. Feldman, "A 3 × 3 isotropic gradient operator for image processing", 1968.
    """

    name: ClassVar[str] = "sobel"
    title: ClassVar[str] = "Sobel gradient"
    family: ClassVar[str] = "Edges"
    summary: ClassVar[str] = "Steep places, and the areas they bound."
    good_for: ClassVar[str] = (
        "Structures that are steep themselves, such as membranes, or objects with a soft outline."
    )
    params = SobelParams

    def percentiles(self, params: SobelParams) -> Sequence[float]:
        """Return the threshold."""
        return (params.percent,)

    def edges(self, features: Pixels, levels: Levels) -> Mask:
        """Return where the gradient is over its threshold."""
        return np.asarray(features[1] > levels[1])

    def grid(self, views: Sequence[View]) -> Iterator[SobelParams]:
        """Try smoothings, steepnesses, lines of several widths and areas of both polarities."""
        for sigma in SIGMAS_PX:
            for percent in (20, 35, 50, 60, 70, 80, 90, 95):
                yield from _outputs(SobelParams(sigma_px=sigma, percent=percent))


def _outputs(base: E) -> Iterator[E]:
    """Vary what is made of the same edges."""
    for widen_px in (0, 1, 2):
        yield base.replace(output="edges", close_px=0, widen_px=widen_px)
    for foreground in ("bright", "dark"):
        for close_px in (0, 2):
            yield base.replace(output="regions", foreground=foreground, close_px=close_px)
            yield base.replace(output="enclosed", foreground=foreground, close_px=close_px)


CANNY = Canny()
SOBEL = Sobel()

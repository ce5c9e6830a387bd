"""Edges where the gradient is steep: Sobel, Scharr, Prewitt, Farid; and Canny's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator
from skimage.feature import canny

from .areas_between_edges import Mask
from .edge_detector import EdgeDetector, EdgeParams, outputs
from .gradients import (
    FARID_OPERATOR,
    PREWITT_OPERATOR,
    SCHARR_OPERATOR,
    SOBEL_OPERATOR,
    GradientOperator,
    Image,
    gradient,
    norm,
)
from .grey import intensity, smoothed
from .method import LEVELS_IN_3D, SIGMAS_PX, Levels
from .step import SMOOTHING, Pixels, View

#: `scipy.ndimage.sobel`, which scikit-image's Canny compares its thresholds with, of a slope of 1.
_SOBEL_OF_SCIPY = 8


class DirectedParams(EdgeParams):
    """Parameters of edge detectors that know where an edge runs."""

    direction_deg: float = Field(
        0.0,
        ge=0,
        le=180,
        description="keep edges that run this way: 0 from left to right, 90 up and down, "
        "45 rising to the right",
    )
    within_deg: float = Field(
        90.0,
        ge=0,
        le=90,
        description="keep edges whose direction differs by up to this many degrees; 90 keeps all",
    )


class GradientParams(DirectedParams):
    """Parameters of a gradient with a threshold."""

    percent: float = Field(
        80.0,
        ge=0,
        le=100,
        description="edges are where brightness changes more steeply than at this % of pixels; "
        "higher: fewer edges, the clearest ones",
    )
    in_3d: bool = Field(False, description=LEVELS_IN_3D)


class CannyParams(DirectedParams):
    """Parameters of Canny's edge detector."""

    sigma_px: float = Field(2.0, ge=0, le=50, description=SMOOTHING)
    low_percent: float = Field(
        70.0,
        ge=0,
        le=100,
        description="an edge goes on where brightness changes more steeply than at this % of "
        "pixels; higher: edges break off sooner",
    )
    high_percent: float = Field(
        90.0,
        ge=0,
        le=100,
        description="an edge begins where brightness changes more steeply than at this % of "
        "pixels; higher: fewer edges",
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.high_percent < self.low_percent:
            raise ValueError("high_percent must not be below low_percent")
        return self


D = TypeVar("D", bound=DirectedParams)


class _Gradient(EdgeDetector[D]):
    """Features are smoothed intensity and norm of the gradient.

    Where only some directions are kept, the gradient along Y and along X follow. The last of the
    levels is what counts as flat to a watershed: half the percentile of edges.

    Attributes
    ----------
    operator : GradientOperator
        By which the gradient is taken.
    """

    operator: ClassVar[GradientOperator] = SOBEL_OPERATOR

    def feature_key(self, params: D) -> tuple[object, ...]:
        """Add whether directions are needed."""
        return (*super().feature_key(params), params.within_deg < 90)

    def features(self, view: View, params: D) -> Pixels:
        """Return smoothed intensity and gradient, shape (2 or 4, …)."""
        grey = smoothed(intensity(view.pixels), view.per_axis(params.sigma_px))
        steps_px = (view.z_px, 1, 1)[-view.ndim :]
        components = gradient(grey, self.operator, steps_px)
        in_slice = components[-2:] if params.within_deg < 90 else []
        return np.stack([grey, norm(components), *in_slice])

    def edges(self, features: Pixels, params: D, levels: Levels) -> Mask:
        """Return where the gradient is over its threshold."""
        return np.asarray(features[1] > levels[1]) & _runs_along(features, params)

    def relief(self, features: Pixels, levels: Levels) -> Image:
        """Return the gradient, level where it is flat."""
        return np.asarray(np.maximum(features[1], levels[-1]))


class _GradientThreshold(_Gradient[GradientParams]):
    """Wide edges, wherever the gradient passes a threshold."""

    params = GradientParams
    wide: ClassVar[bool] = True

    def thresholds(self, steepness: Image, params: GradientParams) -> Sequence[float]:
        """Return the percentile of edges, and of what is flat."""
        return _percentiles(steepness, params.percent, params.percent / 2)

    def grid(self, views: Sequence[View]) -> Iterator[GradientParams]:
        """Try smoothings, steepnesses, lines of several widths and areas of both polarities."""
        for sigma in SIGMAS_PX:
            for percent in (20, 35, 50, 65, 80, 90, 95):
                yield from outputs(GradientParams(sigma_px=sigma, percent=percent))


class Sobel(_GradientThreshold):
    """Wide edges, wherever Sobel's gradient passes a threshold.

    References
    ----------
    I. Sobel and G. Feldman, "A 3 × 3 isotropic gradient operator for image processing", 1968.
    """

    name: ClassVar[str] = "sobel"
    title: ClassVar[str] = "Sobel gradient"
    summary: ClassVar[str] = "Edges where brightness changes steeply, and the areas they bound."
    good_for: ClassVar[str] = "Membranes, or objects with a soft outline."


class Scharr(_GradientThreshold):
    """Wide edges, wherever Scharr's gradient passes a threshold.

    References
    ----------
    H. Scharr, "Optimale Operatoren in der Digitalen Bildverarbeitung", dissertation, Heidelberg
    2000.
    """

    name: ClassVar[str] = "scharr"
    title: ClassVar[str] = "Scharr gradient"
    summary: ClassVar[str] = "Edges as Sobel's, found alike in all directions, and what they bound."
    good_for: ClassVar[str] = "As Sobel, where edges of one direction are wanted."
    operator: ClassVar[GradientOperator] = SCHARR_OPERATOR


class Prewitt(_GradientThreshold):
    """Wide edges, wherever Prewitt's gradient passes a threshold.

    References
    ----------
    J. M. S. Prewitt, "Object enhancement and extraction", in: Picture Processing and
    Psychopictorics, Academic Press 1970, 75–149.
    """

    name: ClassVar[str] = "prewitt"
    title: ClassVar[str] = "Prewitt gradient"
    summary: ClassVar[str] = "Edges as Sobel's, all three px averaged alike, and what they bound."
    good_for: ClassVar[str] = "As Sobel, with a little more noise."
    operator: ClassVar[GradientOperator] = PREWITT_OPERATOR


class Farid(_GradientThreshold):
    """Wide edges, wherever Farid's gradient passes a threshold.

    References
    ----------
    H. Farid and E. P. Simoncelli, "Differentiation of discrete multidimensional signals", IEEE
    Transactions on Image Processing 13 (2004) 496–508.
    """

    name: ClassVar[str] = "farid"
    title: ClassVar[str] = "Farid gradient"
    summary: ClassVar[str] = (
        "Edges as Sobel's, with the most exact direction, over 5 × 5 px, and what they bound."
    )
    good_for: ClassVar[str] = "Fibres of which those that run one way are wanted."
    operator: ClassVar[GradientOperator] = FARID_OPERATOR


class Canny(_Gradient[CannyParams]):
    """Thin edges that begin where it is steep and go on where it is less so.

    References
    ----------
    J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 8 (1986) 679–698.
    """

    name: ClassVar[str] = "canny"
    title: ClassVar[str] = "Canny edges"
    summary: ClassVar[str] = (
        "Thin edges on each slice, followed along their length, and the areas they bound."
    )
    good_for: ClassVar[str] = (
        "Objects with a sharp outline whose inside is as bright as their surroundings."
    )
    params = CannyParams

    def thresholds(self, steepness: Image, params: CannyParams) -> Sequence[float]:
        """Return low and high percentile, and that of what is flat."""
        low, high = params.low_percent, params.high_percent
        return _percentiles(steepness, low, high, low / 2)

    def edges(self, features: Pixels, params: CannyParams, levels: Levels) -> Mask:
        """Return edges one pixel wide."""
        low, high = levels[1:3] * _SOBEL_OF_SCIPY
        # Smoothed already; a mode other than "constant" spares skimage a second Gaussian. It finds
        # no edge in the outermost pixels, and areas would run into each other there.
        grey = np.pad(features[0], 1, mode="symmetric")
        found = canny(  # type: ignore[no-untyped-call]
            grey, 0, low_threshold=low, high_threshold=high, mode="reflect"
        )
        return np.asarray(found[1:-1, 1:-1]) & _runs_along(features, params)

    def grid(self, views: Sequence[View]) -> Iterator[CannyParams]:
        """Try smoothings, steepnesses, lines of several widths and areas of both polarities."""
        for sigma in SIGMAS_PX:
            for low, high in ((20, 40), (40, 60), (50, 80), (70, 80), (70, 90), (85, 95)):
                base = CannyParams(sigma_px=sigma, low_percent=low, high_percent=high)
                yield from outputs(base)


def _percentiles(values: Image, *percents: float) -> list[float]:
    return [float(level) for level in np.percentile(values, percents)]


def _runs_along(features: Pixels, params: DirectedParams) -> Mask | np.bool_:
    """Return where edges run in the direction asked for, as seen on a slice."""
    if params.within_deg >= 90:
        return np.True_
    along_y, along_x = features[-2:]
    angle = np.radians(params.direction_deg)
    # An edge runs at right angles to the gradient, and rows count downwards.
    agrees = np.abs(along_y * np.cos(angle) + along_x * np.sin(angle))
    return np.asarray(agrees >= np.cos(np.radians(params.within_deg)) * np.hypot(along_y, along_x))


SOBEL = Sobel()
SCHARR = Scharr()
PREWITT = Prewitt()
FARID = Farid()
CANNY = Canny()

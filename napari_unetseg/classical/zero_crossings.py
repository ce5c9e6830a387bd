"""Edges where the second derivative passes through zero: Laplacian, LoG and DoG."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field
from scipy import ndimage

from .areas_between_edges import Mask
from .edge_detector import EdgeDetector, EdgeParams, outputs
from .gradients import SOBEL_OPERATOR, Image, gradient, norm
from .grey import intensity, smoothed
from .method import LEVELS_IN_3D, Levels
from .step import Pixels, View

#: Smoothings that a search tries, in px; second derivatives of unsmoothed images are mostly noise.
_SIGMAS_PX = (1.0, 2.0, 3.0, 5.0)

#: Crossings less steep than this part of the steepest are rounding.
_LEAST = 1e-5


class ZeroCrossingParams(EdgeParams):
    """Parameters of edges at zero crossings."""

    sigma_px: float = Field(
        2.0,
        ge=0.5,
        le=50,
        description="how much the image is blurred beforehand, in px (standard deviation of a "
        "Gaussian), about as wide as edges are; more leaves coarse outlines alone",
    )
    percent: float = Field(
        0.0,
        ge=0,
        le=100,
        description="edges are those that are steeper than this % of them; higher: fewer, the "
        "clearest ones; at 0 all are kept, and each is a closed curve",
    )
    in_3d: bool = Field(False, description=LEVELS_IN_3D)


class LaplacianParams(ZeroCrossingParams):
    """Parameters of the discrete Laplacian."""

    neighbours: Literal["4", "8"] = Field(
        "4",
        description="4: a pixel is compared with those left, right, above and below; 8: also with "
        "the diagonal ones, which follows slanting detail and grain more closely (in 3D 6 and 26)",
    )


class DogParams(ZeroCrossingParams):
    """Parameters of a difference of Gaussians."""

    ratio: float = Field(
        1.6,
        ge=1.1,
        le=5,
        description="how many times wider the second blur is than the first; higher: outlines of "
        "coarser structures",
    )


Z = TypeVar("Z", bound=ZeroCrossingParams)


class _ZeroCrossings(EdgeDetector[Z]):
    """Features are smoothed intensity and how steeply the response crosses zero, 0 elsewhere."""

    def features(self, view: View, params: Z) -> Pixels:
        """Return smoothed intensity and steepness of crossings, shape (2, …)."""
        smooth, response = self.response(view, intensity(view.pixels), params)
        return np.stack([smooth, zero_crossings(response)])

    @abstractmethod
    def response(self, view: View, grey: Image, params: Z) -> tuple[Image, Image]:
        """Return the image after smoothing, and a second derivative; shape of the view."""

    def thresholds(self, steepness: Image, params: Z) -> Sequence[float]:
        """Return the percentile of crossings."""
        crossings = steepness[steepness > 0]
        return (float(np.percentile(crossings, params.percent)) if crossings.size else np.inf,)

    def edges(self, features: Pixels, params: Z, levels: Levels) -> Mask:
        """Return the crossings that are steep enough."""
        steepness = features[1]
        return np.asarray((steepness > 0) & (steepness >= levels[1]))

    def relief(self, features: Pixels, levels: Levels) -> Image:
        """Return the gradient."""
        return norm(gradient(features[0], SOBEL_OPERATOR))

    def grid(self, views: Sequence[View]) -> Iterator[Z]:
        """Try smoothings, steepnesses, lines of several widths and areas of both polarities."""
        for sigma in _SIGMAS_PX:
            for percent in (0, 30, 50, 70, 85, 95):
                yield from outputs(self.params(sigma_px=sigma, percent=percent))


class Laplacian(_ZeroCrossings[LaplacianParams]):
    """Thin edges at the zero crossings of the discrete Laplacian.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 4th edition, Pearson 2018,
    sections 3.6 and 10.2.
    """

    name: ClassVar[str] = "laplacian"
    title: ClassVar[str] = "Laplacian edges"
    summary: ClassVar[str] = (
        "Thin edges in the middle of slopes of brightness (zero of the Laplacian), and what they "
        "bound."
    )
    good_for: ClassVar[str] = "Fine detail with little noise; outlines are closed curves."
    params = LaplacianParams

    def feature_key(self, params: LaplacianParams) -> tuple[object, ...]:
        """Add the neighbours."""
        return (*super().feature_key(params), params.neighbours)

    def response(self, view: View, grey: Image, params: LaplacianParams) -> tuple[Image, Image]:
        """Return the sum of differences to the neighbours; those along Z count less if farther."""
        smooth = smoothed(grey, view.per_axis(params.sigma_px))
        kernel = laplacian_kernel(view.ndim, diagonal=params.neighbours == "8", z_px=view.z_px)
        return smooth, np.asarray(ndimage.correlate(smooth, kernel, mode="reflect"))


class Log(_ZeroCrossings[ZeroCrossingParams]):
    """Thin edges at the zero crossings of the Laplacian of a Gaussian.

    References
    ----------
    D. Marr and E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society of London
    B 207 (1980) 187–217.
    """

    name: ClassVar[str] = "log"
    title: ClassVar[str] = "LoG edges"
    summary: ClassVar[str] = (
        "Thin edges in the middle of slopes of the blurred image (Laplacian of a Gaussian), and "
        "what they bound."
    )
    good_for: ClassVar[str] = "Soft outlines in noise; smoothing says how coarse they are."
    params = ZeroCrossingParams

    def response(self, view: View, grey: Image, params: ZeroCrossingParams) -> tuple[Image, Image]:
        """Return the sum of second derivatives of a Gaussian, as scipy does, in fewer passes."""
        smooth, bent = grey, np.zeros_like(grey)
        steps_px = (view.z_px, 1.0, 1.0)[-view.ndim :]
        for axis, sigma in enumerate(view.per_axis(params.sigma_px)):
            if axis > 0:
                bent = ndimage.gaussian_filter1d(bent, sigma, axis)
            bent += ndimage.gaussian_filter1d(smooth, sigma, axis, 2) / steps_px[axis] ** 2
            smooth = ndimage.gaussian_filter1d(smooth, sigma, axis)
        return smooth, bent


class Dog(_ZeroCrossings[DogParams]):
    """Thin edges at the zero crossings of a difference of Gaussians, the Mexican hat.

    References
    ----------
    D. Marr and E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society of London
    B 207 (1980) 187–217.
    """

    name: ClassVar[str] = "dog"
    title: ClassVar[str] = "DoG (Mexican hat)"
    summary: ClassVar[str] = (
        "Thin edges where a narrow and a wide blur agree (difference of Gaussians), and what they "
        "bound."
    )
    good_for: ClassVar[str] = "As LoG; a wider second blur takes coarser structures."
    params = DogParams

    def feature_key(self, params: DogParams) -> tuple[object, ...]:
        """Add the ratio."""
        return (*super().feature_key(params), params.ratio)

    def response(self, view: View, grey: Image, params: DogParams) -> tuple[Image, Image]:
        """Return the wide Gaussian less the narrow one, of the sign of the Laplacian."""
        narrow = smoothed(grey, view.per_axis(params.sigma_px))
        wide = smoothed(grey, view.per_axis(params.ratio * params.sigma_px))
        return narrow, wide - narrow


def laplacian_kernel(ndim: int, *, diagonal: bool, z_px: float = 1.0) -> Image:
    """Return the weights of the discrete Laplacian, shape (3,) · `ndim`; they add up to 0.

    >>> laplacian_kernel(2, diagonal=True)
    array([[ 1.,  1.,  1.],
           [ 1., -8.,  1.],
           [ 1.,  1.,  1.]])
    """
    distance = np.abs(np.indices((3,) * ndim) - 1)
    beside = distance.sum(axis=0)
    kernel = (beside > 0 if diagonal else beside == 1).astype(float)
    if ndim == 3:
        kernel[[0, 2]] /= z_px**2
    kernel[(1,) * ndim] = -kernel.sum()
    return np.asarray(kernel)


def zero_crossings(response: Image) -> Image:
    """Return how steeply an image passes through zero.

    Of two neighbours of opposite sign the one nearer to zero is the crossing; between them a zero.

    Parameters
    ----------
    response : ndarray, shape (Y, X) or (Z, Y, X), float

    Returns
    -------
    ndarray, shape of `response`
        Difference across the crossing, the largest of all axes; 0 where there is none.
    """
    steepness = np.zeros_like(response)
    signs = np.sign(response).astype(np.int8)
    for axis in range(response.ndim):
        values, sign, found = (np.moveaxis(a, axis, 0) for a in (response, signs, steepness))
        across = np.where(sign[1:] * sign[:-1] == -1, np.abs(values[1:] - values[:-1]), 0)
        first_nearer = np.abs(values[:-1]) <= np.abs(values[1:])
        np.maximum(found[:-1], np.where(first_nearer, across, 0), out=found[:-1])
        np.maximum(found[1:], np.where(first_nearer, 0, across), out=found[1:])
        through = (sign[1:-1] == 0) & (sign[2:] * sign[:-2] == -1)
        if through.any():
            across = np.where(through, np.abs(values[2:] - values[:-2]), 0)
            np.maximum(found[1:-1], across, out=found[1:-1])
    steepness[steepness < _LEAST * steepness.max(initial=0)] = 0
    return steepness


LAPLACIAN = Laplacian()
LOG = Log()
DOG = Dog()

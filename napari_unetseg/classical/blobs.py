"""Blobs: bright or dark spots of any size, found over a range of scales."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from napari_unetseg.config import Config

from .blob_overlap import without_overlaps
from .channels import grey_range, unit_range
from .cosine_space import CosineSpace, Image
from .grey import intensity
from .step import IN_3D, Kind, Labels, Method, View

Points = npt.NDArray[np.float64]

#: Scales per doubling of the radius; where a blob lies between them is interpolated.
_PER_OCTAVE = 3

#: Ratio of the two Gaussians of a DoG: D. Marr and E. Hildreth (1980) find it nearest to a LoG.
_DOG_RATIO = 1.6

#: Weaker responses are rounding errors.
_LEAST_CONTRAST = 1e-4


class BlobParams(Config):
    """Parameters that all blob detectors have."""

    foreground: Literal["bright", "dark"] = Field(
        "bright", description="are the blobs brighter or darker than what surrounds them"
    )
    min_radius_px: float = Field(
        4.0, ge=1, le=1000, description="radius of the smallest blobs that are looked for, in px"
    )
    max_radius_px: float = Field(
        20.0, ge=1, le=1000, description="radius of the largest blobs that are looked for, in px"
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.max_radius_px < self.min_radius_px:
            raise ValueError("max_radius_px must not be below min_radius_px")
        return self


class DohParams(BlobParams):
    """Parameters of detectors that look at all scales."""

    contrast_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="by how much a blob must differ from its surroundings, in % of the way from "
        "the darkest to the brightest grey value; higher: fewer, the clearest ones",
    )
    grey_value: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="the same as a difference of grey values, instead of in %",
    )
    overlap_percent: float = Field(
        30.0,
        ge=0,
        le=100,
        description="of two blobs the weaker is left out where more than this % of the smaller one "
        "lies in the other; higher: more that lie close together are kept",
    )


class ScaleParams(DohParams):
    """Parameters of those that look at volumes, too."""

    in_3d: bool = Field(False, description=IN_3D)


P = TypeVar("P", bound=BlobParams)
D = TypeVar("D", bound=DohParams)


class BlobMethod(Method[P]):
    """A method that finds blobs: as points with radii, and as objects."""

    family: ClassVar[str] = "Blobs"
    answers: ClassVar[Kind] = "objects"
    mixes_channels: ClassVar[bool] = True

    @abstractmethod
    def points(self, view: View, params: P) -> Points:
        """Find blobs.

        Returns
        -------
        ndarray, shape (n, 1 + number of axes), float64
            Centres in px of each axis, then the radius in px of Y and X; in the order of their ids,
            the clearest first.
        """


class _ScaleSpace(BlobMethod[D]):
    """Peaks, in space and over scales, of what a detector answers on the smoothed image.

    Answers are scaled such that they are the contrast of a disc, or a ball, that fits. Borders are
    mirrored.
    """

    def points(self, view: View, params: D) -> Points:
        """Find peaks, the clearest first."""
        grey = intensity(view.pixels)
        low, high = grey_range(grey)
        if low == high:
            return np.empty((0, view.ndim + 1))
        image = unit_range(grey, (low, high))
        if params.foreground == "dark":
            np.negative(image, out=image)
        least = params.contrast_percent / 100
        if params.grey_value is not None:
            least = params.grey_value / (high - low)
        spacing = [1 / steps for steps in view.per_axis(1.0)]
        space = CosineSpace(image, spacing)
        found = [
            _peaks(space, answers, radii, max(least, _LEAST_CONTRAST))
            for radii, answers in self._octaves(space, params)
        ]
        blobs = np.concatenate(found)
        in_range = (blobs[:, -2] >= params.min_radius_px) & (blobs[:, -2] <= params.max_radius_px)
        blobs = blobs[in_range]
        blobs = blobs[np.argsort(-blobs[:, -1], kind="stable")][:, :-1]
        return without_overlaps(blobs, spacing, params.overlap_percent / 100)

    def by_grey_value(self, view: View, params: D) -> dict[str, float]:
        """Return the least contrast as a difference of grey values."""
        low, high = grey_range(intensity(view.pixels))
        return {"grey_value": params.contrast_percent / 100 * (high - low)}

    def segment(self, view: View, params: D, prepared: Any = None) -> Labels:
        """Paint a disc, or a ball, for every blob."""
        return discs(self.points(view, params), view)

    @abstractmethod
    def answer(self, space: CosineSpace, sigma_px: float, grid: Sequence[int]) -> Image:
        """Return what the detector answers at a scale."""

    @abstractmethod
    def sigmas_per_radius(self, ndim: int) -> float:
        """Return the radius, in standard deviations, to which the detector answers most."""

    @abstractmethod
    def at_contrast_1(self, ndim: int) -> float:
        """Return what it answers there in the middle of a disc or ball of contrast 1."""

    def _octaves(
        self, space: CosineSpace, params: D
    ) -> Iterator[tuple[list[float], Callable[[float], Image]]]:
        """Yield a few radii at a time, those beside them included, and what is answered at each.

        What is answered in an octave is all on the same grid.
        """
        ndim = len(space.shape)
        ratio, unit = self.sigmas_per_radius(ndim), self.at_contrast_1(ndim)
        step = 2 ** (1 / _PER_OCTAVE)
        n = math.ceil(_PER_OCTAVE * math.log2(params.max_radius_px / params.min_radius_px)) + 1
        radii = [params.min_radius_px * step**i for i in range(-1, n + 1)]
        for first in range(0, n, _PER_OCTAVE):
            octave = radii[first : first + _PER_OCTAVE + 2]
            grid = space.grid(octave[0] / ratio)
            yield octave, partial(self._scaled_answer, space, grid, ratio, unit)

    def _scaled_answer(
        self, space: CosineSpace, grid: Sequence[int], ratio: float, unit: float, radius: float
    ) -> Image:
        answered = self.answer(space, radius / ratio, grid)
        answered /= np.float32(unit)
        return answered


class BlobLog(_ScaleSpace[ScaleParams]):
    """Peaks of the scale-normalised Laplacian of Gaussians.

    References
    ----------
    T. Lindeberg, "Feature detection with automatic scale selection", International Journal of
    Computer Vision 30 (1998) 79–116.
    """

    name: ClassVar[str] = "blob_log"
    title: ClassVar[str] = "Blobs (LoG)"
    summary: ClassVar[str] = "Finds round spots between two sizes, each as a disc of its radius."
    good_for: ClassVar[str] = (
        "Counting nuclei, vesicles or spots that are round and may touch, whatever their size."
    )
    params = ScaleParams

    def answer(self, space: CosineSpace, sigma_px: float, grid: Sequence[int]) -> Image:
        """Return −σ² times the Laplacian."""
        scaled = space.square_frequency(grid) * np.float32(sigma_px**2)
        return space.image_of(scaled * np.exp(scaled * np.float32(-0.5)), grid)

    def sigmas_per_radius(self, ndim: int) -> float:
        """Return √2 for discs, √3 for balls."""
        return math.sqrt(ndim)

    def at_contrast_1(self, ndim: int) -> float:
        """Return a² exp(−a² / 2) for discs, √(2 / π) a³ exp(−a² / 2) for balls, of radius a σ."""
        a = self.sigmas_per_radius(ndim)
        return (1 if ndim == 2 else math.sqrt(2 / math.pi)) * a**ndim * math.exp(-(a**2) / 2)


class BlobDog(_ScaleSpace[ScaleParams]):
    """Peaks of the difference of two Gaussians.

    References
    ----------
    D. Marr and E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society of London
    B 207 (1980) 187–217; over scales: D. G. Lowe, "Distinctive image features from scale-invariant
    keypoints", International Journal of Computer Vision 60 (2004) 91–110.
    """

    name: ClassVar[str] = "blob_dog"
    title: ClassVar[str] = "Blobs (DoG)"
    summary: ClassVar[str] = "Finds round spots that differ from a ring around them."
    good_for: ClassVar[str] = (
        "The same spots as the Laplacian of Gaussian finds, where they stand closer together."
    )
    params = ScaleParams

    def answer(self, space: CosineSpace, sigma_px: float, grid: Sequence[int]) -> Image:
        """Return the image after the narrow Gaussian minus that after the wide one."""
        scaled = space.square_frequency(grid) * np.float32(-(sigma_px**2) / 2)
        return space.image_of(np.exp(scaled) - np.exp(scaled * np.float32(_DOG_RATIO**2)), grid)

    def sigmas_per_radius(self, ndim: int) -> float:
        """Return √(2 d ln k / (1 − k⁻²)) for d axes and a ratio of k."""
        return math.sqrt(2 * ndim * math.log(_DOG_RATIO) / (1 - _DOG_RATIO**-2))

    def at_contrast_1(self, ndim: int) -> float:
        """Return the difference in the middle."""
        a = self.sigmas_per_radius(ndim)
        return _middle(a, ndim) - _middle(a / _DOG_RATIO, ndim)


class BlobDoh(_ScaleSpace[DohParams]):
    """Peaks of the scale-normalised determinant of the Hessian, of slices.

    Twice its root is looked at, which is as large as the Laplacian where a spot is round, and small
    along lines and edges.

    References
    ----------
    T. Lindeberg, "Feature detection with automatic scale selection", International Journal of
    Computer Vision 30 (1998) 79–116.
    """

    name: ClassVar[str] = "blob_doh"
    title: ClassVar[str] = "Blobs (DoH)"
    summary: ClassVar[str] = "Finds round spots, and passes over lines and edges; on slices alone."
    good_for: ClassVar[str] = (
        "Round spots among fibres, membranes or scratches that other blob detectors answer to."
    )
    params = DohParams

    def answer(self, space: CosineSpace, sigma_px: float, grid: Sequence[int]) -> Image:
        """Return 2 σ² √(Lyy Lxx − Lxy²) where the image is a hill, 0 elsewhere."""
        y, x = space.frequencies(grid)
        scale = np.float32(sigma_px**2)
        gain = scale * np.exp((y**2 + x**2) * (scale / np.float32(-2)))
        along_y, along_x = space.image_of(gain * y**2, grid), space.image_of(gain * x**2, grid)
        across = space.mixed_derivative_of(gain, grid)
        determinant = along_y * along_x - across**2
        determinant[(along_y + along_x <= 0) | (determinant < 0)] = 0
        return np.asarray(2 * np.sqrt(determinant, out=determinant))

    def sigmas_per_radius(self, ndim: int) -> float:
        """Return √2."""
        return math.sqrt(2)

    def at_contrast_1(self, ndim: int) -> float:
        """Return 2 / e."""
        return 2 / math.e


def _middle(a: float, ndim: int) -> float:
    """Return a disc or ball of radius `a` σ and contrast 1 after a Gaussian, in its middle."""
    if ndim == 2:
        return 1 - math.exp(-(a**2) / 2)
    return math.erf(a / math.sqrt(2)) - math.sqrt(2 / math.pi) * a * math.exp(-(a**2) / 2)


def _peaks(
    space: CosineSpace, answer: Callable[[float], Image], radii: Sequence[float], least: float
) -> Points:
    """Return peaks at all radii but the first and last: centre, radius, contrast."""
    answers = [answer(radius) for radius in radii]
    highest = [_highest_beside(one) for one in answers]
    grid = answers[0].shape
    found = [np.empty((0, len(grid) + 2))]
    for i in range(1, len(radii) - 1):
        here = answers[i]
        is_peak = (here > least) & (here == highest[i])
        is_peak &= (here >= highest[i - 1]) & (here >= highest[i + 1])
        # Ten times as fast as where NumPy looks for positions on several axes.
        at = np.stack(np.unravel_index(np.flatnonzero(is_peak), grid), axis=1)
        values = here[is_peak]
        before, after = (beside[is_peak] for beside in (answers[i - 1], answers[i + 1]))
        centres = [at[:, axis] + _vertex(here, at, axis) for axis in range(at.shape[1])]
        radius = radii[i] * 2 ** (_parabola(before, values, after) / _PER_OCTAVE)
        found.append(
            np.column_stack([space.in_px(np.stack(centres, axis=1), grid), radius, values])
        )
    return np.concatenate(found)


def _highest_beside(image: Image) -> Image:
    """Return the highest value of each pixel and all around it, diagonally as well."""
    for axis in range(image.ndim):
        source, image = np.moveaxis(image, axis, 0), image.copy()
        target = np.moveaxis(image, axis, 0)
        np.maximum(target[1:], source[:-1], out=target[1:])
        np.maximum(target[:-1], source[1:], out=target[:-1])
    return image


def _vertex(image: Image, at: npt.NDArray[np.intp], axis: int) -> npt.NDArray[np.float64]:
    """Return by how much peaks at `at`, shape (n, axes), lie off their pixel along an axis."""
    last = image.shape[axis] - 1
    before, after = at.copy(), at.copy()
    before[:, axis] = np.maximum(before[:, axis] - 1, 0)
    after[:, axis] = np.minimum(after[:, axis] + 1, last)
    values = (image[tuple(where.T)] for where in (before, at, after))
    offset = _parabola(*values)
    offset[(at[:, axis] == 0) | (at[:, axis] == last)] = 0
    return offset


def _parabola(before: Image, here: Image, after: Image) -> npt.NDArray[np.float64]:
    """Return where the parabola through three values has its vertex, from −0.5 to 0.5."""
    before, here, after = (one.astype(float) for one in (before, here, after))
    bend = before - 2 * here + after
    offset = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend != 0)
    return np.asarray(np.clip(offset, -0.5, 0.5))


def discs(blobs: Points, view: View) -> npt.NDArray[np.uint32]:
    """Paint a disc or ball for every blob; where they overlap, the first is on top.

    Returns
    -------
    ndarray, shape of the view, uint32
        Blob i has id i + 1.
    """
    ids = np.zeros(view.shape, np.uint32)
    for number in range(len(blobs), 0, -1):
        *centre, radius = blobs[number - 1]
        reach = view.per_axis(radius)
        window = tuple(
            slice(max(0, math.ceil(c - r)), min(length, math.floor(c + r) + 1))
            for c, r, length in zip(centre, reach, view.shape, strict=True)
        )
        away = np.ix_(
            *(
                ((np.arange(part.start, part.stop) - c) / r) ** 2
                for part, c, r in zip(window, centre, reach, strict=True)
            )
        )
        ids[window][np.asarray(sum(away)) <= 1] = number
    return ids


BLOB_LOG = BlobLog()
BLOB_DOG = BlobDog()
BLOB_DOH = BlobDoh()

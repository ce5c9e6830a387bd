"""Pieces that touch, split into objects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import Config

from .shapes import Mask, each
from .step import IN_3D, Labels, Refinement, View
from .threads import cores, in_bands, parts_pool

#: How far a band of an image sees beyond itself, in steps of its first axis.
_SEEN_PX = 64


class SplitParams(Config):
    """Parameters of splitting."""

    min_distance_px: float = Field(
        8.0,
        ge=1,
        le=500,
        description="middles of objects are at least this far apart, in px: about the radius of "
        "the smallest; higher splits less",
    )
    sigma_px: float = Field(
        1.0,
        ge=0,
        le=50,
        description="how much unevenness of outlines is ignored, in px (standard deviation of a "
        "Gaussian on the depth within pieces); higher splits less",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Split(Refinement[SplitParams]):
    """Objects of pieces that touch: a watershed of how deep pixels lie within their class.

    Objects grow from where pixels lie deepest. Those of different classes, or ids, stay apart.

    References
    ----------
    S. Beucher and C. Lantuéjoul, "Use of watersheds in contour detection", International Workshop
    on Image Processing (1979); L. Vincent and P. Soille, "Watersheds in digital spaces: an
    efficient algorithm based on immersion simulations", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 13 (1991) 583–598.
    """

    name: ClassVar[str] = "split"
    title: ClassVar[str] = "Split touching pieces"
    family: ClassVar[str] = "Refinement"
    summary: ClassVar[str] = "Makes objects, cutting pieces where they are narrow."
    good_for: ClassVar[str] = (
        "Round structures that touch, such as nuclei; to count or measure them."
    )
    params = SplitParams
    answers: ClassVar[Literal["objects"] | None] = "objects"
    previews_part: ClassVar[bool] = True

    def apply(self, labels: Labels, view: View, params: SplitParams) -> npt.NDArray[np.uint32]:
        """Return ids of objects, from 1."""
        ids = np.zeros(labels.shape, np.uint32)
        last = 0
        for value, window in each(labels, (1,) * labels.ndim):
            shape = labels[window] == value
            depth = depth_in(shape, view, params.sigma_px)
            seeds = seeds_in(shape, depth, view.per_axis(params.min_distance_px))
            found = flooded(depth, seeds, shape)
            ids[window][shape] = found[shape] + last
            last += int(seeds.max())
        return ids


def depth_in(shape: Mask, view: View, sigma_px: float) -> npt.NDArray[np.float32]:
    """Return how far pixels lie from what is not of the shape, in px, smoothed.

    What lies beyond the image is taken to be of the shape.
    """
    if shape.all():
        return np.ones(shape.shape, np.float32)
    steps = view.per_axis(1.0)
    depth = _distance(shape, [1 / step for step in steps])
    sigmas = view.per_axis(sigma_px)
    smooth = in_bands(
        lambda part: ndimage.gaussian_filter(part, sigmas, mode="nearest"),
        depth,
        int(4 * sigmas[0] + 0.5),
    )
    # Of a ridge that is even, no pixel is deeper than others by an error of rounding.
    return np.asarray(smooth.round(2))


def _distance(shape: Mask, steps: Sequence[float]) -> npt.NDArray[np.float32]:
    """Return how far pixels lie from what is not of the shape.

    In bands, where no depth reaches beyond what a band sees: then it is that of the whole.
    """

    def of_part(part: Mask) -> npt.NDArray[np.float32]:
        # Without any ground, SciPy measures from a pixel beyond the image.
        if part.all():
            return np.full(part.shape, np.inf, np.float32)
        return np.asarray(ndimage.distance_transform_edt(part, steps), np.float32)

    found = in_bands(of_part, shape, _SEEN_PX)
    return found if found.max() <= _SEEN_PX * steps[0] else of_part(shape)


def seeds_in(
    shape: Mask, depth: npt.NDArray[np.float32], distance: tuple[float, ...]
) -> npt.NDArray[np.int32]:
    """Give numbers to where a shape is deepest: once in each of its pieces at least."""
    touching = np.ones((3,) * shape.ndim, bool)
    size = [2 * int(along) + 1 for along in distance]
    around = in_bands(
        lambda part: ndimage.maximum_filter(part, size, mode="nearest"), depth, size[0] // 2
    )
    deepest = (depth == around) & shape
    pieces, n = ndimage.label(shape, touching)
    is_without = np.ones(n + 1, bool)
    is_without[0] = False
    is_without[pieces[deepest]] = False
    if is_without.any():
        # The first of the deepest pixels of each piece, in the order of rows.
        where = np.flatnonzero(is_without[pieces])
        order = np.lexsort((where, -depth.flat[where], pieces.flat[where]))
        of = pieces.flat[where[order]]
        deepest.flat[where[order][np.flatnonzero(np.diff(of, prepend=0))]] = True
    return np.asarray(ndimage.label(deepest, touching)[0], np.int32)


def flooded(
    depth: npt.NDArray[np.float32], seeds: npt.NDArray[np.int32], shape: Mask
) -> npt.NDArray[np.int32]:
    """Return a watershed of the depth from seeds, within a shape.

    Only pieces with several seeds are flooded, on all cores: no piece hears of another.
    """
    from skimage.segmentation import watershed

    pieces, n = ndimage.label(shape)
    at = np.flatnonzero(seeds)
    of = np.unique(np.stack([pieces.flat[at], seeds.flat[at]]), axis=1)
    only = np.zeros(n + 1, np.int32)
    only[of[0]] = of[1]
    is_shared = np.bincount(of[0], minlength=n + 1) > 1
    only[is_shared] = 0
    found = only[pieces]
    n_px = np.bincount(pieces.ravel(), minlength=n + 1) * is_shared
    group = np.where(is_shared, np.cumsum(n_px) * cores() // (n_px.sum() + 1), -1)
    in_group = group.astype(np.int8)[pieces]

    def flood(number: int) -> None:
        mask = in_group == number
        rows = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
        if rows.size:
            part = slice(rows[0], rows[-1] + 1)
            inside = mask[part]
            answer = watershed(-depth[part], seeds[part] * inside, mask=inside)  # type: ignore[no-untyped-call]
            found[part][inside] = answer[inside]

    list(parts_pool().map(flood, range(cores())))
    _join_at_corners(found, pieces)
    return np.asarray(found)


def _join_at_corners(found: npt.NDArray[np.int32], pieces: npt.NDArray[np.int32]) -> None:
    """Let pieces without a seed join an object that touches them at a corner; modifies `found`."""
    left = np.argwhere((found == 0) & (pieces > 0))
    corners = np.array(list(itertools.product((-1, 0, 1), repeat=found.ndim)))
    joins = np.zeros(int(pieces.max()) + 1, np.int32)
    while len(left):
        around = np.clip(left[:, np.newaxis] + corners, 0, np.array(found.shape) - 1)
        beside = found[tuple(np.moveaxis(around, -1, 0))].max(axis=1)
        if not beside.any():
            return
        of = pieces[tuple(left.T)]
        np.maximum.at(joins, of, beside)
        found[tuple(left.T)] = joins[of]
        left = left[joins[of] == 0]


SPLIT = Split()

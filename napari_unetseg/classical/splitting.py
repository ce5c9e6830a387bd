"""Pieces that touch, split into objects."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from napari_unetseg.config import Config

from .shapes import Mask, each
from .step import IN_3D, Labels, Refinement, View


class SplitParams(Config):
    """Parameters of splitting."""

    min_distance_px: float = Field(
        8.0, ge=1, le=500, description="middles of objects are at least this far apart, in px"
    )
    sigma_px: float = Field(
        1.0, ge=0, le=50, description="smoothing of the depth within pieces; more splits less"
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

    def apply(self, labels: Labels, view: View, params: SplitParams) -> npt.NDArray[np.uint32]:
        """Return ids of objects, from 1."""
        from skimage.segmentation import watershed

        ids = np.zeros(labels.shape, np.uint32)
        last = 0
        for value, window in each(labels, (1,) * labels.ndim):
            shape = labels[window] == value
            depth = depth_in(shape, view, params.sigma_px)
            seeds = seeds_in(shape, depth, view.per_axis(params.min_distance_px))
            found = watershed(-depth, seeds, mask=shape)  # type: ignore[no-untyped-call]
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
    depth = ndimage.distance_transform_edt(shape, [1 / step for step in steps])
    smooth = ndimage.gaussian_filter(
        np.asarray(depth, np.float32), view.per_axis(sigma_px), mode="nearest"
    )
    # Of a ridge that is even, no pixel is deeper than others by an error of rounding.
    return np.asarray(smooth.round(2))


def seeds_in(
    shape: Mask, depth: npt.NDArray[np.float32], distance: tuple[float, ...]
) -> npt.NDArray[np.int32]:
    """Give numbers to where a shape is deepest: once in each of its pieces at least."""
    touching = np.ones((3,) * shape.ndim, bool)
    size = [2 * int(along) + 1 for along in distance]
    deepest = (depth == ndimage.maximum_filter(depth, size, mode="nearest")) & shape
    pieces, n = ndimage.label(shape, touching)
    without = np.setdiff1d(np.arange(1, n + 1), pieces[deepest])
    if without.size:
        for position in ndimage.maximum_position(depth, pieces, without):
            deepest[position] = True
    return np.asarray(ndimage.label(deepest, touching)[0], np.int32)


SPLIT = Split()

"""Steps that better masks and objects: holes, small pieces, outlines, touching pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import Config

from .shapes import (
    Mask,
    Window,
    closed,
    compact,
    each,
    ground_of,
    holes_in,
    opened,
    prevailing,
    reshaped,
)
from .step import IN_3D, Labels, Refinement, View

_FAMILY = "Refinement"


class FillHolesParams(Config):
    """Parameters of filling holes."""

    max_area_px: int = Field(
        100,
        ge=0,
        le=10_000_000,
        description="the largest hole that is filled, in pixels, in 3D in voxels; higher fills "
        "more; 0: all are filled, so also all cells that membranes enclose",
    )
    in_3d: bool = Field(False, description=IN_3D)


class FillHoles(Refinement[FillHolesParams]):
    """Background that a class, or an object, encloses becomes part of it.

    What touches the edge of the image by its side is no hole. Where shapes enclose each other, the
    innermost fills its hole.

    References
    ----------
    P. Soille, Morphological Image Analysis (Springer, 2003), section 6.3.7.
    """

    name: ClassVar[str] = "fill_holes"
    title: ClassVar[str] = "Fill holes"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Fills what a class or an object encloses."
    good_for: ClassVar[str] = (
        "Structures of which only the rim, or not all of the middle, is found."
    )
    params = FillHolesParams

    def apply(self, labels: Labels, view: View, params: FillHolesParams) -> Labels:
        """Fill holes with what is around them."""
        out = labels.copy()
        largest = params.max_area_px or labels.size
        smallest = np.full(labels.shape, largest + 1, np.int64)
        for value, window in each(labels):
            holes = holes_in(labels[window] == value)
            if not holes.any():
                continue
            areas = np.bincount(holes.ravel())[holes]
            part = smallest[window]
            fills = (holes > 0) & (areas < part) & (labels[window] == ground_of(labels))
            part[fills] = areas[fills]
            out[window][fills] = value
        return out


class RemoveSmallParams(Config):
    """Parameters of removing what is small."""

    min_area_px: int = Field(
        64,
        ge=0,
        le=10_000_000,
        description="pieces of fewer pixels, in 3D of fewer voxels, become background; higher "
        "removes more",
    )
    in_3d: bool = Field(False, description=IN_3D)


class RemoveSmall(Refinement[RemoveSmallParams]):
    """Pieces of classes, or objects, that are too small become background.

    Pixels of a class that touch, by a side or a corner, are one piece.

    References
    ----------
    P. Soille, Morphological Image Analysis (Springer, 2003), section 4.4.
    """

    name: ClassVar[str] = "remove_small"
    title: ClassVar[str] = "Remove small pieces"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Turns pieces that are too small into background."
    good_for: ClassVar[str] = "Specks of noise and dirt beside structures that are larger."
    params = RemoveSmallParams

    def apply(self, labels: Labels, view: View, params: RemoveSmallParams) -> Labels:
        """Remove small pieces of codes, or small ids."""
        return _without(labels, lambda areas: areas < params.min_area_px)


class KeepLargestParams(Config):
    """Parameters of keeping the largest."""

    n: int = Field(1, ge=1, le=1000, description="how many pieces of each class stay")
    in_3d: bool = Field(False, description=IN_3D)


class KeepLargest(Refinement[KeepLargestParams]):
    """The largest pieces of each class, or the largest objects; all else becomes background.

    References
    ----------
    A. Rosenfeld and J. L. Pfaltz, "Sequential operations in digital picture processing", Journal of
    the ACM 13 (1966) 471–494.
    """

    name: ClassVar[str] = "keep_largest"
    title: ClassVar[str] = "Keep the largest"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Keeps the largest piece, or pieces, of each class."
    good_for: ClassVar[str] = "One organ, embryo or cell per image."
    params = KeepLargestParams

    def apply(self, labels: Labels, view: View, params: KeepLargestParams) -> Labels:
        """Remove all but the largest; of pieces as large, the first stays."""

        def others(areas: npt.NDArray[np.int64]) -> Mask:
            removed = np.ones(len(areas), np.bool_)
            removed[np.argsort(-areas, kind="stable")[: params.n]] = False
            return removed

        return _without(labels, others)


class SmoothParams(Config):
    """Parameters of smoothing outlines."""

    sigma_px: float = Field(
        1.0,
        ge=0,
        le=50,
        description="how far around a pixel is looked, in px (standard deviation of a Gaussian); "
        "higher: rounder outlines, and what is narrower goes; 0 for none",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Smooth(Refinement[SmoothParams]):
    """Every pixel gets the class, or the object, that prevails around it, weighed by a Gaussian.

    References
    ----------
    B. Merriman, J. K. Bence and S. J. Osher, "Motion of multiple junctions: a level set approach",
    Journal of Computational Physics 112 (1994) 334–363.
    """

    name: ClassVar[str] = "smooth"
    title: ClassVar[str] = "Smooth outlines"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Gives each pixel the class that prevails around it."
    good_for: ClassVar[str] = "Ragged outlines and single pixels; not for thin structures."
    params = SmoothParams

    def apply(self, labels: Labels, view: View, params: SmoothParams) -> Labels:
        """Smooth all classes or objects at once."""
        if params.sigma_px == 0:
            return labels.copy()
        return prevailing(labels, view.per_axis(params.sigma_px))


class RadiusParams(Config):
    """Parameters of opening and closing."""

    radius_px: float = Field(
        1.0,
        ge=0,
        le=200,
        description="radius of the disc, or in 3D of the ball, in px; higher: more is narrower "
        "than it, and changes",
    )
    in_3d: bool = Field(False, description=IN_3D)


class Open(Refinement[RadiusParams]):
    """Of each class, or object, all stays where a disc fits in.

    References
    ----------
    J. Serra, Image Analysis and Mathematical Morphology (Academic Press, 1982), chapter II.
    """

    name: ClassVar[str] = "open"
    title: ClassVar[str] = "Open"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Removes what is narrower than a disc."
    good_for: ClassVar[str] = "Thin bridges between structures, and hairs that stand off them."
    params = RadiusParams

    def apply(self, labels: Labels, view: View, params: RadiusParams) -> Labels:
        """Open each class or object."""
        radii = view.per_axis(params.radius_px)

        def change(shape: Mask, window: Window) -> Mask:
            return opened(shape, radii)

        return reshaped(labels, tuple(int(radius) + 1 for radius in radii), change)


class Close(Refinement[RadiusParams]):
    """Each class, or object, gets the background into which no disc fits.

    References
    ----------
    J. Serra, Image Analysis and Mathematical Morphology (Academic Press, 1982), chapter II.
    """

    name: ClassVar[str] = "close"
    title: ClassVar[str] = "Close"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Fills gaps that are narrower than a disc."
    good_for: ClassVar[str] = "Interrupted membranes and outlines, and clefts."
    params = RadiusParams

    def apply(self, labels: Labels, view: View, params: RadiusParams) -> Labels:
        """Close each class or object."""
        radii = view.per_axis(params.radius_px)

        def change(shape: Mask, window: Window) -> Mask:
            return closed(shape, radii)

        return reshaped(labels, tuple(2 * int(radius) + 2 for radius in radii), change)


def _without(labels: Labels, chosen: Callable[[npt.NDArray[np.int64]], Mask]) -> Labels:
    """Return labels without some pieces of each class, or some objects.

    Parameters
    ----------
    chosen : callable
        Given the areas in px of the pieces of a class, or of all objects, returns which go.
    """
    out = labels.copy()
    for window, pieces in _numbered(labels):
        areas = np.bincount(pieces.ravel())
        removed = np.concatenate([[False], chosen(areas[1:])])
        out[window][np.take(removed, pieces)] = ground_of(labels)
    return out


def _numbered(labels: Labels) -> Iterator[tuple[Window, npt.NDArray[Any]]]:
    """Yield the pieces of each class, or all objects, with numbers from 1; 0 elsewhere.

    Pixels that touch by a side, an edge or a corner are one piece.
    """
    if labels.dtype != np.uint8:
        yield (slice(None),) * labels.ndim, compact(labels)[0]
        return
    from skimage.measure import label

    for value, window in each(labels):
        of_class = labels[window] == value
        yield window, label(of_class, connectivity=labels.ndim)  # type: ignore[no-untyped-call]


FILL_HOLES = FillHoles()
REMOVE_SMALL = RemoveSmall()
SMOOTH = Smooth()
OPEN = Open()
CLOSE = Close()
KEEP_LARGEST = KeepLargest()

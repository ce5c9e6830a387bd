"""What proofreading a segmentation comes down to: each is one step of the history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import (
    SmallPieces,
    Superpixels,
    bridge_along,
    covered_by_brush,
    cut_along,
    enclosed_by,
    grow,
    hole_at,
    piece_at,
    pixels_along,
    small_pieces,
    smooth_piece,
    smooth_under,
)
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

from .image_entry import ImageEntry
from .slots import Codes
from .workspace import Workspace

Mask = npt.NDArray[np.bool_]
Point = tuple[int, int]
Path = npt.NDArray[np.float64]

#: How far an area grows, in widths of the brush.
_REACH = 5
#: The Gaussian that smooths an outline, in widths of the brush.
_SIGMA = 0.2
_MIN_SIGMA_PX = 1.0
#: Slices whose superpixels are remembered.
_N_REMEMBERED = 8


class Proofreading:
    """Changes the segmentation shown, by annotating the pixels that are to be others.

    What a person painted stays, but for the piece, the hole, or the part under the brush that an
    operation is about. Outside the region of interest nothing changes. Places are (y, x) in px of a
    slice, and paths of them have shape (n, 2). What changes something returns how many pixels, and
    raises `UserError` where nothing can be meant.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._grey: tuple[Stack, int, npt.NDArray[np.float32]] | None = None
        self._superpixels: OrderedDict[tuple[str, int, int], tuple[Stack, Superpixels]]
        self._superpixels = OrderedDict()

    # ------------------------------------------------------- by grey values

    def superpixels(self, image_id: str, plane: int, path: Path, width_px: float) -> Mask:
        """Return the superpixels along a path; see `annotations.Superpixels`."""
        entry = self._workspace.images[image_id]
        key = image_id, plane, round(width_px)
        stack, divided = self._superpixels.pop(key, (None, None))
        if divided is None or stack is not entry.stack:
            divided = Superpixels(self._grey_of(entry, plane), width_px)
        self._superpixels[key] = entry.stack, divided
        if len(self._superpixels) > _N_REMEMBERED:
            self._superpixels.popitem(last=False)
        claimed = np.zeros(entry.shape[1:], bool)
        for y, x in zip(*pixels_along(path, entry.stack.plane_shape), strict=True):
            if not claimed[y, x]:
                window, area = divided.at((int(y), int(x)))
                claimed[window] |= area
        return claimed

    def claim(self, image_id: str, plane: int, path: Path, code: int, width_px: float) -> int:
        """Annotate what is unlabelled of the superpixels along a path."""
        claimed = self.superpixels(image_id, plane, path, width_px)
        return self._annotate(image_id, plane, claimed, code, "claiming")

    def grow(self, image_id: str, plane: int, point: Point, code: int, width_px: float) -> int:
        """Annotate an area of similar grey values; it stops at what is annotated otherwise."""
        entry = self._workspace.images[image_id]
        codes = entry.codes[plane]
        free = entry.allowed(plane) & ((codes == UNLABELLED) | (codes == code))
        if not free[point]:
            raise UserError(
                "This pixel is annotated otherwise, or outside the region of interest; "
                "paint over it with the brush."
            )
        area = grow(self._grey_of(entry, plane), point, free, _REACH * width_px)
        return self._annotate(image_id, plane, area, code, "growing")

    # ------------------------------------------------------------- outlines

    def smooth_piece(self, image_id: str, plane: int, point: Point, width_px: float) -> int:
        """Round the piece off that a pixel belongs to; pixels painted beside it stay."""
        entry = self._workspace.images[image_id]
        shown, piece = self._piece(entry, plane, point)
        kept = (entry.codes[plane] != UNLABELLED) & ~piece
        after = smooth_piece(shown, piece, _sigma(width_px), kept)
        return self._show(entry, plane, after, "smoothing")

    def smooth_under(self, image_id: str, plane: int, path: Path, width_px: float) -> int:
        """Round off what lies under a brush."""
        entry = self._workspace.images[image_id]
        covered = covered_by_brush(path, width_px, entry.stack.plane_shape)
        after = smooth_under(entry.segmentation(plane), covered, _sigma(width_px))
        return self._show(entry, plane, after, "smoothing")

    # --------------------------------------------------------------- pieces

    def fill_holes(self, image_id: str, plane: int, point: Point) -> int:
        """Fill the holes of a piece where nothing is painted in them, or one hole altogether.

        Parameters
        ----------
        point : tuple of int
            On the piece, or in the hole. Other classes in it stay either way.
        """
        entry = self._workspace.images[image_id]
        shown = entry.segmentation(plane)
        if shown[point] > BACKGROUND:
            holes = enclosed_by(piece_at(shown, point)) & (entry.codes[plane] == UNLABELLED)
            code = int(shown[point])
        else:
            found = hole_at(shown, point)
            if found is None:
                raise UserError("Click on a piece that has holes, or into a hole of one.")
            holes, code = found
        shown[holes & (shown <= BACKGROUND)] = code
        return self._show(entry, plane, shown, "filling holes")

    def delete_piece(self, image_id: str, plane: int, point: Point) -> int:
        """Make the piece that a pixel belongs to background."""
        entry = self._workspace.images[image_id]
        shown, piece = self._piece(entry, plane, point)
        shown[piece] = BACKGROUND
        return self._show(entry, plane, shown, "deleting a piece")

    def split(self, image_id: str, plane: int, path: Path) -> int:
        """Cut a piece along a line with background, as thinly as can be."""
        entry = self._workspace.images[image_id]
        shown = entry.segmentation(plane)
        cut = cut_along(shown, path)
        if cut is None:
            raise UserError("The line crosses no class; drag it across what is to be cut.")
        shown[cut] = BACKGROUND
        return self._show(entry, plane, shown, "cutting")

    def join(self, image_id: str, plane: int, path: Path, width_px: float) -> int:
        """Fill the gap between two pieces of a class along a line; other classes in it stay."""
        entry = self._workspace.images[image_id]
        shown = entry.segmentation(plane)
        bridge = bridge_along(shown, path, width_px)
        if bridge is None:
            raise UserError("Drag the line from one piece to another of the same class.")
        gap, code = bridge
        shown[gap] = code
        return self._show(entry, plane, shown, "joining")

    def small_pieces(self, image_id: str, plane: int, below_px: int) -> SmallPieces:
        """Find the pieces of a slice that `delete_small` would delete."""
        entry = self._workspace.images[image_id]
        # Outside the region only what is painted is shown, and that stays.
        return small_pieces(entry.segmentation(plane), below_px, entry.codes[plane] != UNLABELLED)

    def delete_small(self, image_id: str, planes: Sequence[int], below_px: int) -> int:
        """Make pieces of fewer pixels background, unless something of them is painted."""
        entry = self._workspace.images[image_id]

        def after() -> Iterator[tuple[int, Codes]]:
            for p in planes:
                small = self.small_pieces(image_id, p, below_px)
                if small.n:
                    yield p, np.where(small.where, np.uint8(BACKGROUND), entry.codes[p])

        return self._workspace.rewrite(image_id, after(), "deleting small pieces")

    # -------------------------------------------------------------- writing

    def _piece(self, entry: ImageEntry, plane: int, point: Point) -> tuple[Codes, Mask]:
        """Return what is shown of a slice, and the piece of a class that a pixel belongs to."""
        shown = entry.segmentation(plane)
        if shown[point] <= BACKGROUND:
            raise UserError("There is no class under the pointer; click on a piece of one.")
        return shown, piece_at(shown, point)

    def _annotate(self, image_id: str, plane: int, where: Mask, code: int, label: str) -> int:
        """Annotate what is unlabelled of an area."""
        if code == UNLABELLED:
            raise UserError("Choose a class to paint with first.")
        codes = self._workspace.images[image_id].codes[plane]
        after = np.where(where & (codes == UNLABELLED), np.uint8(code), codes)
        return self._workspace.rewrite(image_id, [(plane, after)], label)

    def _show(self, entry: ImageEntry, plane: int, after: Codes, label: str) -> int:
        """Annotate the pixels that are to be shown as something else."""
        changed = after != entry.segmentation(plane)
        # Where nothing is annotated, a prediction would come to light.
        predicted = entry.slots.shown_as[entry.prediction[plane]] != UNLABELLED
        meant = np.where(predicted, np.maximum(after, BACKGROUND), after)
        codes = np.where(changed, meant, entry.codes[plane]).astype(np.uint8)
        return self._workspace.rewrite(entry.id, [(plane, codes)], label)

    def _grey_of(self, entry: ImageEntry, plane: int) -> npt.NDArray[np.float32]:
        """Return the mean of all channels of a slice; that of the last one is remembered."""
        if self._grey is None or self._grey[0] is not entry.stack or self._grey[1] != plane:
            pixels = np.asarray(entry.stack.plane(plane), np.float32)
            grey = np.nan_to_num(pixels).mean(axis=0)
            self._grey = entry.stack, plane, grey
        return self._grey[2]


def _sigma(width_px: float) -> float:
    return max(_MIN_SIGMA_PX, _SIGMA * width_px)

"""What slices take from those beside them: copied, interpolated, propagated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_unetseg.annotations import fill_unlabelled, follow, interpolate, pieces_with
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError

from .image_entry import ImageEntry
from .progress import slice_name
from .slots import Codes
from .workspace import Workspace


@dataclass(frozen=True, slots=True)
class Propagated:
    """What became of pieces that were followed through slices.

    Attributes
    ----------
    n_px : int
        That were annotated.
    n_slices : int
        Through which something was followed.
    n_outgrown : int
        Pieces that were left where they more than doubled.
    """

    n_px: int
    n_slices: int
    n_outgrown: int


class SlicesBeside:
    """Annotates slices from those beside them, each time as one step.

    What is painted stays, and outside the region of interest nothing changes. Slices are those of
    one time point where there is a Z axis.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    # ------------------------------------------------------------------ copy

    def copy_from(self, image_id: str, plane: int, step: int) -> int:
        """Copy what is annotated on the slice beside into the unlabelled pixels of this one.

        Parameters
        ----------
        step : {-1, 1}
            The slice before, or the one after.
        """
        entry = self._workspace.images[image_id]
        source = self.to_copy(image_id, plane, step)
        after = fill_unlabelled(entry.codes[plane], entry.codes[source])
        return self._workspace.rewrite(image_id, [(plane, after)], "copying a slice")

    def to_copy(self, image_id: str, plane: int, step: int) -> int:
        """Return the slice to copy from.

        Raises
        ------
        UserError
            If there is none, or nothing is annotated on it.
        """
        entry = self._workspace.images[image_id]
        beside = _beside(entry, plane, step)
        if entry.first_annotated([beside]) is None:
            raise UserError(f"Nothing is annotated on the slice {_where(step)} this one.")
        return beside

    # ----------------------------------------------------------- interpolate

    def interpolate(self, image_id: str, plane: int) -> int:
        """Fill the unlabelled pixels of slices between annotated ones; return how many.

        Parameters
        ----------
        plane : int
            One of those slices: the annotated ones are the nearest before and after it.

        Raises
        ------
        UserError
            If there is none on either side, or no shape of one overlaps one of the other.
        """
        entry = self._workspace.images[image_id]
        before, after = self.annotated_around(image_id, plane)
        between = interpolate(entry.codes[before], entry.codes[after], after - before - 1)
        if not between.any():
            first, last = (slice_name(entry.stack, p) for p in (before, after))
            raise UserError(
                f"No shape on {first} overlaps one of its class on {last}, so nothing lies between "
                "them; annotate the same objects on both, or a slice in between."
            )
        filled = (
            (p, fill_unlabelled(entry.codes[p], codes))
            for p, codes in enumerate(between, before + 1)
        )
        return self._workspace.rewrite(image_id, filled, "interpolating")

    def annotated_around(self, image_id: str, plane: int) -> tuple[int, int]:
        """Return the nearest annotated slices before and after one; see `interpolate`.

        Raises
        ------
        UserError
            If there is none on either side.
        """
        entry = self._workspace.images[image_id]
        there = _together(entry, plane)
        before = entry.first_annotated(range(plane - 1, there.start - 1, -1))
        after = entry.first_annotated(range(plane + 1, there.stop))
        if before is None or after is None:
            raise UserError(
                f"No slice {_where(-1 if before is None else 1)} this one is annotated; annotate "
                "one on each side, then interpolate between them."
            )
        return before, after

    # ------------------------------------------------------------- propagate

    def propagate(self, image_id: str, plane: int, step: int, n_slices: int) -> Propagated:
        """Annotate the pieces annotated here on the slices that follow, as a network finds them.

        A piece is followed from slice to slice as long as the segmentation holds one of its class
        that overlaps it and is at most twice as large.

        Parameters
        ----------
        plane : int
            Where pieces are annotated; any pixel of one will do.
        step : {-1, 1}
            To the slices before, or to those after.
        n_slices : int
            No farther than this.

        Raises
        ------
        UserError
            As `to_propagate`.
        """
        entry = self._workspace.images[image_id]
        self.to_propagate(image_id, plane, step)
        there = _together(entry, plane)
        n_reached = n_outgrown = 0

        def after() -> Iterator[tuple[int, Codes]]:
            nonlocal n_reached, n_outgrown
            shown = entry.segmentation(plane)
            pieces = pieces_with(shown, entry.codes[plane] > BACKGROUND)
            for p in range(plane + step, plane + step * (n_slices + 1), step):
                if p not in there:
                    return
                found = follow(pieces, _predicted(entry, p))
                n_outgrown += found.n_outgrown
                if not found.n:
                    return
                n_reached += 1
                codes = fill_unlabelled(entry.codes[p], found.codes)
                pieces = np.where(codes == found.codes, found.codes, np.uint8(UNLABELLED))
                yield p, codes

        n_px = self._workspace.rewrite(image_id, after(), "propagating")
        return Propagated(n_px, n_reached, n_outgrown)

    def to_propagate(self, image_id: str, plane: int, step: int) -> int:
        """Return the first slice to propagate to.

        Raises
        ------
        UserError
            If there is none, it is not segmented yet, or no class is annotated here.
        """
        entry = self._workspace.images[image_id]
        beside = _beside(entry, plane, step)
        if not (entry.codes[plane] > BACKGROUND).any():
            raise UserError("No class is annotated on this slice; paint on what is to be followed.")
        if not entry.prediction[beside].any():
            raise UserError(
                f"The slice {_where(step)} this one is not segmented yet; train a model or apply "
                "one, then follow its answer."
            )
        return beside


def _together(entry: ImageEntry, plane: int) -> range:
    """Return the slices that belong together with one."""
    depth = entry.stack.size("Z") if entry.stack.size("Z") > 1 else entry.shape[0]
    first = plane - plane % depth
    return range(first, first + depth)


def _beside(entry: ImageEntry, plane: int, step: int) -> int:
    if plane + step not in _together(entry, plane):
        raise UserError(f"There is no slice {_where(step)} this one.")
    return plane + step


def _where(step: int) -> str:
    return "before" if step < 0 else "after"


def _predicted(entry: ImageEntry, plane: int) -> Codes:
    """Return what a network answered for a slice, where it may."""
    codes = entry.slots.shown_as[entry.prediction[plane]]
    predicted: Codes = np.where(entry.allowed(plane), codes, np.uint8(UNLABELLED))
    return predicted

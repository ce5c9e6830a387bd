"""Sparse labels: classes, edits that can be undone, proofreading, what is held out."""

from .brush import covered_by_brush, pixels_along
from .classes import (
    Classes,
    add_class,
    code_of,
    delete_class,
    merge_classes,
    recolor_class,
    rename_class,
    reorder_classes,
)
from .cuts import bridge_along, cut_along
from .edits import Edit, EditLog, Step, edit_between, fill_unlabelled
from .growing import grow
from .held_out import (
    ALL_HELD_OUT,
    BLOCK_PX,
    MIN_BOX_SECTIONS,
    MIN_LABELLED_PX,
    Presence,
    assign_blocks,
    held_out_mask,
    new_blocks,
)
from .interpolation import interpolate
from .outlines import smooth_piece, smooth_shape, smooth_under
from .pieces import SmallPieces, enclosed_by, hole_at, piece_at, small_pieces
from .superpixels import Superpixels

__all__ = [
    "ALL_HELD_OUT",
    "BLOCK_PX",
    "MIN_BOX_SECTIONS",
    "MIN_LABELLED_PX",
    "Classes",
    "Edit",
    "EditLog",
    "Presence",
    "SmallPieces",
    "Step",
    "Superpixels",
    "add_class",
    "assign_blocks",
    "bridge_along",
    "code_of",
    "covered_by_brush",
    "cut_along",
    "delete_class",
    "edit_between",
    "enclosed_by",
    "fill_unlabelled",
    "grow",
    "held_out_mask",
    "hole_at",
    "interpolate",
    "merge_classes",
    "new_blocks",
    "piece_at",
    "pixels_along",
    "recolor_class",
    "rename_class",
    "reorder_classes",
    "small_pieces",
    "smooth_piece",
    "smooth_shape",
    "smooth_under",
]

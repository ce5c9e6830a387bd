"""Sparse labels: classes, edits that can be undone, proofreading, what is held out."""

from .borders import away_from_borders
from .brush import covered_by_brush, pixels_along
from .classes import (
    Classes,
    add_class,
    code_of,
    delete_class,
    join_classes,
    merge_classes,
    recolor_class,
    rename_class,
    reorder_classes,
    unchanged,
)
from .cuts import bridge_along, cut_along
from .edits import Edit, EditLog, ObjectEdit, Step, edit_between, fill_unlabelled
from .following import Followed, follow, pieces_with
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
from .objects import connected_objects, divide_along, nearest_part, objects_along, pieces_of
from .outlines import smooth_piece, smooth_shape, smooth_under
from .pieces import SmallPieces, enclosed_by, hole_at, piece_at, small_pieces, window_around
from .superpixels import Superpixels

__all__ = [
    "ALL_HELD_OUT",
    "BLOCK_PX",
    "MIN_BOX_SECTIONS",
    "MIN_LABELLED_PX",
    "Classes",
    "Edit",
    "EditLog",
    "Followed",
    "ObjectEdit",
    "Presence",
    "SmallPieces",
    "Step",
    "Superpixels",
    "add_class",
    "assign_blocks",
    "away_from_borders",
    "bridge_along",
    "code_of",
    "connected_objects",
    "covered_by_brush",
    "cut_along",
    "delete_class",
    "divide_along",
    "edit_between",
    "enclosed_by",
    "fill_unlabelled",
    "follow",
    "grow",
    "held_out_mask",
    "hole_at",
    "interpolate",
    "join_classes",
    "merge_classes",
    "nearest_part",
    "new_blocks",
    "objects_along",
    "piece_at",
    "pieces_of",
    "pieces_with",
    "pixels_along",
    "recolor_class",
    "rename_class",
    "reorder_classes",
    "small_pieces",
    "smooth_piece",
    "smooth_shape",
    "smooth_under",
    "unchanged",
    "window_around",
]

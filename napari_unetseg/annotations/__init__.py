"""Sparse labels: classes, edits that can be undone, slices in between, what is held out."""

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
from .edits import Edit, EditLog, Step, edit_between, fill_unlabelled
from .held_out import (
    ALL_HELD_OUT,
    BLOCK_PX,
    MIN_BOX_SECTIONS,
    MIN_LABELLED_PX,
    assign_blocks,
    held_out_mask,
    new_blocks,
)
from .interpolation import interpolate

__all__ = [
    "ALL_HELD_OUT",
    "BLOCK_PX",
    "MIN_BOX_SECTIONS",
    "MIN_LABELLED_PX",
    "Classes",
    "Edit",
    "EditLog",
    "Step",
    "add_class",
    "assign_blocks",
    "code_of",
    "delete_class",
    "edit_between",
    "fill_unlabelled",
    "held_out_mask",
    "interpolate",
    "merge_classes",
    "new_blocks",
    "recolor_class",
    "rename_class",
    "reorder_classes",
]

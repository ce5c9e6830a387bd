"""Stacks: axes, calibration, readers, writers, normalisation, tiling."""

from .atomic import atomic_file, atomic_folder, check_output
from .checks import (
    check_channels,
    check_numbers,
    check_pixels,
    check_same_slices,
    check_training_inputs,
    check_training_set,
    check_values,
)
from .chosen_channels import with_channels
from .converting import labels_as
from .formats import SUFFIXES, ZARR_SUFFIXES
from .holes import let_go, written_planes
from .inputs import find_inputs, pair_inputs, parse_slices
from .label_files import kind_of_file, label_plane, label_planes
from .label_formats import (
    LABEL_SUFFIXES,
    MESH_SUFFIXES,
    WRITTEN_SUFFIXES,
    open_label_stack,
    read_label_file,
)
from .label_meaning import LabelsKind, named_classes, saved_kind, segmented_slices
from .label_planes import LabelPlanes, scan_label_files, scan_labels
from .label_values import values_in
from .labels import (
    MANY_CLASSES,
    Labels,
    classes_present,
    codes_to_masks,
    kind_notes,
    notes_on,
    read_labels,
)
from .lazy_planes import Codes, Ids, LazyCodes, LazyPlanes, annotated_slices, code_counts, recoded
from .names import is_of_system, natural_key, stem_of, suffix_of
from .normalise import Normalisation, fit_normalisation, normalisation_of
from .npy import map_npy
from .outlined_labels import Outlines
from .pixel_size import (
    check_resampling,
    format_length,
    is_scale_open,
    pixel_size_note,
    pixel_size_ratio,
)
from .places import split_place
from .reading import container_of, is_chunk_store, nothing_at, open_stack
from .sampling import fingerprint, sample_pixels, stamp, stamp_of
from .sequence import images_in
from .shown_labels import codes_to_show, values_to_show
from .stack import Stack
from .tiling import Tile, even_size, mirrored, plan_tiles, read_mirrored
from .unfinished_files import (
    OF_RESULT,
    can_go_on,
    check_same,
    facts_of,
    give_name,
    has_its_name,
    is_prepared,
    remove_unfinished,
    slices_done,
    unfinished_at,
)
from .unfinished_stack import UnfinishedStack
from .watched import Reached
from .writing import (
    labels_like,
    maps_like,
    probabilities_like,
    write_image,
    write_label_stack,
    write_labels,
    write_probabilities,
)
from .zarr_labels import source_of

__all__ = [
    "LABEL_SUFFIXES",
    "MANY_CLASSES",
    "MESH_SUFFIXES",
    "OF_RESULT",
    "SUFFIXES",
    "WRITTEN_SUFFIXES",
    "ZARR_SUFFIXES",
    "Codes",
    "Ids",
    "LabelPlanes",
    "Labels",
    "LabelsKind",
    "LazyCodes",
    "LazyPlanes",
    "Normalisation",
    "Outlines",
    "Reached",
    "Stack",
    "Tile",
    "UnfinishedStack",
    "annotated_slices",
    "atomic_file",
    "atomic_folder",
    "can_go_on",
    "check_channels",
    "check_numbers",
    "check_output",
    "check_pixels",
    "check_resampling",
    "check_same",
    "check_same_slices",
    "check_training_inputs",
    "check_training_set",
    "check_values",
    "classes_present",
    "code_counts",
    "codes_to_masks",
    "codes_to_show",
    "container_of",
    "even_size",
    "facts_of",
    "find_inputs",
    "fingerprint",
    "fit_normalisation",
    "format_length",
    "give_name",
    "has_its_name",
    "images_in",
    "is_chunk_store",
    "is_of_system",
    "is_prepared",
    "is_scale_open",
    "kind_notes",
    "kind_of_file",
    "label_plane",
    "label_planes",
    "labels_as",
    "labels_like",
    "let_go",
    "map_npy",
    "maps_like",
    "mirrored",
    "named_classes",
    "natural_key",
    "normalisation_of",
    "notes_on",
    "nothing_at",
    "open_label_stack",
    "open_stack",
    "pair_inputs",
    "parse_slices",
    "pixel_size_note",
    "pixel_size_ratio",
    "plan_tiles",
    "probabilities_like",
    "read_label_file",
    "read_labels",
    "read_mirrored",
    "recoded",
    "remove_unfinished",
    "sample_pixels",
    "saved_kind",
    "scan_label_files",
    "scan_labels",
    "segmented_slices",
    "slices_done",
    "source_of",
    "split_place",
    "stamp",
    "stamp_of",
    "stem_of",
    "suffix_of",
    "unfinished_at",
    "values_in",
    "values_to_show",
    "with_channels",
    "write_image",
    "write_label_stack",
    "write_labels",
    "write_probabilities",
    "written_planes",
]

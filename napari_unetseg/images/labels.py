"""Labels in memory: annotations, masks and objects, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass, default_class

from .checks import check_same_slices
from .label_files import label_planes, open_labels
from .label_meaning import LabelsKind
from .label_planes import LabelPlanes, scan_labels
from .label_values import values_in
from .stack import Stack

#: So many classes without a name are more likely ids of objects.
MANY_CLASSES = 13

#: A note lists no more values than this.
_VALUES_IN_A_NOTE = 5

#: How labels were read, and what they may be else.
_READ_AS = {
    "masks": "masks (0 background, 1 class 1, 2 class 2); if 0 is unlabelled and 1 background, "
    "give annotations as the kind of labels",
    "annotations": "annotations (0 unlabelled, 1 background, 2 class 1); if 0 is background and 1 "
    "class 1, give masks as the kind of labels",
    "objects": "objects (each value the number of one); if values are classes, give masks as the "
    "kind of labels, or annotations if 1 is background",
}


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as the core works with them.

    Attributes
    ----------
    codes : ndarray, shape (N, Y, X), uint8
        0 unlabelled, 1 background, ``k + 1`` class `k`. Of objects: 1 background, 2 object. What
        is not of `slices` is unlabelled.
    kind : {"annotations", "masks", "objects"}
        What the file held. Annotations: codes. Masks: class `k`, 0 background. Objects: ids, 0
        background.
    classes : tuple of LabelClass
        Classes 1, 2, …; named by the file where this package wrote it.
    values : dict of str to int
        Value in the file → class `k`; empty where the value is what the kind says it should be.
    ids : ndarray, shape (N, Y, X), uint32, or None
        Of objects; None for the other kinds.
    slices : tuple of int or None
        Those that were segmented, where the file says that not all were.
    """

    codes: npt.NDArray[np.uint8]
    kind: LabelsKind
    classes: tuple[LabelClass, ...]
    values: dict[str, int] = field(default_factory=dict)
    ids: npt.NDArray[np.uint32] | None = None
    slices: tuple[int, ...] | None = None


def read_labels(
    paths: str | Path | Sequence[str | Path], kind: LabelsKind, *, like: Stack | None = None
) -> Labels:
    """Read the labels of one image.

    Parameters
    ----------
    paths : path or sequence of paths
        One file (or folder of slices), or several whose slices follow each other.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    like : Stack, optional
        The image; its slices, height and width are then required.

    Raises
    ------
    UserError
        If the file cannot be read, holds no integers, says itself that it is of another kind,
        has other slices than the image, or more than 254 classes.
    """
    several = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    image = like if len(several) == 1 else None
    stacks = [_in_memory(open_labels(path, kind, image), path) for path in several]
    if like is not None:
        shape = (sum(stack.n_planes for stack in stacks), *stacks[0].plane_shape)
        more = f" and the {len(several) - 1} after it" if several[1:] else ""
        check_same_slices(shape, like, f"{several[0]}{more}")
    read = scan_labels([str(path) for path in several], [partial(_same, s) for s in stacks], kind)
    ids = [labels.ids[:] for labels in read if labels.ids is not None]
    return Labels(
        np.concatenate([labels.codes[:] for labels in read]),
        kind,
        read[0].classes,
        read[0].values,
        np.concatenate(ids) if ids else None,
        read[0].slices if len(read) == 1 else None,
    )


def notes_on(labels: Sequence[Labels | LabelPlanes]) -> list[str]:
    """Say what a person may not expect of how label files were understood, in sentences.

    Parameters
    ----------
    labels : sequence of Labels or LabelPlanes
        Read together.
    """
    first = labels[0]
    notes = []
    if first.values:
        shown = [f"{value} is class {k}" for value, k in first.values.items()]
        more = f" and so on, {len(shown)} in all" if len(shown) > _VALUES_IN_A_NOTE else ""
        listed = ", ".join(shown[:_VALUES_IN_A_NOTE])
        notes.append(f"Other values than 0, 1, 2, … in the labels: {listed}{more}.")
    n_classes = len(first.classes)
    nameless = all(c == default_class(k) for k, c in enumerate(first.classes, start=1))
    if n_classes >= MANY_CLASSES and nameless:
        notes.append(
            f"The labels hold {n_classes} classes that have no names; if these are the ids of "
            "objects, give objects as the kind of labels."
        )
    return notes


def kind_notes(labels: Sequence[LabelPlanes]) -> list[str]:
    """Say how label files were read of which nobody said the kind, if they could be of another.

    Parameters
    ----------
    labels : sequence of LabelPlanes
        Read together, as what is usual.
    """
    silent = [one for one in labels if not one.says_kind]
    values = frozenset[int]().union(*(one.foreground for one in silent))
    is_binary, are_few = len(values) == 1, max(values, default=MANY_CLASSES) < MANY_CLASSES
    # What classes are otherwise is one alone, or is noted by its values.
    could_be_else = is_binary or are_few if _are_ids(silent) else are_few and {1, 2} <= values
    if not could_be_else:
        return []
    more = f" and {len(silent) - 1} more" if silent[1:] else ""
    return [
        f"{silent[0].name}{more} {'do' if more else 'does'} not say of which kind the labels are: "
        f"read as {_READ_AS[silent[0].kind]}."
    ]


def classes_present(codes: npt.NDArray[np.uint8]) -> list[int]:
    """List the classes that are labelled somewhere, 0 for background, in ascending order.

    >>> classes_present(np.array([0, 0, 1, 3], np.uint8))
    [0, 2]
    """
    return [code - 1 for code in sorted(values_in(codes)) if code > 0]


def codes_to_masks(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn codes into classes: −1, and 0 for what is unlabelled."""
    masks: npt.NDArray[np.uint8] = np.maximum(codes, 1) - np.uint8(1)
    return masks


def _same(stack: Stack) -> Stack:
    return stack


def _in_memory(stack: Stack, path: Path) -> Stack:
    """Read the slices of labels."""
    values = np.stack(list(label_planes(stack, path)))
    return replace(stack, data=values, axes="ZYX", channels=("",), channel_colors=())


def _are_ids(labels: Sequence[LabelPlanes]) -> bool:
    return any(one.kind == "objects" for one in labels)

"""From files to something a network can be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    LabelPlanes,
    LabelsKind,
    Stack,
    annotated_slices,
    find_inputs,
    kind_notes,
    notes_on,
    open_stack,
    pair_inputs,
    parse_slices,
    scan_label_files,
)

from .bundle import Model
from .data import TrainingImage


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Images with their annotations, and what the annotations mean.

    Attributes
    ----------
    images : list of TrainingImage
    classes : tuple of LabelClass
    label_values : dict of str to int
        Value in the labels file → class, where they differ.
    notes : list of str
        What a person may not expect of how the labels were understood, in sentences.
    """

    images: list[TrainingImage]
    classes: tuple[LabelClass, ...]
    label_values: Mapping[str, int]
    notes: list[str]


def open_inputs(specs: Sequence[str | Path], *, as_stack: bool = False) -> list[Path]:
    """Find what a person named; with `as_stack` a folder stays one, to be read as a Z stack."""
    if not as_stack:
        return find_inputs(specs)
    found: list[Path] = []
    for spec in specs:
        found += [Path(spec)] if Path(spec).is_dir() else find_inputs([spec])
    return found


def read_training_set(
    images: Sequence[str | Path],
    labels: Sequence[str | Path],
    kind: LabelsKind | None,
    *,
    slices: str | None = None,
    as_stack: bool = False,
) -> TrainingSet:
    """Read images and their labels, and decide which blocks are held out.

    Parameters
    ----------
    images, labels : sequence of str or Path
        Files, folders and globs; paired by stem or by natural order.
    kind : {"annotations", "masks", "objects"} or None
        None where nobody said it: annotations, with a note where they could be masks.
    slices : str, optional
        Those whose labels count, as ``"0,7,14"``; all by default.
    as_stack : bool
        Read each folder as one Z stack.

    Raises
    ------
    UserError
        If a file is missing, unreadable or does not fit.
    """
    pairs = pair_inputs(
        open_inputs(images, as_stack=as_stack), open_inputs(labels, as_stack=as_stack)
    )
    stacks = [open_stack(image) for image, _ in pairs]
    wanted = kind or "annotations"
    read = scan_label_files([path for _, path in pairs], wanted, stacks, keep=True)
    notes = [f"{stack.name}: {note}" for stack in stacks for note in stack.notes]
    notes += notes_on(read) if kind else [*kind_notes(read), *notes_on(read)]
    return TrainingSet(
        [training_image(stack, one, slices) for stack, one in zip(stacks, read, strict=True)],
        read[0].classes,
        read[0].values,
        notes,
    )


def read_source_set(
    images: Sequence[str | Path],
    labels: Sequence[str | Path],
    kind: LabelsKind | None,
    base: Model | None,
) -> list[TrainingImage]:
    """Read what a base model learned from, to score it on.

    Raises
    ------
    UserError
        If there are images without labels, or their classes are not those of the base.
    """
    if not images and not labels:
        return []
    if not images or not labels:
        raise UserError("Source images and their labels belong together; give both or neither.")
    data = read_training_set(images, labels, kind)
    names = tuple(c.name for c in data.classes)
    if base is not None and names != base.class_names[1:]:
        raise UserError(
            f"The source labels name {', '.join(names)}, but the base model knows "
            f"{', '.join(base.class_names[1:])}; give the labels that the base learned from."
        )
    return data.images


def training_image(stack: Stack, labels: LabelPlanes, slices: str | None = None) -> TrainingImage:
    """Keep the labels of the chosen slices, and hold some of their blocks out."""
    codes = labels.codes
    chosen = parse_slices(slices, stack.n_planes)
    if len(chosen) < stack.n_planes:
        codes = codes.only(chosen)
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack, annotated_slices(codes))
    return TrainingImage(stack, codes, blocks, labels.ids)

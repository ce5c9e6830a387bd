"""Labels of an image that a person has already, in a file of any program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_unetseg.config import LabelClass
from napari_unetseg.images import (
    LabelsKind,
    codes_to_show,
    label_planes,
    labels_as,
    open_label_stack,
    saved_kind,
    stem_of,
    values_in,
    values_to_show,
)
from napari_unetseg.wording import counted, listed

from .image_entry import ImageEntry

#: What the values of opened labels are: codes, ids of objects, or anything, where nobody knows.
Values: TypeAlias = Literal["codes", "objects", "masks"]


@dataclass(frozen=True, slots=True)
class OpenedLabels:
    """Labels with the shape of their image.

    Attributes
    ----------
    name : str
        Of the file.
    pixels : array, shape of the image without channels
        In memory, or a dask array.
    values : {"codes", "objects", "masks"}
        Masks: what a person says they are.
    classes : tuple of LabelClass
        Of codes.
    told : str
        What they are, in words.
    """

    name: str
    pixels: Any
    values: Values
    classes: tuple[LabelClass, ...]
    told: str


def open_labels_of(entry: ImageEntry, path: Path) -> OpenedLabels:
    """Open labels of an image.

    Outlines that have classes become codes: what they leave out is unlabelled, for nobody said
    that it is background.

    Raises
    ------
    UserError
        If the file cannot be read, or is of an image of another size.
    """
    found = open_label_stack(path, like=entry.stack)
    kind = saved_kind(found)
    if kind == "objects" and found.metadata.get("class_of"):
        kind = "annotations"
    name = stem_of(path)
    if kind is None:
        pixels = values_to_show(labels_as(found, "objects", str(path)))
        return OpenedLabels(name, pixels, "masks", (), "say what its values are")
    found = labels_as(found, kind, str(path))
    notes = "".join(f"; {note[0].lower()}{note[1:].rstrip('.')}" for note in found.notes)
    if kind == "objects":
        ids = set().union(*(values_in(plane) for plane in label_planes(found, str(path))))
        told = counted(len(ids - {0}), "object") + notes
        return OpenedLabels(name, values_to_show(found), "objects", (), told)
    codes, classes = codes_to_show(found, kind, str(path))
    told = f"{_named(classes)}{_outside(kind)}{notes}"
    return OpenedLabels(name, codes, "codes", classes, told)


def _named(classes: tuple[LabelClass, ...]) -> str:
    return listed([label_class.name for label_class in classes]) or "background alone"


def _outside(kind: LabelsKind) -> str:
    return "" if kind == "masks" else ", the rest unlabelled"

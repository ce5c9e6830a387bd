"""Which numbered objects of a session a person has worked on, and what they said of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy


class ObjectNotes(BaseModel):
    """What is written beside the file of ids; without notes it is derived data.

    Attributes
    ----------
    uid : str
        The same in every later session that goes on from these objects.
    reviewed : tuple of int
        Ids that are right.
    made_by : str
        As of `workspace.ObjectSet`; empty in files of before.
    """

    version: int = 1
    uid: str = ""
    reviewed: tuple[int, ...] = ()
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class KeptObjects:
    """Objects that somebody has worked on.

    Attributes
    ----------
    path : Path
        Ids, shape (planes, Y, X), uint32.
    notes : ObjectNotes
    """

    path: Path
    notes: ObjectNotes


def new_uid() -> str:
    """Return what no other objects are called."""
    return uuid.uuid4().hex


def write_notes(labels: Path, notes: BaseModel) -> None:
    """Say of a file of labels that it is to be kept, and why; complete or not at all."""
    write_whole(labels.with_suffix(".json"), notes.model_dump_json())


def write_whole(path: Path, text: str) -> None:
    """Write a file, complete or not at all, instead of the one before."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def drop_notes(ids: Path) -> None:
    """Say of a file of ids no more that it is to be kept."""
    ids.with_suffix(".json").unlink(missing_ok=True)


def has_notes(labels: Path) -> bool:
    """Tell whether a file of labels is to be kept."""
    return labels.with_suffix(".json").is_file()


def kept_objects(folder: Path) -> tuple[KeptObjects, ...]:
    """Return the objects of an image that are to be kept, of undamaged files.

    Parameters
    ----------
    folder : Path
        Of the image in its session.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        ids = path.with_suffix(".npy")
        try:
            notes = ObjectNotes.model_validate_json(path.read_bytes())
            undamaged = map_npy(ids).dtype == np.uint32 and map_npy(ids).ndim == 3
        except (OSError, ValidationError, UserError):
            continue
        if undamaged:
            found.append(KeptObjects(ids, notes))
    return tuple(found)


def are_continued(kept: Iterable[KeptObjects], later: Iterable[KeptObjects]) -> bool:
    """Tell whether later objects go on from all of these."""
    return {k.notes.uid for k in kept} <= {k.notes.uid for k in later}

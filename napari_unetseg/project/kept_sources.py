"""Where annotations of a session came from: a number per pixel, and a text per number."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy

from .kept_objects import write_notes


class SourceNotes(BaseModel):
    """What is written beside the file of numbers; without notes it is derived data.

    Attributes
    ----------
    texts : tuple of str
        That of number 1 first. More are added to the end, and none ever changes.
    """

    version: int = 1
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeptSources:
    """Where annotations came from.

    Attributes
    ----------
    path : Path
        Numbers, shape (planes, Y, X), uint8: 0 where a person painted or nothing is known.
    texts : tuple of str
        Of the numbers from 1 on; of numbers without a text nothing is known.
    """

    path: Path
    texts: tuple[str, ...]


def keep_texts(numbers: Path, texts: Sequence[str]) -> None:
    """Write the texts beside the file of numbers, before any pixel has the last of these.

    On a full disk they are not written: then nothing is known of its pixels later.
    """
    with suppress(OSError):
        write_notes(numbers, SourceNotes(texts=tuple(texts)))


def kept_sources(annotations: Path) -> KeptSources | None:
    """Return where the annotations in a file came from; None where nothing is known."""
    path = annotations.with_name("sources.npy")
    try:
        notes = SourceNotes.model_validate_json(path.with_suffix(".json").read_bytes())
        numbers, codes = map_npy(path), map_npy(annotations)
    except (OSError, ValidationError, UserError):
        return None
    fits = numbers.dtype == np.uint8 and numbers.shape == codes.shape
    return KeptSources(path, notes.texts) if fits else None

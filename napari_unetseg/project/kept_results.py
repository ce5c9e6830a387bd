"""Which results of classical methods in a session a person has corrected by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy


class ResultNotes(BaseModel):
    """What is written beside a result that was corrected; without notes it is derived data.

    Attributes
    ----------
    uid : str
        Its own.
    title : str
        As in the list of layers, without the name of the image.
    made_by : str
        Steps and settings, in words for a paper.
    follows : tuple of str
        Results of earlier sessions, by uid, from which it goes on.
    """

    version: int = 1
    uid: str
    title: str
    made_by: str
    follows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptResult:
    """A result that somebody has corrected.

    Attributes
    ----------
    path : Path
        Codes, shape (planes, Y, X), uint8.
    notes : ResultNotes
    """

    path: Path
    notes: ResultNotes


def recipe_beside(codes: Path) -> Path:
    """Return where the steps of a result stand as JSON, if they are known.

    Not in the notes: a recipe may be large, and notes are read to find out what a session holds.
    """
    return codes.with_suffix(".recipe")


def kept_results(folder: Path) -> tuple[KeptResult, ...]:
    """Return the results of an image that were corrected, of undamaged files.

    Parameters
    ----------
    folder : Path
        Of the image in its session.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        codes = path.with_suffix(".npy")
        try:
            notes = ResultNotes.model_validate_json(path.read_bytes())
            undamaged = map_npy(codes).dtype == np.uint8 and map_npy(codes).ndim == 3
        except (OSError, ValidationError, UserError):
            continue
        if undamaged:
            found.append(KeptResult(codes, notes))
    return tuple(found)


def results_continued(kept: Iterable[KeptResult], later: Iterable[KeptResult]) -> bool:
    """Tell whether later results go on from all of these."""
    return {k.notes.uid for k in kept} <= uids_in(later)


def uids_in(results: Iterable[KeptResult]) -> set[str]:
    """Return the uids of results, and of those from which they go on."""
    return {uid for result in results for uid in (result.notes.uid, *result.notes.follows)}

"""Results of classical methods that a person has corrected by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_unetseg.project import (
    KeptResult,
    ResultNotes,
    Session,
    kept_results,
    new_uid,
    write_notes,
)


class Results:
    """Keeps in the session what was corrected, and brings back what earlier ones kept.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    brought_back : Signal(str, object, ResultNotes)
        Image id, and ndarray (planes, Y, X), uint8, on disk, which may be painted on.
    """

    brought_back = Signal(str, object, object)

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, path: Path, title: str, made_by: str) -> None:
        """Say of a result's file that a person has painted on it, so that it outlives the session.

        Parameters
        ----------
        title : str
            As in the list of layers, without the name of the image.
        made_by : str
            Steps and settings, in words for a paper.
        """
        write_notes(path, ResultNotes(uid=new_uid(), title=title, made_by=made_by))

    def kept(self, image_id: str) -> tuple[KeptResult, ...]:
        """Return the results of an image that were corrected."""
        return kept_results(self._session.path(image_id, "results").parent)

    def bring_back(self, image_id: str, kept: Iterable[KeptResult]) -> int:
        """Copy results of an earlier session, those that are not here yet; return how many."""
        here = {result.notes.uid for result in self.kept(image_id)}
        n_added = 0
        for earlier in kept:
            if earlier.notes.uid in here:
                continue
            here.add(earlier.notes.uid)
            paths = (self._session.path(image_id, f"own-result-{n}") for n in count(1))
            path = next(path for path in paths if not path.exists())
            shutil.copyfile(earlier.path, path)
            write_notes(path, earlier.notes)
            self.brought_back.emit(image_id, np.load(path, mmap_mode="r+"), earlier.notes)
            n_added += 1
        return n_added

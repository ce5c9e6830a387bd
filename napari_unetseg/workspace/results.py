"""Results of classical methods: what their codes stand for, and which a person has corrected."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_unetseg.classical import ChainRecipe, read_recipe
from napari_unetseg.errors import UserError
from napari_unetseg.project import (
    KeptResult,
    ResultNotes,
    Session,
    kept_results,
    new_uid,
    recipe_beside,
    write_notes,
    write_whole,
)

from .slots import Codes


class Results:
    """Keeps in the session what was corrected, and brings back what earlier ones kept.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    meant_as : ndarray of uint8, shape (256,)
        What codes as they were at first stand for, since classes were moved, merged or deleted.
    meaning_changed : Signal()
        `meant_as` is another: see `ResultCodes`.
    brought_back : Signal(str, object, ResultNotes)
        Image id, and ndarray (planes, Y, X), uint8, on disk, which may be painted on.
    """

    meaning_changed = Signal()
    brought_back = Signal(str, object, object)

    def __init__(self, session: Session) -> None:
        self._session = session
        self.meant_as: Codes = np.arange(256, dtype=np.uint8)

    def mean(self, meant_as: Codes) -> None:
        """Take note of what codes stand for from now on."""
        if not np.array_equal(meant_as, self.meant_as):
            self.meant_as = meant_as
            self.meaning_changed.emit()

    def keep(self, path: Path, title: str, made_by: str, recipe: ChainRecipe | None = None) -> None:
        """Say of a result's file that a person has painted on it, so that it outlives the session.

        Parameters
        ----------
        title : str
            As in the list of layers, without the name of the image.
        made_by : str
            Steps and settings, in words for a paper.
        recipe : ChainRecipe, optional
            Those steps.
        """
        if recipe is not None:
            self.keep_recipe(path, recipe)
        write_notes(path, ResultNotes(uid=new_uid(), title=title, made_by=made_by))

    def keep_recipe(self, path: Path, recipe: ChainRecipe) -> None:
        """Write the steps of a result that is kept beside it, instead of those before."""
        write_whole(recipe_beside(path), recipe.model_dump_json())

    def recipe(self, path: Path) -> ChainRecipe | None:
        """Return the steps of a result that was kept; None where they are not known."""
        try:
            return read_recipe(recipe_beside(path))
        except UserError:
            return None

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
            if recipe_beside(earlier.path).is_file():
                shutil.copyfile(recipe_beside(earlier.path), recipe_beside(path))
            write_notes(path, earlier.notes)
            self.brought_back.emit(image_id, np.load(path, mmap_mode="r+"), earlier.notes)
            n_added += 1
        return n_added

"""Results of classical methods: which there are, and what a person has painted on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_unetseg.annotations import Edit, edit_between
from napari_unetseg.classical import ChainRecipe, read_recipe
from napari_unetseg.errors import UserError
from napari_unetseg.project import (
    KeptResult,
    ResultNotes,
    Session,
    kept_results,
    new_uid,
    recipe_beside,
    uids_in,
    write_notes,
    write_whole,
)

from .slots import Codes

#: What `Result.made_by` ends with where a person has painted on it.
BY_HAND = ", corrected by hand"


class Result:
    """What a classical method answered for an image, and where a person has corrected it.

    Every pixel holds a slot, so that it stays what it is when classes are moved, merged, deleted
    or brought back: `Results.meant_as` tells the code of each slot.

    Parameters
    ----------
    results : Results
    made_by : str
    recipe : ChainRecipe, optional
        Steps, and what their answers stood for at `moment`.
    moment : ndarray of uint8, shape (256,)
        `Results.moment` when the method was asked.
    follows : sequence of str
        Results of earlier sessions, by uid, from which it goes on; a person has painted on those.

    Attributes
    ----------
    key : str
    image : str
        Id of the image.
    title : str
        As in the list of layers, without the name of the image.
    slots : ndarray, shape (planes, Y, X), uint8
        Written to by edits of the workspace alone; on disk where it is to outlive the session.
    was_painted : bool
        Whether a person has ever painted on it, be it undone.
    is_kept : bool
        Whether it is written beside its file that it is to outlive the session.
    n_edits : int
        Strokes, undone ones and those done again.
    """

    def __init__(
        self,
        results: Results,
        image: str,
        title: str,
        slots: Codes,
        made_by: str,
        recipe: ChainRecipe | None,
        moment: Codes,
        follows: Sequence[str] = (),
    ) -> None:
        self.uid = new_uid()
        self.key = f"{image}/{self.uid}"
        self.image = image
        self.title = title
        self.slots = slots
        self.was_painted = bool(follows)
        self.is_kept = False
        self.n_edits = 0
        self._follows = tuple(follows)
        self._n_strokes = int(self.was_painted)
        self._results = results
        self._made_by = made_by
        self._recipe = recipe
        self._moment = moment

    @property
    def path(self) -> Path | None:
        """The file of `slots`; None where they are in memory."""
        return Path(str(self.slots.filename)) if isinstance(self.slots, np.memmap) else None

    @property
    def is_corrected(self) -> bool:
        """Whether something that a person has painted on it is there."""
        return self._n_strokes > 0

    @property
    def notes(self) -> ResultNotes:
        """What is written beside it once it is corrected."""
        return ResultNotes(
            uid=self.uid, title=self.title, made_by=self._made_by, follows=self._follows
        )

    @property
    def made_by(self) -> str:
        """How it was made, in words for a paper; empty where that is not known."""
        return self._made_by + (BY_HAND if self._made_by and self.is_corrected else "")

    @property
    def recipe(self) -> ChainRecipe | None:
        """Its steps, and what their answers stand for by now; None where they are not known."""
        if self._recipe is None or np.array_equal(self._moment, self._results.moment()):
            return self._recipe
        codes_then = back(self._moment)
        top = max(int(codes_then[plane].max(initial=0)) for plane in self.slots)
        meant = self._recipe.mapping or {code: code for code in range(1, top + 1)}
        mapping = self._results.codes_of(in_slots(meant, self._moment))
        return self._recipe.model_copy(update={"mapping": mapping})

    def codes(self, plane: int) -> Codes:
        """Return a slice, shape (Y, X), uint8: codes of the annotations."""
        codes: Codes = self._results.meant_as[self.slots[plane]]
        return codes

    def edit(self, plane: int, painted: Codes, meant_as: Codes) -> Edit | None:
        """Return what somebody has painted on a slice, as slots; None where nothing.

        Parameters
        ----------
        meant_as : ndarray of uint8, shape (256,)
            `Results.meant_as` when the slice was shown.
        """
        slots = self.slots[plane]
        after = np.where(painted == meant_as[slots], slots, back(meant_as)[painted])
        return edit_between(self.key, slots, after, plane * slots.size)

    def apply(self, edit: Edit, *, undone: bool) -> None:
        """Do what was painted, or take it back."""
        self.slots.reshape(-1)[edit.indices] = edit.before if undone else edit.after
        self._n_strokes += -1 if undone else 1
        self.n_edits += 1
        self.was_painted = True


class Results:
    """All results of a session: keeps in it what was corrected, and brings earlier ones back.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    meant_as : ndarray of uint8, shape (256,)
        The code of each slot, 0 for none. At first, every code is stored as itself.
    brought_back : Signal(Result)
    changed : Signal(Result, list)
        Slices of a result were painted on, or that was undone.
    meaning_changed : Signal()
        `meant_as` is another.
    not_kept : Signal(str)
        A sentence: what a person has painted could not be kept for later sessions.
    """

    brought_back = Signal(Result)
    changed = Signal(Result, list)
    meaning_changed = Signal()
    not_kept = Signal(str)

    def __init__(self, session: Session) -> None:
        self._session = session
        self._results: dict[str, Result] = {}
        self.meant_as: Codes = np.arange(256, dtype=np.uint8)

    def moment(self) -> Codes:
        """Return the slot of every code, as classes are now.

        What is asked now and answered later, when classes may have been changed, has the codes of
        now: this table tells what they are then.

        Returns
        -------
        ndarray of uint8, shape (256,)
        """
        return back(self.meant_as)

    def codes_of(self, slots: Mapping[int, int]) -> dict[int, int]:
        """Return answers → codes, where they are known as answers → slots."""
        return {answer: int(self.meant_as[slot]) for answer, slot in slots.items()}

    @property
    def are_corrected(self) -> bool:
        """Whether a person has painted on any, on images that are left out too."""
        return any(result.is_corrected for result in self._results.values())

    def image_of(self, key: str) -> str:
        """Return the id of the image of a result."""
        return self._results[key].image

    def of(self, image_id: str) -> list[Result]:
        """Return the results of an image, the oldest first."""
        return [result for result in self._results.values() if result.image == image_id]

    def add(
        self,
        image_id: str,
        title: str,
        codes: Codes,
        made_by: str = "",
        recipe: ChainRecipe | None = None,
        moment: Codes | None = None,
    ) -> Result:
        """Take in what a method answered.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            On disk, of the session, where it is to outlive it once a person has painted on it.
            Taken over: it becomes the slots of the result.
        made_by : str
            Method and settings, in words for a paper.
        recipe : ChainRecipe, optional
            Its steps, with what they learned or grew from.
        moment : ndarray of uint8, shape (256,), optional
            Of which the codes are; now by default.
        """
        moment = self.moment() if moment is None else moment
        _store(codes, moment)
        result = Result(self, image_id, title, codes, made_by, recipe, moment)
        self._results[result.key] = result
        return result

    def forget(self, result: Result) -> None:
        """Take note that nobody wants to see a result any more, unless somebody painted on it."""
        if not result.was_painted:
            self._results.pop(result.key, None)

    def apply(self, edits: Iterable[Edit], *, undone: bool = False) -> None:
        """Do what was painted, or take it back; keep what is corrected."""
        for edit in edits:
            result = self._results[edit.image]
            result.apply(edit, undone=undone)
            if not result.is_kept:
                self._keep(result)
            self.changed.emit(result, edit.planes(result.slots.shape))

    def tell_meaning(self) -> None:
        """Tell that slots stand for something else, recipes that are kept, too."""
        for result in self._results.values():
            if result.was_painted:
                self._keep(result)
        self.meaning_changed.emit()

    def kept(self, image_id: str) -> tuple[KeptResult, ...]:
        """Return the results of an image that were corrected."""
        return kept_results(self._session.path(image_id, "results").parent)

    def bring_back(
        self, image_id: str, kept: Iterable[KeptResult], meant_as: Codes, codes: Codes
    ) -> int:
        """Copy results of an earlier session, those that are not here yet; return how many.

        Parameters
        ----------
        meant_as : ndarray of uint8, shape (256,)
            Of that session: its code of each slot.
        codes : ndarray of uint8, shape (256,)
            Which of our codes each of its codes is.
        """
        moment = self.moment()[codes]
        n_added = 0
        for earlier in kept:
            notes = earlier.notes
            if notes.uid in uids_in(self.kept(image_id)):
                continue
            paths = (self._session.path(image_id, f"own-result-{n}") for n in count(1))
            path = next(path for path in paths if not path.exists())
            shutil.copyfile(earlier.path, path)
            slots: Codes = np.load(path, mmap_mode="r+")
            _store(slots, moment[meant_as])
            recipe, follows = _recipe_of(earlier.path), (notes.uid, *notes.follows)
            result = Result(
                self, image_id, notes.title, slots, notes.made_by, recipe, moment, follows
            )
            self._results[result.key] = result
            self._keep(result)
            self.brought_back.emit(result)
            n_added += 1
        return n_added

    def _keep(self, result: Result) -> None:
        """Say beside a result's file that a person painted on it: it outlives the session."""
        path, recipe = result.path, result.recipe
        if path is None:
            return
        try:
            if recipe is not None:
                write_whole(recipe_beside(path), recipe.model_dump_json())
            write_notes(path, result.notes)
            result.is_kept = True
        except OSError as error:
            self.not_kept.emit(
                f"What is painted on {result.title} could not be kept for later ({error.strerror})."
            )


def in_slots(meant: Mapping[int, int], moment: Codes) -> dict[int, int]:
    """Return answers → slots, where they are known as answers → codes of some moment."""
    return {answer: int(moment[code]) for answer, code in meant.items()}


def _recipe_of(path: Path) -> ChainRecipe | None:
    try:
        return read_recipe(recipe_beside(path))
    except UserError:
        return None


def _store(codes: Codes, slots: Codes) -> None:
    """Write slots over codes, if they are others."""
    if not np.array_equal(slots, np.arange(256)):
        for plane in codes:
            plane[...] = slots[plane]


def back(table: Codes) -> Codes:
    """Return from which value each has come; of several the lowest, 0 for those from none."""
    back = np.zeros(256, np.uint8)
    back[table[::-1]] = np.arange(256, dtype=np.uint8)[::-1]
    return back

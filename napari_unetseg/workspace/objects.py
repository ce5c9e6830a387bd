"""Objects with numbers: the ids of every image, and which of them a person has called right."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from skimage.util import map_array

from napari_unetseg.annotations import ObjectEdit
from napari_unetseg.images import map_npy
from napari_unetseg.project import (
    KeptObjects,
    ObjectNotes,
    Session,
    drop_notes,
    new_uid,
    write_notes,
)

Ids = npt.NDArray[np.uint32]

#: Who has made objects, where it was no classical method.
BY_NETWORK, BY_NUMBERING = "the network", "numbering pieces"

#: Number that an object may have.
HIGHEST = 2**32 - 1


class ObjectSet:
    """The numbered objects of an image.

    They are the answer of a model until somebody corrects them; from then on they are kept.

    Attributes
    ----------
    key : str
    image : str
        Id of the image.
    number : int
        Which of those of the image they are, from 1 on.
    ids : ndarray, shape (planes, Y, X), uint32
        0 background; file-backed. Written to by edits of the workspace alone.
    path : Path
        Its file.
    reviewed : set of int
        Ids that are right.
    is_corrected : bool
        Whether a person has worked on them.
    is_outdated : bool
        Whether the image has been segmented otherwise since.
    uid : str
        The same in later sessions that go on from them.
    made_by : str
        `BY_NETWORK`, `BY_NUMBERING`, or a classical method and its settings, in words for a paper;
        empty where that is not known.
    """

    def __init__(
        self,
        image: str,
        path: Path,
        notes: ObjectNotes | None = None,
        number: int = 1,
        made_by: str = "",
    ) -> None:
        self.key = f"{image}/{path.stem}"
        self.image = image
        self.path = path
        self.ids: Ids = map_npy(path, "r+")
        self.number = number
        self.is_outdated = False
        self.reviewed: set[int] = set() if notes is None else set(notes.reviewed)
        self.is_corrected = notes is not None
        self.uid = new_uid() if notes is None else notes.uid
        self.made_by = made_by if notes is None else notes.made_by
        self._areas: dict[int, dict[int, int]] = {}
        self._n_counted = 0

    @property
    def title(self) -> str:
        """What a person calls them."""
        what = "corrected objects" if self.is_corrected else "objects"
        return what if self.number == 1 else f"{what} {self.number}"

    @property
    def is_counted(self) -> bool:
        """Whether it is known which objects there are."""
        return self._n_counted == len(self.ids)

    def count_next(self) -> None:
        """Count the objects of another slice."""
        plane, self._n_counted = self._n_counted, self._n_counted + 1
        found, counts = np.unique(self.ids[plane], return_counts=True)
        self._add(plane, found, counts)

    def areas(self) -> dict[int, dict[int, int]]:
        """Return for every id how many px it has on which slices; not to be changed."""
        while not self.is_counted:
            self.count_next()
        return self._areas

    def free_number(self) -> int:
        """Return a number for a new object: the next one, or a gap where that is too high."""
        areas = self.areas()
        following = max(areas, default=0) + 1
        return following if following <= HIGHEST else next(i for i in count(1) if i not in areas)

    def apply(self, edit: ObjectEdit) -> list[int]:
        """Do an edit; return the slices that it has changed."""
        self.areas()
        n_px = self.ids.shape[1] * self.ids.shape[2]
        if edit.numbers is not None:
            planes = self._renumber(*edit.numbers)
        else:
            self.ids.reshape(-1)[edit.indices] = edit.after
            planes = [int(p) for p in np.unique(edit.indices // n_px)]
            for plane in planes:
                first, after = np.searchsorted(edit.indices, (plane * n_px, (plane + 1) * n_px))
                for ids, sign in ((edit.after, 1), (edit.before, -1)):
                    found, counts = np.unique(ids[first:after], return_counts=True)
                    self._add(plane, found, sign * counts)
        self.reviewed = (self.reviewed | edit.marked) - edit.unmarked
        self.is_corrected = True
        self.note()
        return planes

    def renamed_by(self, edit: ObjectEdit) -> dict[int, int]:
        """Return which objects got which other numbers by an edit that has just been done."""
        if edit.numbers is not None:
            return dict(zip(*(ids.tolist() for ids in edit.numbers), strict=True))
        if not len(edit.indices):
            return {}
        old, new = int(edit.before[0]), int(edit.after[0])
        is_one = bool((edit.before == old).all() and (edit.after == new).all())
        is_whole = old not in self._areas
        was_free = sum(self._areas.get(new, {}).values()) == len(edit.indices)
        return {old: new} if old and new and is_one and is_whole and was_free else {}

    def note(self) -> None:
        """Write down what a person has said of the objects: they are kept then."""
        write_notes(self.path, self.notes)

    @property
    def notes(self) -> ObjectNotes:
        """What a person has said of the objects."""
        reviewed = tuple(sorted(self.reviewed))
        return ObjectNotes(uid=self.uid, reviewed=reviewed, made_by=self.made_by)

    def _renumber(self, old: Ids, new: Ids) -> list[int]:
        planes = sorted({p for areas in self.areas().values() for p in areas})
        for p in planes:
            self.ids[p] = map_array(self.ids[p], old, new)  # type: ignore[no-untyped-call]
        becomes = dict(zip(old.tolist(), new.tolist(), strict=True))
        self._areas = {becomes[i]: areas for i, areas in self._areas.items()}
        self.reviewed = {becomes[i] for i in self.reviewed}
        return planes

    def _add(self, plane: int, ids: Ids, n_px: npt.NDArray[np.intp]) -> None:
        for i, n in zip(ids.tolist(), n_px.tolist(), strict=True):
            if i:
                areas = self._areas.setdefault(i, {})
                areas[plane] = areas.get(plane, 0) + n
                if not areas[plane]:
                    del areas[plane]
                if not areas:
                    del self._areas[i]


class ObjectSets:
    """The numbered objects of all images of a window.

    Attributes
    ----------
    added, removed : Signal(ObjectSet)
    changed : Signal(ObjectSet, list)
        Ids on these slices, or what a person said of them.
    outdated : Signal(ObjectSet)
        They are out of date, or no more.
    renamed : Signal(ObjectSet, dict)
        Objects have other numbers: by those before, those now. Comes before `changed`.
    """

    added = Signal(ObjectSet)
    removed = Signal(ObjectSet)
    changed = Signal(ObjectSet, list)
    outdated = Signal(ObjectSet)
    renamed = Signal(ObjectSet, dict)

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sets: dict[str, ObjectSet] = {}
        self._withdrawn: dict[str, ObjectSet] = {}

    def of(self, image_id: str) -> list[ObjectSet]:
        """Return the objects of an image, the newest last."""
        return [s for s in self._sets.values() if s.image == image_id]

    def kept(self, image_id: str) -> tuple[KeptObjects, ...]:
        """Return the objects of an image that a person has worked on."""
        return tuple(KeptObjects(o.path, o.notes) for o in self.of(image_id) if o.is_corrected)

    def __getitem__(self, key: str) -> ObjectSet:
        return self._sets[key]

    def add(
        self, image_id: str, path: Path, notes: ObjectNotes | None = None, made_by: str = ""
    ) -> ObjectSet:
        """Take in objects of which the ids lie in a file of the session."""
        there = [*self._sets.values(), *self._withdrawn.values()]
        number = 1 + sum(objects.image == image_id for objects in there)
        objects = ObjectSet(image_id, path, notes, number, made_by)
        self._sets[objects.key] = objects
        self.added.emit(objects)
        return objects

    def create(self, image_id: str, ids: Ids, made_by: str = "") -> ObjectSet:
        """Take in objects that are nowhere yet.

        Parameters
        ----------
        ids : ndarray, shape (planes, Y, X), uint32
        made_by : str
            As of `ObjectSet`.
        """
        path = self._new_path(image_id)
        np.save(path, ids.astype(np.uint32, copy=False))
        return self.add(image_id, path, made_by=made_by)

    def up_to_date(self) -> list[ObjectSet]:
        """Return the objects of images that have not been segmented otherwise since."""
        return [objects for objects in self._sets.values() if not objects.is_outdated]

    def set_outdated(self, sets: Iterable[ObjectSet], is_outdated: bool) -> None:
        """Take note that the segmentation of objects has changed, or is as it was again."""
        for objects in sets:
            if objects.is_outdated != is_outdated:
                objects.is_outdated = is_outdated
                self.outdated.emit(objects)

    def withdraw(self, keys: Iterable[str]) -> None:
        """Let go of objects until `return_withdrawn`; a later session does not see them."""
        for key in keys:
            objects = self._withdrawn[key] = self._sets.pop(key)
            drop_notes(objects.path)
            self.removed.emit(objects)

    def return_withdrawn(self, keys: Iterable[str]) -> None:
        """Take objects in again that were withdrawn; others are here."""
        for key in keys:
            if key in self._withdrawn:
                objects = self._sets[key] = self._withdrawn.pop(key)
                if objects.is_corrected:
                    objects.note()
                self.added.emit(objects)

    def bring_back(self, image_id: str, kept: Iterable[KeptObjects]) -> int:
        """Copy objects of an earlier session, those that are not here yet; return how many."""
        here = {objects.uid for objects in self.of(image_id)}
        n_added = 0
        for earlier in kept:
            if earlier.notes.uid not in here:
                path = self._new_path(image_id)
                shutil.copyfile(earlier.path, path)
                self.add(image_id, path, earlier.notes).note()
                n_added += 1
        return n_added

    def apply(self, edits: Iterable[ObjectEdit]) -> None:
        """Do edits, as one step of the workspace; tell of them."""
        for edit in edits:
            objects = self._sets[edit.objects]
            planes = objects.apply(edit)
            if names := objects.renamed_by(edit):
                self.renamed.emit(objects, names)
            self.changed.emit(objects, planes)

    def close(self) -> None:
        """Write everything out and let go of the files."""
        for objects in self._sets.values():
            if isinstance(objects.ids, np.memmap):
                objects.ids.flush()
        self._sets.clear()
        self._withdrawn.clear()

    def _new_path(self, image_id: str) -> Path:
        paths = (self._session.path(image_id, f"own-objects-{n}") for n in count(1))
        return next(path for path in paths if not path.exists())

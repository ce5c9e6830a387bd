"""What correcting numbered objects comes down to: each is one step of the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import (
    ObjectEdit,
    connected_objects,
    divide_along,
    nearest_part,
    objects_along,
)
from napari_unetseg.errors import UserError

from .image_entry import ImageEntry
from .objects import HIGHEST, Ids, ObjectSet
from .workspace import Workspace

Path = npt.NDArray[np.float64]
Point = tuple[int, int]
#: Flat indices, ascending, and the ids they get.
Change = tuple[npt.NDArray[np.int64], Ids]

_NOTHING = np.zeros(0, np.uint32)


@dataclass(frozen=True, slots=True)
class SmallObjects:
    """Objects that are smaller than a person wants them.

    Attributes
    ----------
    ids : tuple of int
        Those that nobody called right.
    n_reviewed : int
        How many others are as small.
    """

    ids: tuple[int, ...]
    n_reviewed: int


class ObjectCorrections:
    """Divides, joins, deletes, numbers and paints objects, and remembers which are right.

    Objects of a volume are changed in all slices of their time point, or in one alone. Places are
    (y, x) in px of a slice, and paths of them have shape (n, 2). `UserError` is raised where
    nothing can be meant.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    # ---------------------------------------------------------------- pixels

    def number(self, image_id: str) -> Ids:
        """Return a number for every connected piece of the segmentation shown; changes nothing.

        Returns
        -------
        ndarray, shape (planes, Y, X), uint32
        """
        entry = self._workspace.images[image_id]
        codes = np.stack([entry.segmentation(p) for p in range(entry.shape[0])])
        return connected_objects(codes, entry.stack.size("T"))

    def split(self, objects: ObjectSet, plane: int, path: Path, *, everywhere: bool) -> int:
        """Divide the object that a line crosses most; return how many parts it has now.

        The largest part keeps the number, each other one gets a new one. In the slices beside,
        pixels go with the part that is nearest.

        Parameters
        ----------
        everywhere : bool
            In all slices of the object, not in this one alone.
        """
        under = objects_along(objects.ids[plane], path)
        if not under:
            raise UserError("The line crosses no object; drag it across the one to be divided.")
        number = max(dict.fromkeys(under), key=under.count)
        parts = divide_along(objects.ids[plane] == number, path)
        if parts is None:
            raise UserError("Drag the line right across the object, from outside to outside.")
        highest = self._highest(objects)
        n_parts = int(parts.max())
        if highest + n_parts > HIGHEST:
            raise UserError("There is no free number; renumber the objects first.")
        numbers = np.array([0, number, *range(highest + 1, highest + n_parts)], np.uint32)
        planes = self._planes_of(objects, number, plane, everywhere)
        changes = (
            self._where(objects, p, of_slice > 1, numbers[of_slice])
            for p, of_slice in _through(objects.ids, number, parts, plane, planes)
        )
        self._change(objects, changes, f"cutting object {number}")
        return n_parts

    def ends(self, objects: ObjectSet, plane: int, path: Path) -> tuple[int, int]:
        """Return the objects that a line leads from and to."""
        under = objects_along(objects.ids[plane], path)
        if not under or under[0] == under[-1]:
            raise UserError("Drag the line from one object to another, or click on both.")
        return under[0], under[-1]

    def merge(
        self, objects: ObjectSet, first: int, second: int, plane: int, *, everywhere: bool
    ) -> None:
        """Give the second of two objects the number of the first; no gap between them is filled."""
        if first == second:
            raise UserError(f"That is object {first} already; click on another one.")
        self._replace(objects, [second], first, plane, everywhere, "joining objects")

    def delete(self, objects: ObjectSet, plane: int, point: Point, *, everywhere: bool) -> int:
        """Delete the object under a point; return its number."""
        number = self.at(objects, plane, point)
        self._replace(objects, [number], 0, plane, everywhere, f"deleting object {number}")
        return number

    def at(self, objects: ObjectSet, plane: int, point: Point) -> int:
        """Return the number of the object under a point."""
        number = int(objects.ids[plane][point])
        if not number:
            raise UserError("There is no object under the pointer; click on one.")
        return number

    def small(self, objects: ObjectSet, below_px: int, plane: int | None = None) -> SmallObjects:
        """Find objects of fewer pixels in all their slices, those that `delete_small` deletes.

        Parameters
        ----------
        plane : int, optional
            Only those on this slice.
        """
        small = {
            i
            for i, areas in objects.areas().items()
            if (plane is None or plane in areas) and sum(areas.values()) < below_px
        }
        free = small - objects.reviewed
        return SmallObjects(tuple(sorted(free)), len(small) - len(free))

    def delete_small(self, objects: ObjectSet, below_px: int, plane: int | None = None) -> int:
        """Delete small objects that nobody called right; return how many."""
        small = self.small(objects, below_px, plane).ids
        if small:
            self._change(objects, self._all(objects, small, 0), "deleting small objects")
        return len(small)

    def paint(self, objects: ObjectSet, painted: Ids, planes: Iterable[int]) -> None:
        """Take over what was painted on the layer of objects.

        Parameters
        ----------
        painted : ndarray, shape (planes, Y, X), uint32
            The layer's pixels.
        planes : iterable of int
            Slices on which something may have been painted.
        """
        changes = (
            self._where(objects, p, painted[p] != objects.ids[p], painted[p])
            for p in sorted(set(planes))
        )
        self._change(objects, changes, "painting objects")

    # --------------------------------------------------------------- numbers

    def renumber(self, objects: ObjectSet) -> int:
        """Give the objects the numbers 1, 2, … in the same order; return how many change."""
        old = np.array(sorted(objects.areas()), np.uint32)
        new = np.arange(1, len(old) + 1, dtype=np.uint32)
        n_changed = int(np.count_nonzero(old != new))
        if n_changed:
            none = np.zeros(0, np.int64)
            edit = ObjectEdit(objects.key, none, _NOTHING, _NOTHING, (old, new))
            self._workspace.correct_objects("renumbering objects", edit)
        return n_changed

    def give_number(self, objects: ObjectSet, number: int, wanted: int) -> None:
        """Give an object another number that is free."""
        if number not in objects.areas():
            raise UserError(f"There is no object {number}; pick one with the dropper.")
        if not 1 <= wanted <= HIGHEST:
            raise UserError(f"Numbers of objects are 1 to {HIGHEST:,}.")
        if wanted in objects.areas():
            raise UserError(
                f"Object {wanted} exists already; join the two, or take another number: "
                f"{objects.free_number()} is free."
            )
        was_right = number in objects.reviewed
        changes = self._all(objects, [number], wanted)
        marked = {wanted} if was_right else set()
        self._change(objects, changes, f"renumbering object {number}", marked)

    # ---------------------------------------------------------------- review

    def mark(self, objects: ObjectSet, number: int, *, right: bool = True) -> None:
        """Call an object right, or take that back."""
        if number not in objects.areas():
            raise UserError(f"There is no object {number}.")
        if right != (number in objects.reviewed):
            one = frozenset({number})
            marked, unmarked = (one, frozenset()) if right else (frozenset(), one)
            nowhere = np.zeros(0, np.int64)
            edit = ObjectEdit(objects.key, nowhere, _NOTHING, _NOTHING, None, marked, unmarked)
            label = f"review of object {number}" if right else f"reopening object {number}"
            self._workspace.correct_objects(label, edit)

    def next_unreviewed(self, objects: ObjectSet, after: int = 0) -> int | None:
        """Return the object with the next number that nobody called right; None when all are."""
        left = sorted(objects.areas().keys() - objects.reviewed)
        return next((i for i in left if i > after), left[0] if left else None)

    # --------------------------------------------------------------- writing

    def _entry(self, objects: ObjectSet) -> ImageEntry:
        return self._workspace.images[objects.image]

    def _highest(self, objects: ObjectSet) -> int:
        return max(objects.areas(), default=0)

    def _planes_of(
        self, objects: ObjectSet, number: int, plane: int, everywhere: bool
    ) -> list[int]:
        """Return the slices of an object that belong together with one, ascending."""
        depth = self._entry(objects).stack.size("Z")
        first = plane - plane % depth if everywhere else plane
        together = range(first, first + depth if everywhere else first + 1)
        return sorted(p for p in objects.areas().get(number, ()) if p in together)

    def _replace(
        self,
        objects: ObjectSet,
        numbers: Iterable[int],
        by: int,
        plane: int,
        everywhere: bool,
        label: str,
    ) -> None:
        changes = (
            self._where(objects, p, objects.ids[p] == i, np.uint32(by))
            for i in numbers
            for p in self._planes_of(objects, i, plane, everywhere)
        )
        self._change(objects, changes, label)

    def _all(self, objects: ObjectSet, numbers: Iterable[int], by: int) -> Iterator[Change]:
        """Replace numbers wherever they are."""
        wanted = np.array(sorted(numbers), np.uint32)
        areas = objects.areas()
        for p in sorted({p for i in wanted.tolist() for p in areas[i]}):
            yield self._where(objects, p, np.isin(objects.ids[p], wanted), np.uint32(by))

    @staticmethod
    def _where(
        objects: ObjectSet, plane: int, where: npt.NDArray[np.bool_], ids: Ids | np.uint32
    ) -> Change:
        indices = np.flatnonzero(where)
        after = np.broadcast_to(np.asarray(ids, np.uint32), where.shape).reshape(-1)[indices]
        return indices + plane * where.size, after

    def _change(
        self,
        objects: ObjectSet,
        changes: Iterable[Change],
        label: str,
        marked: Iterable[int] = (),
    ) -> None:
        """Write ids as one step; what is gone is no longer right."""
        made = list(changes)
        if not any(len(indices) for indices, _ in made):
            return
        indices = np.concatenate([indices for indices, _ in made])
        after = np.concatenate([ids for _, ids in made])
        before = objects.ids.reshape(-1)[indices]
        gone = objects.reviewed & (_vanishing(objects, before) - set(np.unique(after).tolist()))
        edit = ObjectEdit(
            objects.key, indices, before, after, None, frozenset(marked), frozenset(gone)
        )
        self._workspace.correct_objects(label, edit)


def _vanishing(objects: ObjectSet, before: Ids) -> set[int]:
    """Return the objects of which every pixel is about to change."""
    numbers, counts = np.unique(before, return_counts=True)
    areas = objects.areas()
    pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {i for i, n in pairs if i and n == sum(areas[i].values())}


def _through(
    ids: Ids, number: int, parts: npt.NDArray[np.intp], plane: int, planes: list[int]
) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Carry the parts of an object from one slice to the others; ascending."""
    found = {plane: parts}
    for way in (
        [p for p in planes if p > plane],
        [p for p in reversed(planes) if p < plane],
    ):
        last = parts
        for p in way:
            found[p] = last = nearest_part(last, ids[p] == number)
    return sorted(found.items())

"""What a person did to the annotations, as differences that can be taken back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import UNLABELLED, LabelClass

#: Where more than one pixel in so many changes, all are kept: an index takes 8 bytes, a code one.
_SPARSE = 5


@dataclass(frozen=True, slots=True)
class Edit:
    """Pixels of one image that changed.

    Attributes
    ----------
    image : str
        Id of the image in the workspace.
    indices : ndarray of int64, shape (n,), or slice
        Into the flattened (planes, Y, X) annotations, ascending. A slice where most changed of
        what it spans: a tenth of the memory.
    before, after : ndarray of uint8, shape (n,)
        Codes.
    n_changed : int
        Pixels that differ.
    sources_before : ndarray of uint8, shape (n,), or None
        Where the annotations came from, by number; None where a person had painted all of them.
    source_after : int, ndarray of uint8, shape (n,), or None
        Where they come from now; None where that stays.
    """

    image: str
    indices: npt.NDArray[np.int64] | slice
    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]
    n_changed: int
    sources_before: npt.NDArray[np.uint8] | None = None
    source_after: int | npt.NDArray[np.uint8] | None = None

    @property
    def n_bytes(self) -> int:
        """Memory the edit holds."""
        indices = 0 if isinstance(self.indices, slice) else self.indices.nbytes
        sources = (self.sources_before, self.source_after)
        kept = (self.before, self.after, *(s for s in sources if isinstance(s, np.ndarray)))
        return indices + sum(array.nbytes for array in kept)

    def planes(self, shape: tuple[int, int, int]) -> list[int]:
        """Return the slices it touches, ascending."""
        size = shape[1] * shape[2]
        if isinstance(self.indices, slice):
            return list(range(self.indices.start // size, -(-self.indices.stop // size)))
        return [int(p) for p in np.unique(self.indices // size)]


@dataclass(frozen=True, slots=True)
class ObjectEdit:
    """What changed of the numbered objects of an image.

    Attributes
    ----------
    objects : str
        Key of the objects in the workspace.
    indices : ndarray of int64, shape (n,)
        Into the flattened (planes, Y, X) ids, each at most once.
    before, after : ndarray of uint32, shape (n,)
        Ids.
    numbers : tuple of two ndarrays of uint32, shape (m,), or None
        All ids there are, and what each becomes instead; no pixel is listed then.
    marked, unmarked : frozenset of int
        Ids that a person has called right, or no more.
    """

    objects: str
    indices: npt.NDArray[np.int64]
    before: npt.NDArray[np.uint32]
    after: npt.NDArray[np.uint32]
    numbers: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]] | None = None
    marked: frozenset[int] = frozenset()
    unmarked: frozenset[int] = frozenset()

    @property
    def n_bytes(self) -> int:
        """Memory the edit holds."""
        pixels = self.indices.nbytes + self.before.nbytes + self.after.nbytes
        return pixels + sum(ids.nbytes for ids in self.numbers or ())

    @property
    def undone(self) -> ObjectEdit:
        """The edit that takes this one back."""
        return ObjectEdit(
            self.objects,
            self.indices,
            self.after,
            self.before,
            None if self.numbers is None else (self.numbers[1], self.numbers[0]),
            self.unmarked,
            self.marked,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What one undo takes back: edits of any number of images, and a change of the classes.

    Attributes
    ----------
    edits : tuple of Edit
    objects : tuple of ObjectEdit
    numbered : tuple of str
        Keys of the numbered objects that it has made.
    classes_before, classes_after : tuple of LabelClass or None
        None where the classes stay.
    shown_before, shown_after : ndarray of uint8, shape (256,), or None
        How predictions are shown: see `workspace.Slots`.
    results : tuple of Edit
        What was painted on results: keys instead of images, slots instead of codes.
    meant_before, meant_after : ndarray of uint8, shape (256,), or None
        What slots of results stand for: see `workspace.Results`. None where that stays.
    """

    label: str
    edits: tuple[Edit, ...] = ()
    classes_before: tuple[LabelClass, ...] | None = None
    classes_after: tuple[LabelClass, ...] | None = None
    shown_before: npt.NDArray[np.uint8] | None = None
    shown_after: npt.NDArray[np.uint8] | None = None
    objects: tuple[ObjectEdit, ...] = ()
    numbered: tuple[str, ...] = ()
    results: tuple[Edit, ...] = ()
    meant_before: npt.NDArray[np.uint8] | None = None
    meant_after: npt.NDArray[np.uint8] | None = None

    @property
    def n_bytes(self) -> int:
        """Memory the step holds."""
        pixels = sum(edit.n_bytes for edit in (*self.edits, *self.results))
        return pixels + sum(edit.n_bytes for edit in self.objects)


class EditLog:
    """A linear history of steps; the oldest are forgotten when it outgrows its memory.

    Parameters
    ----------
    max_bytes : int
        Memory for the differences of all steps that can be undone.
    """

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._n_bytes = 0

    @property
    def undo_label(self) -> str | None:
        """What the next undo takes back; None when there is nothing."""
        return self._done[-1].label if self._done else None

    @property
    def redo_label(self) -> str | None:
        """What the next redo does again; None when there is nothing."""
        return self._undone[-1].label if self._undone else None

    def record(self, step: Step) -> None:
        """Append what has just been done; what had been undone is forgotten."""
        self._undone.clear()
        self._done.append(step)
        self._n_bytes += step.n_bytes
        while self._n_bytes > self._max_bytes and len(self._done) > 1:
            self._n_bytes -= self._done.popleft().n_bytes

    def clear(self) -> None:
        """Forget everything: nothing can be undone or done again."""
        self._done.clear()
        self._undone.clear()
        self._n_bytes = 0

    def undo(self) -> Step | None:
        """Return the step to take back and move it to the undone; None when there is none."""
        if not self._done:
            return None
        step = self._done.pop()
        self._n_bytes -= step.n_bytes
        self._undone.append(step)
        return step

    def redo(self) -> Step | None:
        """Return the step to do again; None when there is none."""
        if not self._undone:
            return None
        step = self._undone.pop()
        self._n_bytes += step.n_bytes
        self._done.append(step)
        return step


def edit_between(
    image: str,
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    offset: int = 0,
) -> Edit | None:
    """Return the difference of two arrays; None where they are equal.

    Parameters
    ----------
    before, after : ndarray of uint8, same shape
        Codes: a slice, or a whole stack.
    offset : int
        Flat index in the stack of their first pixel.
    """
    differs = before != after
    n_changed = int(np.count_nonzero(differs))
    if not n_changed:
        return None
    if n_changed > before.size // _SPARSE:
        whole = slice(offset, offset + before.size)
        return Edit(image, whole, before.flatten(), after.flatten(), n_changed)
    changed = np.flatnonzero(differs)
    at = changed + offset
    return Edit(image, at, before.reshape(-1)[changed], after.reshape(-1)[changed], n_changed)


def fill_unlabelled(
    codes: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return `codes` with every unlabelled pixel taken from `source`; what is painted stays.

    >>> fill_unlabelled(np.array([0, 1, 2], np.uint8), np.array([3, 3, 0], np.uint8))
    array([3, 1, 2], dtype=uint8)
    """
    return np.where(codes == UNLABELLED, source, codes)

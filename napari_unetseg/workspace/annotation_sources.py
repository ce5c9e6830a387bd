"""Which annotations of an image were taken over from a method, and not painted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from napari_unetseg.annotations import Edit
from napari_unetseg.config import UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.images import map_npy
from napari_unetseg.project import KeptSources

from .slots import Codes

#: Methods that are told apart; of annotations from those beyond nothing is known.
_MOST = 255


class AnnotationSources:
    """Remembers by pixel where annotations came from, and forgets it where a person paints.

    A process may be killed between any two lines, and its files live on: what is said of a pixel is
    forgotten before the pixel changes, and said only afterwards.

    Parameters
    ----------
    new_array : callable
        Makes a zeroed array, shape (planes, Y, X), uint8, once it is needed.
    keep_names : callable
        Writes the names of its numbers, that of 1 first, beside the array.
    """

    def __init__(
        self, new_array: Callable[[], Codes], keep_names: Callable[[Sequence[str]], None]
    ) -> None:
        self._new_array = new_array
        self._keep_names = keep_names
        self._numbers: Codes | None = None
        self._names: list[str] = []

    def said_of(self, edit: Edit, source: str) -> Edit:
        """Return an edit with where its annotations come from, unless that is said already.

        Nowhere if a person paints them.
        """
        if edit.source_after is not None or (self._numbers is None and not source):
            return edit
        return self._with_numbers(edit, self._number_of(source) if source else 0)

    def brought_back(
        self, edits: Iterable[Edit | None], kept: KeptSources | None
    ) -> Iterator[Edit | None]:
        """Yield edits that bring annotations back, with where an earlier session had them from.

        Parameters
        ----------
        edits : iterable of Edit or None
            Of images of the same shape.
        """
        earlier = _numbers_in(kept)
        for edit in edits:
            if edit is None or earlier is None or kept is None:
                yield edit
                continue
            numbers = earlier.reshape(-1)[edit.indices]
            became = np.zeros(256, np.uint8)
            for number in np.unique(numbers[edit.before != edit.after]).tolist():
                if 0 < number <= len(kept.texts):
                    became[number] = self._number_of(kept.texts[number - 1])
            yield self._with_numbers(edit, became[numbers]) if became.any() else edit

    def _with_numbers(self, edit: Edit, after: int | Codes) -> Edit:
        before = None if self._numbers is None else self._numbers.reshape(-1)[edit.indices].copy()
        return dataclasses.replace(edit, sources_before=before, source_after=after)

    def _number_of(self, name: str) -> int:
        if name not in self._names:
            if len(self._names) == _MOST:
                return 0
            self._names.append(name)
            self._keep_names(self._names)
        return self._names.index(name) + 1

    def forget(self, edit: Edit) -> None:
        """Say nothing of what an edit is about to change, or to take back."""
        if edit.source_after is not None and self._numbers is not None:
            there = self._numbers.reshape(-1)
            changed = edit.before != edit.after  # an edit may list pixels that stay
            there[edit.indices] = np.where(changed, np.uint8(0), there[edit.indices])

    def do(self, edit: Edit) -> None:
        """Take note of an edit that is done."""
        if edit.source_after is None:
            return
        if self._numbers is None:
            self._numbers = self._new_array()
        there = self._numbers.reshape(-1)
        after = np.asarray(edit.source_after, np.uint8)
        there[edit.indices] = np.where(edit.before != edit.after, after, there[edit.indices])

    def undo(self, edit: Edit) -> None:
        """Take note of an edit that is taken back."""
        if edit.source_after is not None and self._numbers is not None:
            before = 0 if edit.sources_before is None else edit.sources_before
            self._numbers.reshape(-1)[edit.indices] = before

    def count(self, codes: Codes, planes: Iterable[int]) -> dict[str, int]:
        """Return how many annotated pixels came from where, of those that nobody painted.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            The annotations.
        planes : iterable of int
            Those on which anything is annotated.
        """
        numbers = self._numbers
        if numbers is None:
            return {}
        counts = np.zeros(_MOST + 1, np.int64)
        for plane in planes:
            annotated = numbers[plane][codes[plane] != UNLABELLED]
            counts += np.bincount(annotated, minlength=_MOST + 1)
        return {name: int(n) for name, n in zip(self._names, counts[1:], strict=False) if n}


def _numbers_in(kept: KeptSources | None) -> Codes | None:
    try:
        return None if kept is None else map_npy(kept.path)
    except UserError:  # another window has just deleted it
        return None

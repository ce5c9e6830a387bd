"""Which annotations of an image were taken over from a method, and not painted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from napari_unetseg.annotations import Edit
from napari_unetseg.config import UNLABELLED

from .slots import Codes

#: Methods that are told apart; those beyond are one.
_MOST = 255


class AnnotationSources:
    """Remembers by pixel where annotations came from, and forgets it where a person paints.

    Parameters
    ----------
    new_array : callable
        Makes a zeroed array, shape (planes, Y, X), uint8, once it is needed.
    """

    def __init__(self, new_array: Callable[[], Codes]) -> None:
        self._new_array = new_array
        self._numbers: Codes | None = None
        self._names: list[str] = []

    def said_of(self, edit: Edit, source: str) -> Edit:
        """Return an edit with where its annotations come from; nowhere if a person paints them."""
        if self._numbers is None and not source:
            return edit
        if source and source not in self._names:
            self._names.append(source)
        number = min(self._names.index(source) + 1, _MOST) if source else 0
        before = None if self._numbers is None else self._numbers.reshape(-1)[edit.indices].copy()
        return dataclasses.replace(edit, sources_before=before, source_after=number)

    def do(self, edit: Edit) -> None:
        """Take note of an edit that is done."""
        if edit.source_after is None:
            return
        if self._numbers is None:
            self._numbers = self._new_array()
        there = self._numbers.reshape(-1)
        changed = edit.before != edit.after  # an edit may list pixels that stay
        there[edit.indices] = np.where(changed, np.uint8(edit.source_after), there[edit.indices])

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

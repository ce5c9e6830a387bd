"""A layer of numbered objects: what it shows, and what a person paints on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.workspace import ImageEntry, ObjectCorrections, ObjectSet, Workspace

from .shown_layer import ShownLayer


class ShownObjects(ShownLayer):
    """The numbered objects of an image, as a layer that can be painted on.

    Its pixels are the file of ids, mapped so that what is written stays in memory: a copy that
    takes no room where nobody has painted.
    """

    def __init__(
        self,
        workspace: Workspace,
        corrections: ObjectCorrections,
        entry: ImageEntry,
        objects: ObjectSet,
    ) -> None:
        self.objects = objects
        self._corrections = corrections
        super().__init__(workspace, entry, "objects")

    def show(self, planes: Iterable[int]) -> list[int]:
        """Write the ids of slices onto them; return these."""
        shown = list(planes)
        for p in shown:
            # Where nobody has painted, the copy has followed by itself.
            ids, buffer = self.objects.ids[p], self._buffer[p]
            np.copyto(buffer, ids, where=buffer != ids)
        return shown

    def _new_pixels(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        copy = np.load(self.objects.path, mmap_mode="c", allow_pickle=False)
        return copy, copy

    def _take_over(self, given: npt.NDArray[Any]) -> None:
        known = (given >= 0) & (given <= np.iinfo(np.uint32).max)
        np.copyto(self._buffer, given.astype(np.uint32), where=known)

    def _commit(self, planes: Sequence[int]) -> None:
        self._corrections.paint(self.objects, self._buffer, planes)

"""A layer of a classical method's result: what it shows, and what a person paints on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.workspace import ImageEntry, Result, Workspace
from napari_unetseg.workspace.results import back

from .shown_layer import ShownLayer


class ShownResult(ShownLayer):
    """The result of a method, as a layer that can be painted on.

    Its pixels are the file of the result, mapped so that what is written stays in memory: a copy
    that takes no room where nobody has painted and no class was moved.
    """

    def __init__(self, workspace: Workspace, entry: ImageEntry, result: Result) -> None:
        self.result = result
        self._meant_as = workspace.results.meant_as
        super().__init__(workspace, entry, "baseline")

    def show(self, planes: Iterable[int]) -> list[int]:
        """Write the codes of slices onto them; return these."""
        shown = list(planes)
        self._meant_as = self._workspace.results.meant_as
        for p in shown:
            # Where nobody has painted, the copy has followed by itself.
            codes, buffer = self.result.codes(p), self._buffer[p]
            np.copyto(buffer, codes, where=buffer != codes)
        return shown

    def follow_class_in_hand(self) -> None:
        """Let the brush paint on with the class it has, where that has another code by now."""
        slot = back(self._meant_as)[self.layer.selected_label]
        code = int(self._workspace.results.meant_as[slot])
        if code not in (0, self.layer.selected_label):
            self.layer.selected_label = code

    def _new_pixels(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        path = self.result.path
        copy = self.result.slots.copy() if path is None else np.load(path, mmap_mode="c")
        if not np.array_equal(self._meant_as, np.arange(256)):
            for p in range(len(copy)):
                codes = self.result.codes(p)
                if not np.array_equal(copy[p], codes):
                    copy[p] = codes
        return copy, copy

    def _take_over(self, given: npt.NDArray[Any]) -> None:
        known = (given >= 0) & (given <= np.iinfo(np.uint8).max)
        np.copyto(self._buffer, given.astype(np.uint8), where=known)

    def _commit(self, planes: Sequence[int]) -> None:
        if self._entry.id in self._workspace.images:
            self._workspace.commit_result(self.result, self._buffer, planes, self._meant_as)

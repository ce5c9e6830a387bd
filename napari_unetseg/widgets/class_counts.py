"""How many pixels of each class are annotated, counted off the window's thread."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_unetseg.workspace import ImageEntry, Workspace

from .listen import listen
from .newest import NewestWins

#: Rows of a slice are counted in parts of about this many pixels, so that painting goes between.
_PART_PX = 1 << 20

Counts: TypeAlias = npt.NDArray[np.int64]


class ClassCounts(QObject):
    """Annotated pixels per code over all images of the data set; only what changed is recounted.

    Attributes
    ----------
    counted : Signal(object)
        ndarray of int64, shape (256,): pixels by code.
    """

    counted = Signal(object)

    def __init__(self, workspace: Workspace, parent: QObject) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._planes: dict[tuple[str, int], Counts] = {}
        self._stale: set[tuple[str, int]] = set()
        self._thread = NewestWins()
        self._thread.answered.connect(self._on_counted)
        listen(workspace.images_changed, self._on_images_changed)
        listen(workspace.codes_changed, self._on_codes_changed)
        self._on_images_changed()

    def _on_images_changed(self) -> None:
        for image_id, entry in self._workspace.images.items():
            self._stale |= {(image_id, plane) for plane in range(entry.shape[0])}
        self._ask()

    def _on_codes_changed(self, image_id: str, planes: list[int]) -> None:
        self._stale |= {(image_id, plane) for plane in planes}
        self._ask()

    def _ask(self) -> None:
        images = dict(self._workspace.images)
        stale = sorted(key for key in self._stale if key[0] in images)
        self._thread.ask(lambda: {key: count_codes(images[key[0]], key[1]) for key in stale})

    def _on_counted(self, planes: Any) -> None:
        self._planes.update(planes)
        self._stale -= set(planes)
        total = np.zeros(256, np.int64)
        for (image_id, _), counts in self._planes.items():
            if image_id in self._workspace.images:
                total += counts
        self.counted.emit(total)


def count_codes(entry: ImageEntry, plane: int) -> Counts:
    """Count the annotated pixels of a slice by code; shape (256,), code 0 not counted."""
    counts = np.zeros(256, np.int64)
    if entry.blocks[plane].any():
        codes = entry.codes[plane]
        rows = max(1, _PART_PX // max(1, codes.shape[1]))
        for start in range(0, len(codes), rows):
            counts += np.bincount(codes[start : start + rows].ravel(), minlength=256)
        counts[0] = 0
    return counts

"""How many pixels each class has, counted off the window's thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_unetseg.workspace import ImageEntry, Workspace

from .listen import listen
from .newest import NewestWins

#: Rows of a slice are counted in parts of about this many pixels, so that painting goes between.
_PART_PX = 1 << 20

#: Slices that are counted in one go.
_N_PLANES = 64

Counts: TypeAlias = npt.NDArray[np.int64]
Key: TypeAlias = tuple[str, int]


class ClassCounts(QObject):
    """Pixels per code, of the annotations or of the segmentation; only what changed is recounted.

    Parameters
    ----------
    workspace : Workspace
    parent : QObject
    segmentation : bool
        Count what is shown as segmentation instead of what is annotated; of the images named with
        `count_only`, and of none at first.

    Attributes
    ----------
    counted : Signal(object)
        ndarray of int64, shape (256,): pixels by code over all images of the data set that are
        counted.
    """

    counted = Signal(object)

    def __init__(
        self, workspace: Workspace, parent: QObject, *, segmentation: bool = False
    ) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._count: Callable[[ImageEntry, int], Counts] = count_codes
        self._only: Collection[str] | None = None
        self._planes: dict[Key, Counts] = {}
        self._totals: dict[str, Counts] = {}
        self._stale: set[Key] = set()
        self._being_counted: set[Key] = set()
        self._planes_of: Callable[[ImageEntry], Iterable[int]] = ImageEntry.annotated_planes
        self._thread = NewestWins()
        self._thread.answered.connect(self._on_counted)
        changed = workspace.codes_changed
        if segmentation:
            self._count, self._only = count_segmentation, ()
            self._planes_of = ImageEntry.segmented_planes
            changed = workspace.segmentation_changed
            listen(workspace.classes_changed, self._on_classes_changed)
        listen(workspace.images_changed, self._on_images_changed)
        listen(changed, self._on_changed)
        self._on_images_changed()

    def count_only(self, image_ids: Collection[str]) -> None:
        """Count these images from now on, and let the others rest."""
        self._only = image_ids
        self._ask()

    def count_instead(self, labels: npt.NDArray[Any] | None) -> None:
        """Count a result in place of the segmentation.

        Parameters
        ----------
        labels : ndarray, shape (planes, Y, X), uint8 or uint32, or None
            Codes, or ids of objects, which count as the first class; None for the segmentation.
        """

        def count(_: ImageEntry, plane: int) -> Counts:
            shown: npt.NDArray[Any] = labels[plane]  # type: ignore[index]
            return _count(shown if shown.dtype == np.uint8 else (shown > 0).astype(np.uint8) + 1)

        self._thread.forget()
        self._count = count_segmentation if labels is None else count
        self._planes_of = ImageEntry.segmented_planes if labels is None else _all_planes
        self._on_classes_changed()

    def of(self, image_id: str, planes: Collection[int]) -> Counts | None:
        """Return the pixels by code of some slices, as last counted; None where some never were."""
        total = np.zeros(256, np.int64)
        for plane in planes:
            key = image_id, plane
            of_plane = self._planes.get(key)
            if of_plane is not None:
                total[: len(of_plane)] += of_plane
            elif key in self._stale or key in self._being_counted:
                return None
        return total

    def _on_images_changed(self) -> None:
        for image_id, entry in self._workspace.images.items():
            counted = {plane for owner, plane in self._planes if owner == image_id}
            self._stale |= {(image_id, plane) for plane in {*counted, *self._planes_of(entry)}}
        self._ask()
        self._tell()  # there may be nothing to count

    def _on_changed(self, image_id: str, planes: list[int]) -> None:
        self._stale |= {(image_id, plane) for plane in planes}
        self._ask()

    def _on_classes_changed(self) -> None:
        """Forget numbers of codes that may mean other classes now."""
        self._planes.clear()
        self._totals.clear()
        self._stale.clear()
        self._on_images_changed()

    def _is_wanted(self, image_id: str) -> bool:
        wanted = self._only is None or image_id in self._only
        return wanted and image_id in self._workspace.images

    def _ask(self) -> None:
        if self._thread.busy:
            return
        keys = list(islice((key for key in self._stale if self._is_wanted(key[0])), _N_PLANES))
        if not keys:
            return
        # What changes while it is counted is stale again.
        self._being_counted = set(keys)
        self._stale -= self._being_counted
        images, count = dict(self._workspace.images), self._count
        self._thread.ask(lambda: {key: count(images[key[0]], key[1]) for key in keys})

    def _on_counted(self, planes: Any) -> None:
        self._being_counted = set()
        for key, counts in planes.items():
            total = self._totals.setdefault(key[0], np.zeros(256, np.int64))
            for sign, of_plane in ((-1, self._planes.pop(key, counts[:0])), (1, counts)):
                total[: len(of_plane)] += sign * of_plane
            # Most are of a few codes: thousands of slices need not take a place for each there is.
            self._planes[key] = np.trim_zeros(counts, "b")
        self._ask()
        self._tell()

    def _tell(self) -> None:
        """Tell the numbers, unless there is something to be counted first."""
        if self._thread.busy:
            return
        total = np.zeros(256, np.int64)
        for image_id, of_image in self._totals.items():
            if self._is_wanted(image_id):
                total += of_image
        self.counted.emit(total)


def _all_planes(entry: ImageEntry) -> Iterable[int]:
    return range(entry.shape[0])


def count_codes(entry: ImageEntry, plane: int) -> Counts:
    """Count the annotated pixels of a slice by code; shape (256,), code 0 not counted."""
    if not entry.blocks[plane].any():
        return np.zeros(256, np.int64)
    return _count(entry.codes[plane])


def count_segmentation(entry: ImageEntry, plane: int) -> Counts:
    """Count the pixels of the segmentation shown of a slice by code; code 0 not counted."""
    return _count(entry.segmentation(plane))


def _count(codes: npt.NDArray[np.uint8]) -> Counts:
    counts = np.zeros(256, np.int64)
    rows = max(1, _PART_PX // max(1, codes.shape[1]))
    for start in range(0, len(codes), rows):
        counts += np.bincount(codes[start : start + rows].ravel(), minlength=256)
    counts[0] = 0
    return counts

"""The files through which the child sees the images and answers."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.classical import Chain
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.images import annotated_slices
from napari_unetseg.jobs.commands import (
    ImageRef,
    ImageToPredict,
    ImageToSegment,
    TrainingImageRef,
)
from napari_unetseg.jobs.pixels import save_planes
from napari_unetseg.project import Session

from .image_entry import ImageEntry
from .painted import Painted
from .pixel_places import place_of_pixels
from .slots import Codes
from .told import ToldProbabilities


class Stopped(Exception):
    """Nobody wants the files any more."""


class JobFiles:
    """Writes pixels and annotations into the session's folder, and reads answers from it.

    Everything but `predicted`, `begin` and `stop` may take a while and is called on a thread.

    Attributes
    ----------
    copying : tuple of int or None
        Slices of an image that are copied, and how many it has; None while none is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places: dict[str, Path] = {}
        self._stopped = False
        self.copying: tuple[int, int] | None = None
        self._predictions: dict[str, Codes] = {}
        self._to_train: dict[str, tuple[Codes, Codes]] = {}
        self._n_results = 0

    def folder(self, name: str) -> Path:
        """Return a folder of the session, made where it is missing."""
        folder = self._session.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def image(self, entry: ImageEntry) -> ImageRef:
        """Say where the pixels of an image are; where nobody else can read them, copy them, once.

        What is known of them may change meanwhile.
        """
        stack = entry.stack
        if entry.id not in self._places:
            self._places[entry.id] = place_of_pixels(stack) or self._copied(entry)
        return ImageRef(
            id=entry.id,
            path=str(self._places[entry.id]),
            axes=stack.axes,
            pixel_size_um=dict(stack.pixel_size_um),
            name=stack.name,
            channels=list(stack.channels),
        )

    def _copied(self, entry: ImageEntry) -> Path:
        path = self._session.path(entry.id, "pixels")
        stack = entry.stack
        n_bytes = stack.dtype.itemsize * int(np.prod(stack.shape, dtype=np.int64))
        if shutil.disk_usage(path.parent).free < n_bytes:
            raise OSError(errno.ENOSPC, f"{n_bytes / 1e9:.1f} GB are needed for a copy", str(path))
        try:
            save_planes(stack, path, self._advance)
        finally:
            self.copying = None
        return path

    def _advance(self, done: int, total: int) -> None:
        if self._stopped:
            raise Stopped
        self.copying = done, total

    def begin(self) -> None:
        """Write again, after a `stop`."""
        self._stopped = False

    def stop(self) -> None:
        """Copy no more of an image: `Stopped` is raised where one is being copied."""
        self._stopped = True

    def training_image(
        self, entry: ImageEntry, uncertainty: str | None, probabilities: str | None = None
    ) -> TrainingImageRef:
        """Return what `annotated_image` does, to be segmented as well.

        Parameters
        ----------
        uncertainty, probabilities : str or None
            As for `image_to_predict`.
        """
        return replace(
            self.annotated_image(entry),
            prediction=self._new_prediction(entry),
            uncertainty=self._new_uncertainty(entry, uncertainty),
            probabilities=self._path(entry, probabilities),
        )

    def annotated_image(self, entry: ImageEntry) -> TrainingImageRef:
        """Write what is annotated at this moment, and what of it is held out."""
        codes: Any = self._new(entry, "annotations-to-train")
        for plane in entry.annotated_planes():
            codes[plane] = entry.training_codes(plane)
        codes.flush()
        blocks = self._session.array(entry.id, "blocks-to-train", entry.blocks.shape)
        blocks[...] = entry.blocks
        self._to_train[entry.id] = codes, blocks
        return TrainingImageRef(
            image=self.image(entry),
            annotations=str(self._session.path(entry.id, "annotations-to-train")),
            blocks=str(self._session.path(entry.id, "blocks-to-train")),
        )

    def update_training_image(self, entry: ImageEntry, plane: int) -> list[int] | None:
        """Write what is annotated on a slice by now over what `training_image` has written.

        Quick enough to be called after every stroke.

        Returns
        -------
        list of int or None
            Box of what is different now: first row, first column, and the row and the column after
            the last. None where nothing is, or the image is not trained on.
        """
        if entry.id not in self._to_train:
            return None
        codes, blocks = self._to_train[entry.id]
        now = entry.training_codes(plane)
        box = box_of_difference(codes[plane], now)
        if box is not None:
            for annotated in entry.annotated_planes():  # nothing is decided on the others
                blocks[annotated] = entry.blocks[annotated]
            codes[plane] = now
        return box

    def image_to_predict(
        self,
        entry: ImageEntry,
        uncertainty: str | None,
        objects: str | None,
        probabilities: str | None = None,
    ) -> ImageToPredict:
        """Make the file into which a model's answer is written, and one for its uncertainty.

        Parameters
        ----------
        uncertainty, objects, probabilities : str or None
            Roles of the arrays for how uncertain it is, for ids and for how probable each class
            is; None for none.
        """
        return ImageToPredict(
            self.image(entry),
            self._new_prediction(entry),
            self._new_uncertainty(entry, uncertainty),
            self._path(entry, objects),
            self._path(entry, probabilities),
        )

    def _new_uncertainty(self, entry: ImageEntry, role: str | None) -> str | None:
        if role is not None:
            self._new(entry, role)
        return self._path(entry, role)

    def _path(self, entry: ImageEntry, role: str | None) -> str | None:
        return None if role is None else str(self._session.path(entry.id, role))

    def image_to_segment(
        self,
        entry: ImageEntry,
        role: str,
        chain: Chain,
        strokes: Painted | Codes | None = None,
        begun: AnyLabels | None = None,
        *,
        told: ToldProbabilities,
    ) -> ImageToSegment:
        """Name the file for a baseline's answer; write what is annotated, or shown, if need be.

        Refinements without a method begin with `begun`, codes or ids of a result; with the
        segmentation shown where there are none.
        """
        method = chain.method()
        seeds = labels = probable = None
        if method is None and begun is not None:
            path = self._session.path(entry.id, "result-to-refine")
            np.save(path, begun)
            labels = str(path)
        elif method is None:
            probable = told.path(entry.id)
            there = entry.segmented_planes()
            labels = self._written_codes(entry, "labels-to-refine", entry.segmentation, there)
        elif method[0].use_of_strokes(method[1]) != "unused":
            painted = entry.training_codes if strokes is None else strokes.__getitem__
            there = entry.annotated_planes() if strokes is None else annotated_slices(strokes)
            seeds = self._written_codes(entry, "strokes-to-grow", painted, there)
        output = str(self._session.path(entry.id, role))
        return ImageToSegment(
            self.image(entry),
            output,
            seeds,
            labels,
            None if probable is None else str(probable),
            [] if probable is None else told.codes(),
        )

    def _written_codes(
        self,
        entry: ImageEntry,
        role: str,
        plane_of: Callable[[int], Codes],
        planes: Iterable[int],
    ) -> str:
        codes: Any = self._new(entry, role)
        for plane in planes:
            codes[plane] = plane_of(plane)
        codes.flush()
        return str(self._session.path(entry.id, role))

    def new_role(self, what: str) -> str:
        """Name an array that no other job fills."""
        self._n_results += 1
        return f"{what}-{self._n_results}"

    def answered(self, image_ids: Iterable[str], role: str) -> Iterator[tuple[str, Any]]:
        """Yield image by image what the child has written for it."""
        for image_id in image_ids:
            path = self._session.path(image_id, role)
            if path.is_file():
                yield image_id, np.load(path, mmap_mode="r+")

    def drop(self, image_ids: Iterable[str], role: str) -> None:
        """Delete what the child has written and nobody looks at any more."""
        for image_id in image_ids:
            with suppress(OSError):  # some systems delete no file that is mapped; the session will
                self._session.path(image_id, role).unlink(missing_ok=True)

    def predicted(self, image_id: str) -> Codes:
        """Return what the child has answered so far, shape (planes, Y, X)."""
        return self._predictions[image_id]

    def _new(self, entry: ImageEntry, role: str) -> Codes:
        return self._session.array(entry.id, role, entry.shape)

    def _new_prediction(self, entry: ImageEntry) -> str:
        self._predictions[entry.id] = self._new(entry, "answers")
        return str(self._session.path(entry.id, "answers"))


def box_of_difference(before: Codes, after: Codes) -> list[int] | None:
    """Return the smallest box outside of which two slices are equal; None where all is.

    Parameters
    ----------
    before, after : ndarray, shape (Y, X), uint8

    Returns
    -------
    list of int or None
        First row, first column, and the row and the column after the last.

    Examples
    --------
    >>> before = np.zeros((4, 6), np.uint8)
    >>> after = before.copy()
    >>> after[1:3, 4] = 2
    >>> box_of_difference(before, after)
    [1, 4, 3, 5]
    """
    different = before != after
    rows = np.flatnonzero(different.any(axis=1))
    if not len(rows):
        return None
    first, last = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(different[first:last].any(axis=0))
    return [first, int(columns[0]), last, int(columns[-1]) + 1]

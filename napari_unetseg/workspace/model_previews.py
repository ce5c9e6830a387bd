"""Pictures of what models make of the slice in view, drawn while nothing else is to be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_unetseg.events import Event, Finished, FinishReason, ModelPreviewed
from napari_unetseg.images import Stack, sample_pixels
from napari_unetseg.jobs import ImageRef, JobState, Worker
from napari_unetseg.jobs.commands import PreviewModelsCommand
from napari_unetseg.jobs.pixels import save_planes
from napari_unetseg.project import Session

from .image_entry import ImageEntry

#: Side of the part of a slice that is looked at.
SIDE_PX = 512

#: Sections beside it that are given to models that see several.
BESIDE = 4


class ModelPreviews:
    """Asks the child for pictures of models, one question at a time; the newest counts.

    Parameters
    ----------
    session : Session
    worker : Worker
        Shared with whoever has more important work: that calls `give_way`.
    writer : Executor
        A thread for files.

    Attributes
    ----------
    previewed : Signal(ModelPreviewed)
    failed : Signal(str)
    under_way : bool
        Whether what the worker says is for `hear`.
    """

    previewed = Signal(ModelPreviewed)
    failed = Signal(str)

    def __init__(self, session: Session, worker: Worker, writer: Executor) -> None:
        self._session = session
        self._worker = worker
        self._writer = writer
        self._write: Callable[[], PreviewModelsCommand] | None = None
        self._writing: Future[PreviewModelsCommand] | None = None
        self._sampled: set[str] = set()
        self._outdated = False
        self.under_way = False

    def ask(
        self, entry: ImageEntry, plane: int, models: Sequence[Path], device: str = "auto"
    ) -> None:
        """Ask for pictures of models on a slice, as soon as the worker is free."""
        codes = entry.training_codes(plane)
        painted = codes if codes.any() else None
        self._write = lambda: self._written(entry, plane, painted, models, device)
        self._writing = None
        self._outdated = True

    def forget(self) -> None:
        """Ask for nothing more."""
        self._write = self._writing = None
        self._outdated = True
        self.give_way()

    def give_way(self) -> bool:
        """End what is under way; return whether the worker is free."""
        if self.under_way:
            self._worker.cancel()
        return self._worker.state is JobState.IDLE

    def go_on(self) -> None:
        """Take the next step towards the pictures; never waits."""
        if self._write is None or not self.give_way():
            return
        if self._writing is None:
            self._writing = self._writer.submit(self._write)
        elif self._writing.done():
            written, self._write, self._writing = self._writing, None, None
            if (error := written.exception()) is not None:
                self.failed.emit(f"Models cannot be shown on this slice: {error}")
            else:
                self._worker.submit(written.result())
                self.under_way, self._outdated = True, False

    def hear(self, event: Event) -> None:
        """Take in what the worker says."""
        if isinstance(event, ModelPreviewed) and not self._outdated:
            self.previewed.emit(event)
        elif isinstance(event, Finished):
            self.under_way = False
            if event.reason is FinishReason.FAILED:
                self.failed.emit(event.sentence)

    def _written(
        self,
        entry: ImageEntry,
        plane: int,
        painted: npt.NDArray[np.uint8] | None,
        models: Sequence[Path],
        device: str,
    ) -> PreviewModelsCommand:
        """Write no more of the image than the models need: it may be larger than the memory."""
        paths = {
            role: self._session.path(entry.id, f"preview-{role}")
            for role in ("pixels", "painted", "sample")
        }
        if entry.id not in self._sampled:
            np.save(paths["sample"], sample_pixels(entry.stack))
            self._sampled.add(entry.id)
        window = window_of_interest(entry.stack.plane_shape, painted)
        part, index = _sections_around(entry.stack.cropped(*window), plane)
        save_planes(part, paths["pixels"])
        if painted is not None:
            np.save(paths["painted"], painted[window])
        folder = self._session.folder / "previews"
        folder.mkdir(exist_ok=True)
        return PreviewModelsCommand(
            part=ImageRef(
                entry.id,
                str(paths["pixels"]),
                part.axes,
                dict(part.pixel_size_um),
                part.name,
                list(part.channels),
            ),
            plane=index,
            sample=str(paths["sample"]),
            models=[str(model) for model in models],
            folder=str(folder),
            annotations=None if painted is None else str(paths["painted"]),
            device=device,
        )


def window_of_interest(
    shape: tuple[int, int], painted: npt.NDArray[np.uint8] | None
) -> tuple[slice, slice]:
    """Return what is looked at of a slice: around what is painted, else its middle.

    Parameters
    ----------
    shape : tuple of int
        (Y, X).
    painted : ndarray or None, shape (Y, X), uint8
        0 unlabelled.
    """
    middle = [n / 2 for n in shape]
    if painted is not None and painted.any():
        middle = [float(np.median(places)) for places in np.nonzero(painted)]
    window = []
    for at, n in zip(middle, shape, strict=True):
        start = min(max(0, round(at - SIDE_PX / 2)), max(0, n - SIDE_PX))
        window.append(slice(start, min(n, start + SIDE_PX)))
    return window[0], window[1]


def _sections_around(stack: Stack, plane: int) -> tuple[Stack, int]:
    """Return a slice with those beside it, of its time point, and its place among them."""
    t, z = divmod(plane, stack.size("Z"))
    first, last = max(0, z - BESIDE), z + BESIDE + 1
    kept = {"T": slice(t, t + 1), "Z": slice(first, last)}
    data = stack.data[tuple(kept.get(axis, slice(None)) for axis in stack.axes)]
    return Stack(data, stack.axes, stack.pixel_size_um, stack.name, None, stack.channels), z - first

"""How far the slices of every image are: predicted, annotated, accepted.

Strokes and predictions only mark slices here; they are counted when somebody asks, a few at a time
and on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_unetseg.images import Stack

from .image_entry import ImageEntry
from .workspace import Workspace

#: Rows of a slice are counted in parts of about this many pixels, so that painting goes between.
_PART_PX = 1 << 18


class SliceState(IntEnum):
    """What has been done to a slice; what is higher is farther."""

    NOTHING = 0
    PREDICTED = 1
    ANNOTATED = 2
    ACCEPTED = 3


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """What is known of a slice.

    Attributes
    ----------
    n_annotated_px : int
        Inside the region of interest, as all of these.
    n_px : int
        That can be annotated.
    is_predicted : bool
        Whether a network's answer is shown anywhere.
    """

    n_annotated_px: int
    n_px: int
    is_predicted: bool

    @property
    def state(self) -> SliceState:
        """The farthest it has come."""
        if self.n_annotated_px:
            complete = self.n_annotated_px == self.n_px
            return SliceState.ACCEPTED if complete else SliceState.ANNOTATED
        return SliceState.PREDICTED if self.is_predicted else SliceState.NOTHING

    @property
    def words(self) -> str:
        """What a person is told.

        >>> SliceFacts(30, 1000, True).words
        'annotated, 3 % painted; predicted'
        """
        if self.state is SliceState.ANNOTATED:
            percent = min(100 * self.n_annotated_px // self.n_px, 99)
            painted = f"{percent} %" if percent else "less than 1 %"
            said = f"annotated, {painted} painted"
        elif self.state is SliceState.ACCEPTED:
            said = "completely annotated"
        else:
            return "predicted" if self.is_predicted else "nothing yet"
        return f"{said}; predicted" if self.is_predicted else said


#: Image, and by slice: how often it had changed when it was counted, and what was found.
Counted: TypeAlias = tuple[str, dict[int, tuple[int, SliceFacts]]]


class StackProgress:
    """The state of every slice, and which slices are suggested to be annotated next.

    It belongs to a workspace from its beginning: of slices that have not changed since an image was
    added nothing needs to be read.

    Parameters
    ----------
    workspace : Workspace

    Attributes
    ----------
    outdated : Signal(str)
        Something is to be counted in this image.
    changed : Signal(str)
        The state of a slice, or what is suggested, is another in this image.
    """

    outdated = Signal(str)
    changed = Signal(str)

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._images: dict[str, _Slices] = {}
        self._suggested: dict[str, frozenset[int]] = {}
        self._look_for_images()
        workspace.images_changed.connect(self._look_for_images)
        workspace.codes_changed.connect(self._on_changed)
        workspace.segmentation_changed.connect(self._on_changed)

    def facts(self, image_id: str, plane: int) -> SliceFacts:
        """Return what was last counted of a slice."""
        slices = self._images[image_id]
        return SliceFacts(
            int(slices.n_annotated_px[plane]),
            int(slices.n_px[plane]),
            bool(slices.is_predicted[plane]),
        )

    def states(self, image_id: str) -> npt.NDArray[np.uint8]:
        """Return the `SliceState` of every slice, as last counted; shape (planes,)."""
        return self._images[image_id].states

    def suggested(self, image_id: str) -> frozenset[int]:
        """Return the slices that are suggested to be annotated next."""
        return self._suggested.get(image_id, frozenset())

    def set_suggested(self, image_id: str, planes: Iterable[int]) -> None:
        """Suggest slices of an image, instead of those before."""
        self._suggested[image_id] = frozenset(planes)
        self.changed.emit(image_id)

    # -------------------------------------------------------------- counting

    def question(self, image_id: str, here: int, at_most: int = 64) -> Callable[[], Counted] | None:
        """Return a function that counts slices which have changed; None where none have.

        Parameters
        ----------
        here : int
            Those nearest to this slice are counted first.
        at_most : int
            How many.

        Returns
        -------
        function or None
            Changes nothing and may be called on any thread; its answer is for `take`.
        """
        entry, slices = self._workspace.images[image_id], self._images[image_id]
        stale = np.flatnonzero(slices.n_changes != slices.n_counted)
        if not len(stale):
            return None
        nearest = stale[np.argsort(np.abs(stale - here), kind="stable")[:at_most]]
        changes = {int(p): int(slices.n_changes[p]) for p in nearest}
        return lambda: (image_id, {p: (n, count_slice(entry, p)) for p, n in changes.items()})

    def take(self, counted: Counted) -> None:
        """Take note of what was counted."""
        image_id, found = counted
        if self._images[image_id].take(found):
            self.changed.emit(image_id)

    # --------------------------------------------------------------- changes

    def _look_for_images(self) -> None:
        for image_id, entry in self._workspace.images.items():
            slices = self._images.get(image_id)
            if slices is None:
                slices = self._images[image_id] = _Slices(entry.shape)
                slices.n_changes[entry.segmented_planes()] += 1
            elif slices.is_left_out:  # nobody tells of changes in what is left out
                slices.n_changes[entry.segmented_planes()] += 1
                slices.n_changes[slices.states > SliceState.NOTHING] += 1
        for image_id, slices in self._images.items():
            slices.is_left_out = image_id not in self._workspace.images

    def _on_changed(self, image_id: str, planes: list[int]) -> None:
        self._images[image_id].n_changes[planes] += 1
        self.outdated.emit(image_id)


class _Slices:
    """What is known of the slices of one image: arrays of shape (planes,).

    Attributes
    ----------
    n_changes, n_counted : ndarray of int64
        How often a slice has changed, and had changed when it was last counted.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        n_planes, height, width = shape
        self.n_annotated_px = np.zeros(n_planes, np.int64)
        self.n_px = np.full(n_planes, height * width, np.int64)
        self.is_predicted = np.zeros(n_planes, bool)
        self.states = np.zeros(n_planes, np.uint8)
        self.n_changes = np.zeros(n_planes, np.int64)
        self.n_counted = np.zeros(n_planes, np.int64)
        self.is_left_out = False

    def take(self, found: dict[int, tuple[int, SliceFacts]]) -> bool:
        """Take note of what was counted; return whether any slice has another state."""
        before = self.states.copy()
        for plane, (n_changes, facts) in found.items():
            if n_changes < self.n_counted[plane]:  # an older answer
                continue
            self.n_annotated_px[plane] = facts.n_annotated_px
            self.n_px[plane] = facts.n_px
            self.is_predicted[plane] = facts.is_predicted
            self.states[plane] = facts.state
            self.n_counted[plane] = n_changes
        return not np.array_equal(before, self.states)


def count_slice(entry: ImageEntry, plane: int) -> SliceFacts:
    """Count what is annotated and look for what is predicted inside the region of a slice."""
    codes, prediction = entry.codes[plane], entry.prediction[plane]
    shown_as = entry.slots.shown_as
    allowed = None if entry.region is None else entry.allowed(plane)
    anything, answered = bool(entry.blocks[plane].any()), plane in entry.predicted
    n_annotated_px, is_predicted = 0, False
    height, width = codes.shape
    n_rows = max(1, _PART_PX // max(1, width))
    for start in range(0, height if anything or answered else 0, n_rows):
        part = slice(start, start + n_rows)
        inside = ... if allowed is None else allowed[part]
        if anything:
            n_annotated_px += int(np.count_nonzero(codes[part][inside]))
        if answered and not is_predicted:
            is_predicted = bool(shown_as[prediction[part][inside]].any())
        if is_predicted and not anything:
            break
    n_px = codes.size if allowed is None else int(np.count_nonzero(allowed))
    return SliceFacts(n_annotated_px, n_px, is_predicted)


def slice_name(stack: Stack, plane: int) -> str:
    """Return what to call a slice along the flattened T · Z axis.

    >>> slice_name(Stack(np.zeros((2, 5, 4, 4)), "TZYX", name="cells"), 7)
    'time point 1, slice 2'
    """
    n_times, depth = stack.size("T"), stack.size("Z")
    if n_times <= 1:
        return f"slice {plane}"
    if depth <= 1:
        return f"time point {plane}"
    return f"time point {plane // depth}, slice {plane % depth}"

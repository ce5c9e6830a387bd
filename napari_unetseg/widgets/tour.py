"""The tour: what a newcomer does on a sample, step by step, until a model is theirs.

What has happened is read from the workspace and the controller, and only of the sample. Nothing is
done for the person but opening it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget
from scipy.ndimage import label

from napari_unetseg.annotations import code_of
from napari_unetseg.config import BACKGROUND
from napari_unetseg.samples import NUCLEI_CLASSES
from napari_unetseg.samples.contributions import LayerData, open_nuclei_sample
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .listen import listen
from .newest import NewestWins
from .stack_from_layers import METADATA

if TYPE_CHECKING:
    from .dock import SegmentationDock

_DATA, _TRAIN, _CORRECT, _EXPORT = 0, 2, 3, 4
_NUCLEUS = code_of(1)
_PAINTED = ("annotations", "segmentation")

_OCCUPIED = (
    "The tour works on a sample of its own: open a new napari window for it, so that your images "
    "and classes stay as they are."
)

Control = Callable[["SegmentationDock"], QWidget]


@dataclass(frozen=True, slots=True)
class TourStep:
    """One thing to do.

    Attributes
    ----------
    name : str
        What has happened when it is done.
    text : str
        One or two sentences.
    at : function or None
        Returns the control to use.
    """

    name: str
    text: str
    at: Control | None = None


def _in_step(index: int, pick: Control) -> Control:
    """Return what points at a control of a step, or at the step's button until it is shown."""
    return lambda dock: pick(dock) if dock.shown == index else dock.step_button(index)


def _canvas(dock: SegmentationDock) -> QWidget:
    window = dock.context.viewer.window
    return window._qt_viewer.canvas.native  # noqa: SLF001 - napari has no public name for it


def _live(dock: SegmentationDock) -> QWidget:
    return dock.live.live if dock.live.isVisible() else dock.step_button(_TRAIN)


def _panel(name: str) -> Control:
    """Return what finds a control by its name in the step that is shown."""
    return lambda dock: getattr(dock.panels[dock.shown], name)


STEPS: tuple[TourStep, ...] = (
    TourStep(
        "brush taken",
        "These are nuclei under a fluorescence microscope. Press Paint to take the brush of the "
        "class selected, nucleus; if another is, click nucleus instead.",
        _in_step(_DATA, _panel("paint")),
    ),
    TourStep(
        "nuclei painted",
        "Paint inside two nuclei: drag over each with the left mouse button. Ctrl+Z takes a "
        "stroke back.",
        _canvas,
    ),
    TourStep(
        "background taken",
        "Now click background in the table: all that is no nucleus is a class too.",
        _in_step(_DATA, lambda dock: dock.panels[_DATA].classes.table),
    ),
    TourStep(
        "background painted",
        "Paint a stroke between the nuclei, some of it close to one. A few strokes are enough.",
        _canvas,
    ),
    TourStep(
        "learning",
        "Open the Train step and press Live at the bottom: a network learns from your strokes.",
        _live,
    ),
    TourStep(
        "segmented",
        "It is learning. In some seconds its answer lies over this slice; nothing to do but wait.",
        lambda dock: dock.status.bar,
    ),
    TourStep(
        "looked around",
        "Coloured is what it takes for nuclei. Look at another slice: click elsewhere on the strip "
        "of slices.",
        lambda dock: dock.strip if dock.strip.isVisible() else dock.step_button(_CORRECT),
    ),
    TourStep(
        "corrected",
        "Open the Correct step, choose a class, and paint over a mistake in the image: nucleus "
        "where one was missed, background where there is none.",
        _in_step(_CORRECT, _panel("tools")),
    ),
    TourStep(
        "accepted",
        "Is the rest of this slice right? Press Accept slice: all of it becomes annotations.",
        _in_step(_CORRECT, _panel("accept_slice")),
    ),
    TourStep(
        "kept",
        "Press Live again: learning ends, the model is kept, and every slice is segmented with it.",
        _live,
    ),
    TourStep(
        "saved",
        "Open the Export step and save the model, or the segmentation, where you want to have it.",
        _in_step(_EXPORT, _panel("save_model")),
    ),
    TourStep(
        "",
        "Saved. The Train step offers the model that you taught for your own images, too: untick "
        "the sample in the Data step and open one.",
    ),
)


class Tour(QObject):
    """Follows what a person does on the sample.

    Parameters
    ----------
    context : Context

    Attributes
    ----------
    changed : Signal()
        Another step, or none.
    """

    changed = Signal()

    def __init__(self, context: Context, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self._entry: ImageEntry | None = None
        self._began: npt.NDArray[np.uint8] | None = None  # what was painted when it began
        self._codes: npt.NDArray[np.uint8] | None = None  # when correcting could begin
        self._seen_on = -1
        self._n_rounds = 0
        self._is_on = False
        self.happened: set[str] = set()
        self._opener = NewestWins()
        self._opener.answered.connect(self._on_opened)
        workspace, controller = context.workspace, context.controller
        listen(workspace.images_changed, self._on_images_changed)
        listen(workspace.history_changed, self._look)
        listen(workspace.segmentation_changed, self._look)
        listen(controller.live.changed, self._look)
        listen(controller.state_changed, self._look)
        listen(controller.started, self._look)
        listen(controller.finished, self._look)
        listen(context.viewer.dims.events.current_step, self._look)

    @property
    def step(self) -> TourStep | None:
        """What is to be done next; None while nobody is on the tour, or the sample is opening."""
        if self._entry is None or not self._is_on:
            return None
        return next(step for step in STEPS if step.name not in self.happened)

    @property
    def number(self) -> int:
        """Of the step, from 1."""
        return STEPS.index(self.step) + 1 if self.step is not None else 0

    @property
    def is_on(self) -> bool:
        """Whether a person is on the tour."""
        return self._is_on

    def start(self) -> None:
        """Open the sample, or go on where the tour was left; begin anew where it was done."""
        workspace = self._context.workspace
        if self._entry is None and (workspace.images or workspace.in_use):
            self._context.say(_OCCUPIED)
            return
        self._is_on = True
        if self.step is STEPS[-1]:
            self._begin_anew()
        if self._entry is None:
            self._n_rounds = len(self._context.controller.rounds)
            self._opener.ask(open_nuclei_sample)
        self._look()
        self.changed.emit()

    def _begin_anew(self) -> None:
        """Take the sample as it is for new, on a slice without annotations if there is one."""
        assert self._entry is not None
        self.happened.clear()
        self._began, self._codes = self._entry.codes.copy(), None
        self._n_rounds = len(self._context.controller.rounds)
        painted = set(self._entry.annotated_planes())
        empty = [plane for plane in range(len(self._began)) if plane not in painted]
        if empty:
            self._context.layers.show_plane(self._entry, empty[0])

    def leave(self) -> None:
        """Forget it; the sample stays open, with what is painted."""
        self._is_on = False
        self.changed.emit()

    def note_saved(self, _: object) -> None:
        """Take note that something was saved in the Export step."""
        if self.step is not None and self.step.name == "saved":
            self.happened.add("saved")
            self.changed.emit()

    # --------------------------------------------------------------- sample

    def _on_opened(self, layers: list[LayerData]) -> None:
        workspace = self._context.workspace
        if not self._is_on:
            return
        if workspace.images or workspace.in_use:  # opened while the sample was being made
            self.leave()
            self._context.say(_OCCUPIED)
            return
        pixels, arguments, _ = layers[0]
        image: Image = self._context.viewer.add_image(pixels, **arguments)
        workspace.set_classes(NUCLEI_CLASSES, undoable=False)
        self._entry = self._context.layers.add_image([image])
        self._began = self._entry.codes.copy()
        annotations = self._context.layers.annotations_layer(self._entry.id)
        self._context.layers.activate(annotations)
        self._context.viewer.reset_view()
        self.changed.emit()

    def _on_images_changed(self) -> None:
        if self._entry is not None and self._entry.id not in self._context.workspace.images:
            self._entry = self._began = self._codes = None
            self.happened.clear()
            self.leave()

    # ------------------------------------------------------- what has happened

    def look_at_hand(self) -> None:
        """Take note of the brush in hand; called now and then, since layers come and go."""
        entry, step = self._entry, self.step
        if entry is None or step is None:
            return
        taken = {_NUCLEUS: "brush taken", BACKGROUND: "background taken"}
        if taken.get(self._in_hand(entry)) == step.name:
            self.happened.add(step.name)
            self.changed.emit()

    def _look(self, *_: Any) -> None:
        """Take note of what has happened, and go on."""
        entry, before = self._entry, self.step
        if entry is None or not self._is_on:
            return
        self._look_at_painting(entry)
        self._look_at_learning(entry)
        if self.step is not before:
            self.changed.emit()

    def _look_at_painting(self, entry: ImageEntry) -> None:
        if "nuclei painted" not in self.happened and self._pieces(entry, _NUCLEUS) > 1:
            self.happened |= {"brush taken", "nuclei painted"}
        if "background painted" not in self.happened and self._pieces(entry, BACKGROUND):
            self.happened |= {"background taken", "background painted"}
        if self._codes is not None and (entry.codes != self._codes).any():
            accepting = self._context.workspace.log.undo_label == "accepting"
            self.happened.add("accepted" if accepting else "corrected")

    def _pieces(self, entry: ImageEntry, code: int) -> int:
        """Count the connected pieces that were annotated with a code since it began."""
        assert self._began is not None
        return sum(
            label((entry.codes[plane] == code) & (self._began[plane] != code))[1]
            for plane in entry.annotated_planes()
        )

    def _look_at_learning(self, entry: ImageEntry) -> None:
        controller, here = self._context.controller, self._context.layers.current_plane(entry)
        learns = controller.live.is_on or controller.is_training
        learned = len(controller.rounds) > self._n_rounds
        _set(self.happened, "learning", learns or learned)
        _set(self.happened, "kept", learned and not learns)
        if not (learns or learned) or here not in entry.predicted:
            return
        if "segmented" not in self.happened:
            self.happened.add("segmented")
            self._seen_on = here
        elif here != self._seen_on and self._codes is None:
            self.happened.add("looked around")
            self._codes = entry.codes.copy()

    def _in_hand(self, entry: ImageEntry) -> int:
        """Return the code that the brush paints on the sample; 0 where there is no brush."""
        active = self._context.viewer.layers.selection.active
        ours = {} if active is None else active.metadata.get(METADATA, {})
        is_ours = ours.get("image") == entry.id and ours.get("role") in _PAINTED
        return int(active.selected_label) if is_ours and str(active.mode) == "paint" else 0


def _set(names: set[str], name: str, there: bool) -> None:
    names.add(name) if there else names.discard(name)

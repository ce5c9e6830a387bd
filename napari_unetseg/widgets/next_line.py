"""What to do next, under what was said last; it moves on with what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel

from napari_unetseg.annotations import code_of
from napari_unetseg.config import BACKGROUND
from napari_unetseg.events import TrainingStarted
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import ImageEntry, SliceState
from napari_unetseg.workspace.next_step import Situation, StepName, next_step

from .baselines_step import BaselinesStep
from .class_counts import Counts
from .context import Context
from .correct_step import CorrectStep
from .export_step import ExportStep
from .listen import listen
from .open_images import open_images
from .stack_from_layers import METADATA

if TYPE_CHECKING:
    from .dock import SegmentationDock

#: Changes come in bursts.
_SOON_MS = 150


class NextLine(QLabel):
    """A label that reads off the window what to do next.

    Parameters
    ----------
    context : Context
    dock : SegmentationDock
        Its step in view decides what is said.
    """

    def __init__(self, context: Context, dock: SegmentationDock) -> None:
        super().__init__()
        self.setWordWrap(True)
        self._context = context
        self._dock = dock
        self._counts: Counts = np.zeros(256, np.int64)
        self._counts_learned: Counts | None = None
        self._is_saved = False
        self._device = "cpu"
        self._seconds_left: float | None = None
        self._is_predicted = any(
            context.layers.current_plane(entry) in entry.predicted
            for entry in context.workspace.images.values()
        )
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self.refresh)
        self._connect()

    def _connect(self) -> None:
        context, controller = self._context, self._context.controller
        listen(controller.started, self._on_started)
        listen(controller.progressed, self._on_progressed)
        listen(context.workspace.segmentation_changed, self._on_segmentation_changed)
        for signal in (
            controller.state_changed,
            controller.model_changed,
            controller.rounds_changed,
            controller.finished,
            controller.live.changed,
            context.workspace.images_changed,
            context.workspace.classes_changed,
            context.progress.changed,
            context.objects.changed,
            context.at_hand.changed,
            context.viewer.layers.events.inserted,
            controller.compared.changed,
        ):
            listen(signal, self._refresh_soon)
        listen(context.workspace.history_changed, self._on_edited)
        for panel in self._dock.panels:
            if isinstance(panel, ExportStep):
                panel.saved.connect(self._on_saved)
            if isinstance(panel, BaselinesStep):
                panel.offers_changed.connect(self._refresh_soon)

    def take_counts(self, counts: Counts) -> None:
        """Take note of how many pixels of each class are annotated; shape (256,), by code."""
        self._counts = counts
        if self._counts_learned is None:
            self._counts_learned = counts
        self._refresh_soon()

    def refresh(self) -> None:
        """Say what to do next."""
        said = f"Next: {next_step(self._situation())}"
        if said != self.text():
            self.setText(said)

    def _refresh_soon(self, *_: Any) -> None:
        self._soon.start()

    # ------------------------------------------------------------------ facts

    def _on_started(self, event: TrainingStarted) -> None:
        self._device = event.device
        self._counts_learned = self._counts
        self._refresh_soon()

    def _on_progressed(self, _: float | None, seconds_left: float | None) -> None:
        self._seconds_left = seconds_left
        if not self._soon.isActive():
            self._soon.start()

    def _on_saved(self, *_: object) -> None:
        self._is_saved = True
        self._refresh_soon()

    def _on_edited(self) -> None:
        self._is_saved = False
        self._refresh_soon()

    def _on_segmentation_changed(self, image_id: str, planes: list[int]) -> None:
        self._is_saved = False
        if not self._is_predicted and planes:
            predicted = self._context.workspace.images[image_id].predicted
            self._is_predicted = not predicted.isdisjoint(planes)
            self._refresh_soon()

    def _situation(self) -> Situation:
        context, controller = self._context, self._context.controller
        images, panel = context.workspace.images, self._dock.panels[self._dock.shown]
        button = panel.retrain if isinstance(panel, CorrectStep) else self._dock.train.train
        entry, learned = context.layers.current_image(), self._counts_learned
        codes = [code_of(k) for k in range(1, len(context.workspace.classes) + 1)]
        names = [*(c.name for c in context.workspace.classes), "background"]
        last = controller.rounds[-1] if controller.rounds else None
        scored = last is not None and last.before is not None and last.after is not None
        states = [context.progress.states(image_id) for image_id in images]
        return Situation(
            cast("StepName", panel.TITLE.lower()),
            n_open=len(open_images(context.viewer.layers)),
            n_images=len(images),
            unpainted=tuple(
                name
                for code, name in zip([*codes, BACKGROUND], names, strict=True)
                if not self._counts[code]
            ),
            is_painted=bool(self._counts.any()),
            can_train=button.isEnabled(),
            is_busy=controller.state is not JobState.IDLE,
            is_training=controller.is_training,
            device=self._device,
            seconds_left=self._seconds_left,
            live=controller.live.state,
            has_model=controller.model is not None,
            is_predicted=self._is_predicted and bool(images),
            has_result=entry is not None and self._has_result(entry),
            n_rounds=len(controller.rounds),
            gain=last.after - last.before if scored else None,  # type: ignore[operator, union-attr]
            score=last.after if last is not None else None,
            is_corrected=learned is not None and bool((self._counts != learned).any()),
            n_slices=sum(len(of_image) for of_image in states),
            n_complete=sum(int((s == SliceState.ACCEPTED).sum()) for s in states),
            n_unreviewed=0 if entry is None else self._n_unreviewed(entry),
            is_on_objects=self._is_on_objects(),
            can_predict=controller.state is not JobState.IDLE or not controller.why_not_predict(),
            offer=panel.offer if isinstance(panel, BaselinesStep) else "nothing",
            why_not=panel.why_not if isinstance(panel, BaselinesStep) else "",
            is_saved=self._is_saved,
            is_on_result=entry is not None and bool(context.at_hand.why_not_correct(entry.id)),
        )

    def _has_result(self, entry: ImageEntry) -> bool:
        objects = self._context.workspace.objects.of(entry.id)
        return bool(objects or self._context.layers.result_layers(entry.id))

    def _n_unreviewed(self, entry: ImageEntry) -> int:
        objects = self._context.objects.current(entry.id)
        if objects is None or not objects.is_counted:
            return 0
        return len(objects.areas()) - len(objects.reviewed)

    def _is_on_objects(self) -> bool:
        active = self._context.viewer.layers.selection.active
        return active is not None and active.metadata.get(METADATA, {}).get("role") == "objects"

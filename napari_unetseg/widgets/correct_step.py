"""Correct: put right what is wrong, accept what is right, retrain."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton

from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, TrainingStarted
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import ImageEntry, ObjectSet

from .choices import DeviceBox, SecondsBox
from .compare_box import CompareBox
from .context import Context
from .listen import listen
from .objects_box import ObjectsBox
from .paint_tools import PaintTools
from .rounds_table import RoundsTable
from .slices_rows import SlicesRows
from .small_pieces_row import SmallPiecesRow
from .step import StepPanel
from .truth_box import TruthBox

#: Strokes come in bursts; the score against a truth is computed when they pause.
_PAUSE_MS = 800

_NO_IMAGE = "Choose an image in the Data step first."
_CLOSED = "Its annotations layer is closed; choose a tool to bring it back."


class CorrectStep(StepPanel):
    """Turn a segmentation into a better one."""

    TITLE: ClassVar[str] = "Correct"
    HINT: ClassVar[str] = (
        "Paint over mistakes and, beside them, some of what they were taken for; accept slices "
        "that are right; retrain."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = False
        self._truth_before: float | None = None
        self._truth_of: dict[int, tuple[float | None, float | None]] = {}
        self._unscored_round: int | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._build()
        self._connect()
        self._show_rounds()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.tools = PaintTools(self.context)
        self.column.addWidget(self.tools)
        self.accept_slice = self.button(
            "Accept slice",
            "The segmentation of this slice is right: annotate its unlabelled pixels with it.",
            lambda: self._on_accept(all_slices=False),
        )
        self.accept_in_sight = self.button(
            "Accept in sight",
            "What is in sight of this slice is right: annotate its unlabelled pixels there. Zoom "
            "and move until everything in sight is right.",
            self._on_accept_in_sight,
        )
        self.accept_all = self.button(
            "Accept all slices",
            "The segmentation is right everywhere: annotate all unlabelled pixels with it.",
            lambda: self._on_accept(all_slices=True),
        )
        self.slices = SlicesRows(self.context)
        self.undo = self.button("Undo", "Take back the last stroke or action.", self._on_undo)
        self.redo = self.button("Redo", "Do again what was taken back.", self._on_redo)
        self.small = SmallPiecesRow(self.context)
        self._add_row(self.accept_slice, self.accept_in_sight, self.accept_all)
        self.column.addWidget(self.slices)
        self.column.addWidget(self.small)
        self._add_row(self.undo, self.redo)
        self.retrain = self.primary(
            "Retrain on corrections",
            "The model at hand learns from everything annotated by now, then segments again.",
            self._on_retrain,
        )
        self._build_retraining()
        self.table = RoundsTable()
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.objects = ObjectsBox(self.context)
        self.objects_section = self.advanced(self.objects, "Objects")
        self.objects_section.toggleButton().setToolTip("Number, review and correct objects.")
        self.truth = TruthBox(self.context)
        self.column.addWidget(self.table)
        self.column.addWidget(self.sentence)
        self.compare = CompareBox(self.context)
        self.compare_section = self.advanced(self.compare, "Compare")
        self.compare_section.toggled.connect(lambda *_: self.compare.comparison.end())
        self.column.addWidget(self.truth)
        self.column.addStretch(1)

    def _add_row(self, *buttons: QPushButton) -> None:
        row = QHBoxLayout()
        for button in buttons:
            row.addWidget(button, 1)
        self.column.addLayout(row)

    def _build_retraining(self) -> None:
        self.seconds = SecondsBox(30)
        self.device = DeviceBox()
        row = QHBoxLayout()
        row.addWidget(QLabel("for"))
        row.addWidget(self.seconds)
        row.addWidget(QLabel("on"))
        row.addWidget(self.device, 1)
        self.column.addLayout(row)

    def _connect(self) -> None:
        context, controller = self.context, self.context.controller
        self._pause.timeout.connect(self.truth.compare)
        self.truth.scored.connect(self._on_truth_scored)
        listen(controller.state_changed, self._update)
        listen(controller.model_changed, self._update)
        listen(controller.started, self._on_started)
        listen(controller.rounds_changed, self._on_rounds_changed)
        listen(controller.finished, self._on_finished)
        listen(context.workspace.history_changed, self._on_history_changed)
        listen(context.workspace.images_changed, self._update)
        listen(context.workspace.segmentation_changed, self._on_segmentation_changed)
        listen(context.layers.key_pressed, self._on_key)
        listen(context.workspace.objects.added, self._on_objects_added)
        listen(context.viewer.dims.events.current_step, self._update_accept)
        listen(context.viewer.dims.events.ndisplay, self._update_accept)
        listen(context.viewer.dims.events.order, self._update_accept)
        listen(context.at_hand.changed, self._update_accept)
        for event in ("inserted", "removed", "renamed"):
            listen(getattr(context.viewer.layers.events, event), self._on_layers_changed)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Bring buttons, layers and scores up to date."""
        self._entered = True
        self.truth.list_layers()
        self._update()
        self._show_rounds()
        self._pause.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Wake up when a hidden dock comes back, too."""
        super().showEvent(event)
        if not self._entered and not event.spontaneous():
            self.entered()

    def hideEvent(self, event: QHideEvent) -> None:
        """Let buttons and scores rest while another step is shown."""
        super().hideEvent(event)
        self._entered = self._entered and event.spontaneous()
        if not event.spontaneous():
            self.compare.comparison.remove()
            self.context.proofreader.put_down()

    def _update(self, *_: object) -> None:
        if not self._entered:
            return
        self.tools.set_why_not(None if self.context.workspace.images else _NO_IMAGE)
        self.enable(self.retrain, self._why_not_retrain())
        self._update_accept()
        self._update_history()

    def _why_not_retrain(self) -> str | None:
        controller = self.context.controller
        if controller.model is None:
            return "There is no model yet; train one in the Train step."
        if controller.live.is_on:
            return "Live is on: what you correct is being learned already."
        why_not: str | None = controller.why_not_train(controller.model.info)
        return why_not

    def _update_accept(self, *_: object) -> None:
        if not self._entered:
            return
        entry, no_image = self.context.layers.current_image(), self._why_no_image()
        self.enable(self.accept_slice, no_image or self._why_not_accept(entry, False))
        self.enable(
            self.accept_in_sight,
            no_image or self._why_not_in_sight(entry) or self._why_not_accept(entry, False),
        )
        why_not_all = no_image or self._why_not_accept(entry, True)
        self.enable(self.accept_all, why_not_all)
        self.small.set_why_not(why_not_all)
        self.slices.refresh(self._why_no_image())

    def _why_no_image(self) -> str | None:
        entry = self.context.layers.current_image()
        if entry is None:
            return _NO_IMAGE
        return None if self.context.layers.is_shown(entry.id) else _CLOSED

    def _why_not_accept(self, entry: ImageEntry | None, all_slices: bool) -> str | None:
        if entry is None:
            return None
        if why_not := self.context.at_hand.why_not_correct(entry.id):
            return why_not
        here = self.context.layers.current_plane(entry)
        if here in entry.predicted or (all_slices and entry.predicted):
            return None
        return "Nothing is segmented here yet; train a model or apply one."

    def _why_not_in_sight(self, entry: ImageEntry | None) -> str | None:
        if entry is None or self.context.layers.shows_slices(entry):
            return None
        return "This works on slices; go back to the view of one."

    def _update_history(self) -> None:
        log = self.context.workspace.log
        for button, verb, does, past, label in (
            (self.undo, "Undo", "Take back", "done", log.undo_label),
            (self.redo, "Redo", "Do again", "undone", log.redo_label),
        ):
            text = f"{verb} {label}" if label else verb
            room = button.fontMetrics().averageCharWidth() * 24
            button.setText(button.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room))
            button.setProperty("tooltip_when_enabled", f"{does}: {label}.")
            self.enable(button, None if label else f"Nothing was {past} yet.")

    def _on_history_changed(self) -> None:
        if not self._entered:
            return
        self._update_history()
        self.slices.refresh(self._why_no_image())
        # Looking for the classes painted reads every annotated slice: only while it matters.
        if not self.retrain.isEnabled():
            self.enable(self.retrain, self._why_not_retrain())
        self._pause.start()

    def _on_segmentation_changed(self, image_id: str, planes: list[int]) -> None:
        buttons = (self.accept_slice, self.accept_in_sight, self.accept_all)
        if not all(button.isEnabled() for button in buttons):
            self._update_accept()

    def _on_objects_added(self, _: ObjectSet) -> None:
        self.objects_section.expand(animate=False)

    def _on_layers_changed(self, *_: object) -> None:
        if self._entered:
            self.truth.list_layers()

    # --------------------------------------------------------------- actions

    def _on_accept(self, *, all_slices: bool) -> None:
        entry = self.context.layers.current_image()
        if entry is None:
            return
        here = self.context.layers.current_plane(entry)
        planes = sorted(entry.predicted) if all_slices else [here]
        try:
            n_px = self.context.workspace.accept(entry.id, planes)
        except UserError as error:
            self.context.say(str(error))
            return
        where = "All slices" if all_slices else "The slice"
        self.context.say(
            f"{where} accepted: {n_px:,} px became annotations; Undo takes that back."
            if n_px
            else f"{where} had no unlabelled pixel left to fill."
        )

    def _on_accept_in_sight(self) -> None:
        layers = self.context.layers
        entry = layers.current_image()
        if entry is None:
            return
        here, box = layers.current_plane(entry), layers.box_in_sight(entry, seen_only=True)
        if box is None:
            self.context.say("Nothing of the slice is in sight; move it into view.")
            return
        n_px = self.context.workspace.accept(entry.id, [here], box)
        self.context.say(
            f"What is in sight is accepted: {n_px:,} px became annotations; Undo takes that back."
            if n_px
            else "There was no unlabelled pixel in sight to fill."
        )

    def _on_key(self, action: str) -> None:
        """Do what a key stands for, as if its button were pressed."""
        if not self._entered or not self.isVisible():
            return
        if action == "compare":
            self.compare.press_key()
            return
        others = {
            "copy_before": self.slices.copy_before,
            "copy_after": self.slices.copy_after,
            "next_object": self.objects.next,
            "object_right": self.objects.right,
        }
        button = others.get(action) or self.tools.fixes.buttons.get(action)
        if button is None:
            return  # a key that others answer
        if button.isEnabled():
            button.click()
        else:
            self.context.say(button.toolTip())

    def _on_undo(self) -> None:
        label = self.context.workspace.undo()
        self.context.say(f"Took back: {label}." if label else "There is nothing to undo.")

    def _on_redo(self) -> None:
        label = self.context.workspace.redo()
        self.context.say(f"Done again: {label}." if label else "There is nothing to redo.")

    def _on_retrain(self) -> None:
        controller = self.context.controller
        if controller.model is None:
            return
        recipe = controller.model.info.recipe
        training = recipe.training.replace(
            max_time_s=float(self.seconds.value()),
            steps=None,
            # Other random patches than those of the rounds before.
            seed=recipe.training.seed + 1,
        )
        controller.train(
            recipe.replace(training=training),
            base=controller.model.path,
            device=self.device.device,
            uncertainty=self.context.layers.has_uncertainty(),
        )

    # ---------------------------------------------------------------- scores

    def _on_started(self, event: TrainingStarted) -> None:
        self._truth_before = self.truth.score

    def _on_rounds_changed(self) -> None:
        self._unscored_round = len(self.context.controller.rounds)
        self._show_rounds()

    def _on_finished(self, event: Finished) -> None:
        if self.context.controller.state is JobState.IDLE:
            self.truth.compare_anew()

    def _on_truth_scored(self, mean_iou: float) -> None:
        if self._unscored_round is not None:
            self._truth_of[self._unscored_round] = (self._truth_before, mean_iou)
            self._unscored_round = None
            self._show_rounds()

    def _show_rounds(self) -> None:
        rounds = self.context.controller.rounds
        self.table.setVisible(bool(rounds))
        self.sentence.setVisible(bool(rounds))
        if rounds:
            self.table.show_rounds(rounds, self._truth_of)
            self.sentence.setText(rounds[-1].sentence)

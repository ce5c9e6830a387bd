"""*Live*: the network follows what is painted; freeze it, or go back to what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import Checkpoint, LiveSettings

from .context import Context
from .listen import listen
from .model_name import ModelName
from .suggest_bar import SuggestBar

_ICON_PX = 32

#: Checkpoints that fit beside each other.
_SHOWN = 6

_LIVE = (
    "Let the network follow you: every stroke takes part in the next steps, and the slice in view "
    "is segmented again and again."
)
_STOP = "Learn no more; keep the model and segment every slice with it."
_FREEZE = "Learn nothing for the time being, and go on showing slices as they are segmented now."
_OFF = "Live is off; switch it on first."

#: What is said beside the switch.
_STATES = {"off": "", "learning": "learning", "resting": "up to date", "frozen": "frozen"}


class LiveBar(QWidget):
    """A switch, a brake, and the checkpoints to go back to.

    Parameters
    ----------
    context : Context
    settings : callable
        Returns what training begins with, as the Train step has it.
    suggestions : SuggestBar
        Shown in the same row.
    """

    def __init__(
        self, context: Context, settings: Callable[[], LiveSettings], suggestions: SuggestBar
    ) -> None:
        super().__init__()
        self._context = context
        self._settings = settings
        self.suggestions = suggestions
        self._returned_to: Checkpoint | None = None
        self._build()
        controller, workspace = context.controller, context.workspace
        listen(controller.live.changed, self._update)
        listen(controller.state_changed, self._update)
        listen(controller.finished, self._on_finished)
        listen(workspace.images_changed, self._update)
        listen(workspace.classes_changed, self._update)
        listen(workspace.codes_changed, self._on_codes_changed)
        self._update()

    def _build(self) -> None:
        self.live = QPushButton("Live")
        self.live.setCheckable(True)
        self.live.clicked.connect(self._on_live)
        self.freeze = QPushButton("Freeze")
        self.freeze.setCheckable(True)
        self.freeze.clicked.connect(self._on_freeze)
        self.state = QLabel()
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.live)
        row.addWidget(self.freeze)
        self.name = ModelName(self._context)
        row.addWidget(self.state, 1)
        row.addWidget(self.name, 1)
        row.addWidget(self.suggestions)
        self._history = QWidget()
        self._pictures = QHBoxLayout(self._history)
        self._pictures.setContentsMargins(0, 0, 0, 0)
        self._pictures.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self._history)
        self._history.hide()
        self.checkpoints: list[QPushButton] = []

    # ----------------------------------------------------------------- state

    def refresh(self) -> None:
        """Bring the bar up to date: it comes into view."""
        self._update()

    def _update(self, *_: object) -> None:
        controller = self._context.controller
        live = controller.live
        why_not = None if live.is_on else self._why_not_live()
        if live.is_on and controller.state is JobState.CANCELLING:
            why_not = "It is ending already."
        self.live.setChecked(live.is_on)
        self.live.setEnabled(why_not is None)
        self.live.setToolTip(why_not or (_STOP if live.is_on else _LIVE))
        self.freeze.setEnabled(live.is_on)
        self.freeze.setChecked(live.is_frozen)
        self.freeze.setToolTip(_FREEZE if live.is_on else _OFF)
        self.state.setText(_STATES[live.state])
        self._show_checkpoints(live.checkpoints[-_SHOWN:])
        self.name.refresh()
        self.state.setVisible(self.name.isHidden())

    def _why_not_live(self) -> str | None:
        try:
            base = self._settings().base
        except UserError as error:
            return str(error)
        why_not: str | None = self._context.controller.why_not_train_from(base)
        return why_not

    def _on_codes_changed(self, *_: object) -> None:
        # Asked only while it cannot begin: looking for what is painted reads every slice with it.
        if not self.live.isEnabled():
            self._update()

    def _on_finished(self, finished: Finished) -> None:
        self._update()
        checkpoint, self._returned_to = self._returned_to, None
        if checkpoint is not None:
            self._context.say(
                f"The model is now that of {checkpoint.step:,} steps. {finished.sentence}"
            )

    def _show_checkpoints(self, checkpoints: list[Checkpoint]) -> None:
        if [c.path for c in checkpoints] == [b.property("path") for b in self.checkpoints]:
            return
        for button in self.checkpoints:
            self._pictures.removeWidget(button)
            button.deleteLater()
        while self._pictures.count():
            self._pictures.takeAt(0)
        self.checkpoints = [self._button_of(checkpoint) for checkpoint in checkpoints]
        for button in self.checkpoints:
            self._pictures.addWidget(button)
        self._pictures.addStretch(1)
        self._history.setVisible(bool(checkpoints))

    def _button_of(self, checkpoint: Checkpoint) -> QPushButton:
        button = QPushButton()
        button.setProperty("path", checkpoint.path)
        button.setIconSize(QSize(_ICON_PX, _ICON_PX))
        button.setFixedSize(_ICON_PX + 14, _ICON_PX + 6)
        button.setIcon(_picture_of(checkpoint.path))
        score = checkpoint.mean_iou
        said = "nothing is held out to score it" if score is None else f"mean IoU {score:.3f}"
        button.setToolTip(f"Go back to what was learned after {checkpoint.step} steps ({said}).")
        button.clicked.connect(lambda: self._on_checkpoint(checkpoint))
        return button

    # --------------------------------------------------------------- actions

    def _on_live(self) -> None:
        controller = self._context.controller
        if controller.live.is_on:
            controller.stop()
        else:
            self._context.look()
            controller.go_live(self._settings())
        self._update()

    def _on_freeze(self) -> None:
        self._context.controller.live.freeze(self.freeze.isChecked())

    def _on_checkpoint(self, checkpoint: Checkpoint) -> None:
        controller = self._context.controller
        if controller.live.is_on:
            controller.live.return_to(checkpoint)
            self._context.say("Frozen as it was; press Freeze again to let it learn on from there.")
            return
        try:
            controller.open_model(checkpoint.path)
        except UserError as error:
            self._context.say(str(error))
            return
        self._context.look()
        controller.predict()
        if controller.state is not JobState.IDLE:
            self._returned_to = checkpoint


def _picture_of(model: Path) -> QIcon:
    """Return what a model made of a slice: the right half of its picture."""
    picture = QPixmap(str(model / "preview.png"))
    if picture.isNull():
        return QIcon()
    width = picture.width() // 2
    side = min(width, picture.height())
    return QIcon(picture.copy(width, 0, side, side))

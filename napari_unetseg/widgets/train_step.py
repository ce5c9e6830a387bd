"""Train: the network learns from what is painted, and is applied."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from qtpy.QtCore import QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.config import ModelInfo, read_model_info
from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, TrainingStarted
from napari_unetseg.images import find_inputs, format_length, pixel_size_note
from napari_unetseg.jobs import JobState
from napari_unetseg.workspace import LiveSettings

from .choices import DeviceBox, SecondsBox
from .context import Context
from .dialogs import ask_paths
from .listen import listen
from .model_strip import ModelStrip
from .step import StepPanel
from .train_settings import TrainSettings
from .training_progress import TrainingProgress

#: The slice in view is named to the job when the slider has rested for so long.
_REST_MS = 60

_BEST, _SCRATCH, _CONTINUE, _OPEN = "best", "scratch", "continue", "open"

_TRAIN_TOOLTIP = "Learn from what is painted, then segment every slice; painting can go on."
_STOP_TOOLTIP = "End now, keep what was learned, and segment every slice with it."


class TrainStep(StepPanel):
    """Start, watch and stop training; apply the model."""

    TITLE: ClassVar[str] = "Train"
    HINT: ClassVar[str] = (
        "Click a model that sees this slice right, or paint a few strokes of each class and of "
        "background and train."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = self._learning = False
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(context.look)
        self._build_choices()
        self.train = self.primary("Train", _TRAIN_TOOLTIP, self._on_train)
        self._build_progress()
        self.settings = TrainSettings()
        self.section = self.advanced(self.settings)
        self._build_apply()
        self._connect()
        self._list_bases()

    # ---------------------------------------------------------------- layout

    def _build_choices(self) -> None:
        self.base = QComboBox()
        # Names of models may be long.
        self.base.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.base.setToolTip(
            "Let the model above that agrees best with what is painted learn more, another one, or "
            "begin anew."
        )
        self.seconds = SecondsBox(60)
        self.device = DeviceBox()
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        self.strip = ModelStrip(self.context)
        self.column.addWidget(self.strip)
        form.addRow("Start", self.base)
        form.addRow("Train for", self.seconds)
        form.addRow("Compute on", self.device)
        self.column.addLayout(form)

    def _build_progress(self) -> None:
        self.progress = TrainingProgress(self.context)
        # Open while it learns: this step has no room to spare, and empty axes tell nothing.
        self.progress_section = self.advanced(self.progress, "How it learned")
        self.progress_section.hide()

    def _build_apply(self) -> None:
        self.apply = self.button(
            "Predict now",
            "Segment every slice of the images of this data set with the model at hand.",
            self._on_apply,
        )
        self.apply_files = self.button(
            "Predict files…",
            "Segment images on disk with the model at hand; one mask file per image.",
            lambda: None,
        )
        menu = QMenu(self.apply_files)
        menu.addAction("Files…", lambda: self._on_apply_files("files"))
        menu.addAction("A folder…", lambda: self._on_apply_files("folder"))
        self.apply_files.setMenu(menu)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.resample = QCheckBox("Resample to the model's pixel size")
        self.resample.setChecked(True)
        self.resample.setToolTip("Scale each image so that things look as large as in training.")
        self.tta = QCheckBox("Average over flips (slower, better)")
        self.tta.setToolTip("Segment each slice from eight sides, in eight times the time.")
        self.uncertainty = QCheckBox("Show where it is uncertain")
        self.uncertainty.setToolTip(
            "Predict now shows one more layer for each: the brighter, the less sure the "
            "model is. Bright places are worth correcting first."
        )
        self.probabilities = QCheckBox("Show how probable each class is")
        self.probabilities.setToolTip(
            "Predict now shows one more layer for each class, the stronger its colour, the more "
            "probable; they are hidden when the segmentation is renewed without them."
        )
        self.objects = QCheckBox("Number the objects one by one")
        self.objects.setChecked(True)
        self.objects.setToolTip(
            "Predict now adds a layer in which every object has a number of its own, touching ones "
            "too; for files, a second file."
        )
        self.buttons = QWidget()
        row = QHBoxLayout(self.buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.apply)
        row.addWidget(self.apply_files)
        self.column.addWidget(self.buttons)
        self.column.addWidget(self.note)
        choices = QWidget()
        column = QVBoxLayout(choices)
        column.setContentsMargins(0, 0, 0, 0)
        boxes = (self.resample, self.objects, self.tta, self.uncertainty, self.probabilities)
        for box in boxes:
            column.addWidget(box)
        self.predict_section = self.advanced(choices, "How to predict")
        self.column.addStretch(1)

    def _connect(self) -> None:
        context, controller = self.context, self.context.controller
        self.base.activated.connect(self._on_base_chosen)
        self.strip.chosen.connect(self._on_model_picked)
        self.strip.best_changed.connect(self._on_best_changed)
        self.resample.toggled.connect(self._note_pixel_sizes)
        self.settings.steps_changed.connect(self._on_steps_changed)
        self.settings.failed.connect(context.say)
        listen(controller.state_changed, self._update)
        listen(controller.started, self._on_started)
        listen(controller.model_changed, self._on_model_changed)
        listen(controller.finished, self._on_finished)
        listen(context.workspace.images_changed, self._update)
        listen(context.workspace.codes_changed, self._on_codes_changed)
        listen(context.viewer.dims.events.current_step, self._on_view_changed)
        listen(context.viewer.scene.camera.events.zoom, self._on_view_changed)
        listen(context.viewer.scene.camera.events.center, self._on_view_changed)
        listen(context.viewer.layers.selection.events.active, self._on_view_changed)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Bring buttons, notes and pictures up to date."""
        self._entered = True
        self.strip.refresh()
        self._list_bases()
        self._update()

    def showEvent(self, event: QShowEvent) -> None:
        """Wake up when a hidden dock comes back, too."""
        super().showEvent(event)
        if not self._entered and not event.spontaneous():
            self.entered()

    def hideEvent(self, event: QHideEvent) -> None:
        """Let the buttons rest while another step is shown."""
        super().hideEvent(event)
        self._entered = self._entered and event.spontaneous()

    def _update(self, *_: object) -> None:
        controller = self.context.controller
        self.strip.set_resting(controller.is_training)
        for widget in (self.buttons, self.predict_section):
            widget.setVisible(not controller.is_training)
        if self.context.controller.is_training:
            self.train.setText("Stop and keep")
            self.train.setProperty("tooltip_when_enabled", _STOP_TOOLTIP)
            running = controller.state is JobState.RUNNING
            self.enable(self.train, None if running else "It is ending already.")
        else:
            self.train.setText("Train")
            self.train.setProperty("tooltip_when_enabled", _TRAIN_TOOLTIP)
            if self._entered:
                self.enable(self.train, controller.why_not_train(self._start_info()))
        why_not = controller.why_not_predict()
        no_images = None if self.context.workspace.images else "Choose an image in the Data step."
        self.enable(self.apply, why_not or no_images)
        self.enable(self.apply_files, self._why_not_apply_files())
        self._note_pixel_sizes()

    def _why_not_apply_files(self) -> str | None:
        controller = self.context.controller
        if controller.model is None:
            return "Train a model or open one first."
        idle = controller.state is JobState.IDLE
        return None if idle else "Wait for what is running, or cancel it."

    def _note_pixel_sizes(self) -> None:
        model = self.context.controller.model
        size = None if model is None else model.info.pixel_size_um.get("X")
        is_for_all = model is not None and model.info.card is not None
        if size is not None:
            self.resample.setText(f"Resample to the model's pixel size ({format_length(size)})")
        elif is_for_all:
            self.resample.setText("Find the scale at which objects are seen best")
        self.resample.setVisible(size is not None or is_for_all)
        resample = self.resample.isVisibleTo(self) and self.resample.isChecked()
        self.objects.setVisible(model is not None and model.info.object_diameter_px is not None)
        stacks = [entry.stack for entry in self.context.workspace.images.values()]
        notes = (
            []
            if model is None
            else [pixel_size_note(model.info, s, resample=resample) for s in stacks]
        )
        said = [note for note in notes if note]
        self.note.setText(said[0] if said else "")
        self.note.setVisible(bool(said) and not self.context.controller.is_training)

    def _on_codes_changed(self, *_: object) -> None:
        # What can be trained is asked only while it cannot be: looking for the classes painted
        # reads every annotated slice, and this happens after every stroke.
        if self._entered and not self.train.isEnabled():
            self._update()

    # ------------------------------------------------------------ base model

    def _list_bases(self) -> None:
        model = self.context.controller.model
        chosen = self.base.currentData()
        self.base.clear()
        self.base.addItem(self._said_of_best(), _BEST)
        self.base.addItem("From scratch", _SCRATCH)
        if model is not None:
            self.base.addItem(f"Continue with {model.info.name}", _CONTINUE)
        self.base.addItem("A model on disk…", _OPEN)
        self.base.setCurrentIndex(max(0, self.base.findData(chosen)))
        self._on_base_shown()

    def _said_of_best(self) -> str:
        best = self.strip.best
        return "Best match, else from scratch" if best is None else f"Best match: {best.stem}"

    def _on_best_changed(self) -> None:
        self.base.setItemText(self.base.findData(_BEST), self._said_of_best())
        self._on_base_shown()
        self._update()

    def _start(self) -> Path | None:
        """Return the model that training would begin with; None from scratch."""
        model, choice = self.context.controller.model, self.base.currentData()
        if choice == _CONTINUE and model is not None:
            return model.path
        return self.strip.best if choice == _BEST else None

    def _start_info(self) -> ModelInfo | None:
        start = self._start()
        try:
            return None if start is None else read_model_info(start)
        except UserError:
            return None  # deleted meanwhile: whoever trains with it is told

    def _on_base_chosen(self) -> None:
        if self.base.currentData() == _OPEN:
            self._open_model()
        self._on_base_shown()
        self._update()

    def _open_model(self) -> None:
        """Ask for a model; the choice falls back where none is opened."""
        self.base.setCurrentIndex(0)
        for path in ask_paths(self, "folder", "A model: a folder NAME.unet"):
            self._on_model_picked(path)

    def _on_model_picked(self, path: Path) -> None:
        try:
            self.context.controller.open_model(path)
        except UserError as error:
            self.context.say(str(error))
            return
        self.base.setCurrentIndex(max(0, self.base.findData(_CONTINUE)))
        self._on_base_shown()
        self.context.say(f"Opened {path.name}; train it further, or predict with it now.")

    def _on_base_shown(self) -> None:
        info = self._start_info()
        self.strip.select(self._start())
        self.settings.set_network_of(None if info is None else info.recipe.network)

    def _on_model_changed(self) -> None:
        self._list_bases()
        self._update()

    # -------------------------------------------------------------- training

    def _on_steps_changed(self, steps: int) -> None:
        self.seconds.setEnabled(steps == 0)
        self.seconds.setToolTip(
            "Training ends after this time; stop it earlier, or go on later."
            if steps == 0
            else "Steps are chosen under Advanced; set them to 0 to train by time."
        )

    def _on_train(self) -> None:
        controller = self.context.controller
        if self.context.controller.is_training:
            controller.stop()
            self.enable(self.train, "Finishing the model …")
            return
        try:
            recipe = self.settings.value(self.seconds.value())
        except UserError as error:
            self.context.say(str(error))
            return
        self.context.look()
        controller.train(
            recipe,
            base=self._start(),
            device=self.device.device,
            uncertainty=self._wants_uncertainty(),
            probabilities=self.probabilities.isChecked(),
        )

    def live_settings(self) -> LiveSettings:
        """Return what training that follows a person begins with.

        It goes on with the model at hand, unless another start was chosen.

        Raises
        ------
        UserError
            If the settings contradict each other.
        """
        model, base = self.context.controller.model, self._start()
        if self.base.currentData() == _BEST and model is not None:
            base = model.path
        recipe = self.settings.value(self.seconds.value())
        return LiveSettings(recipe, base, self.device.device)

    def _on_started(self, event: TrainingStarted) -> None:
        self._learning = True
        self.progress_section.show()
        self.progress_section.expand(animate=False)
        self.context.look()
        self._update()

    def _on_finished(self, event: Finished) -> None:
        if self._learning:
            self._learning = False
            self.progress_section.collapse(animate=False)
        self._update()

    # --------------------------------------------------------- slice in view

    def _on_view_changed(self, *_: object) -> None:
        self._rest.start()

    # ----------------------------------------------------------------- apply

    def _on_apply(self) -> None:
        self.context.look()
        self.context.controller.predict(
            device=self.device.device,
            resample=self.resample.isChecked(),
            tta=self.tta.isChecked(),
            uncertainty=self._wants_uncertainty(),
            probabilities=self.probabilities.isChecked(),
            objects=self._wants_objects(),
        )

    def _wants_objects(self) -> bool:
        return bool(self.objects.isVisibleTo(self) and self.objects.isChecked())

    def _wants_uncertainty(self) -> bool:
        return self.uncertainty.isChecked() or self.context.layers.has_uncertainty()

    def _on_apply_files(self, what: str) -> None:
        paths = ask_paths(self, "folder" if what == "folder" else "files", "Images to segment")
        if not paths:
            return
        out = ask_paths(self, "folder", "Folder for the masks", start=str(paths[0].parent))
        if not out:
            return
        try:
            images = find_inputs(paths)
        except UserError as error:
            self.context.say(str(error))
            return
        self.context.controller.predict_files(
            images,
            out[0],
            device=self.device.device,
            resample=self.resample.isChecked(),
            tta=self.tta.isChecked(),
            objects=self._wants_objects(),
        )

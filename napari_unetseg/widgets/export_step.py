"""Export: masks, annotations, the model, and a paragraph for a paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QSizePolicy,
)

from napari_unetseg.measure import TABLE_SUFFIXES
from napari_unetseg.workspace import ImageEntry, ObjectSet, Result
from napari_unetseg.workspace.export import (
    Export,
    ExportKind,
    copy_model,
    is_segmented,
    names_in_folder,
    place_of_slices,
    with_suffix,
    write_exports,
    write_object_table,
)
from napari_unetseg.workspace.methods import method_facts, methods_paragraph

from .context import Context
from .dialogs import ask_paths
from .listen import listen
from .newest import NewestWins
from .sizes_table import SizesTable
from .step import StepPanel

#: What can be saved beside the segmentation shown.
Answer: TypeAlias = Result | ObjectSet

_TABLE = "Table (*.csv *.parquet)"
_LABELS = ";;".join(
    (
        "OME-TIFF (*.ome.tif *.ome.tiff *.tif *.tiff)",
        "OME-Zarr (*.zarr)",
        "HDF5, for ilastik (*.h5 *.hdf5)",
        "GeoJSON, for QuPath (*.geojson)",
        "Regions, for ImageJ (*.zip)",
        "PNG, one per slice (*.png)",
        "Surfaces in µm (*.glb *.ply *.stl)",
    )
)
_NO_IMAGE = "Choose an image in the Data step first."
_ALL = "all"

_SHRINK = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon


class ExportStep(StepPanel):
    """Write files, off the window's thread, and say where they are.

    Attributes
    ----------
    saved : Signal(object)
        Something was written; says what and where.
    """

    saved = Signal(object)

    TITLE: ClassVar[str] = "Export"
    HINT: ClassVar[str] = (
        "Save masks and the model; opened again they have their names, colours and pixel size."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._writer = context.saver
        self._describer = NewestWins()
        self._chosen = False
        self._build()
        self._connect()
        self._update()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.image = QComboBox()
        self.image.setToolTip("The image to save; all images go into a folder, a file each.")
        self.what = QComboBox()
        self.what.setToolTip(
            "Network and corrections, the result of a baseline, or objects with numbers."
        )
        for box in (self.image, self.what):
            box.setSizeAdjustPolicy(_SHRINK)
            box.setMinimumContentsLength(10)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Image", self.image)
        form.addRow("Segmentation", self.what)
        self.column.addLayout(form)
        self.save_segmentation = self.primary(
            "Save segmentation…",
            "Write masks: 0 background, 1, 2, … classes, with pixel size and names; of objects 0 "
            "background, 1, 2, … their numbers. As OME-TIFF or OME-Zarr, or for QuPath, ImageJ or "
            "ilastik.",
            self._on_save_segmentation,
        )
        self.save_annotations = self.button(
            "Save annotations…",
            "Write what is painted: 0 unlabelled, 1 background, 2, … classes.",
            lambda: self._save("annotations"),
        )
        self.save_model = self.button(
            "Save model…",
            "Copy the model to a folder NAME.unet, to apply or to train further elsewhere.",
            self._on_save_model,
        )
        self.save_table = self.button(
            "Save table…",
            "Write a row for every object, or connected piece of a class: area or volume, place, "
            "diameter, distance to the nearest, and brightness.",
            self._on_save_table,
        )
        row = QHBoxLayout()
        row.addWidget(self.save_annotations)
        row.addWidget(self.save_model)
        row.addWidget(self.save_table)
        self.column.addLayout(row)
        self.methods = QPlainTextEdit()
        self.methods.setReadOnly(True)
        self.methods.setToolTip("What was done, in words to paste into a paper.")
        self.methods.setPlaceholderText("What was annotated and trained will be described here.")
        self.methods.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.copy = self.button("Copy", "Copy the paragraph to the clipboard.", self._on_copy)
        head = QHBoxLayout()
        head.addWidget(QLabel("For the methods section"), 1)
        head.addWidget(self.copy)
        self.column.addSpacing(8)
        self.column.addLayout(head)
        self.column.addWidget(self.methods, 1)
        self.sizes = SizesTable(self.context)
        self.sizes_section = self.advanced(self.sizes, "Areas and volumes")

    def _connect(self) -> None:
        context = self.context
        listen(context.workspace.images_changed, self._update)
        listen(context.controller.model_changed, self._update)
        listen(context.controller.finished, self._on_job_finished)
        listen(context.workspace.objects.added, self._list_results)
        listen(context.workspace.objects.outdated, self._list_results)
        listen(context.viewer.layers.events.inserted, self._list_results)
        listen(context.viewer.layers.events.removed, self._list_results)
        self.image.currentIndexChanged.connect(self._list_results)
        self.what.activated.connect(self._on_result_chosen)
        listen(self._writer.answered, self._on_written)
        for over in (self._writer.answered, self._writer.failed, self._writer.ended):
            listen(over, self._update_buttons)
        self._describer.answered.connect(self._on_described)

    # ----------------------------------------------------------------- state

    def entered(self) -> None:
        """Bring choices and paragraph up to date."""
        self._update()
        self._describe()

    def _on_job_finished(self, _: object) -> None:
        if self.isVisible():
            self.entered()

    def _update(self) -> None:
        self._list_images()
        self._list_results()

    def _list_images(self) -> None:
        images = self.context.workspace.images
        before = self.image.currentData()
        current = self.context.layers.current_image()
        self.image.blockSignals(True)
        self.image.clear()
        if len(images) > 1:
            self.image.addItem(f"all {len(images)} images", _ALL)
        for image_id, entry in images.items():
            self.image.addItem(entry.stack.name, image_id)
        wanted = before if before in (*images, _ALL) else current.id if current else None
        self.image.setCurrentIndex(max(0, self.image.findData(wanted)))
        self.image.blockSignals(False)

    def _list_results(self, *_: object) -> None:
        """List what can be saved as a segmentation of the image chosen."""
        before = self.what.currentData() if self._chosen else None
        image_id = self.image.currentData()
        self.what.clear()
        painted = "Network and corrections" if self._is_answered() else "What is painted"
        self.what.addItem(painted, None)
        if image_id in self.context.workspace.images:
            for layer in self.context.layers.result_layers(image_id):
                self.what.addItem(layer.name, self.context.results.result_of(layer))
            for objects in self.context.workspace.objects.of(image_id):
                layer_of = self.context.objects.layer_of(objects)
                name = layer_of.name if layer_of else objects.title
                older = " (out of date)" if objects.is_outdated else ""
                self.what.addItem(f"{name}{older}", objects)
        there = [self.what.itemData(i) for i in range(self.what.count())]
        kept = [i for i, what in enumerate(there) if what is before and what is not None]
        self.what.setCurrentIndex(kept[0] if kept else self._first_choice(image_id))
        self._update_buttons()

    def _is_answered(self) -> bool:
        """Tell whether a network has answered for any of the images to save."""
        return any(entry.predicted for entry in self._entries())

    def _first_choice(self, image_id: str | None) -> int:
        """Return what is selected or lies on top; the newest where nothing else is there."""
        entry = self.context.workspace.images.get(image_id or "")
        if entry is None or self._chosen:
            return 0
        layer = self.context.at_hand.result(entry.id)
        for at in range(1, self.what.count()):
            if layer is not None and self._layer_of(self.what.itemData(at)) is layer:
                return at
        return 0 if entry.predicted else self.what.count() - 1

    def _layer_of(self, answer: Answer | None) -> Labels | None:
        if isinstance(answer, ObjectSet):
            return self.context.objects.layer_of(answer)
        return None if answer is None else self.context.results.layer_of(answer)

    def _update_buttons(self, *_: object) -> None:
        entries = self._entries()
        busy = "Wait until what is being saved is written." if self._writer.busy else None
        no_image = None if entries else _NO_IMAGE
        result = self.what.currentData() is not None
        segmented = result or any(is_segmented(entry) for entry in entries)
        painted = any(entry.annotated_planes() for entry in entries)
        nothing = (
            busy or no_image or (None if segmented else "Nothing is segmented or painted yet.")
        )
        self.enable(self.save_segmentation, nothing)
        self.enable(self.save_table, nothing)
        self.enable(
            self.save_annotations, busy or no_image or (None if painted else "Nothing is painted.")
        )
        no_model = None if self.context.controller.model else "Train a model or open one first."
        self.enable(self.save_model, busy or no_model)
        self.enable(self.copy, None if self.methods.toPlainText() else "There is nothing to copy.")

    def _on_result_chosen(self) -> None:
        self._chosen = True
        self._update_buttons()
        self._describe()

    def _entries(self) -> list[ImageEntry]:
        """Return the images to save."""
        images = self.context.workspace.images
        chosen = self.image.currentData()
        if chosen == _ALL:
            return list(images.values())
        return [images[chosen]] if chosen in images else []

    # ---------------------------------------------------------------- saving

    def _on_save_segmentation(self) -> None:
        result = self.what.currentData()
        self._save("objects" if isinstance(result, ObjectSet) else "masks", result)

    def _save(self, kind: ExportKind, result: Answer | None = None) -> None:
        has_content = ImageEntry.annotated_planes if kind == "annotations" else is_segmented
        entries = [entry for entry in self._entries() if result is not None or has_content(entry)]
        exports = (
            self._ask_folder(entries, kind)
            if len(entries) > 1
            else self._ask_file(entries[0], kind, result)
        )
        if exports:
            workspace, reach = self.context.workspace, self._writer.reach
            self._write(lambda: write_exports(exports, workspace, reach))

    def _ask_file(self, entry: ImageEntry, kind: ExportKind, result: Answer | None) -> list[Export]:
        start = names_in_folder(_folder_of(entry), [entry], kind)[entry.id]
        chosen = ask_paths(
            self, "new", f"Save the {kind} of {entry.stack.name}", _LABELS, str(start)
        )
        if not chosen:
            return []
        named, completed = with_suffix(chosen[0])
        path = place_of_slices(named, entry.shape[0])
        # The dialog has asked before it gave a name that exists, but not for a completed one.
        overwrite = not completed and path == named
        return [Export(entry, kind, path, result, overwrite=overwrite)]

    def _ask_folder(self, entries: list[ImageEntry], kind: ExportKind) -> list[Export]:
        title = f"Folder for the {kind} of {len(entries)} images"
        chosen = ask_paths(self, "folder", title, start=str(_folder_of(entries[0])))
        if not chosen:
            return []
        paths = names_in_folder(chosen[0], entries, kind)
        return [Export(entry, kind, paths[entry.id]) for entry in entries]

    def _on_save_table(self) -> None:
        entries, result = self._entries(), self.what.currentData()
        start = _folder_of(entries[0]) / f"{entries[0].stack.name}.csv"
        chosen = ask_paths(self, "new", "Save the table of objects", _TABLE, str(start))
        if not chosen:
            return
        path, completed = with_suffix(chosen[0], TABLE_SUFFIXES)
        workspace, reach = self.context.workspace, self._writer.reach
        self._write(
            lambda: write_object_table(
                path, entries, result, workspace, overwrite=not completed, reached=reach
            )
        )

    def _on_save_model(self) -> None:
        model = self.context.controller.model
        if model is None:
            return
        entries = list(self.context.workspace.images.values())
        folder = _folder_of(entries[0]) if entries else Path.home()
        start = folder / model.path.name
        chosen = ask_paths(self, "new", "Save the model", "Model (*.unet)", str(start))
        if not chosen:
            return
        target = chosen[0]
        if target.suffix != ".unet":
            target = target.with_name(f"{target.name}.unet")
        source = model.path

        def copy() -> str:
            copy_model(source, target)
            return f"Saved the model as {target}."

        self._write(copy)

    def _write(self, question: Callable[[], str]) -> None:
        self.context.say("Saving …")
        self._writer.ask(question)
        self._update_buttons()

    def _on_written(self, sentence: str) -> None:
        self.saved.emit(sentence)

    # --------------------------------------------------------------- methods

    def _describe(self) -> None:
        result = self.what.currentData()
        image_id = self.image.currentData()
        entry = self.context.workspace.images.get(image_id or "")
        names = ["objects"] if isinstance(result, ObjectSet) else []
        answered: npt.NDArray[Any] | None = None
        if isinstance(result, ObjectSet):
            answered = result.ids
        elif (layer := self._layer_of(result)) is not None and entry is not None:
            answered = np.asarray(layer.data).reshape(entry.shape)
        self.sizes.count_instead(answered, names)
        workspace, versions = self.context.workspace, {"napari": napari.__version__}
        facts = method_facts(workspace, self.context.controller, versions)
        if isinstance(result, ObjectSet):
            facts = replace(facts, objects=result)
        elif isinstance(result, Result):
            made_by, recipe = result.made_by, result.recipe
            facts = replace(facts, made_by=made_by, answered=answered, recipe=recipe)
        self._describer.ask(lambda: methods_paragraph(facts))

    def _on_described(self, paragraph: Any) -> None:
        if paragraph != self.methods.toPlainText():
            self.methods.setPlainText(paragraph)
        self._update_buttons()

    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.methods.toPlainText())
        self.context.say("Copied the paragraph to the clipboard.")


def _folder_of(entry: ImageEntry) -> Path:
    """Return where a person would look for what belongs to an image: beside it."""
    path = entry.stack.path
    return path.parent if path is not None and path.parent.is_dir() else Path.home()

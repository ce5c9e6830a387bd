"""Labels that a person has already, turned into annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QPushButton, QWidget

from napari_unetseg.annotations import Edit
from napari_unetseg.config import BACKGROUND, MAX_CLASSES, LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import LABEL_SUFFIXES, SUFFIXES, LazyPlanes, values_in
from napari_unetseg.images.label_values import map_annotations, map_masks
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.opened_labels import OpenedLabels, open_labels_of

from .context import Context
from .dialogs import ask_paths
from .label_colors import label_colormap, label_features
from .listen import listen
from .newest import NewestWins
from .stack_from_layers import METADATA

Meaning: TypeAlias = Literal["masks", "annotations", "objects"]

_MEANINGS: dict[str, str] = {
    "masks": "0 background, 1, 2, … classes",
    "annotations": "0 unlabelled, 1 background, 2, … classes",
    "objects": "0 background, others objects",
}

_SHRINK = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon

_KINDS = (
    f"Labels ({' '.join(f'*{suffix}' for suffix in (*LABEL_SUFFIXES, *SUFFIXES))});;All files (*)"
)

#: Roles of layers that show the workspace itself.
_OURS = ("annotations", "segmentation", "region", "objects", "comparison")


class LabelsSource(QWidget):
    """Choose a labels layer, or a file, say what its values mean, use it as annotations."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._thread = NewestWins()
        self._opener = NewestWins()
        self._revision = 0
        listen(context.workspace.codes_changed, self._on_codes_changed)
        self.layer = QComboBox()
        self.layer.setToolTip("The labels layer to use as annotations of the image in view.")
        self.meaning = QComboBox()
        self.meaning.setToolTip("What the values in that layer mean.")
        for meaning, title in _MEANINGS.items():
            self.meaning.addItem(title, meaning)
        for box in (self.layer, self.meaning):
            box.setSizeAdjustPolicy(_SHRINK)
            box.setMinimumContentsLength(10)
        self.use = QPushButton("Use as annotations")
        self.use.clicked.connect(self._on_use)
        self.open = QPushButton("From a file…")
        self.open.clicked.connect(self._on_open)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open)
        buttons.addWidget(self.use)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Layer", self.layer)
        form.addRow("Values", self.meaning)
        form.addRow(buttons)
        self.layer.currentIndexChanged.connect(self._on_layer_chosen)
        self._thread.answered.connect(self._on_filling)
        self._thread.failed.connect(self._on_failed)
        self._opener.answered.connect(self._on_opened)
        self._opener.failed.connect(self._on_failed)

    def refresh(self) -> None:
        """List the labels layers anew, and say why none can be used."""
        before = self.layer.currentData()
        entry = self._context.layers.current_image()
        found: list[Labels | Image] = [
            layer for layer in self._context.layers.labels_layers() if _is_source(layer)
        ]
        found += [
            layer
            for layer in self._context.viewer.layers
            if isinstance(layer, Image)
            and self._context.layers.image_of(layer) is None
            and _could_be_labels(layer, entry)
        ]
        self.layer.blockSignals(True)
        self.layer.clear()
        for layer in found:
            self.layer.addItem(layer.name, layer)
        if before in found:
            self.layer.setCurrentIndex(found.index(before))
        self.layer.blockSignals(False)
        if before not in found:
            self._on_layer_chosen()
        self._update()

    def _update(self) -> None:
        why_not = None
        if not self.layer.count():
            why_not = "No other layer has labels of this image's size; open a file of them."
        elif self._context.layers.current_image() is None:
            why_not = "Tick the box of the image first."
        elif self._thread.busy:
            why_not = "Reading the labels …"
        for widget in (self.use, self.layer, self.meaning):
            widget.setEnabled(why_not is None)
        self.use.setToolTip(why_not or "Fill what is unlabelled; what you painted stays.")
        no_image = self._context.layers.current_image() is None
        why_closed = "Tick the box of the image first." if no_image else None
        if self._opener.busy:
            why_closed = "Opening the labels …"
        self.open.setEnabled(why_closed is None)
        self.open.setToolTip(
            why_closed
            or "Open labels of this image: QuPath's GeoJSON, ImageJ's regions, COCO's "
            "JSON, Cellpose's _seg.npy, or an image of labels."
        )

    def _on_layer_chosen(self) -> None:
        layer = self.layer.currentData()
        if layer is None:
            return
        facts = layer.metadata.get(METADATA, {})
        codes = facts.get("values") == "codes" or facts.get("role") == "baseline"
        meaning = "annotations" if codes else str(facts.get("values", "masks"))
        self.meaning.setCurrentIndex(self.meaning.findData(meaning))

    def _on_open(self) -> None:
        entry = self._context.layers.current_image()
        if entry is None:
            return
        title, path = f"Open labels of {entry.stack.name}", entry.stack.path
        folder = path.parent if path is not None and path.parent.is_dir() else Path.home()
        chosen = ask_paths(self, "file", title, _KINDS, str(folder))
        if not chosen:
            return
        self._context.say(f"Opening {chosen[0].name} …")
        self._opener.ask(lambda: (entry, open_labels_of(entry, chosen[0])))
        self._update()

    def _on_opened(self, answer: tuple[ImageEntry, OpenedLabels]) -> None:
        entry, opened = answer
        self._update()
        if entry.id not in self._context.workspace.images:
            return
        layers = self._context.layers
        arguments: dict[str, Any] = {}
        if opened.values == "codes":
            arguments["colormap"] = label_colormap("annotations", opened.classes)
            arguments["features"] = label_features("annotations", opened.classes)
        facts = {"values": opened.values, "axes": entry.stack.axes.replace("C", "")}
        classes = [label_class.model_dump() for label_class in opened.classes]
        layer = Labels(
            opened.pixels,
            name=opened.name,
            metadata={METADATA: facts | {"classes": classes}},
            **arguments,
            **layers.placement(entry.id),
        )
        layers.put(entry, layer)
        self.refresh()
        self.layer.setCurrentIndex(self.layer.findData(layer))
        self._context.say(f"Opened {opened.name}: {opened.told}. Use as annotations takes it over.")

    def _on_use(self) -> None:
        layer, entry = self.layer.currentData(), self._context.layers.current_image()
        if layer is None or entry is None:
            return
        meaning: Meaning = self.meaning.currentData()
        data = layer.data[0] if layer.multiscale else layer.data
        name, classes = layer.name, layer.metadata.get(METADATA, {}).get("classes", ())
        self._context.say(f"Reading “{name}” …")
        n_classes = len(classes) or len(self._context.workspace.classes)

        self._fill_in(
            _Used(entry, name, classes, lambda: codes_of(data, entry, meaning, name, n_classes))
        )

    def _fill_in(self, used: _Used) -> None:
        workspace, revision = self._context.workspace, self._revision

        def question() -> object:
            codes = used.codes()
            filling = workspace.filling(used.entry, codes.__getitem__, range(len(codes)))
            return used, revision, filling

        self._thread.ask(question)
        self._update()

    def _on_filling(self, answer: tuple[_Used, int, list[Edit | None]]) -> None:
        self._context.layers.after_stroke(lambda: self._fill(*answer))

    def _fill(self, used: _Used, revision: int, filling: list[Edit | None]) -> None:
        self._update()
        workspace, name, classes = self._context.workspace, used.name, used.classes
        if used.entry.id not in workspace.images:
            return
        if revision != self._revision:  # somebody painted meanwhile
            self._fill_in(used)
            return
        if classes and not workspace.in_use:
            workspace.set_classes(tuple(LabelClass.model_validate(c) for c in classes))
        n_px = workspace.fill(filling)
        self._context.say(
            f"{n_px:,} px of “{name}” became annotations; Undo takes that back."
            if n_px
            else "Everything there is annotated already; nothing was changed."
        )

    def _on_codes_changed(self, *_: object) -> None:
        self._revision += 1

    def _on_failed(self, sentence: str) -> None:
        self._update()
        self._context.say(sentence)


@dataclass(frozen=True, slots=True, eq=False)
class _Used:
    """Labels that are to become annotations, and classes that come with them."""

    entry: ImageEntry
    name: str
    classes: Sequence[Any]
    codes: Callable[[], LazyPlanes]


def codes_of(
    labels: Any, entry: ImageEntry, meaning: Meaning, name: str, n_classes: int
) -> LazyPlanes:
    """Understand labels of an image as codes.

    Parameters
    ----------
    labels : array-like of int, shape of the image without channels
        Anything with ``shape`` and indexing; read one slice at a time.
    name : str
        Of the labels, for errors.
    n_classes : int
        Classes that there are. Values beyond them become classes in ascending order, as they do
        when a file is read.

    Returns
    -------
    LazyPlanes, shape (planes, Y, X), uint8
        Read from `labels` slice by slice.

    Raises
    ------
    UserError
        If the shape is not the image's, or there are more values than classes can be.
    """
    shape = tuple(int(n) for n in labels.shape)
    wanted = entry.stack.labels_shape
    if shape != wanted:
        raise UserError(
            f"“{name}” has the shape {_shape(shape)} and {entry.stack.name} {_shape(wanted)}; "
            "choose labels of this image."
        )

    def values(plane: int) -> npt.NDArray[Any]:
        at = np.unravel_index(plane, wanted[:-2]) if len(wanted) > 2 else ()
        return np.asarray(labels[at] if at else labels)

    if meaning == "objects":
        above = np.uint8(BACKGROUND)
        return LazyPlanes(
            entry.shape, np.uint8, lambda plane: (values(plane) != 0).astype(np.uint8) + above
        )
    present = set().union(*(values_in(values(plane)) for plane in range(entry.shape[0])))
    mapping = (map_annotations if meaning == "annotations" else map_masks)(present, n_classes)
    if min(present) < 0 or mapping.n_classes > MAX_CLASSES:
        raise UserError(
            f"“{name}” holds {len(present)} different values, more than classes can be; "
            "say that its values are objects."
        )
    return LazyPlanes(entry.shape, np.uint8, lambda plane: mapping.apply(values(plane)))


def _is_source(layer: Labels) -> bool:
    return layer.metadata.get(METADATA, {}).get("role") not in _OURS


def _could_be_labels(layer: Image, entry: ImageEntry | None) -> bool:
    """Tell whether an image layer, as a mask is opened by many readers, may hold labels."""
    whole = layer.dtype.kind in "iub" and not layer.rgb and not layer.multiscale
    return whole and entry is not None and tuple(layer.data.shape) == entry.stack.labels_shape


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)

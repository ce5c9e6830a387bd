"""Data: which images, which classes, and where to look."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QWidget

from napari_unetseg.annotations import code_of
from napari_unetseg.errors import UserError
from napari_unetseg.project import EarlierWork, kept_sources
from napari_unetseg.workspace import ImageEntry

from .calibration import calibrate
from .class_table import ClassTable
from .context import Context
from .image_facts import ImageFacts
from .image_list import ImageList
from .labels_source import LabelsSource
from .listen import listen
from .newest import NewestWins
from .open_images import Choices, OpenImage, open_images
from .parts import open_part
from .stack_from_layers import METADATA, pixel_size_um
from .step import StepPanel

_NOTHING_OPEN = (
    "Open an image: drop a file on the window, File → Open, or "
    "File → Open Sample → U-Net segmentation."
)
_NONE_TICKED = "Tick the box of the image that you want to work on."

#: Modes of a labels layer that a change of class leaves as they are.
_PAINTING = ("paint", "fill", "polygon")


class DataStep(StepPanel):
    """Choose images, classes and a region; begin to paint."""

    TITLE: ClassVar[str] = "Data"
    HINT: ClassVar[str] = (
        "Drop an image on the window and tick it here, name the classes, then paint a few strokes "
        "of each class and of background."
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._choices = Choices()
        self._earlier: dict[str, list[EarlierWork]] = {}
        self._brought_back: set[tuple[str, Path]] = set()
        self._searcher = NewestWins()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.refresh)
        self._build()
        self._connect()
        self.refresh()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.hint = QLabel(_NOTHING_OPEN)
        self.hint.setWordWrap(True)
        self.images = ImageList()
        self.facts = ImageFacts()
        self.classes = ClassTable(self.context.workspace)
        for widget in (self.hint, self.images, self.facts):
            self.column.addWidget(widget)
        self.column.addWidget(self._build_earlier())
        self.column.addWidget(self.classes)
        self.column.addLayout(self._build_region())
        self.paint = self.primary(
            "Paint", "Take the brush and paint the class selected.", self._on_paint
        )
        self.source = LabelsSource(self.context)
        self.section = self.advanced(self.source, "Labels you have already")
        self.section.toggleButton().setToolTip("Turn a labels layer into annotations.")
        self.column.addStretch(1)

    def _build_earlier(self) -> QWidget:
        self.earlier = QWidget()
        self.earlier_works = QComboBox()
        self.earlier_works.setToolTip("Annotations of this image that earlier sessions left.")
        self.bring_back = self.button(
            "Bring back",
            "Fill in what was painted then; what you painted now stays.",
            self._on_back,
        )
        grid = QGridLayout(self.earlier)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(QLabel("Earlier work on this image:"), 0, 0)
        grid.addWidget(self.bring_back, 0, 1)
        grid.addWidget(self.earlier_works, 1, 0, 1, 2)
        self.earlier.hide()
        return self.earlier

    def _build_region(self) -> QHBoxLayout:
        self.region = self.button(
            "Region of interest",
            "Paint where to learn and to segment; all else is left out.",
            lambda: self._on_region(1),
        )
        self.exclude = self.button(
            "Exclude",
            "Paint what to leave out: dirt, folds, out of focus.",
            lambda: self._on_region(2),
        )
        self.clear_region = self.button(
            "Clear region", "Use the whole image again.", self._on_clear_region
        )
        row = QHBoxLayout()
        for button in (self.region, self.exclude, self.clear_region):
            row.addWidget(button)
        return row

    def _connect(self) -> None:
        context = self.context
        layers = context.viewer.layers
        for name in ("inserted", "removed", "reordered", "renamed"):
            listen(layers.events[name], self._refresh_soon)
        listen(layers.events.removed, self._on_layer_removed)
        listen(layers.selection.events.active, self._on_active_changed)
        listen(context.workspace.images_changed, self._on_images_changed)
        self.images.toggled.connect(self._on_toggled)
        self.images.chosen.connect(self._on_chosen)
        self.facts.axes_chosen.connect(self._on_axes_chosen)
        self.facts.parts.chosen.connect(lambda path: open_part(context, path))
        self.facts.channels_chosen.connect(self._on_channels_chosen)
        self.facts.pixel_size_typed.connect(self._on_pixel_size_typed)
        self.classes.chosen.connect(self._on_class_chosen)
        self.classes.renumbered.connect(self._on_class_renumbered)
        self.classes.said.connect(context.say)
        self._searcher.answered.connect(self._on_earlier_found)

    # --------------------------------------------------------------- showing

    def entered(self) -> None:
        """List the images of the viewer."""
        self.refresh()

    def refresh(self) -> None:
        """Show the images of the viewer and what is known of the one selected."""
        found = open_images(self.context.viewer.layers)
        self.hint.setText(_NONE_TICKED if found else _NOTHING_OPEN)
        self.hint.setVisible(not (found and self.context.workspace.images))
        self.images.setVisible(bool(found))
        self.images.show_images(found, lambda image: self._entry(image) is not None)
        self.source.refresh()
        self._update()

    def _refresh_soon(self, *_: object) -> None:
        self._soon.start()

    def _update(self) -> None:
        self._show_facts()
        self._show_earlier()
        self._update_buttons()

    def _update_buttons(self) -> None:
        entry = self.context.layers.current_image()
        why_not = None if entry else _NONE_TICKED
        for button in (self.paint, self.region, self.exclude):
            self.enable(button, why_not)
        no_region = None if entry and entry.region is not None else "There is no region to clear."
        self.enable(self.clear_region, why_not or no_region)

    def _show_facts(self) -> None:
        image = self.images.image
        usable = image is not None and bool(image.axes_choices)
        self.facts.setVisible(usable)
        if image is not None and usable:
            choice = self._choices[image]
            entry = self._entry(image)
            stack = entry.stack if entry else image.as_stack(choice)
            self.facts.show_image(image, choice, stack, stack.pixel_size_um)

    def _show_earlier(self) -> None:
        entry = self._selected_entry()
        works = self._earlier.get(entry.id, []) if entry else []
        self.earlier.setVisible(bool(works))
        self.earlier_works.clear()
        for work in works:
            when = datetime.datetime.fromtimestamp(work.saved_at)
            objects = ", objects" if work.objects else ""
            results = ", results" if work.results else ""
            self.earlier_works.addItem(
                f"{when.day} {when:%b %H:%M}, {work.n_labelled_px:,} px{objects}{results}", work
            )

    def _entry(self, image: OpenImage) -> ImageEntry | None:
        image_id = self.context.layers.image_of(image.layers[0])
        return None if image_id is None else self.context.workspace.images[image_id]

    def _selected_entry(self) -> ImageEntry | None:
        return None if self.images.image is None else self._entry(self.images.image)

    # ---------------------------------------------------------------- images

    def _on_toggled(self, image: OpenImage, checked: bool) -> None:
        if checked:
            self._take_in(image)
        else:
            self._leave_out(image)
        self.images.select(image)
        self._refresh_soon()

    def _take_in(self, image: OpenImage) -> ImageEntry | None:
        choice = self._choices[image]
        try:
            entry = self.context.layers.add_image(image.layers, choice.axes, choice.channels)
        except UserError as error:
            self.context.say(str(error))
            return None
        self.context.layers.activate(self.context.layers.annotations_layer(entry.id))
        return entry

    def _leave_out(self, image: OpenImage) -> None:
        entry = self._entry(image)
        if entry is not None:
            self.context.layers.remove_image(entry.id)
            self.context.say(f"{image.name} is left out; what you painted on it is kept.")

    def _on_layer_removed(self, event: Any) -> None:
        """Leave an image out whose pixels a person has closed."""
        image_id = self.context.layers.image_of(event.value)
        if image_id is None or event.value not in self.context.layers.image_layers_of(image_id):
            return
        name = self.context.workspace.images[image_id].stack.name
        self.context.layers.remove_image(image_id)
        self.context.say(
            f"{name} was closed; what you painted comes back when it is checked again."
        )

    def _on_chosen(self, image: OpenImage) -> None:
        entry = self._entry(image)
        layers = self.context.layers
        shown = layers.annotations_layer(entry.id) if entry else image.layers[0]
        layers.activate(shown)
        self._update()

    def _on_active_changed(self, event: Any) -> None:
        image_id = None if event.value is None else self.context.layers.image_of(event.value)
        if image_id is not None:
            self.images.select(OpenImage(self.context.layers.image_layers_of(image_id)))
        self._update()

    def _on_images_changed(self) -> None:
        self._refresh_soon()
        workspace = self.context.workspace
        ids = list(workspace.images)
        self._searcher.ask(lambda: {i: workspace.earlier_work(i) for i in ids})

    # ----------------------------------------------------------------- facts

    def _on_axes_chosen(self, axes: str) -> None:
        image = self.images.image
        if image is not None and axes != self._choices[image].axes:
            self._read_anew(image, lambda: self._choices.set_axes(image, axes))

    def _on_channels_chosen(self, channels: tuple[int, ...]) -> None:
        image = self.images.image
        if image is not None:
            self._read_anew(image, lambda: self._choices.set_channels(image, channels))

    def _read_anew(self, image: OpenImage, choose: Callable[[], None]) -> None:
        """Read an image in another way; what is painted goes along where it fits."""
        before, entry = self._choices[image], self._entry(image)
        choose()
        if entry is not None:
            self.context.layers.remove_image(entry.id)
            again = self._take_in(image)
            if again is None:  # the other images have other channels: said already
                self._choices.restore(image, before)
                self._take_in(image)
            elif again is not entry and again.shape == entry.shape:
                self._carry_over(entry, again)
        self.images.select(image)
        self._refresh_soon()

    def _carry_over(self, old: ImageEntry, new: ImageEntry) -> None:
        n_px = sum(int((old.codes[p] != 0).sum()) for p in old.annotated_planes())
        corrected = self.context.workspace.objects.kept(old.id)
        results = self.context.workspace.results.kept(old.id)
        if (n_px or corrected or results) and not new.annotated_planes():
            path = self.context.workspace.session.path
            work = EarlierWork(
                "",
                path(old.id, "annotations"),
                path(old.id, "blocks"),
                path(old.id, "region") if old.region is not None else None,
                self.context.workspace.classes,
                0.0,
                n_px,
                corrected,
                results,
                self.context.workspace.results.meant_as.tolist(),
                sources=kept_sources(path(old.id, "annotations")),
            )
            self.context.workspace.restore(new.id, work)

    def _on_pixel_size_typed(self, sizes_um: Mapping[str, float]) -> None:
        image = self.images.image
        if image is None:
            return
        entry = self._entry(image)
        axes = self._choices[image].axes
        shown = [la for la in self.context.layers.labels_layers() if entry and _is_of(la, entry)]
        calibrate([*image.layers, *shown], axes, sizes_um)
        if entry is not None:
            sizes = pixel_size_um(image.layers[0], axes)
            entry.stack = replace(entry.stack, pixel_size_um=sizes)
        self._update()

    # --------------------------------------------------------- earlier work

    def _on_earlier_found(self, found: dict[str, list[EarlierWork]]) -> None:
        self._earlier = {
            image_id: [w for w in works if (image_id, w.annotations) not in self._brought_back]
            for image_id, works in found.items()
        }
        self._show_earlier()

    def _on_back(self) -> None:
        entry = self._selected_entry()
        work = self.earlier_works.currentData()
        if entry is None or work is None:
            return
        try:
            self.context.workspace.restore(entry.id, work)
        except UserError as error:
            self.context.say(str(error))
            return
        if entry.region is not None:
            self.context.layers.region_layer(entry.id)
        self._earlier[entry.id].remove(work)
        self._brought_back.add((entry.id, work.annotations))
        self._show_earlier()
        self._update_buttons()
        objects = " and corrected objects" if work.objects else ""
        self.context.say(f"Brought back {work.n_labelled_px:,} px of annotations{objects}.")

    # --------------------------------------------------------------- painting

    def _on_paint(self) -> None:
        self._on_class_chosen(self.classes.k)

    def _on_class_chosen(self, k: int) -> None:
        entry = self.context.layers.current_image()
        if entry is None:
            self.context.say(_NONE_TICKED)
            return
        active = self.context.viewer.layers.selection.active
        painting = active is self.context.layers.annotations_layer(entry.id)
        mode = str(active.mode) if painting and str(active.mode) in _PAINTING else "paint"
        self.context.layers.set_tool("annotations", entry.id, mode, k)
        name = self.context.workspace.classes[k - 1].name if k else "background"
        self.context.say(f"Paint {name} with the mouse; Ctrl+Z takes a stroke back.")

    def _on_class_renumbered(self, k: int) -> None:
        """Keep the brush on the class selected, whose number has changed."""
        active = self.context.viewer.layers.selection.active
        role = active.metadata.get(METADATA, {}).get("role") if active is not None else None
        if role in ("annotations", "segmentation"):
            active.selected_label = code_of(k)

    def _on_region(self, value: int) -> None:
        entry = self.context.layers.current_image()
        if entry is not None:
            self.context.layers.set_tool("region", entry.id, "paint", value)
            self.context.say(
                "Paint the region to work in; all else is left out."
                if value == 1
                else "Paint what is to be left out."
            )
            self._update_buttons()

    def _on_clear_region(self) -> None:
        """Forget the region with its layer, so that no undo of that layer can bring it back."""
        entry = self.context.layers.current_image()
        if entry is None or entry.region is None:
            return
        layer = self.context.layers.region_layer(entry.id)
        self.context.viewer.layers.remove(layer)
        self.context.workspace.clear_region(entry.id)
        self.context.say("The whole image is used again.")
        self._update_buttons()


def _is_of(layer: Any, entry: ImageEntry) -> bool:
    return bool(layer.metadata.get(METADATA, {}).get("image") == entry.id)

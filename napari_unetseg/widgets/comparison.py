"""Two segmentations of the slice in view: one, the other, both beside a line, or what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QColor

from napari_unetseg.annotations import Classes, code_of
from napari_unetseg.config import UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.comparison import WAS, Differences, differences, layer_codes

from .context import Context
from .label_colors import OPACITY, label_colormap
from .listen import listen
from .stack_from_layers import METADATA, placement_in_plane
from .swipe_line import SwipeLine

Codes = npt.NDArray[np.uint8]

#: Of differences: there is little of them, and the darker colours have to be told from the image.
_OPAQUE = 0.9

#: What is in view of two segmentations.
View: TypeAlias = Literal["first", "second", "swipe", "difference"]

#: What a segmentation of the comparison is.
Kind: TypeAlias = Literal["before", "now", "segmentation", "annotations", "layer"]


@dataclass(frozen=True, eq=False)
class Source:
    """Something that can be compared.

    Attributes
    ----------
    title : str
        As a person would call it.
    layer : Labels or None
        For the kind ``"layer"``.
    """

    kind: Kind
    title: str
    layer: Labels | None = None


class Comparison(QObject):
    """Shows two segmentations of the slice in view, in a layer of their own.

    Making a layer takes napari a moment, so this one stays, hidden, until it is removed. While it
    is shown, other labels are hidden, and so cannot be painted on; where one of them is made
    visible, as by taking up a brush, the comparison ends.

    Parameters
    ----------
    context : Context
    parent : QObject

    Attributes
    ----------
    changed : Signal()
        The view, or what was found.
    first, second : Source
        What is compared.
    view : str or None
        What is in view; None while nothing is compared.
    found : Differences or None
        On the slice in view.
    """

    changed = Signal()

    def __init__(self, context: Context, first: Source, second: Source, parent: QObject) -> None:
        super().__init__(parent)
        self.first, self.second = first, second
        self.view: View | None = None
        self.found: Differences | None = None
        self._context = context
        self._layer: Labels | None = None
        self._shown_for: ImageEntry | None = None
        self._shows: dict[View, Codes] = {}
        self._hidden: list[Labels] = []
        self._tool: str | None = None
        self._line: SwipeLine | None = None
        # The mouse and the camera move more often than a large slice can be drawn.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._draw)
        viewer, workspace = context.viewer, context.workspace
        listen(viewer.dims.events.current_step, self.refresh)
        listen(viewer.dims.events.ndisplay, self.refresh)
        listen(viewer.dims.events.order, self.refresh)
        listen(viewer.layers.selection.events.active, self._on_active)
        listen(viewer.layers.events.removed, self._on_removed)
        listen(viewer.scene.camera.events.zoom, self._on_camera)
        listen(viewer.scene.camera.events.center, self._on_camera)
        listen(workspace.segmentation_changed, self._on_slices_changed)
        listen(workspace.classes_changed, self._on_classes_changed)
        listen(workspace.images_changed, self._on_images_changed)

    # ------------------------------------------------------------------ view

    def why_not(self) -> str | None:
        """Return why nothing can be compared; None where it can."""
        if self._context.layers.current_image() is None:
            return "Choose an image in the Data step first."
        dims = self._context.viewer.dims
        if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
            return "This works on slices; go back to the view of one."
        is_before = "before" in (self.first.kind, self.second.kind)
        if is_before and not self._context.controller.before.exists:
            return "No training has answered yet; train first, or choose something else to compare."
        if (self.first.kind, self.first.layer) == (self.second.kind, self.second.layer):
            return "Both are the same; choose another first or second."
        return None

    @property
    def is_first_empty(self) -> bool:
        """Whether the first says nothing of the slice in view."""
        codes = self._shows.get("first")
        return codes is not None and not codes.any()

    def choose(self, first: Source, second: Source) -> None:
        """Compare something else."""
        self.first, self.second = first, second
        self.refresh()

    def show(self, view: View | None) -> None:
        """Bring something into view; None ends the comparison."""
        if view is None or self.why_not() is not None:
            self.end()
            return
        begins, self.view = self.view is None, view
        if begins:
            self._make_room()
            self.refresh()
        else:
            self._draw()
            self.changed.emit()
        if (layer := self.layer) is not None:
            layer.opacity = _OPAQUE if view == "difference" else OPACITY["comparison"]

    def end(self, *, take_up: bool = True) -> None:
        """Show what was in view before.

        Parameters
        ----------
        take_up : bool
            The tool that was in hand, again.
        """
        if self.view is None:
            return
        self.view = self.found = self._shown_for = None
        self._shows = {}
        self._soon.stop()
        hidden, self._hidden = self._hidden, []
        for other in hidden:
            other.events.visible.disconnect(self._on_made_visible)
            if other in self._context.viewer.layers:
                other.visible = True
        if (layer := self.layer) is not None:
            layer.visible = False
        if self._line is not None:
            self._line.hide()
        active = self._context.viewer.layers.selection.active
        if take_up and self._tool is not None and active in hidden:
            self._context.proofreader.take_up(self._tool, active)
        self.changed.emit()

    def remove(self) -> None:
        """End, and take the layer away."""
        self.end()
        self._remove_layer()

    def _remove_layer(self) -> None:
        layer, self._layer = self.layer, None
        if layer is not None:
            self._context.viewer.layers.remove(layer)

    @property
    def layer(self) -> Labels | None:
        """The layer of the comparison, while there is one."""
        layer = self._layer
        return layer if layer is not None and layer in self._context.viewer.layers else None

    # --------------------------------------------------------------- content

    def refresh(self, *_: object) -> None:
        """Compare the slice in view anew."""
        if self.view is None:
            return
        layers, entry = self._context.layers, self._context.layers.current_image()
        if entry is None or (why_not := self.why_not()) is not None:
            self.end()
            if entry is not None and why_not is not None:
                self._context.say(why_not)
            return
        plane = layers.current_plane(entry)
        try:
            first, second = (self._codes(s, entry, plane) for s in (self.first, self.second))
        except UserError as error:
            self.end()
            self._context.say(str(error))
            return
        self.found, labels = differences(first, second)
        self._shows = {"first": first, "second": second, "difference": labels}
        self._shown_for = entry
        self._draw()
        self.changed.emit()

    def _codes(self, source: Source, entry: ImageEntry, plane: int) -> Codes:
        if source.kind == "before":
            return self._context.controller.before.codes(entry, plane)
        if source.kind == "now":
            return entry.shown(plane, entry.prediction[plane])
        if source.kind == "segmentation":
            return entry.segmentation(plane)
        if source.layer is None:
            return entry.training_codes(plane)
        facts = source.layer.metadata.get(METADATA, {})
        is_codes = facts.get("role") == "baseline" or facts.get("values") == "codes"
        codes = layer_codes(
            source.layer.data,
            entry,
            plane,
            "annotations" if is_codes else "masks",
            len(self._context.workspace.classes),
            source.layer.name,
        )
        return np.where(entry.allowed(plane), codes, np.uint8(UNLABELLED))

    # --------------------------------------------------------------- drawing

    def _draw(self) -> None:
        entry, view = self._shown_for, self.view
        if view is None or entry is None:
            return
        layer = self._layer_for(entry)
        if view == "swipe":
            self._show_line()
            x = self._column(layer)
            layer.data[:, :x] = self._shows["first"][:, :x]
            layer.data[:, x:] = self._shows["second"][:, x:]
        else:
            if self._line is not None:
                self._line.hide()
            layer.data[...] = self._shows[view]
        if layer.visible:
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        else:
            layer.visible = True

    def _layer_for(self, entry: ImageEntry) -> Labels:
        layer = self.layer
        ours = {"image": entry.id, "role": "comparison"}
        if layer is not None and layer.metadata[METADATA] == ours:
            return layer
        self._remove_layer()
        made = Labels(
            np.zeros(entry.shape[1:], np.uint8),
            name=f"{entry.stack.name} · comparison",
            opacity=OPACITY["comparison"],
            colormap=comparison_colormap(self._context.workspace.classes),
            metadata={METADATA: ours},
            **placement_in_plane(self._context.layers.image_layers_of(entry.id)[0]),
        )
        made.editable = False
        made.events.visible.connect(self._on_eye)
        self._layer = made
        self._context.layers.put(entry, made, on_top=True)
        return made

    def _show_line(self) -> None:
        if self._line is None:
            canvas = self._context.viewer.window._qt_viewer.canvas  # noqa: SLF001 - has no other name
            self._line = SwipeLine(canvas.native)
            self._line.moved.connect(self._soon.start)
            self.destroyed.connect(self._line.deleteLater)
        self._line.show()
        self._line.raise_()

    def _column(self, layer: Labels) -> int:
        """Return the first column to the right of the line."""
        assert self._line is not None
        camera, (_, width) = self._context.viewer.scene.camera, self._context.viewer.canvas.size
        y, x = np.asarray(camera.center)[-2:]
        world = (y, x + (self._line.at - 0.5) * width / camera.zoom)
        column = np.ceil(layer.world_to_data(world)[-1])
        return int(np.clip(column, 0, layer.data.shape[-1]))

    def _make_room(self) -> None:
        """Hide other labels: they would lie over what is compared."""
        self._tool = self._context.proofreader.tool
        labels = self._context.layers.labels_layers()
        self._hidden = [la for la in labels if la.visible and la is not self._layer]
        for layer in self._hidden:
            layer.visible = False
            layer.events.visible.connect(self._on_made_visible)

    # ---------------------------------------------------------------- events

    def _on_eye(self, *_: object) -> None:
        """Begin or end where a person shows or hides the layer in napari's list."""
        layer = self.layer
        if layer is not None and layer.visible != (self.view is not None):
            self.show("first" if layer.visible else None)

    def _on_made_visible(self, *_: object) -> None:
        if any(layer.visible for layer in self._hidden):
            self.end(take_up=False)

    def _on_active(self, *_: object) -> None:
        """Follow to another image."""
        if self.view is not None and self._context.layers.current_image() is not self._shown_for:
            self.refresh()

    def _on_camera(self, *_: object) -> None:
        if self.view == "swipe":
            self._soon.start()

    def _on_removed(self, event: Any) -> None:
        if self.view is None:
            return
        if event.value is self._layer or event.value in (self.first.layer, self.second.layer):
            self.end()

    def _on_slices_changed(self, image_id: str, planes: list[int]) -> None:
        entry = self._shown_for
        if entry is None or entry.id != image_id:
            return
        if self._context.layers.current_plane(entry) in planes:
            self.refresh()

    def _on_images_changed(self) -> None:
        if (layer := self.layer) is not None:
            if layer.metadata[METADATA]["image"] not in self._context.workspace.images:
                self.remove()
            self.refresh()

    def _on_classes_changed(self) -> None:
        if (layer := self.layer) is not None:
            layer.colormap = comparison_colormap(self._context.workspace.classes)
            self.refresh()


def comparison_colormap(classes: Classes) -> DirectLabelColormap:
    """Return the colours of codes, and of what `difference_labels` says there was."""
    colors: dict[int | None, Any] = dict(label_colormap("comparison", classes).color_dict)
    for k, cls in enumerate(classes, 1):
        if code_of(k) < WAS:
            colors[WAS + code_of(k)] = was_color(cls.color)
    return DirectLabelColormap(color_dict=colors)


def was_color(color: str) -> str:
    """Return the darker colour of a class that was.

    >>> was_color("#e69f00")
    '#734f00'
    """
    red, green, blue = (channel // 2 for channel in QColor(color).getRgb()[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"

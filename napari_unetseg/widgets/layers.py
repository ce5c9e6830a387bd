"""The layers of an image: shown from the workspace, and read when a person has painted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from app_model.types import KeyCode, KeyMod
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_warning
from napari.viewer import Viewer

from napari_unetseg.annotations import code_of
from napari_unetseg.wording import counted
from napari_unetseg.workspace import ImageEntry, Workspace

from .label_colors import OPACITY, Role, highest_label, label_colormap, label_features
from .stack_from_layers import METADATA, guess_axes, labels_placement, stack_from_layers
from .strokes import DragWatch, touched_planes

Codes = npt.NDArray[np.uint8]


@dataclass(eq=False)
class _Shown:
    """A layer of ours, and whether somebody is painting on it.

    Attributes
    ----------
    buffer : ndarray, shape (planes, Y, X), uint8
        The layer's pixels.
    drawn : ndarray, shape (planes, Y, X), uint8
        What was last written to it by us: the difference is what a person painted.
    """

    layer: Labels
    buffer: Codes
    drawn: Codes
    drag: DragWatch


class LayerBinder:
    """Keeps the layers of every image in step with the workspace.

    Layers hold copies; a stroke is compared with the workspace when it ends and becomes an edit
    there. What arrives from a job while a person is painting waits until the stroke has ended.
    Layers are found by their metadata, so they may be renamed, hidden or closed; a closed layer is
    made again when it is needed, with everything that was painted.
    """

    def __init__(self, viewer: Viewer, workspace: Workspace) -> None:
        self.viewer = viewer
        self.workspace = workspace
        self._images: dict[str, tuple[tuple[Image, ...], str]] = {}
        self._shown: dict[tuple[str, str], _Shown] = {}
        self._waiting: dict[str, set[int]] = {}
        self._unsettled: dict[tuple[str, Role], set[int]] = {}
        workspace.codes_changed.connect(self._on_codes_changed)
        workspace.segmentation_changed.connect(self._on_segmentation_changed)
        workspace.classes_changed.connect(self._on_classes_changed)
        viewer.layers.events.removed.connect(self._on_layer_removed)

    # ---------------------------------------------------------------- images

    def add_image(
        self,
        layers: Sequence[Image],
        axes: str | None = None,
        channels: Sequence[int] | None = None,
    ) -> ImageEntry:
        """Take layers that are one image into the data set, and make its annotations layer.

        Parameters
        ----------
        axes : str, optional
            Of each layer.
        channels : sequence of int, optional
            Which of its channels to use; all by default.
        """
        axes = axes or guess_axes(layers[0])
        entry = self.workspace.add_image(stack_from_layers(layers, axes, channels))
        self._images[entry.id] = (tuple(layers), axes)
        self.annotations_layer(entry.id)
        return entry

    def remove_image(self, image_id: str) -> None:
        """Leave an image out of the data set; what is painted is kept, its layers are closed."""
        ours = [s.layer for (owner, _), s in self._shown.items() if owner == image_id]
        for layer in ours:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self.workspace.remove_image(image_id)

    def image_layers_of(self, image_id: str) -> tuple[Image, ...]:
        """Return the layers that show the pixels of an image."""
        return self._images[image_id][0]

    def image_of(self, layer: Layer) -> str | None:
        """Return the id of the image that a layer belongs to, as its pixels or as its labels."""
        for image_id, (layers, _) in self._images.items():
            if layer in layers and image_id in self.workspace.images:
                return image_id
        image_id = layer.metadata.get(METADATA, {}).get("image")
        return image_id if image_id in self.workspace.images else None

    def current_image(self) -> ImageEntry | None:
        """Return the image of the active layer, else of the topmost visible one, else the first."""
        active = self.viewer.layers.selection.active
        candidates = [active, *(la for la in reversed(self.viewer.layers) if la.visible)]
        for layer in candidates:
            image_id = self.image_of(layer) if layer is not None else None
            if image_id is not None:
                return self.workspace.images[image_id]
        return next(iter(self.workspace.images.values()), None)

    def current_plane(self, entry: ImageEntry) -> int:
        """Return the slice in view, along the flattened leading axes."""
        leading = entry.stack.labels_shape[:-2]
        if not leading:
            return 0
        layer = self.annotations_layer(entry.id)
        point = layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[: len(leading)]
        index = [int(np.clip(round(p), 0, n - 1)) for p, n in zip(point, leading, strict=True)]
        return int(np.ravel_multi_index(index, leading))

    def show_plane(self, entry: ImageEntry, plane: int) -> None:
        """Move the slider to a slice."""
        leading = entry.stack.labels_shape[:-2]
        if leading:
            layer = self.annotations_layer(entry.id)
            index = np.unravel_index(plane, leading)
            world = layer.data_to_world((*index, 0, 0))
            for axis in range(len(leading)):
                self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim + axis, world[axis])

    # ---------------------------------------------------------------- layers

    def annotations_layer(self, image_id: str) -> Labels:
        """Return the layer to paint on; made again where it was closed."""
        return self._layer(image_id, "annotations").layer

    def segmentation_layer(self, image_id: str) -> Labels:
        """Return the layer that shows what the network answered, under what was painted."""
        return self._layer(image_id, "segmentation").layer

    def shown_segmentation(self, image_id: str) -> Labels | None:
        """Return the segmentation layer where there is one."""
        shown = self._shown.get((image_id, "segmentation"))
        return None if shown is None else shown.layer

    def is_shown(self, image_id: str) -> bool:
        """Return whether an image has its annotations layer; a person may have closed it."""
        return (image_id, "annotations") in self._shown

    def region_layer(self, image_id: str) -> Labels:
        """Return the layer of the region of interest: 1 inside, 2 excluded."""
        return self._layer(image_id, "region").layer

    def set_tool(self, role: Role, image_id: str, mode: str, k: int) -> None:
        """Take up a tool.

        Parameters
        ----------
        mode : {'paint', 'erase', 'fill', 'pick', 'polygon', 'pan_zoom'}
        k : int
            Class to paint with, 0 for background; in the region layer 1 inside, 2 excluded.
        """
        layer = self._layer(image_id, role).layer
        if not layer.visible:
            layer.visible = True
        layer.selected_label = k if role == "region" else code_of(k)
        self.activate(layer)
        layer.mode = mode

    def activate(self, layer: Layer) -> None:
        """Make a layer the active one, also in 3D."""
        with _mouse_elsewhere(self.viewer):
            self.viewer.layers.selection.active = layer

    def add_result(self, image_id: str, title: str, codes: Codes) -> Labels:
        """Show what a baseline answered, as a layer of its own that can be edited.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
        """
        entry = self.workspace.images[image_id]
        return self._add(entry, "baseline", codes, f"{entry.stack.name} · {title}")

    def result_layers(self, image_id: str) -> list[Labels]:
        """Return the layers of baselines of an image."""
        return [
            la
            for la in self.labels_layers()
            if la.metadata.get(METADATA, {}) == {"image": image_id, "role": "baseline"}
        ]

    def labels_layers(self) -> list[Labels]:
        """Return every Labels layer of the viewer, bottom first."""
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels)]

    def _layer(self, image_id: str, role: Role) -> _Shown:
        shown = self._shown.get((image_id, role))
        return shown or self._make(self.workspace.images[image_id], role)

    def _make(self, entry: ImageEntry, role: Role) -> _Shown:
        new_array = self.workspace.session.array
        if role == "region":
            if entry.region is None:
                entry.region = new_array(entry.id, "region", entry.shape)
            buffer = drawn = entry.region
        else:
            buffer = new_array(entry.id, f"{role}-shown", entry.shape)
            drawn = entry.codes
            if role == "segmentation":
                drawn = new_array(entry.id, f"{role}-drawn", entry.shape)
            for plane in range(entry.shape[0]):
                pixels = self._pixels(entry, role, plane)
                if pixels.any():
                    buffer[plane] = drawn[plane] = pixels
        layer = self._add(entry, role, buffer, f"{entry.stack.name} · {role}")
        shown = _Shown(layer, buffer, drawn, DragWatch(layer))
        self._shown[entry.id, role] = shown
        if role == "region":
            layer.events.paint.connect(lambda: self.workspace.update_region(entry.id))
            return shown
        layer.events.paint.connect(lambda event: self._on_painted(entry.id, role, event.value))
        layer.events.data.connect(lambda: self._on_data_replaced(entry.id, role))
        layer.bind_key(KeyMod.CtrlCmd | KeyCode.KeyZ, self._on_undo, overwrite=True)
        layer.bind_key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, self._on_redo, overwrite=True)
        return shown

    def _add(self, entry: ImageEntry, role: Role, codes: Codes, name: str) -> Labels:
        """Put a Labels layer on an image without taking the selection from the person."""
        layers, axes = self._images[entry.id]
        classes = self.workspace.classes
        layer = Labels(
            codes.reshape(entry.stack.labels_shape),
            name=name,
            opacity=OPACITY[role],
            colormap=label_colormap(role, classes),
            features=label_features(role, classes),
            metadata={METADATA: {"image": entry.id, "role": role}},
            **labels_placement(layers[0], axes),
        )
        layer.selected_label = 1 if role == "region" else code_of(1)
        layer.events.selected_label.connect(lambda: self._limit_label(layer, role))
        active = self.viewer.layers.selection.active
        with _mouse_elsewhere(self.viewer):
            self.viewer.add_layer(layer)
            annotations = self._shown.get((entry.id, "annotations"))
            if annotations is not None and role != "region":
                self.viewer.layers.move(
                    self.viewer.layers.index(layer), self.viewer.layers.index(annotations.layer)
                )
            if active is not None and active in self.viewer.layers:
                self.viewer.layers.selection.active = active
        return layer

    # -------------------------------------------------------------- painting

    def _limit_label(self, layer: Labels, role: Role) -> None:
        """Let napari's keys choose no label beyond that of the class to come."""
        highest = highest_label(role, self.workspace.classes)
        if layer.selected_label > highest:
            layer.selected_label = highest

    def _on_painted(self, image_id: str, role: Role, atoms: Any) -> None:
        planes = touched_planes(self._shown[image_id, role].layer, atoms)
        self._commit(image_id, role, planes)
        # napari tells of a polygon before it has painted it; `_settle` looks again.
        self._unsettled.setdefault((image_id, role), set()).update(planes)

    def _on_data_replaced(self, image_id: str, role: Role) -> None:
        """Take over what napari or a script put in place of the pixels, and give ours back."""
        shown, entry = self._shown.get((image_id, role)), self.workspace.images.get(image_id)
        if shown is None or entry is None:  # the layer was closed
            return
        given = np.asarray(shown.layer.data)
        if np.shares_memory(given, shown.buffer):
            return
        if given.size == shown.buffer.size:
            pixels = given.reshape(shown.buffer.shape)
            highest = highest_label(role, self.workspace.classes)
            known = (pixels >= 0) & (pixels <= highest)
            np.copyto(shown.buffer, pixels.astype(np.uint8), where=known)
            n_unknown = known.size - int(np.count_nonzero(known))
            if n_unknown:
                show_warning(
                    f"{counted(n_unknown, 'pixel')} of {shown.layer.name} stayed as they were: "
                    f"their new values are not 0 (unlabelled), 1 (background) or 2 to {highest} "
                    "(the classes). To take labels of another kind over, put them into a layer "
                    "of their own and press Use as annotations."
                )
        shown.layer.data = shown.buffer.reshape(entry.stack.labels_shape)
        self._commit(image_id, role, range(len(shown.buffer)))

    def _commit(self, image_id: str, role: Role, planes: Sequence[int]) -> None:
        shown = self._shown[image_id, role]
        if role == "annotations":
            self.workspace.commit_annotations(image_id, shown.buffer, planes)
        else:
            self.workspace.commit_segmentation(image_id, shown.buffer, shown.drawn, planes)

    def _settle(self) -> None:
        """Take over what was painted after napari had told of it."""
        for image_id, role in [key for key in self._unsettled if not self._busy(*key)]:
            planes = self._unsettled.pop((image_id, role))
            if image_id in self.workspace.images and (image_id, role) in self._shown:
                self._commit(image_id, role, sorted(planes))

    def _on_undo(self, layer: Labels) -> None:
        if not self._any_busy():
            self._settle()
            self.workspace.undo()

    def _on_redo(self, layer: Labels) -> None:
        if not self._any_busy():
            self._settle()
            self.workspace.redo()

    # --------------------------------------------------------------- showing

    def flush(self) -> None:
        """Show what arrived while a person was painting; called regularly by the window."""
        self._settle()
        for image_id in [i for i in self._waiting if not self._busy(i, "segmentation")]:
            planes = self._waiting.pop(image_id)
            if image_id in self.workspace.images:
                self._show_segmentation(image_id, planes)

    def _on_codes_changed(self, image_id: str, planes: list[int]) -> None:
        if (image_id, "annotations") in self._shown:
            self._show(image_id, "annotations", planes)

    def _on_segmentation_changed(self, image_id: str, planes: list[int]) -> None:
        self._waiting.setdefault(image_id, set()).update(planes)
        if not self._unsettled:
            self.flush()

    def _show_segmentation(self, image_id: str, planes: set[int]) -> None:
        entry = self.workspace.images[image_id]
        if (image_id, "segmentation") in self._shown:
            self._show(image_id, "segmentation", sorted(planes))
        elif any(entry.prediction[p].any() for p in planes):
            self.segmentation_layer(image_id)

    def _show(self, image_id: str, role: Role, planes: Sequence[int]) -> None:
        entry = self.workspace.images[image_id]
        shown = self._shown[image_id, role]
        changed = []
        for plane in planes:
            pixels = self._pixels(entry, role, plane)
            if not np.array_equal(shown.buffer[plane], pixels):
                shown.buffer[plane] = pixels
                changed.append(plane)
            if role == "segmentation":
                shown.drawn[plane] = pixels
        dims = self.viewer.dims
        across = tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1)
        if changed and (across or self.current_plane(entry) in changed):
            shown.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _pixels(self, entry: ImageEntry, role: Role, plane: int) -> Codes:
        return entry.codes[plane] if role == "annotations" else entry.segmentation(plane)

    def _on_classes_changed(self) -> None:
        classes = self.workspace.classes
        for role, layer in self._class_layers():
            layer.colormap = label_colormap(role, classes)
            layer.features = label_features(role, classes)

    def _class_layers(self) -> Iterator[tuple[Role, Labels]]:
        for layer in self.labels_layers():
            role = layer.metadata.get(METADATA, {}).get("role")
            if role in ("annotations", "segmentation", "baseline"):
                yield role, layer

    def _busy(self, image_id: str, role: str) -> bool:
        shown = self._shown.get((image_id, role))
        return shown is not None and shown.drag.busy

    def _any_busy(self) -> bool:
        return any(shown.drag.busy for shown in self._shown.values())

    def _on_layer_removed(self, event: Any) -> None:
        for key, shown in list(self._shown.items()):
            if shown.layer is event.value:
                del self._shown[key]

    def close(self) -> None:
        """Let go of the viewer."""
        self.workspace.codes_changed.disconnect(self._on_codes_changed)
        self.workspace.segmentation_changed.disconnect(self._on_segmentation_changed)
        self.workspace.classes_changed.disconnect(self._on_classes_changed)
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)


@contextmanager
def _mouse_elsewhere(viewer: Viewer) -> Iterator[None]:
    """Let napari not look under the mouse, which it cannot in 3D before the mouse has moved."""
    over, viewer.mouse_over_canvas = viewer.mouse_over_canvas, False
    try:
        yield
    finally:
        viewer.mouse_over_canvas = over

"""The layers of an image: shown from the workspace, and read when a person has painted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from app_model.types import KeyCode, KeyMod
from napari.layers import Image, Labels, Layer
from napari.utils.key_bindings import coerce_keybinding
from napari.viewer import Viewer
from psygnal import Signal

from napari_unetseg.annotations import code_of
from napari_unetseg.workspace import ImageEntry, Workspace

from .label_colors import OPACITY, Role, highest_label, label_colormap, label_features
from .shortcuts import REPLACED, SHORTCUTS
from .shown_layer import ShownLayer
from .stack_from_layers import METADATA, guess_axes, labels_placement, stack_from_layers

Codes = npt.NDArray[np.uint8]


class LayerBinder:
    """Keeps the layers of every image in step with the workspace.

    Layers hold copies; a stroke is compared with the workspace when it ends and becomes an edit
    there. What arrives from a job while a person is painting waits until the stroke has ended.
    Layers are found by their metadata, so they may be renamed, hidden or closed; a closed layer is
    made again when it is needed, with everything that was painted.

    Attributes
    ----------
    key_pressed : Signal(str)
        What a person wants by a key of `shortcuts.SHORTCUTS`.
    key_released : Signal(str)
        That this key is let go.
    came, leaving : Signal(str)
        An image was taken in; the layers of one are about to be closed, for it is left out.
    said : Signal(str)
        What a key has just done.
    """

    key_pressed = Signal(str)
    key_released = Signal(str)
    came = Signal(str)
    leaving = Signal(str)
    said = Signal(str)

    def __init__(self, viewer: Viewer, workspace: Workspace) -> None:
        self.viewer = viewer
        self.workspace = workspace
        self._images: dict[str, tuple[tuple[Image, ...], str]] = {}
        self._shown: dict[tuple[str, str], ShownLayer] = {}
        self._waiting: dict[str, set[int]] = {}
        self._postponed: list[Callable[[], object]] = []
        workspace.codes_changed.connect(self._on_codes_changed)
        workspace.turning_back.connect(self._settle)
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
        for layer in layers:
            self.bind_shortcuts(layer, ("compare",))
            self.bind_undo(layer, self.undo, self.redo)
        self.annotations_layer(entry.id)
        self.came.emit(entry.id)
        return entry

    def remove_image(self, image_id: str) -> None:
        """Leave an image out of the data set; what is painted is kept, its layers are closed."""
        self.leaving.emit(image_id)
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
        layer = self.ruler(entry)
        point = layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[: len(leading)]
        index = [int(np.clip(round(p), 0, n - 1)) for p, n in zip(point, leading, strict=True)]
        return int(np.ravel_multi_index(index, leading))

    def shows_slices(self, entry: ImageEntry) -> bool:
        """Return whether slices of an image are shown: not a volume, nor a view across them."""
        dims = self.viewer.dims
        return self.is_shown(entry.id) and tuple(dims.displayed) == (dims.ndim - 2, dims.ndim - 1)

    def box_in_sight(self, entry: ImageEntry, *, seen_only: bool = False) -> list[int] | None:
        """Return what is in sight of a slice of an image; None where nothing is.

        Parameters
        ----------
        seen_only : bool
            Without the row or column at each side of which nothing may be seen.

        Returns
        -------
        list of int or None
            First row, first column, and the row and the column after the last.
        """
        if not self.shows_slices(entry):
            return None
        shown = self._shown[entry.id, "annotations"]
        low, high = np.asarray(shown.layer.corner_pixels)[:, -2:]
        if seen_only:  # napari rounds outwards, and leaves a line where all is out of sight
            low, high = low + (low > 0), high - (high < np.array(entry.shape[1:]) - 1)
        box = [*np.maximum(low, 0), *np.minimum(high + 1, entry.shape[1:])]
        return [int(at) for at in box] if (box[2] > box[0] and box[3] > box[1]) else None

    def show_plane(self, entry: ImageEntry, plane: int) -> None:
        """Move the slider to a slice."""
        leading = entry.stack.labels_shape[:-2]
        if leading:
            layer = self.ruler(entry)
            index = np.unravel_index(plane, leading)
            world = layer.data_to_world((*index, 0, 0))
            for axis in range(len(leading)):
                self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim + axis, world[axis])

    def ruler(self, entry: ImageEntry) -> Labels:
        """Return a layer that lies where the labels of an image do, without showing one for it."""
        shown = self._shown.get((entry.id, "annotations"))
        if shown is not None:
            return shown.layer
        nothing = np.zeros((1,) * len(entry.stack.labels_shape), np.uint8)
        return Labels(nothing, **self.placement(entry.id))

    # ---------------------------------------------------------------- layers

    def annotations_layer(self, image_id: str) -> Labels:
        """Return the layer to paint on; made again where it was closed."""
        return self._layer(image_id, "annotations")

    def segmentation_layer(self, image_id: str) -> Labels:
        """Return the layer that shows what the network answered, under what was painted."""
        return self._layer(image_id, "segmentation")

    def shown_segmentation(self, image_id: str) -> Labels | None:
        """Return the segmentation layer where there is one."""
        shown = self._shown.get((image_id, "segmentation"))
        return None if shown is None else shown.layer

    def shown(self, image_id: str, role: str) -> ShownLayer | None:
        """Return what shows labels of an image, where something does."""
        return self._shown.get((image_id, role))

    def placement(self, image_id: str) -> dict[str, Any]:
        """Return the arguments that put a Labels layer onto an image."""
        layers, axes = self._images[image_id]
        return labels_placement(layers[0], axes)

    def is_shown(self, image_id: str) -> bool:
        """Return whether an image has its annotations layer; a person may have closed it."""
        return (image_id, "annotations") in self._shown

    def region_layer(self, image_id: str) -> Labels:
        """Return the layer of the region of interest: 1 inside, 2 excluded."""
        return self._layer(image_id, "region")

    def set_tool(self, role: Role, image_id: str, mode: str, k: int) -> None:
        """Take up a tool.

        Parameters
        ----------
        mode : {'paint', 'erase', 'fill', 'pick', 'polygon', 'pan_zoom'}
        k : int
            Class to paint with, 0 for background; in the region layer 1 inside, 2 excluded.
        """
        layer = self._layer(image_id, role)
        if not layer.visible:
            layer.visible = True
        layer.selected_label = k if role == "region" else code_of(k)
        self.activate(layer)
        layer.mode = mode

    def activate(self, layer: Layer) -> None:
        """Make a layer the active one, also in 3D."""
        with _mouse_elsewhere(self.viewer):
            self.viewer.layers.selection.active = layer

    def show_uncertainty(self, image_id: str, uncertainty: Codes) -> None:
        """Show how uncertain a model is, in the layer of that image if there is one.

        Parameters
        ----------
        uncertainty : ndarray, shape (planes, Y, X), uint8
            0 certain, 255 as uncertain as can be.
        """
        entry = self.workspace.images[image_id]
        ours = {"image": image_id, "role": "uncertainty"}
        pixels = uncertainty.reshape(entry.stack.labels_shape)
        # Views that are averaged over disagree little, and would hardly be seen on the full scale.
        limits = (0, max(1, int(uncertainty[self.current_plane(entry)].max())))
        for shown in self._uncertainty_layers():
            if shown.metadata[METADATA] == ours:
                shown.data, shown.contrast_limits = pixels, limits
                return
        layer = Image(
            pixels,
            name=f"{entry.stack.name} · uncertainty",
            colormap="inferno",
            blending="additive",
            opacity=0.5,
            contrast_limits=limits,
            metadata={METADATA: ours},
            **self.placement(image_id),
        )
        self.put(entry, layer)

    def has_uncertainty(self) -> bool:
        """Return whether there is a layer that a new answer would belie."""
        return any(True for _ in self._uncertainty_layers())

    def _uncertainty_layers(self) -> Iterator[Image]:
        for layer in self.viewer.layers:
            if layer.metadata.get(METADATA, {}).get("role") == "uncertainty":
                yield layer

    def result_layers(self, image_id: str) -> list[Labels]:
        """Return the layers of baselines of an image; no copies that somebody made of them."""
        ours = {shown.layer for (image, _), shown in self._shown.items() if image == image_id}
        return [
            la
            for la in self.labels_layers()
            if la in ours and la.metadata[METADATA]["role"] == "baseline"
        ]

    def labels_layers(self) -> list[Labels]:
        """Return every Labels layer of the viewer, bottom first."""
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels)]

    def _layer(self, image_id: str, role: Role) -> Labels:
        shown = self._shown.get((image_id, role))
        if shown is None:
            entry = self.workspace.images[image_id]
            shown = ShownLayer(self.workspace, entry, role)
            if role == "segmentation":  # two answers over each other cannot be read
                self.hide(self.result_layers(image_id))
            layer = self.new_labels(entry, role, shown.pixels, f"{entry.stack.name} · {role}")
            self.follow(image_id, role, layer, shown)
            self.put(entry, layer, on_top=role == "region")
            if role == "region":  # that of napari itself tells nobody
                self.bind_undo(layer, shown.undo, shown.redo)
            else:
                self.bind_shortcuts(layer)
        return shown.layer

    def follow(self, image_id: str, role: str, layer: Labels, shown: ShownLayer) -> None:
        """Take over what is painted on a layer from now on, and let its keys take that back."""
        shown.attach(layer)
        self._shown[image_id, role] = shown
        self.bind_undo(layer, self.undo, self.redo)

    def bind_undo(
        self, layer: Layer, undo: Callable[[Any], None], redo: Callable[[Any], None]
    ) -> None:
        """Give a layer its keys to take a step back, and to do it again."""
        layer.bind_key(KeyMod.CtrlCmd | KeyCode.KeyZ, undo, overwrite=True)
        layer.bind_key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, redo, overwrite=True)

    def bind_shortcuts(self, layer: Layer, actions: Iterable[str] = SHORTCUTS) -> None:
        """Bind our keys where neither napari nor the person has given them a meaning."""
        taken = {*layer.class_keymap, *self.viewer.class_keymap, *self.viewer.keymap}
        for action in actions:
            key = SHORTCUTS[action].key
            if coerce_keybinding(key) not in taken:
                layer.bind_key(key, self._emitting(action), overwrite=True)

    def _emitting(self, action: str) -> Callable[[Layer], Iterator[None]]:
        # napari asks functions that keys are bound to for their names: no partial.
        def emit(layer: Layer) -> Iterator[None]:
            # What a key does is shown on the layers: the rest of a stroke would be lost.
            if not self._painting():
                self.key_pressed.emit(action)
                yield
                self.key_released.emit(action)

        return emit

    def new_labels(self, entry: ImageEntry, role: Role, codes: Codes, name: str) -> Labels:
        """Return a Labels layer of an image, yet to be put into the viewer."""
        classes, axes = self.workspace.classes, entry.stack.axes.replace("C", "")
        layer = Labels(
            codes.reshape(entry.stack.labels_shape),
            name=name,
            opacity=OPACITY[role],
            colormap=label_colormap(role, classes),
            features=label_features(role, classes),
            metadata={METADATA: {"image": entry.id, "role": role, "axes": axes}},
            **self.placement(entry.id),
        )
        key = REPLACED["new_class"].key
        layer.bind_key(key, lambda layer: self._take_new(layer, entry, role), overwrite=True)
        layer.selected_label = 1 if role == "region" else code_of(1)
        layer.events.selected_label.connect(lambda: self._limit_label(layer, role))
        return layer

    def put(self, entry: ImageEntry, layer: Layer, *, on_top: bool = False) -> None:
        """Add a layer under the annotations, or on top; the active one stays the active one."""
        active = self.viewer.layers.selection.active
        with _mouse_elsewhere(self.viewer):
            self.viewer.add_layer(layer)
            annotations = self._shown.get((entry.id, "annotations"))
            if annotations is not None and annotations.layer is not layer and not on_top:
                self.viewer.layers.move(
                    self.viewer.layers.index(layer), self.viewer.layers.index(annotations.layer)
                )
            if active is not None and active in self.viewer.layers:
                self.viewer.layers.selection.active = active

    # -------------------------------------------------------------- painting

    def _take_new(self, layer: Layer, entry: ImageEntry, role: Role) -> None:
        """Choose a label that is not in use; napari would look for it on every slice."""
        highest = highest_label(role, self.workspace.classes)
        used = entry.codes_painted() if role == "annotations" else {highest}
        layer.selected_label = min(max(used, default=0) + 1, highest)

    def _limit_label(self, layer: Labels, role: Role) -> None:
        """Let napari's keys choose no label beyond that of the class to come."""
        highest = highest_label(role, self.workspace.classes)
        if layer.selected_label > highest:
            layer.selected_label = highest

    def undo(self, layer: Layer) -> None:
        """Take back the last step, unless somebody is painting."""
        if not self._painting():
            label = self.workspace.undo()
            self.said.emit(f"Took back: {label}." if label else "There is nothing to undo.")

    def redo(self, layer: Layer) -> None:
        """Do it again."""
        if not self._painting():
            label = self.workspace.redo()
            self.said.emit(f"Done again: {label}." if label else "There is nothing to redo.")

    def _settle(self) -> None:
        """Take over what was painted after napari had told of it."""
        for shown in list(self._shown.values()):
            if not shown.busy:
                shown.settle()

    def _painting(self) -> bool:
        """Tell whether a stroke is under way on any layer."""
        return any(shown.busy for shown in self._shown.values())

    def after_stroke(self, do: Callable[[], object]) -> None:
        """Do what moves the view or the selection: at once, or when the stroke has ended.

        What is done to the layer that somebody paints on would cost the rest of the stroke.
        """
        if self._painting():
            self._postponed.append(do)
        else:
            do()

    def hide(self, layers: Iterable[Layer]) -> None:
        """Take layers out of view: at once, or when the stroke has ended."""
        hidden = list(layers)

        def hide() -> None:
            for layer in hidden:
                layer.visible = False

        self.after_stroke(hide)

    # --------------------------------------------------------------- showing

    def flush(self) -> None:
        """Show what arrived while a person was painting; called regularly by the window."""
        self._settle()
        for image_id in [i for i in self._waiting if not self._busy(i, "segmentation")]:
            planes = self._waiting.pop(image_id)
            if image_id in self.workspace.images:
                self._show_segmentation(image_id, planes)
        while self._postponed and not self._painting():
            self._postponed.pop(0)()

    def sketch(self, layer: Labels, plane: int, where: npt.NDArray[np.bool_], code: int) -> None:
        """Show on a layer what a person is about to do, until `show_again`.

        Parameters
        ----------
        where : ndarray of bool, shape (Y, X)
        """
        shown = self._shown_by(layer)
        if shown is not None and where.any():
            shown.sketch(plane, where, code)
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def show_again(self, layer: Labels, plane: int) -> None:
        """Show what is, instead of a sketch."""
        shown = self._shown_by(layer)
        if shown is not None and shown.show([plane]):
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _shown_by(self, layer: Labels) -> ShownLayer | None:
        return next((s for s in self._shown.values() if s.layer is layer), None)

    def _on_codes_changed(self, image_id: str, planes: list[int]) -> None:
        if (image_id, "annotations") in self._shown:
            self.show_planes(image_id, "annotations", planes)

    def _on_segmentation_changed(self, image_id: str, planes: list[int]) -> None:
        self._waiting.setdefault(image_id, set()).update(planes)
        if not any(shown.unsettled for shown in self._shown.values()):
            self.flush()

    def _show_segmentation(self, image_id: str, planes: set[int]) -> None:
        entry = self.workspace.images[image_id]
        if (image_id, "segmentation") in self._shown:
            self.show_planes(image_id, "segmentation", sorted(planes))
        elif entry.predicted & planes:
            self.segmentation_layer(image_id)

    def show_planes(self, image_id: str, role: str, planes: Sequence[int]) -> None:
        """Show slices as the workspace has them now."""
        shown, dims = self._shown[image_id, role], self.viewer.dims
        changed = shown.show(planes)
        across = tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1)
        if changed and (across or self.current_plane(self.workspace.images[image_id]) in changed):
            shown.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _on_classes_changed(self) -> None:
        classes = self.workspace.classes
        for role, layer in self._class_layers():
            layer.colormap = label_colormap(role, classes)
            layer.features = label_features(role, classes)

    def _class_layers(self) -> Iterator[tuple[Role, Labels]]:
        for layer in self.labels_layers():
            role = layer.metadata.get(METADATA, {}).get("role")
            if role in ("annotations", "segmentation", "baseline", "difference"):
                yield role, layer

    def _busy(self, image_id: str, role: Role) -> bool:
        shown = self._shown.get((image_id, role))
        return shown is not None and shown.busy

    def _on_layer_removed(self, event: Any) -> None:
        for key, shown in list(self._shown.items()):
            if shown.layer is event.value:
                del self._shown[key]
                shown.let_go()

    def close(self) -> None:
        """Let go of the viewer."""
        self.workspace.codes_changed.disconnect(self._on_codes_changed)
        self.workspace.turning_back.disconnect(self._settle)
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

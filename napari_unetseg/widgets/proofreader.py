"""A tool for proofreading in hand: clicks and drags on a layer, handed to the workspace."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from psygnal import Signal

from napari_unetseg.errors import UserError
from napari_unetseg.workspace import ImageEntry

from .fix_segmentation import Fixing, Stroke
from .layers import LayerBinder
from .shortcuts import sentence_of
from .stack_from_layers import METADATA

Path = npt.NDArray[np.float64]

#: A hand that clicks moves the mouse by less, in px of the screen.
_CLICK_PX = 4
_PAN_ZOOM = "pan_zoom"
#: napari's key that moves the camera while it is held, and those that put tools down.
_HOLD_TO_MOVE = "Space"
_PUT_DOWN = ("Escape", "Z", "6")


class Proofreader:
    """Holds a tool, and does with it what the mouse does on a layer of ours.

    While a tool is in hand the layer is in napari's mode to move the camera, which the mouse does
    not then; the wheel zooms, and so long as Space is held the camera can be moved. Another mode,
    another layer, hiding the layer or Escape puts the tool down.

    Attributes
    ----------
    tool : str or None
        In hand; one of those in `shortcuts.SHORTCUTS`.
    changed : Signal()
        Another tool, or none, is in hand.
    said : Signal(str)
        What the tool has just done, or why it could not.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(self, layers: LayerBinder, segmentation: Fixing, objects: Fixing) -> None:
        self.tool: str | None = None
        self._layers = layers
        self._by_role = {"objects": objects}
        self._segmentation = self._fixing = segmentation
        self._layer: Labels | None = None
        self._moving = False
        self._zooming: list[Any] = []

    # --------------------------------------------------------------- in hand

    def take_up(self, tool: str, layer: Labels) -> None:
        """Take a tool in hand, for a layer that shows annotations, the segmentation or objects."""
        self.put_down()
        self.tool, self._layer = tool, layer
        role = layer.metadata[METADATA]["role"]
        self._fixing = self._by_role.get(role, self._segmentation)
        layer.mode = _PAN_ZOOM
        layer.mouse_pan = False
        layer.cursor = "circle" if tool in ("smooth", "join") else "cross"
        layer.mouse_drag_callbacks.append(self._on_press)
        layer.mouse_double_click_callbacks.append(self._on_double_click)
        layer.events.mode.connect(self.put_down)
        layer.events.visible.connect(self.put_down)
        layer.bind_key(_HOLD_TO_MOVE, self._move_camera, overwrite=True)
        for key in _PUT_DOWN:
            layer.bind_key(key, self._on_put_down, overwrite=True)
        # The second of two quick clicks is the tool's; in this mode napari zooms.
        callbacks = self._layers.viewer.mouse_double_click_callbacks
        self._zooming = [c for c in callbacks if c.__name__ == "double_click_to_zoom"]
        for callback in self._zooming:
            callbacks.remove(callback)
        self.changed.emit()
        self.said.emit(sentence_of(tool, role))

    def put_down(self, *_: object) -> None:
        """Let go of the tool; the layer's mouse is napari's again."""
        layer, self._layer, self.tool = self._layer, None, None
        if layer is None:
            return
        layer.events.mode.disconnect(self.put_down)
        layer.events.visible.disconnect(self.put_down)
        layer.mouse_drag_callbacks.remove(self._on_press)
        layer.mouse_double_click_callbacks.remove(self._on_double_click)
        for key in (_HOLD_TO_MOVE, *_PUT_DOWN):
            layer.keymap.pop(coerce_keybinding(key), None)
        self._layers.viewer.mouse_double_click_callbacks.extend(self._zooming)
        if str(layer.mode) == _PAN_ZOOM:
            layer.mouse_pan = True
            layer.cursor = "standard"
        self.changed.emit()

    def follow_active(self, *_: object) -> None:
        """Put the tool down where another layer has become the active one."""
        if self._layer is not self._layers.viewer.layers.selection.active:
            self.put_down()

    def _on_put_down(self, layer: Labels) -> None:
        self.put_down()

    def _move_camera(self, layer: Labels) -> Generator[None, None, None]:
        """Let the mouse move the camera while the key is held."""
        self._moving = layer.mouse_pan = True
        yield
        self._moving = False
        layer.mouse_pan = self._layer is not layer and str(layer.mode) == _PAN_ZOOM

    # ----------------------------------------------------------------- mouse

    def _on_press(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        tool, entry = self.tool, self._entry(layer)
        if tool is None or entry is None or self._moving or event.button != 1:
            return
        if "Alt" in event.modifiers:  # napari's zoom box
            return
        plane = self._layers.current_plane(entry)
        path, pressed, farthest = [_place(layer, event)], np.array(event.pos), 0.0
        self._fixing.begin(entry, plane, self._stroke(path, False))
        try:
            self._sketch(entry, plane, self._stroke(path, False))
            yield
            while event.type == "mouse_move":
                path.append(_place(layer, event))
                farthest = max(farthest, float(np.hypot(*(np.array(event.pos) - pressed))))
                self._sketch(entry, plane, self._stroke(path[-2:], False))
                yield
        finally:
            self._layers.show_again(layer, plane)
        if self.tool == tool:
            self._use(entry, plane, self._stroke(path, farthest < _CLICK_PX))

    def _on_double_click(self, layer: Labels, event: Any) -> None:
        entry = self._entry(layer)
        if entry is not None and not self._moving and event.button == 1:
            stroke = self._stroke([_place(layer, event)], True)
            self._use(entry, self._layers.current_plane(entry), stroke)

    def _entry(self, layer: Labels) -> ImageEntry | None:
        return self._layers.workspace.images.get(layer.metadata[METADATA]["image"])

    def _stroke(self, path: list[Path], is_click: bool) -> Stroke:
        layer = self._layer
        code, brush_px = (0, 1) if layer is None else (layer.selected_label, layer.brush_size)
        return Stroke(np.array(path), is_click, int(code), float(brush_px))

    # ------------------------------------------------------------------ work

    def _use(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Do what the tool does, and say what became of it."""
        if self.tool is not None:
            try:
                said = self._fixing.use(self.tool, entry, plane, stroke)
            except UserError as error:
                said = str(error)
            if said is not None:
                self.said.emit(said)

    def _sketch(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Show what a drag is going to do, as far as it has come."""
        if self.tool is not None and self._layer is not None:
            sketch = self._fixing.sketch(self.tool, entry, plane, stroke)
            if sketch is not None:
                self._layers.sketch(self._layer, plane, *sketch)


def _place(layer: Labels, event: Any) -> Path:
    """Return where the mouse is, in px of the slice."""
    position = np.array(event.position)[-layer.ndim :]
    return np.array(layer.world_to_data(position), float)[-2:]

"""A tool for proofreading in hand: clicks and drags on a layer, handed to the workspace."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from psygnal import Signal

from napari_unetseg.annotations import covered_by_brush, pixels_along
from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError
from napari_unetseg.workspace import ImageEntry, Proofreading

from .layers import LayerBinder
from .shortcuts import SHORTCUTS
from .stack_from_layers import METADATA

Path = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

#: A hand that clicks moves the mouse by less, in px of the screen.
_CLICK_PX = 4
_PAN_ZOOM = "pan_zoom"
#: napari's key that moves the camera while it is held, and those that put tools down.
_HOLD_TO_MOVE = "Space"
_PUT_DOWN = ("Escape", "Z", "6")


@dataclass(frozen=True, slots=True)
class Stroke:
    """What a person did with the tool.

    Attributes
    ----------
    path : ndarray, shape (n, 2)
        (y, x) in px of the slice; the first is where the button was pressed.
    is_click : bool
        The mouse hardly moved.
    code : int
        In hand, 0 where none is.
    brush_px : float
    """

    path: Path
    is_click: bool
    code: int
    brush_px: float

    @property
    def point(self) -> tuple[int, int]:
        """Where the button was pressed."""
        y, x = np.round(self.path[0]).astype(int)
        return int(y), int(x)


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

    def __init__(self, layers: LayerBinder, proofreading: Proofreading) -> None:
        self.tool: str | None = None
        self._layers = layers
        self._proofreading = proofreading
        self._layer: Labels | None = None
        self._moving = False
        self._pressed_on = 0
        self._zooming: list[Any] = []

    # --------------------------------------------------------------- in hand

    def take_up(self, tool: str, layer: Labels) -> None:
        """Take a tool in hand, for a layer that shows annotations or the segmentation."""
        self.put_down()
        self.tool, self._layer = tool, layer
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
        self.said.emit(SHORTCUTS[tool].sentence)

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
        self._pressed_on = _code_at(entry.segmentation(plane), _place(layer, event))
        path, pressed, farthest = [_place(layer, event)], np.array(event.pos), 0.0
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
        lines = self.tool in ("split", "join")
        if not lines and not _is_inside(stroke.point, entry.stack.plane_shape):
            return
        if lines and stroke.is_click:
            self.said.emit("Press the mouse button, drag a line, and let go.")
            return
        work, done, nothing = self._work()
        try:
            n_px = work(entry.id, plane, stroke)
        except UserError as error:
            self.said.emit(str(error))
            return
        self.said.emit(f"{done}: {n_px:,} px changed; Undo takes that back." if n_px else nothing)

    def _work(self) -> tuple[Callable[[str, int, Stroke], int], str, str]:
        """Return what the tool in hand does, what is said of it, and of nothing to be done."""
        do = self._proofreading

        def smooth(i: str, p: int, s: Stroke) -> int:
            if s.is_click:
                return do.smooth_piece(i, p, s.point, s.brush_px)
            return do.smooth_under(i, p, s.path, s.brush_px)

        annotated = "All of that is annotated already; paint over it with the brush."
        works: dict[str | None, tuple[Callable[[str, int, Stroke], int], str, str]] = {
            "superpixel": (
                lambda i, p, s: do.claim(i, p, s.path, s.code, s.brush_px),
                "Claimed",
                annotated,
            ),
            "grow": (
                lambda i, p, s: do.grow(i, p, s.point, s.code, s.brush_px),
                "Grown",
                annotated,
            ),
            "smooth": (smooth, "Smoothed", "That is smooth already; a wider brush smooths more."),
            "holes": (
                lambda i, p, s: do.fill_holes(i, p, s.point),
                "Filled",
                "It has no hole where nothing is painted; click into one to fill it altogether.",
            ),
            "delete": (
                lambda i, p, s: do.delete_piece(i, p, s.point),
                "Deleted",
                "That is outside the region of interest.",
            ),
            "split": (
                lambda i, p, s: do.split(i, p, s.path),
                "Cut",
                "That is outside the region of interest.",
            ),
            "join": (
                lambda i, p, s: do.join(i, p, s.path, s.brush_px),
                "Joined",
                "Another class lies in between, and stays.",
            ),
        }
        return works[self.tool]

    def _sketch(self, entry: ImageEntry, plane: int, stroke: Stroke) -> None:
        """Show what a drag is going to do, as far as it has come."""
        shape = entry.stack.plane_shape
        if self.tool == "superpixel" and stroke.code != UNLABELLED:
            where = self._proofreading.superpixels(entry.id, plane, stroke.path, stroke.brush_px)
            where &= (entry.codes[plane] == UNLABELLED) & entry.allowed(plane)
            code = stroke.code
        elif self.tool == "split":
            where, code = np.zeros(shape, bool), BACKGROUND
            where[pixels_along(stroke.path, shape)] = True
        elif self.tool == "join":
            where = covered_by_brush(stroke.path, stroke.brush_px, shape)
            code = self._pressed_on
        else:
            return
        if self._layer is not None:
            self._layers.sketch(self._layer, plane, where, code)


def _place(layer: Labels, event: Any) -> Path:
    """Return where the mouse is, in px of the slice."""
    position = np.array(event.position)[-layer.ndim :]
    return np.array(layer.world_to_data(position), float)[-2:]


def _code_at(codes: Codes, place: Path) -> int:
    """Return the code of a pixel, 0 beside the slice."""
    y, x = np.round(place).astype(int)
    return int(codes[y, x]) if _is_inside((y, x), codes.shape) else UNLABELLED


def _is_inside(point: tuple[int, int], shape: tuple[int, ...]) -> bool:
    return all(0 <= p < n for p, n in zip(point, shape, strict=True))

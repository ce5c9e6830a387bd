"""A part of a slice, framed and brought into view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from napari.layers import Shapes

from napari_unetseg.workspace import ImageEntry

from .layers import LayerBinder
from .stack_from_layers import METADATA

#: First row and column of a part of a slice, and the row and the column after the last.
Box = tuple[int, int, int, int]

#: What is in sight is so many times as wide as the part.
AROUND = 1.6

_COLOR = "#56b4e9"

#: The line around an object, its width in px of the screen.
_OUTLINE_PX = 3.0
_OUTLINE_COLOR = "#ffffff"

#: How much of the canvas an object may take up before the zoom is changed, and what it is then.
_SMALLEST, _USUAL, _LARGEST = 0.04, 0.15, 0.5


def show_frame(layers: LayerBinder, entry: ImageEntry, plane: int, box: Box) -> Shapes:
    """Draw a frame on a slice, in place of the one before; nobody can paint on it."""
    top, left, bottom, right = box
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    # Pixels reach half of one beyond their middles.
    frame = np.array(corners) - 0.5
    width_px = max(1.0, (bottom - top) / 100)
    return _draw(layers, entry, plane, [frame], "frame", "suggested", width_px)


def show_outline(
    layers: LayerBinder, entry: ImageEntry, plane: int, lines: Sequence[npt.NDArray[np.float64]]
) -> Shapes:
    """Draw lines around an object on a slice, in place of those before.

    Parameters
    ----------
    lines : sequence of ndarray, shape (n, 2)
        (y, x) in px.
    """
    zoom = layers.viewer.scene.camera.zoom * float(layers.ruler(entry).scale[-1])
    return _draw(layers, entry, plane, lines, "outline", "object in review", _OUTLINE_PX / zoom)


def remove_outline(layers: LayerBinder, entry: ImageEntry) -> None:
    """Take away what `show_outline` has drawn."""
    layer = _drawn(layers, entry, "outline")
    if layer is not None:
        layers.viewer.layers.remove(layer)


def _drawn(layers: LayerBinder, entry: ImageEntry, role: str) -> Shapes | None:
    ours = {"image": entry.id, "role": role}
    found = (layer for layer in layers.viewer.layers if layer.metadata.get(METADATA) == ours)
    return next(found, None)


def _draw(
    layers: LayerBinder,
    entry: ImageEntry,
    plane: int,
    lines: Sequence[npt.NDArray[np.float64]],
    role: str,
    title: str,
    width_px: float,
) -> Shapes:
    """Draw closed lines on a slice."""
    before = np.unravel_index(plane, entry.stack.labels_shape[:-2]) if plane else ()
    leading = [*map(int, before)] or [0] * (len(entry.stack.labels_shape) - 2)
    placed = [np.column_stack([np.tile(leading, (len(line), 1)), line]) for line in lines]
    layer = _drawn(layers, entry, role)
    if layer is not None:
        layer.data = [(line, "polygon") for line in placed]
        layer.edge_width = width_px
        return layer
    ruler = layers.ruler(entry)
    layer = Shapes(
        placed,
        shape_type="polygon",
        name=f"{entry.stack.name} · {title}",
        edge_color=_OUTLINE_COLOR if role == "outline" else _COLOR,
        edge_width=width_px,
        face_color="transparent",
        scale=ruler.scale,
        translate=ruler.translate,
        units=ruler.units,
        metadata={METADATA: {"image": entry.id, "role": role}},
    )
    layer.editable = False
    layers.put(entry, layer, on_top=role == "outline")
    return layer


def centre_on(layers: LayerBinder, entry: ImageEntry, box: Box) -> None:
    """Move and zoom so that a part of the slice in view is in the middle, with some around it."""
    low, high = _world(layers, entry, box)
    camera, canvas = layers.viewer.scene.camera, np.array(layers.viewer.canvas.size, float)
    camera.center = (0.0, *((low + high) / 2))
    camera.zoom = float(min(canvas / (AROUND * np.abs(high - low))))


def _world(
    layers: LayerBinder, entry: ImageEntry, box: Box
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return where the first and the last corner of a part of a slice are."""
    ruler, leading = layers.ruler(entry), [0] * (len(entry.stack.labels_shape) - 2)
    low, high = (
        np.asarray(ruler.data_to_world([*leading, *at]), float)[-2:] for at in (box[:2], box[2:])
    )
    return low, high


def bring_into_view(layers: LayerBinder, entry: ImageEntry, box: Box) -> None:
    """Move so that a part of the slice in view is in the middle; zoom only where it must be."""
    low, high = _world(layers, entry, box)
    camera, canvas = layers.viewer.scene.camera, np.array(layers.viewer.canvas.size, float)
    camera.center = (0.0, *((low + high) / 2))
    share = float(max(camera.zoom * np.abs(high - low) / canvas))
    if not _SMALLEST <= share <= _LARGEST:
        camera.zoom = float(min(canvas * _USUAL / np.abs(high - low)))

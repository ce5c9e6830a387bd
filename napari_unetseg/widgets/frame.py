"""A part of a slice, framed and brought into view."""

from __future__ import annotations

import numpy as np
from napari.layers import Shapes

from napari_unetseg.workspace import ImageEntry

from .layers import LayerBinder
from .stack_from_layers import METADATA

#: First row and column of a part of a slice, and the row and the column after the last.
Box = tuple[int, int, int, int]

#: What is in sight is so many times as wide as the part.
AROUND = 1.6

_COLOR = "#56b4e9"


def show_frame(layers: LayerBinder, entry: ImageEntry, plane: int, box: Box) -> Shapes:
    """Draw a frame on a slice, in place of the one before; nobody can paint on it."""
    top, left, bottom, right = box
    leading = np.unravel_index(plane, entry.stack.labels_shape[:-2]) if plane else ()
    before = [*map(int, leading)] or [0] * (len(entry.stack.labels_shape) - 2)
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    # Pixels reach half of one beyond their middles.
    outline = np.array([[*before, y - 0.5, x - 0.5] for y, x in corners])
    ours = {"image": entry.id, "role": "frame"}
    for layer in layers.viewer.layers:
        if layer.metadata.get(METADATA) == ours:
            layer.data = [outline]
            return layer
    ruler = layers.ruler(entry)
    layer = Shapes(
        [outline],
        shape_type="polygon",
        name=f"{entry.stack.name} · suggested",
        edge_color=_COLOR,
        edge_width=max(1.0, (bottom - top) / 100),
        face_color="transparent",
        scale=ruler.scale,
        translate=ruler.translate,
        units=ruler.units,
        metadata={METADATA: ours},
    )
    layer.editable = False
    layers.put(entry, layer)
    return layer


def centre_on(layers: LayerBinder, entry: ImageEntry, box: Box) -> None:
    """Move and zoom so that a part of the slice in view is in the middle, with some around it."""
    ruler, viewer = layers.ruler(entry), layers.viewer
    n_leading = len(entry.stack.labels_shape) - 2
    corners = [
        np.asarray(ruler.data_to_world([*[0] * n_leading, *at]))[-2:] for at in (box[:2], box[2:])
    ]
    low, high = corners
    camera, canvas = viewer.scene.camera, np.array(viewer.canvas.size, float)
    camera.center = (0.0, *((low + high) / 2))
    camera.zoom = float(min(canvas / (AROUND * np.abs(high - low))))

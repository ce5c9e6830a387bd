"""Reading a napari image layer as a stack: its axes, its channels and its pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from napari.layers import Image

from napari_unetseg.images import Stack

#: Key of this package in a layer's metadata.
METADATA = "napari_unetseg"

_GUESSES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}

#: Axes a person may choose for a layer, by its number of dimensions.
CHOICES = {
    2: ("YX",),
    3: ("ZYX", "TYX", "CYX"),
    4: ("TZYX", "CZYX", "TCYX"),
    5: ("TCZYX",),
}


def guess_axes(layer: Image) -> str:
    """Return the axes of a layer: what its reader said, else the usual ones."""
    known = str(layer.metadata.get(METADATA, {}).get("axes", ""))
    labels = "".join(str(label).upper() for label in layer.axis_labels)
    choices = CHOICES.get(layer.ndim, ())
    return next((axes for axes in (known, labels) if axes in choices), _GUESSES[layer.ndim])


def stack_from_layers(layers: Sequence[Image], axes: str) -> Stack:
    """Describe layers that are one image.

    Parameters
    ----------
    layers : sequence of Image
        One, or the channels of one image.
    axes : str
        Of each layer, without the colours of an RGB layer.
    """
    first = layers[0]
    data = [_level_zero(layer) for layer in layers]
    pixels: Any = data[0]
    channels: tuple[str, ...] = (first.name,)
    facts = first.metadata.get(METADATA, {})
    if first.rgb:
        # A stack's channels stand before Z; the fourth colour is opacity.
        at = 1 if axes.startswith("T") else 0
        pixels = np.moveaxis(pixels[..., :3], -1, at)
        axes, channels = axes[:at] + "C" + axes[at:], ("red", "green", "blue")
    elif len(layers) > 1:
        at = 1 if axes.startswith("T") else 0
        pixels = da.stack([da.asarray(d) for d in data], axis=at)
        axes, channels = axes[:at] + "C" + axes[at:], tuple(layer.name for layer in layers)
    elif "C" in axes:
        channels = tuple(f"channel {i + 1}" for i in range(pixels.shape[axes.index("C")]))
    path = facts.get("path")
    return Stack(
        pixels,
        axes,
        pixel_size_um=pixel_size_um(first, axes),
        name=str(facts.get("name") or first.name),
        path=Path(path) if path else None,
        channels=channels,
    )


def pixel_size_um(layer: Image, axes: str) -> dict[str, float]:
    """Return the size of a pixel along Z, Y and X in µm; without axes whose unit is no length."""
    own_axes = axes if len(axes) == layer.ndim else axes.replace("C", "")
    sizes = {}
    for axis, scale, unit in zip(own_axes, layer.scale, layer.units, strict=True):
        if axis in "ZYX" and unit.is_compatible_with("micrometer"):
            sizes[axis] = float((float(scale) * unit).to("micrometer").magnitude)
    return sizes


def labels_placement(layer: Image, axes: str) -> dict[str, Any]:
    """Return the arguments that put a Labels layer onto an image layer."""
    keep = [i for i, axis in enumerate(axes[-layer.ndim :]) if axis != "C"]
    if len(keep) == layer.ndim:
        return {"affine": layer.affine, "scale": layer.scale, "units": layer.units} | {
            "translate": layer.translate,
            "rotate": layer.rotate,
            "shear": layer.shear,
        }
    return {
        "scale": layer.scale[keep],
        "translate": layer.translate[keep],
        "units": [layer.units[i] for i in keep],
    }


def _level_zero(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data

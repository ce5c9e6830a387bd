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


def stack_from_layers(
    layers: Sequence[Image], axes: str, channels: Sequence[int] | None = None
) -> Stack:
    """Describe layers that are one image.

    Parameters
    ----------
    layers : sequence of Image
        One, or the channels of one image.
    axes : str
        Of each layer, without the colours of an RGB layer.
    channels : sequence of int, optional
        Which channels to use, ascending; all by default.
    """
    first = layers[0]
    names = channel_names(layers, axes)
    pixels: Any = _level_zero(first)
    at = 1 if axes.startswith("T") else 0  # a stack's channels stand before Z
    if first.rgb:
        # The fourth colour is opacity.
        pixels = np.moveaxis(pixels[..., :3], -1, at)
    elif len(layers) > 1:
        chosen = layers if channels is None else [layers[i] for i in channels]
        lazy = [_lazy(_level_zero(layer)) for layer in chosen]
        pixels = da.stack(lazy, axis=at)  # type: ignore[no-untyped-call]
    if "C" not in axes and len(names) > 1:
        axes = axes[:at] + "C" + axes[at:]
    if channels is not None and "C" in axes:
        if len(layers) == 1:
            pixels = _take(pixels, axes.index("C"), channels)
        names = tuple(names[i] for i in channels)
    facts = first.metadata.get(METADATA, {})
    path = facts.get("path") or (first.source.path if len(layers) == 1 else None)
    return Stack(
        pixels,
        axes,
        pixel_size_um=pixel_size_um(first, axes),
        name=str(facts.get("name") or first.name),
        path=Path(path) if path else None,
        channels=names,
    )


def channel_names(layers: Sequence[Image], axes: str) -> tuple[str, ...]:
    """Name the channels of layers that are one image, each with these axes."""
    first = layers[0]
    if first.rgb:
        return ("red", "green", "blue")
    if len(layers) == 1 and "C" in axes:
        n_channels = int(_level_zero(first).shape[axes.index("C")])
        return tuple(f"channel {i + 1}" for i in range(n_channels))
    known = [layer.metadata.get(METADATA, {}).get("channel_name") for layer in layers]
    return tuple(str(name or layer.name) for name, layer in zip(known, layers, strict=True))


def _take(pixels: Any, axis: int, indices: Sequence[int]) -> Any:
    """Take some indices along an axis without reading what is not in memory."""
    where: list[Any] = [slice(None)] * len(pixels.shape)
    where[axis] = slice(indices[0], indices[-1] + 1)
    if len(indices) == indices[-1] + 1 - indices[0]:
        return pixels[tuple(where)]
    where[axis] = list(indices)
    return _lazy(pixels)[tuple(where)]


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


def placement_in_plane(image: Image) -> dict[str, Any]:
    """Return the arguments that put a two-dimensional layer onto an image layer."""
    names = ["scale", "translate", "units"]
    if image.ndim == 2:
        return {name: getattr(image, name) for name in (*names, "rotate", "shear", "affine")}
    return {name: getattr(image, name)[-2:] for name in names}


def _lazy(pixels: Any) -> Any:
    return da.asarray(pixels)  # type: ignore[no-untyped-call]


def _level_zero(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data

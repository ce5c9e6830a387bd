"""OME-Zarr 0.5 with one level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .stack import Stack
from .tiff_metadata import NAMESPACE

_TYPES = {"T": "time", "C": "channel"}
_CHUNK_PX = 512


def write_ome_zarr(folder: Path, stack: Stack) -> None:
    """Fill an empty folder with a stack, chunks of one slice."""
    import zarr

    group = zarr.open_group(folder, mode="a", zarr_format=3)
    chunks = tuple(
        min(length, _CHUNK_PX) if axis in "YX" else 1
        for axis, length in zip(stack.axes, stack.shape, strict=True)
    )
    names = list(stack.axes.lower())
    array = group.create_array(
        "0", shape=stack.shape, dtype=stack.dtype, chunks=chunks, dimension_names=names
    )
    array[...] = np.asarray(stack.data, stack.dtype)
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [_multiscale(stack)]}
    if any(stack.channels):
        ome["omero"] = {"channels": [{"label": name} for name in stack.channels]}
    if "classes" in stack.metadata:
        ome["image-label"] = image_label(stack.metadata)
    group.attrs.update({"ome": ome} | ({NAMESPACE: stack.metadata} if stack.metadata else {}))


def _multiscale(stack: Stack) -> dict[str, Any]:
    axes: list[dict[str, str]] = []
    for axis in stack.axes:
        described = {"name": axis.lower(), "type": _TYPES.get(axis, "space")}
        if axis in stack.pixel_size_um:
            described["unit"] = "micrometer"
        axes.append(described)
    scale = [float(stack.pixel_size_um.get(axis, 1.0)) for axis in stack.axes]
    transformations = [{"type": "scale", "scale": scale}]
    return {
        "name": stack.name,
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
    }


def image_label(about: dict[str, Any]) -> dict[str, Any]:
    """Describe classes as OME-Zarr does, by the value that stands in the array.

    Parameters
    ----------
    about : dict
        What labels say of themselves: see `label_meaning.described`.
    """
    classes = about["classes"]
    if about["kind"] == "objects":  # values are ids, which may have classes
        kept = {int(value): k for value, k in about.get("class_of", {}).items()}
        named = {value: classes[k - 1] for value, k in kept.items() if 0 < k <= len(classes)}
        key = "class"
    else:
        first = 2 if about["kind"] == "annotations" else 1
        named, key = dict(enumerate(classes, start=first)), "name"
    if not named:
        return {}
    return {
        "colors": [
            {"label-value": value, "rgba": [*bytes.fromhex(c["color"][1:]), 255]}
            for value, c in named.items()
        ],
        "properties": [{"label-value": value, key: c["name"]} for value, c in named.items()],
    }

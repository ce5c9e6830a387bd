"""OME-Zarr 0.5 with one level."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .stack import Stack
from .tiff_metadata import NAMESPACE

_TYPES = {"T": "time", "C": "channel"}
_CHUNK_PX = 512

#: Bytes handed over at once: whoever stops it waits until they are written.
_BATCH_BYTES = 32 * 1024**2


def write_ome_zarr(folder: Path, stack: Stack) -> None:
    """Fill an empty folder with a stack, chunks of one slice.

    Threads of zarr write, and go on when the thread that asked them to is interrupted. So another
    one asks them, and when this is left, whether with Ctrl+C or not, nobody writes any more.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as writer:
        try:
            writer.submit(_write, folder, stack, stopped).result()
        finally:
            stopped.set()


def _write(folder: Path, stack: Stack, stopped: threading.Event) -> None:
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
    for part in _batches(stack):
        if stopped.is_set():
            return
        array[part] = np.asarray(stack.data[part], stack.dtype)
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [_multiscale(stack)]}
    if any(stack.channels):
        ome["omero"] = {"channels": [{"label": name} for name in stack.channels]}
    if "classes" in stack.metadata:
        ome["image-label"] = image_label(stack.metadata)
    group.attrs.update({"ome": ome} | ({NAMESPACE: stack.metadata} if stack.metadata else {}))


def _batches(stack: Stack) -> Iterator[tuple[int | slice, ...]]:
    """Yield the slices of a stack, as many at a time as are written quickly."""
    if stack.axes == "YX":
        yield ()
        return
    *outer, n_slices = stack.shape[:-2]
    at_once = max(1, _BATCH_BYTES // (stack.dtype.itemsize * math.prod(stack.plane_shape)))
    for index in np.ndindex(*outer):
        for first in range(0, n_slices, at_once):
            yield (*index, slice(first, first + at_once))


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

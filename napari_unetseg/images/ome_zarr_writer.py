"""OME-Zarr 0.5, each resolution level half as wide and as high as the one before."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .sampling import sample_pixels
from .stack import Stack
from .tiff_metadata import NAMESPACE

#: One integer or slice for each axis.
Region: TypeAlias = tuple[int | slice, ...]

_TYPES = {"T": "time", "C": "channel"}

_CHUNK_PX = 512
_CHUNK_BYTES = 1 << 22

#: Sections in a chunk, at most: so many are read where one is looked at.
_CHUNK_SECTIONS = 16

#: Handed over at once, if not a single slice takes more: whoever stops it waits for that.
_SLAB_BYTES = 1 << 26

#: Of channels, in turn.
_COLORS = ("FF0000", "00FF00", "0000FF", "FF00FF", "FFFF00", "00FFFF")

#: Levels follow until both sides are at most as long.
_COARSEST_PX = 512


def write_ome_zarr(folder: Path, stack: Stack) -> None:
    """Fill an empty folder with a stack.

    Threads of zarr write, and go on when the thread that asked them to is interrupted. So another
    one asks them, and when this is left, whether with Ctrl+C or not, nobody writes any more.
    """
    stopped = threading.Event()

    def write() -> None:
        levels = OmeZarrLevels(folder, stack, limits=_limits_of(stack))
        for where in levels.slabs():
            if stopped.is_set():
                return
            levels.write(where, np.asarray(stack.data[where], stack.dtype))

    with ThreadPoolExecutor(1) as writer:
        try:
            writer.submit(write).result()
        finally:
            stopped.set()


class OmeZarrLevels:
    """The levels of an OME-Zarr: described at once, filled slab by slab, all of them together.

    Coarser levels hold means, of labels every second pixel: a class or an object has no mean.

    Parameters
    ----------
    folder : Path
        Empty, or what these levels were written to before.
    stack : Stack
        Axes, shape, calibration and whatever else it says of itself; no pixels are read.
    limits : tuple of float, optional
        Values that a viewer may show as black and as white: 0 and 1 by default, or what the type
        of whole numbers can hold.

    Attributes
    ----------
    depth : int
        Sections of a slab along Z.
    """

    def __init__(
        self, folder: Path, stack: Stack, limits: tuple[float, float] | None = None
    ) -> None:
        import zarr

        self._stack = stack
        self._is_labels = "kind" in stack.metadata
        plane_bytes = stack.dtype.itemsize * math.prod(stack.plane_shape) * stack.n_channels
        chunk_bytes = stack.dtype.itemsize * math.prod(min(n, _CHUNK_PX) for n in stack.plane_shape)
        fitting = min(_SLAB_BYTES // max(1, plane_bytes), _CHUNK_BYTES // max(1, chunk_bytes))
        self.depth = max(1, min(fitting, _CHUNK_SECTIONS, stack.size("Z")))
        group = zarr.open_group(folder, mode="a", zarr_format=3)
        self._arrays: list[Any] = []
        for level, shape in enumerate(_shapes(stack)):
            found: Any = group.get(str(level))
            if found is not None and (found.shape, found.dtype) != (shape, stack.dtype):
                raise ValueError(f"level {level} is of another stack")
            self._arrays.append(self._create(group, level, shape) if found is None else found)
        means = not self._is_labels
        group.attrs.update(_attributes(stack, limits, len(self._arrays), means=means))

    def _create(self, group: Any, level: int, shape: tuple[int, ...]) -> Any:
        from zarr.codecs import ZstdCodec

        chunk = {"Z": self.depth, "Y": _CHUNK_PX, "X": _CHUNK_PX}
        axes = self._stack.axes
        return group.create_array(
            str(level),
            shape=shape,
            dtype=np.dtype(self._stack.dtype.name),  # of types alike, zarr knows one
            chunks=tuple(min(chunk.get(axis, 1), n) for axis, n in zip(axes, shape, strict=True)),
            compressors=ZstdCodec(level=1),  # three times as fast as its default, and as small
            # Finding the empty ones takes longer than compressing them.
            config={"write_empty_chunks": True},
            dimension_names=list(axes.lower()),
        )

    def slabs(self) -> Iterator[Region]:
        """Yield what to write at a time: some sections, of one time point and channel."""
        stack = self._stack
        if "Z" not in stack.axes:
            yield from np.ndindex(*stack.shape[:-2])
            return
        for index in np.ndindex(*stack.shape[:-3]):
            for first in range(0, stack.size("Z"), self.depth):
                yield (*index, slice(first, min(first + self.depth, stack.size("Z"))))

    def read(self, where: Region) -> npt.NDArray[Any]:
        """Return what was written of the finest level; 0 where nothing was."""
        return np.asarray(self._arrays[0][where])

    def write(self, where: Region, pixels: npt.NDArray[Any]) -> None:
        """Write whole slices into all levels.

        Parameters
        ----------
        where : tuple of int or slice
            For the axes before Y and X.
        pixels : ndarray, shape (…, Y, X)
        """
        for array in self._arrays:
            array[where] = pixels
            pixels = self._reduced(pixels)

    def agree_with(self, where: Region, pixels: npt.NDArray[Any]) -> bool:
        """Tell whether the coarser levels hold what follows from pixels of the finest."""
        for array in self._arrays[1:]:
            pixels = self._reduced(pixels)
            if np.asarray(array[where]).tobytes() != pixels.tobytes():
                return False
        return True

    def _reduced(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return pixels[..., ::2, ::2] if self._is_labels else _means(pixels)


def _shapes(stack: Stack) -> list[tuple[int, ...]]:
    shapes = [stack.shape]
    while max(shapes[-1][-2:]) > _COARSEST_PX:
        *leading, height, width = shapes[-1]
        shapes.append((*leading, -(-height // 2), -(-width // 2)))
    return shapes


def _means(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Take the mean of every 2 × 2 px; of a last row or column without another, of what there is.

    >>> _means(np.array([[0, 2, 4], [4, 6, 6]], np.uint8))
    array([[3, 5]], dtype=uint8)
    """
    height, width = pixels.shape[-2:]
    missing = [(0, 0)] * (pixels.ndim - 2) + [(0, height % 2), (0, width % 2)]
    even = np.pad(pixels, missing, mode="edge")
    working = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    total: Any = even[..., ::2, ::2].astype(working)
    for y, x in ((0, 1), (1, 0), (1, 1)):
        total += even[..., y::2, x::2]
    total /= 4
    if pixels.dtype.kind in "iub":
        np.floor(total + 0.5, out=total)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8:  # the largest is no float64
        np.minimum(total, np.nextafter(float(np.iinfo(pixels.dtype).max), 0), out=total)
    means: npt.NDArray[Any] = total.astype(pixels.dtype)
    return means


def _says_channels(stack: Stack) -> bool:
    return any(stack.channels) or any(stack.channel_colors)


def _limits_of(stack: Stack) -> tuple[float, float] | None:
    """Return the lowest and the highest value of a sample, where a viewer is told of channels."""
    if not _says_channels(stack):
        return None
    sample = sample_pixels(stack)
    sample = sample[np.isfinite(sample)]
    return (float(sample.min()), float(sample.max())) if sample.size else None


def _attributes(
    stack: Stack, limits: tuple[float, float] | None, n_levels: int, *, means: bool
) -> dict[str, Any]:
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [_multiscale(stack, n_levels, means)]}
    if _says_channels(stack):
        ome["omero"] = {"channels": _channels(stack, limits)}
    if "classes" in stack.metadata:
        ome["image-label"] = image_label(stack.metadata)
    return {"ome": ome} | ({NAMESPACE: stack.metadata} if stack.metadata else {})


def _channels(stack: Stack, limits: tuple[float, float] | None) -> list[dict[str, Any]]:
    """Say what channels are called and how they may be shown, which OME-Zarr requires."""
    whole = np.iinfo(stack.dtype) if stack.dtype.kind in "iu" else None
    low, high = (0.0, 1.0) if whole is None else (float(whole.min), float(whole.max))
    start, end = limits or (low, high)
    window = {"min": min(low, start), "max": max(high, end), "start": start, "end": end}
    usual = _COLORS if stack.n_channels > 1 else ("FFFFFF",)
    known = stack.channel_colors or ("",) * stack.n_channels
    colors = [color[1:].upper() or usual[i % len(usual)] for i, color in enumerate(known)]
    return [
        {"label": name, "color": color, "window": window, "active": True}
        for name, color in zip(stack.channels, colors, strict=True)
    ]


def _multiscale(stack: Stack, n_levels: int, means: bool) -> dict[str, Any]:
    axes: list[dict[str, str]] = []
    for axis in stack.axes:
        described = {"name": axis.lower(), "type": _TYPES.get(axis, "space")}
        if axis in stack.pixel_size_um:
            described["unit"] = "micrometer"
        axes.append(described)
    datasets = [
        {"path": str(level), "coordinateTransformations": _transformations(stack, level, means)}
        for level in range(n_levels)
    ]
    reduced = "mean of 2 x 2 px" if means else "every second pixel"
    kind = {"type": reduced} if n_levels > 1 else {}
    return {"name": stack.name, "axes": axes, "datasets": datasets, **kind}


def _transformations(stack: Stack, level: int, means: bool) -> list[dict[str, Any]]:
    """Say how large pixels of a level are, and where the middle of the first lies."""
    times = {"Y": 2.0**level, "X": 2.0**level}
    sizes = {axis: float(stack.pixel_size_um.get(axis, 1.0)) for axis in stack.axes}
    scale = [sizes[axis] * times.get(axis, 1.0) for axis in stack.axes]
    found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if level and means:
        shift = [sizes[axis] * (times.get(axis, 1.0) - 1) / 2 for axis in stack.axes]
        found.append({"type": "translation", "translation": shift})
    return found


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

"""From what a reader found in a file to a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .axes import arrange, resolve_axes
from .names import stem_of
from .stack import Stack


def assemble(
    path: Path,
    data: Any,
    axes: str,
    pixel_size_um: Mapping[str, float],
    *,
    channels: Sequence[str] = (),
    channel_colors: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    parts: Sequence[str] = (),
    files: Sequence[Path] = (),
) -> Stack:
    """Name and order the axes of an array, without reading what is not in memory.

    Parameters
    ----------
    path : Path
        Of the file.
    data : array-like
        An ndarray, a memory map or a dask array.
    axes : str
        One letter per axis, as `resolve_axes` takes them.
    pixel_size_um : mapping of str to float
        By axis; of axes that the stack does not have it is left out.
    channels : sequence of str
        Names; numbers instead, where there are not as many as channels, or some are empty.
    channel_colors : sequence of str
        Left out, where there are not as many as channels.
    metadata, notes, parts, files
        As of `Stack`.

    Raises
    ------
    UserError
        If the axes cannot be a stack's.
    """
    axes, kept = resolve_axes(axes, tuple(data.shape), str(path))
    if len(kept) < data.ndim:
        data = data.reshape([data.shape[i] for i in kept])
    data, axes = arrange(data, axes)
    n_channels = data.shape[axes.index("C")] if "C" in axes else 1
    names = tuple(channels)
    if len(names) != n_channels or not all(names):
        names = tuple(f"channel {i + 1}" for i in range(n_channels)) if n_channels > 1 else ("",)
    colors = tuple(channel_colors) if len(channel_colors) == n_channels else ()
    sizes = {axis: pixel_size_um[axis] for axis in "ZYX" if axis in axes and axis in pixel_size_um}
    return Stack(
        data,
        axes,
        sizes,
        stem_of(path),
        path,
        names,
        dict(metadata or {}),
        tuple(notes),
        tuple(parts),
        tuple(files),
        colors if any(colors) else (),
    )

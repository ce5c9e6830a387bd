"""An image with named axes and calibration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .damage import DamagedPartError
from .tiling import mirrored

#: The order in which a stack's axes always stand.
AXES = "TCZYX"

#: Sections are read together up to here.
_AT_ONCE_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Stack:
    """An image, in memory or not, whose axes have names and lengths have units.

    Attributes
    ----------
    data : array-like
        Anything with ``shape``, ``dtype`` and indexing: an ndarray, a memory map, a Zarr or dask
        array. Axes as in `axes`.
    axes : str
        Some of ``"TCZYX"`` in that order, ``"Y"`` and ``"X"`` among them.
    pixel_size_um : dict of str to float
        Size of a pixel in µm along ``"Z"``, ``"Y"``, ``"X"``; axes of unknown size are left out.
    name : str
        What a person calls it: the file's stem.
    path : Path or None
        Where it was read from.
    channels : tuple of str
        Names of the channels, one per index of ``"C"``; a single one where there is no ``"C"``.
    metadata : dict
        What else the file said: ``"classes"`` and ``"kind"`` of labels written by this package,
        and whatever a reader wants to pass on.
    notes : tuple of str
        What a person may not expect of how it was read, in sentences.
    parts : tuple of str
        Other images in the same file: `open_stack` takes them behind the path of the file, as
        in ``cells.lif/Series 2``.
    files : tuple of Path
        Files and folders beside `path` that its pixels are in.
    channel_colors : tuple of str
        ``"#rrggbb"`` of each channel, or ``""`` where it is not known; empty if none is.
    """

    data: Any
    axes: str
    pixel_size_um: dict[str, float] = field(default_factory=dict)
    name: str = "image"
    path: Path | None = None
    channels: tuple[str, ...] = ("",)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    channel_colors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the axes describe the data."""
        ordered = "".join(axis for axis in AXES if axis in self.axes)
        if ordered != self.axes or not self.axes.endswith("YX"):
            raise ValueError(f"axes must be some of {AXES} in that order, not {self.axes!r}")
        if len(self.axes) != len(self.data.shape):
            raise ValueError(f"axes {self.axes!r} do not fit shape {tuple(self.data.shape)}")
        if len(self.channels) != self.n_channels:
            raise ValueError(f"{len(self.channels)} channel names for {self.n_channels} channels")
        if len(self.channel_colors) not in (0, self.n_channels):
            raise ValueError(f"{len(self.channel_colors)} colours for {self.n_channels} channels")

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis of `axes`."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel, in this machine's byte order."""
        dtype: np.dtype[Any] = np.dtype(self.data.dtype).newbyteorder("=")
        return dtype

    def size(self, axis: str) -> int:
        """Return the length along `axis`; 1 where the stack has no such axis."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def n_channels(self) -> int:
        """Number of channels, at least 1."""
        return self.size("C")

    @property
    def n_planes(self) -> int:
        """Number of slices: T · Z."""
        return self.size("T") * self.size("Z")

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.size("Y"), self.size("X")

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Shape of labels of this stack: its own without the channels."""
        return tuple(n for axis, n in zip(self.axes, self.shape, strict=True) if axis != "C")

    def plane(self, index: int) -> npt.NDArray[Any]:
        """Read one slice with all its channels.

        Parameters
        ----------
        index : int
            Along the flattened T · Z axis, T outermost.

        Returns
        -------
        ndarray, shape (C, Y, X)
            In the stack's own dtype, in this machine's byte order; a view where possible.

        Raises
        ------
        UserError
            If it cannot be read, or there is not enough memory for a slice.
        """
        t, z = divmod(index, self.size("Z"))
        where = {"T": t, "Z": z}
        try:
            plane = np.asarray(self.data[tuple(where.get(axis, slice(None)) for axis in self.axes)])
        except MemoryError as error:
            height, width = self.plane_shape
            raise UserError(
                f"{self.path or self.name} has slices of {height} × {width} px, for which there is "
                "not enough memory; open a part or a coarser level of it, or it may be damaged."
            ) from error
        except DamagedPartError as error:
            if self.n_planes == 1:
                raise
            raise error.in_slice(index) from error
        if not plane.dtype.isnative:
            plane = plane.astype(self.dtype)
        return plane if "C" in self.axes else plane[np.newaxis]

    def neighbouring_planes(self, index: int, neighbours: int) -> list[int]:
        """List a slice and those beside it, from the first to the last.

        Parameters
        ----------
        index : int
            As of `plane`.
        neighbours : int
            Slices on each side; mirrored at both ends of Z, never of another time point.

        Examples
        --------
        >>> Stack(np.zeros((2, 3, 8, 8)), "TZYX").neighbouring_planes(3, 1)
        [4, 3, 4]
        """
        depth = self.size("Z")
        t, z = divmod(index, depth)
        beside = mirrored(z - neighbours, z + neighbours + 1, depth)
        return [t * depth + int(i) for i in beside]

    def cropped(self, y: slice, x: slice) -> Stack:
        """Return a window of all slices; no pixels are read where `data` is lazy or mapped."""
        return replace(self, data=self.data[..., y, x])

    def planes(self) -> Iterator[npt.NDArray[Any]]:
        """Read slice after slice, each of shape (C, Y, X), as many at once as lie together."""
        step = self._sections_at_once()
        if step == 1:
            return map(self.plane, range(self.n_planes))
        starts = itertools.product(range(self.size("T")), range(0, self.size("Z"), step))
        return (plane for t, z in starts for plane in self._sections(t, slice(z, z + step)))

    def _sections_at_once(self) -> int:
        """Return how many sections a chunk holds, if they are not too many; 1 without chunks."""
        chunks = getattr(self.data, "chunks", None)
        if chunks is None or "Z" not in self.axes:
            return 1
        deepest = max(np.ravel(chunks[self.axes.index("Z")]))
        plane_bytes = self.n_channels * self.dtype.itemsize * math.prod(self.plane_shape)
        return int(min(deepest, max(1, _AT_ONCE_BYTES // max(1, plane_bytes))))

    def _sections(self, t: int, along_z: slice) -> npt.NDArray[Any]:
        """Read some sections of a time point, shape (n, C, Y, X)."""
        where = {"T": t, "Z": along_z}
        try:
            found = np.asarray(self.data[tuple(where.get(axis, slice(None)) for axis in self.axes)])
        except DamagedPartError:
            depth = self.size("Z")  # one after the other, as the sentence names the slice
            return np.stack([self.plane(t * depth + z) for z in range(*along_z.indices(depth))])
        if not found.dtype.isnative:
            found = found.astype(self.dtype)
        return found.swapaxes(0, 1) if "C" in self.axes else found[:, np.newaxis]

"""The pixels of a stack as a network wants them, each slice read once while it is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.images import Normalisation, Stack, Tile, mirrored, read_mirrored

#: Bytes read ahead of what is computed, at most.
_MOST_AHEAD = 1 << 28


class Sections:
    """Reads tiles of a stack, and meanwhile what is needed next.

    Parameters
    ----------
    stack : Stack
    normalisation : Normalisation
    size : tuple of int
        Height and width at which the network sees a slice, in px.
    neighbours : int
        Slices on each side that are stacked as channels.

    Attributes
    ----------
    size : tuple of int
    """

    def __init__(
        self, stack: Stack, normalisation: Normalisation, size: tuple[int, int], neighbours: int
    ) -> None:
        self.size = size
        self._stack = stack
        self._normalisation = normalisation
        self._neighbours = neighbours
        self._read: dict[int, npt.NDArray[Any] | Future[npt.NDArray[Any]]] = {}
        self._ahead: frozenset[int] = frozenset()
        self._reader = ThreadPoolExecutor(1)

    def planes_of(self, frame: int, z: int, tile: Tile) -> list[int]:
        """List the slices that a tile is predicted from, as of `tile`."""
        first, last = z - self._neighbours, z + self._neighbours + 1
        if len(tile.start) == 3:
            first, last = tile.read_start[0], tile.read_stop[0]
        depth = self._stack.size("Z")
        return [frame * depth + int(i) for i in mirrored(first, last, depth)]

    def read_ahead(self, planes: Sequence[int]) -> None:
        """Begin to read slices that are needed after those which are being computed."""
        plane_bytes = self._stack.n_channels * self._stack.dtype.itemsize
        plane_bytes *= math.prod(self._stack.plane_shape)
        self._ahead = frozenset(planes[: _MOST_AHEAD // max(1, plane_bytes)])
        for plane in sorted(self._ahead):
            if plane not in self._read:
                self._read[plane] = self._reader.submit(self._stack.plane, plane)

    def tile(self, frame: int, z: int, tile: Tile) -> Tensor:
        """Read what a tile is predicted from.

        Parameters
        ----------
        frame : int
            Along T.
        z : int
            Along Z, of a tile of a slice; a tile of a volume says so itself.
        tile : Tile
            Of a slice, (Y, X), or of a volume, (Z, Y, X).

        Returns
        -------
        Tensor, shape (1, C, Y, X) or (1, C, Z, Y, X), float32, normalised
            Mirrored at the ends of Z, never continued in another time point.
        """
        planes = self.planes_of(frame, z, tile)
        pieces = [self._piece(plane, tile, len(planes)) for plane in planes]
        is_volume = len(tile.start) == 3
        pixels = np.stack(pieces, axis=1) if is_volume else np.concatenate(pieces)
        return torch.from_numpy(np.ascontiguousarray(pixels))[None]

    def _piece(self, plane: int, tile: Tile, n_needed: int) -> npt.NDArray[np.float32]:
        piece = read_mirrored(
            self._plane(plane, n_needed), tile.read_start[-2:], tile.read_stop[-2:]
        )
        return piece if self._is_resized else self._normalisation.apply(piece)

    def _plane(self, plane: int, n_needed: int) -> npt.NDArray[Any]:
        """Return a slice as it is in the stack, or normalised where it is resized."""
        found = self._read.pop(plane, None)
        if isinstance(found, np.ndarray):
            pixels = found
        else:
            pixels = self._stack.plane(plane) if found is None else found.result()
            pixels = self._resized(pixels) if self._is_resized else pixels
        self._read[plane] = pixels
        kept = [p for p in self._read if p not in self._ahead]
        for old in kept[: max(0, len(kept) - n_needed)]:
            del self._read[old]
        return pixels

    @property
    def _is_resized(self) -> bool:
        return self.size != self._stack.plane_shape

    def _resized(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        image = torch.from_numpy(np.ascontiguousarray(self._normalisation.apply(pixels)))
        resized: npt.NDArray[np.float32] = F.interpolate(
            image[None], size=self.size, mode="bilinear", antialias=True
        )[0].numpy()
        return resized

"""The pixels of a stack as a network wants them, each slice read once while it is needed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_unetseg.images import Normalisation, Stack, Tile, mirrored, read_mirrored


class Sections:
    """Reads tiles of a stack.

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
        self._read: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

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
        is_volume = len(tile.start) == 3
        first, last = z - self._neighbours, z + self._neighbours + 1
        if is_volume:
            first, last = tile.read_start[0], tile.read_stop[0]
        depth = self._stack.size("Z")
        planes = [frame * depth + int(i) for i in mirrored(first, last, depth)]
        pieces = [self._piece(plane, tile, len(planes)) for plane in planes]
        pixels = np.stack(pieces, axis=1) if is_volume else np.concatenate(pieces)
        return torch.from_numpy(np.ascontiguousarray(pixels))[None]

    def _piece(self, plane: int, tile: Tile, n_needed: int) -> npt.NDArray[np.float32]:
        piece = read_mirrored(
            self._plane(plane, n_needed), tile.read_start[-2:], tile.read_stop[-2:]
        )
        return piece if self._is_resized else self._normalisation.apply(piece)

    def _plane(self, plane: int, n_needed: int) -> npt.NDArray[Any]:
        """Return a slice as it is in the stack, or normalised where it is resized."""
        if plane not in self._read:
            pixels = self._stack.plane(plane)
            self._read[plane] = self._resized(pixels) if self._is_resized else pixels
        self._read.move_to_end(plane)
        while len(self._read) > n_needed:
            self._read.popitem(last=False)
        return self._read[plane]

    @property
    def _is_resized(self) -> bool:
        return self.size != self._stack.plane_shape

    def _resized(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        image = torch.from_numpy(np.ascontiguousarray(self._normalisation.apply(pixels)))
        resized: npt.NDArray[np.float32] = F.interpolate(
            image[None], size=self.size, mode="bilinear", antialias=True
        )[0].numpy()
        return resized

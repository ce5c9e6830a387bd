"""Some of what a model was made from, shown again while it learns something else."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from napari_unetseg.errors import UserError

from .placement import Device, place_image

#: Patches in a row of the sheet.
_IN_A_ROW = 8

#: Patches, (N, Y, X).
Sheet: TypeAlias = npt.NDArray[np.uint8]


def write_sheet(patches: Sheet, path: Path) -> None:
    """Write patches side by side into a PNG file."""
    n, side = patches.shape[:2]
    rows = patches.reshape(n // _IN_A_ROW, _IN_A_ROW, side, side)
    Image.fromarray(rows.swapaxes(1, 2).reshape(-1, _IN_A_ROW * side)).save(path, optimize=True)


def read_sheet(path: Path) -> Sheet:
    """Read what `write_sheet` has written.

    Raises
    ------
    UserError
        If it is no such file, or damaged.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            sheet = np.asarray(image.convert("L"))
        side = sheet.shape[1] // _IN_A_ROW
        rows = sheet.reshape(-1, side, _IN_A_ROW, side)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged; copy the model again.") from error
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(-1, side, side))


class Rehearsal:
    """Patches in turn, turned and mirrored differently in each round.

    Parameters
    ----------
    patches : ndarray, shape (N, Y, X), uint8
    batch : int
        Patches of a step.
    reduction : int
        Of the network that is to see them.
    device : Device
    weight : float
        Of what is forgotten of them, beside what is painted.

    Attributes
    ----------
    patches : ndarray, shape (N, Y, X), uint8
    weight : float
    """

    def __init__(
        self, patches: Sheet, batch: int, reduction: int, device: Device, *, weight: float
    ) -> None:
        self.patches = patches
        self.weight = weight
        self._batch = batch
        self._reduction = reduction
        self._device = device

    def batch(self, step: int) -> Tensor:
        """Return the patches of a step, on the device.

        Returns
        -------
        Tensor, shape (B, 1, Y, X), float32
            As large in px of the image as the network reduces it to be.
        """
        n = len(self.patches)
        numbers = step * self._batch + np.arange(self._batch)
        patches = torch.from_numpy(self.patches[numbers % n])[:, None].float() / 255
        turned = int(numbers[0]) // n % 8
        patches = torch.rot90(patches, turned % 4, dims=(-2, -1))
        patches = patches.flip(-1) if turned >= 4 else patches
        for axis in (-2, -1):
            patches = patches.repeat_interleave(self._reduction, axis)
        return place_image(patches, self._device)

"""Some of what a model was made from, shown again while it learns something else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from napari_unetseg.errors import UserError

from .placement import Device, place_image

#: Patches that are rehearsed in a step.
AT_A_TIME = 4

#: Patches in a row of the sheet, and the least side of one.
_IN_A_ROW, _LEAST_PX = 8, 16

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
            sheet, grey = np.asarray(image), image.mode == "L"
        side = sheet.shape[1] // _IN_A_ROW
        if not grey or side < _LEAST_PX:
            raise ValueError
        rows = sheet.reshape(-1, side, _IN_A_ROW, side)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged; copy the model again.") from error
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(-1, side, side))


class Rehearsal:
    """Patches in turn, turned and mirrored differently in each round.

    Parameters
    ----------
    patches : ndarray, shape (N, Y, X), uint8
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

    def __init__(self, patches: Sheet, reduction: int, device: Device, *, weight: float) -> None:
        self.patches = patches
        self.weight = weight
        self._reduction = reduction
        self._device = device

    def batch(self, step: int, most_px: int) -> Tensor | None:
        """Return the patches of a step, on the device.

        Parameters
        ----------
        step : int
        most_px : int
            Of the image, in all of them.

        Returns
        -------
        Tensor, shape (B, 1, Y, X), float32, or None
            As large in px of the image as the network reduces it to be: whole patches, or a corner
            of each; None where that would show nothing.
        """
        side = math.isqrt(most_px // AT_A_TIME) // self._reduction
        if side < _LEAST_PX:
            return None
        n = len(self.patches)
        numbers = step * AT_A_TIME + np.arange(AT_A_TIME)
        patches = torch.from_numpy(self.patches[numbers % n])[:, None].float() / 255
        turned = int(numbers[0]) // n % 8
        patches = torch.rot90(patches, turned % 4, dims=(-2, -1))
        patches = patches.flip(-1) if turned >= 4 else patches
        patches = patches[..., :side, :side]
        for axis in (-2, -1):
            patches = patches.repeat_interleave(self._reduction, axis)
        return place_image(patches, self._device)

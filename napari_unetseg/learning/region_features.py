"""What parts of slices look like, and what a model says of them, in a few numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .answers import entropy
from .candidates import Region

#: Side of the squares whose means are kept: fine enough for any region, and few.
CELL_PX = 16

#: Octaves of the pyramid, for what is about 2 to 32 px wide.
OCTAVES = 5


@dataclass(frozen=True, slots=True, eq=False)
class SliceMaps:
    """Means over the squares of a slice.

    Attributes
    ----------
    texture : ndarray, shape (C · (1 + OCTAVES), cells_y, cells_x), float32
        As of `texture_of`.
    probabilities : ndarray or None, shape (K, cells_y, cells_x), float32
        By class, background first; None without a model.
    entropy : ndarray or None, shape (cells_y, cells_x), float32
        Of the model's answers for single pixels.
    """

    texture: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None = None
    entropy: npt.NDArray[np.float32] | None = None


def maps_of(
    pixels: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32] | None
) -> SliceMaps:
    """Measure a slice.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X), float32
        Normalised.
    probabilities : ndarray or None, shape (K, Y, X), float32
        What a model answers.
    """
    texture = texture_of(pixels)
    if probabilities is None:
        return SliceMaps(texture)
    answered = torch.from_numpy(probabilities)[None]
    unsure = _cells(entropy(answered)[None])[0, 0]
    return SliceMaps(texture, _cells(answered)[0].numpy(), unsure.numpy())


def texture_of(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Measure grey values, and how much they change at several scales.

    The latter are the bands of a pyramid: an image less what is left of it at half the size. They
    are P. Burt and E. Adelson's ("The Laplacian pyramid as a compact image code", IEEE Transactions
    on Communications 31, 1983), with means of 2 × 2 px for Gaussians.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X), float32
        Normalised.

    Returns
    -------
    ndarray, shape (C · (1 + OCTAVES), cells_y, cells_x), float32
    """
    level = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    maps = [_cells(level)]
    for octave in range(OCTAVES):
        smaller = F.avg_pool2d(level, 2, ceil_mode=True)
        band = (level - F.interpolate(smaller, size=level.shape[-2:], mode="bilinear")).abs()
        pooled = F.avg_pool2d(band, max(1, CELL_PX >> octave), ceil_mode=True)
        maps.append(F.interpolate(pooled, size=maps[0].shape[-2:], mode="nearest"))
        level = smaller
    found: npt.NDArray[np.float32] = torch.cat(maps, dim=1)[0].numpy()
    return found


def _cells(maps: Tensor) -> Tensor:
    """Average over squares: (B, C, Y, X) to (B, C, cells_y, cells_x)."""
    return F.avg_pool2d(maps, CELL_PX, ceil_mode=True)


def described(maps: SliceMaps, region: Region) -> npt.NDArray[np.float32]:
    """Describe a region by mean and spread of its texture, and of what a model finds there."""
    values = maps.texture
    if maps.probabilities is not None:
        values = np.concatenate([values, maps.probabilities[1:]])
    part = values[:, *region.cells(CELL_PX)].reshape(len(values), -1)
    return np.concatenate([part.mean(axis=1), part.std(axis=1)])


def standardised(descriptions: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float64]:
    """Give each number mean 0 and, where it varies, variance 1: shape (regions, numbers)."""
    values = np.stack(descriptions).astype(float)
    spread = values.std(axis=0)
    scaled: npt.NDArray[np.float64] = (values - values.mean(axis=0)) / np.where(
        spread > 1e-9, spread, 1.0
    )
    return scaled


def similarity(
    these: npt.NDArray[np.float64], those: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how alike descriptions are, from 0 to 1, the same.

    A Gaussian of their distance. Its width is the median distance, as usual where nothing else is
    known: A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012, section 8.

    Parameters
    ----------
    these, those : ndarray, shape (n, numbers) and (m, numbers)

    Returns
    -------
    ndarray, shape (n, m)
    """
    squares = (these**2).sum(axis=1)[:, None] + (those**2).sum(axis=1) - 2 * these @ those.T
    differ = squares > 1e-9
    width = float(np.median(squares[differ])) if differ.any() else 1.0
    alike: npt.NDArray[np.float64] = np.exp(-np.maximum(squares, 0) / width)
    return alike

"""How groups of pixels look in the colours in which napari shows an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_unetseg.config import PALETTE
from napari_unetseg.images import Stack

_N_SHADES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How napari shows a channel.

    Attributes
    ----------
    limits : tuple of float
        Values that are shown darkest and brightest.
    gamma : float
    shades : ndarray, shape (256, 3), float
        Red, green and blue from darkest to brightest, in [0, 1].
    """

    limits: tuple[float, float]
    gamma: float
    shades: npt.NDArray[np.float64]

    def of(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the colours of values, shape (n, 3)."""
        low, high = self.limits
        share = np.clip((values - low) / ((high - low) or 1), 0, 1) ** self.gamma
        at = (share * (_N_SHADES - 1)).round().astype(int)
        return np.asarray(self.shades[at])


def looks(layers: Sequence[Image], stack: Stack) -> list[Look]:
    """Return how each channel of a stack is shown by the layers that it was made from."""
    names = stack.channels
    first = layers[0]
    if first.rgb:
        whole = float(np.iinfo(stack.dtype).max) if stack.dtype.kind in "iu" else 1.0
        pure = dict(zip(("red", "green", "blue"), np.eye(3), strict=True))
        return [Look((0.0, whole), 1.0, _ramp(pure[name])) for name in names]
    by_name = {layer.name: layer for layer in layers}
    found = []
    for i, name in enumerate(names):
        layer = first if len(names) == 1 else by_name.get(name, first)
        alone = len(names) == 1 or name in by_name
        shades = _shades(layer) if alone else _ramp(_rgb(PALETTE[i % len(PALETTE)]))
        low, high = layer.contrast_limits
        found.append(Look((float(low), float(high)), float(layer.gamma), shades))
    return found


def painted(
    labels: npt.NDArray[np.integer[Any]], means: npt.NDArray[np.float64], looks: Sequence[Look]
) -> npt.NDArray[np.uint8]:
    """Paint each pixel in the colour of its group's mean.

    Parameters
    ----------
    labels : ndarray, shape (Y, X)
        Groups; 0 stays transparent.
    means : ndarray, shape (groups, C)
        Row ``k`` is that of label ``k``.

    Returns
    -------
    ndarray, shape (Y, X, 4), uint8
        Red, green, blue and opacity; channels are added up.
    """
    lights = [look.of(channel) for look, channel in zip(looks, means.T, strict=True)]
    colors = np.full((len(means), 4), 255, np.uint8)
    colors[:, :3] = (np.clip(np.sum(lights, axis=0), 0, 1) * 255).round()
    colors[0] = 0
    # One number a pixel is looked up four times as quickly as four of them.
    found: npt.NDArray[np.uint8] = colors.view(np.uint32)[:, 0][labels].view(np.uint8)
    return found.reshape(*labels.shape, 4)


def _shades(layer: Image) -> npt.NDArray[np.float64]:
    colors = layer.colormap.map(np.linspace(0, 1, _N_SHADES))
    return np.asarray(colors, float)[:, :3]


def _ramp(color: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.linspace(0, 1, _N_SHADES)[:, np.newaxis] * color


def _rgb(color: str) -> npt.NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])

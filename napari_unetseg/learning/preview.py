"""The small picture in a model folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass

#: Longest side of the part of a slice that is shown.
PREVIEW_PX = 384

#: Share of a class's colour in its pixels.
OPACITY = 0.45


def draw_preview(
    pixels: npt.NDArray[np.float32],
    codes: npt.NDArray[np.uint8],
    classes: Sequence[LabelClass],
) -> npt.NDArray[np.uint8]:
    """Draw a slice, and beside it the same with its segmentation.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X), float32 near [0, 1]
        Up to three channels are shown, as red, green and blue; a single one in grey.
    codes : ndarray, shape (Y, X), uint8

    Returns
    -------
    ndarray, shape (Y, 2 · X, 3), uint8
    """
    channels = pixels[:3] if len(pixels) > 1 else pixels.repeat(3, axis=0)
    image = np.zeros((*codes.shape, 3), np.float32)
    image[..., : len(channels)] = np.moveaxis(channels, 0, -1).clip(0, 1)
    coloured = image.copy()
    for k, label_class in enumerate(classes, start=1):
        colour = np.frombuffer(bytes.fromhex(label_class.color[1:]), np.uint8) / 255
        where = codes == k + 1
        coloured[where] = (1 - OPACITY) * image[where] + OPACITY * colour.astype(np.float32)
    both = np.concatenate([image, coloured], axis=1)
    return (both * 255).round().astype(np.uint8)

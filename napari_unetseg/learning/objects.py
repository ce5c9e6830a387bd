"""Objects from classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from napari_unetseg.images import codes_to_masks


def connected_objects(codes: npt.NDArray[np.uint8], n_frames: int = 1) -> npt.NDArray[np.uint32]:
    """Give every connected component of a class its own id.

    Pixels that share a face are connected, across the slices of a frame too; pixels of different
    classes or frames never are.

    Parameters
    ----------
    codes : ndarray, shape (planes, Y, X), uint8
        1 background, k + 1 class k.
    n_frames : int
        Time points among the planes, T outermost.

    Returns
    -------
    ndarray, shape (planes, Y, X), uint32
        0 background, ids from 1 on, none used twice.
    """
    masks = codes_to_masks(codes)
    objects = np.zeros(masks.shape, np.uint32)
    last = 0
    for frame, target in zip(np.split(masks, n_frames), np.split(objects, n_frames), strict=True):
        # scikit-image annotates some of its functions.
        found: Any = label(frame, background=0, connectivity=1)  # type: ignore[no-untyped-call]
        target[...] = np.where(found > 0, found + last, 0)
        last += int(found.max(initial=0))
    return objects

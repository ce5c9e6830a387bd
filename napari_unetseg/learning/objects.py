"""Objects from what a network answered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import relabel_sequential, watershed

from napari_unetseg.annotations import connected_objects
from napari_unetseg.config import BACKGROUND, ModelInfo, ObjectsConfig
from napari_unetseg.errors import UserError
from napari_unetseg.hardware import free_memory_bytes
from napari_unetseg.images import Stack

#: Standard deviation, as a share of the diameter of a usual object, by which distances are
#: smoothed within a slice before their peaks are looked for.
SMOOTHING = 0.03


#: Bytes that telling objects apart by their distances takes for each pixel, most of them for peaks:
#: measured on 64 slices of 512 × 512 px.
_BYTES_PER_PX = 80


def check_memory_for_objects(info: ModelInfo, stack: Stack) -> None:
    """Raise `UserError` where objects of a stack cannot be told apart for want of memory.

    Where the model learned no distances, components are connected slice by slice instead.
    """
    if info.object_diameter_px is None:
        return
    n_bytes = _BYTES_PER_PX * stack.size("Z") * math.prod(stack.plane_shape)
    n_bytes += 5 * stack.n_planes * math.prod(stack.plane_shape)  # codes and distances
    free = free_memory_bytes()
    if n_bytes > free:
        raise UserError(
            f"To tell the objects of {stack.name} apart takes about {n_bytes / 1e9:.0f} GB of "
            f"memory, and {free / 1e9:.0f} GB are free; leave objects out, which takes as much "
            "for any number of slices, or cut the stack into parts."
        )


def objects_found(
    info: ModelInfo,
    codes: npt.NDArray[np.uint8],
    distances: npt.NDArray[np.float32] | None,
    n_frames: int = 1,
    scale: float = 1.0,
) -> npt.NDArray[np.uint32]:
    """Tell objects apart by what the model has learned of them, else where they do not touch.

    Parameters
    ----------
    info : ModelInfo
        Of the model that answered.
    codes : ndarray, shape (planes, Y, X), uint8
    distances : ndarray or None, shape (planes, Y, X), float32
        None where the model learned classes alone.
    n_frames : int
        Time points among the planes, T outermost.
    scale : float
        Px of `codes` for each px that the model saw; see `Predictor.scale`.

    Returns
    -------
    ndarray, shape (planes, Y, X), uint32
        0 background, ids from 1 on, none used twice.
    """
    diameter, config = info.object_diameter_px, info.recipe.objects
    if distances is None or diameter is None or config is None:
        return connected_objects(codes, n_frames)
    objects = np.zeros(codes.shape, np.uint32)
    last = 0
    for frame, depth, target in zip(
        *(np.split(array, n_frames) for array in (codes, distances, objects)), strict=True
    ):
        for code in range(BACKGROUND + 1, int(frame.max(initial=0)) + 1):
            inside = frame == code
            found = split_by_distance(inside, depth, scale * diameter, config)
            target[found > 0] = found[found > 0] + last
            last += int(found.max(initial=0))
    return objects


def split_by_distance(
    inside: npt.NDArray[np.bool_],
    distances: npt.NDArray[np.float32],
    diameter_px: float,
    config: ObjectsConfig,
) -> npt.NDArray[np.int32]:
    """Let objects grow from where the distance to their border is largest until they meet.

    A peak of the distance is an object if between it and any higher one the distance falls by
    ``config.prominence``: a threshold would have to know how sure of itself the network is.

    Parameters
    ----------
    inside : ndarray, shape (Z, Y, X) or (Y, X), bool
        Which pixels belong to objects.
    distances : ndarray of equal shape, float32
        About 0 on the border of an object, 1 in its middle.
    diameter_px : float
        Of a usual object.
    config : ObjectsConfig

    Returns
    -------
    ndarray of equal shape, int32
        0 outside, ids from 1 on. What has no middle is one object, and what is too small none.

    References
    ----------
    S. Beucher, C. Lantuéjoul, "Use of watersheds in contour detection", 1979.
    P. Soille, "Morphological Image Analysis", 2nd ed. 2003, section 6.3.4 (h-maxima).
    """
    if inside.ndim == 3 and len(inside) == 1:
        # Padding a single slice on every side makes three of it.
        return split_by_distance(inside[0], distances[0], diameter_px, config)[None]
    smallest_px = config.smallest * math.pi / 4 * diameter_px**2
    depth = ndimage.gaussian_filter(distances, SMOOTHING * diameter_px, axes=(-2, -1))
    peaks: Any = h_maxima(np.where(inside, depth, 0), config.prominence)  # type: ignore[no-untyped-call]
    middles = _components(inside & (peaks > 0))
    areas = _components(inside)
    without_middle = inside & ~np.isin(areas, np.unique(areas[middles > 0]))
    seeds = np.where(without_middle, areas + middles.max(initial=0), middles)
    # scikit-image annotates some of its functions.
    found: Any = watershed(-depth, seeds, mask=inside)  # type: ignore[no-untyped-call]
    kept: Any = relabel_sequential(_without_small(found, smallest_px))[0]  # type: ignore[no-untyped-call]
    return np.asarray(kept, np.int32)


def _components(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    found: Any = label(inside, connectivity=1)  # type: ignore[no-untyped-call]
    return np.asarray(found, np.int32)


def _without_small(ids: npt.NDArray[np.int32], smallest_px: float) -> npt.NDArray[np.int32]:
    large = np.bincount(ids.ravel()) >= smallest_px
    return np.where(large[ids], ids, 0).astype(np.int32)

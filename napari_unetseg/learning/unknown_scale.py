"""At which scale a model sees an image best, where no pixel size says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage

from napari_unetseg.config import BACKGROUND, ModelInfo
from napari_unetseg.images import Stack

from .answers import Answer
from .objects import objects_found

#: Px of the image for each px that the network sees.
SCALES = (1, 2, 3, 4, 6)

#: Side of what is looked at of a slice, and of the least that says anything when it is reduced.
SIDE_PX, LEAST_SEEN_PX = 768, 96

#: How much too small structures are seen where most of them is found, by models without distances.
#: Of 24 synthetic micrographs of 8, 4 and 2.7 nm a pixel (1, 2 and 3 times that of the model) most
#: membranes were found at 2, 4 or 3, and 6 or 4; with this, IoU is within 0.01 of that at 8 nm.
TOO_SMALL = 2

#: Objects of equal size from which those seen reduced are no chance: a whole embryo can look like
#: one nucleus.
FEWEST_OBJECTS = 4

#: Diameter, ÷ that of a usual object, up to which a model has learned to see objects: nuclei of 22
#: to 60 px, cells of 45 to 120.
WIDEST = 2.7

#: Slices that are looked at, evenly spread.
_SLICES = 2

#: Segments the only slice of a stack, with probabilities, and distances if it has learned any.
AnswerTo: TypeAlias = Callable[[Stack], Answer]


def best_scale(stack: Stack, info: ModelInfo, answer_to: AnswerTo) -> float:
    """Find the scale at which a model is surest of what it finds; see `certainty`.

    SEG of the 100 images of nuclei that were kept out of pretraining is 0.829 with it and 0.828
    without. Of PhC-U373 and DIC-HeLa, whose cells are wider than those that the model sees best, it
    is 0.529 and 0.690 with it, 0.412 and 0.264 without, and 0.565 and 0.690 with all at a third.
    The mean probability in its place chose worse than nothing.

    Parameters
    ----------
    stack : Stack
    info : ModelInfo
    answer_to : callable

    Returns
    -------
    float
        Px of the image for each px that the network is to see; 1 where nothing is found.
    """
    n = min(_SLICES, stack.n_planes)
    parts = [_middle(stack, (2 * i + 1) * stack.n_planes // (2 * n)) for i in range(n)]
    totals = {
        scale: sum(_certainty_at(scale, info, answer_to(_reduced(part, scale))) for part in parts)
        for scale in SCALES
        if scale == 1 or min(stack.plane_shape) >= LEAST_SEEN_PX * scale
    }
    best = max(totals, key=lambda scale: totals[scale])
    return float(best) if info.object_diameter_px is not None else max(1.0, best / TOO_SMALL)


def _certainty_at(scale: int, info: ModelInfo, answer: Answer) -> float:
    """Say how sure a model is of a slice seen so much smaller; 0 of objects that are no such."""
    ids = _ids(info, answer)
    if scale > 1 and ids is not None and info.object_diameter_px is not None:
        areas = np.bincount(ids.ravel())[1:].astype(float)
        squares = float((areas**2).sum())
        # As many of equal size would have the same sums; the typical pixel is in one so wide.
        n = float(areas.sum()) ** 2 / squares if squares else 0.0
        width = math.sqrt(4 / math.pi * squares / areas.sum()) if squares else 0.0
        if n < FEWEST_OBJECTS or width > WIDEST * info.object_diameter_px:
            return 0.0
    return certainty(answer, ids)


def certainty(answer: Answer, ids: npt.NDArray[np.uint32] | None) -> float:
    """Say how sure a model is of what it finds in a slice.

    Parameters
    ----------
    answer : Answer
        With probabilities, and distances if the model has learned any.
    ids : ndarray or None, shape (Y, X), uint32
        Its objects; None if it has not.

    Returns
    -------
    float
        The mean, over all pixels that are found, of the probability that they are no background; 0
        where there are none. Times, for a model with distances, the mean over them of the largest
        distance in their object, which is 1 in the middle of one that was recognised; for any other
        their share of the slice, as of what is seen too small or too large little is found.
    """
    assert answer.probabilities is not None
    inside = answer.codes > BACKGROUND
    if not inside.any():
        return 0.0
    sure = float(1 - answer.probabilities[0][inside].mean())
    if answer.distances is None or ids is None:
        return sure * float(inside.mean())
    n, inside = int(ids.max(initial=0)), ids > 0
    if n == 0:
        return 0.0
    depth = ndimage.gaussian_filter(answer.distances, 0.5)
    deepest: npt.NDArray[np.float32] = ndimage.maximum(depth, ids, np.arange(1, n + 1))
    return sure * float(deepest[ids[inside] - 1].mean())


def _ids(info: ModelInfo, answer: Answer) -> npt.NDArray[np.uint32] | None:
    if answer.distances is None:
        return None
    ids: npt.NDArray[np.uint32] = objects_found(info, answer.codes[None], answer.distances[None])[0]
    return ids


def _middle(stack: Stack, plane: int) -> Stack:
    """Return the middle of a slice."""
    window = []
    for size in stack.plane_shape:
        side = min(size, SIDE_PX)
        window.append(slice((size - side) // 2, (size - side) // 2 + side))
    pixels = stack.cropped(*window).plane(plane)
    return replace(stack, data=pixels, axes="CYX", pixel_size_um={})


def _reduced(part: Stack, scale: int) -> Stack:
    if scale == 1:
        return part
    size = [max(1, round(n / scale)) for n in part.plane_shape]
    pixels = torch.from_numpy(part.data.astype(np.float64))[None]
    small = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    return replace(part, data=small[0].numpy())

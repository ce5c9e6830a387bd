"""Mirrored borders of any width on images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_unetseg.images import mirrored as mirrored_indices


def mirrored(image: Tensor, start: Sequence[int], stop: Sequence[int]) -> Tensor:
    """Read a box of the last axes of an image, with mirrored borders.

    Parameters
    ----------
    image : Tensor, shape (…, Y, X) or (…, Z, Y, X)
    start, stop : sequence of int
        First px and the one after the last along each of the last ``len(start)`` axes; any of
        them may lie outside the image.

    Returns
    -------
    Tensor, shape (…, *(stop − start))
        A view where everything lies inside, otherwise a copy.
    """
    sizes = image.shape[-len(start) :]
    outside = []
    for axis, (first, last, size) in enumerate(zip(start, stop, sizes, strict=True), -len(start)):
        if (first, last) == (0, size):
            continue
        if first >= 0 and last <= size:
            image = image.narrow(axis, first, last - first)
        else:
            outside.append((axis, mirrored_indices(first, last, size)))
    for axis, indices in outside:
        image = image.index_select(axis, torch.from_numpy(indices).to(image.device))
    return image

"""Mirrored borders of any width on images of any size."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_unetseg.images import mirrored as mirrored_indices


def mirrored(image: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Read rows ``top … bottom − 1`` and columns ``left … right − 1`` with mirrored borders.

    Parameters
    ----------
    image : Tensor, shape (…, Y, X)
    top, bottom, left, right : int
        In px; any of them may lie outside the image.

    Returns
    -------
    Tensor, shape (…, bottom − top, right − left)
        A view where everything lies inside, otherwise a copy.
    """
    height, width = image.shape[-2:]
    inside = image[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.shape[-2:] == (bottom - top, right - left):
        return inside
    rows = torch.from_numpy(mirrored_indices(top, bottom, height)).to(image.device)
    columns = torch.from_numpy(mirrored_indices(left, right, width)).to(image.device)
    return image.index_select(-2, rows).index_select(-1, columns)

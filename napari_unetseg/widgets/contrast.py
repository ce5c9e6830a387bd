"""What an image that is read as it is looked at shows as black and as white."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

#: Darkest and brightest value of a sample.
Limits: TypeAlias = tuple[float, float]

#: So much is looked at of a slice, in its middle.
_SIDE_PX = 2048


def contrast_limits(stack: Stack) -> list[Limits | None]:
    """Sample the first, the middle and the last slice of a stack that is not in memory.

    Of such a stack napari looks at the first slice in view alone, which often is empty.

    Returns
    -------
    list of (float, float) or None
        For each channel; None where napari does as well: pixels in memory or of 8 bits, a single
        slice, and what cannot be read or is the same everywhere.
    """
    unknown: list[Limits | None] = [None] * stack.n_channels
    if isinstance(stack.data, np.ndarray) or stack.dtype == np.uint8 or stack.n_planes == 1:
        return unknown
    middle = stack.cropped(*(_middle(n) for n in stack.plane_shape))
    last = stack.n_planes - 1
    try:
        seen = [middle.plane(i) for i in sorted({0, last // 2, last})]
    except UserError:
        return unknown  # napari says so of the slice that is damaged, when it is looked at
    return [_limits(np.stack([plane[c] for plane in seen])) for c in range(stack.n_channels)]


def _middle(n: int) -> slice:
    """Return what is looked at of a side of a slice."""
    start = max(0, (n - _SIDE_PX) // 2)
    return slice(start, start + _SIDE_PX)


def _limits(values: npt.NDArray[Any]) -> Limits | None:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (low, high) if low < high else None

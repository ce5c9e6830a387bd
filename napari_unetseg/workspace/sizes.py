"""How large what is segmented is, in physical units."""

from __future__ import annotations

import math

from napari_unetseg.images import Stack


def area_um2(stack: Stack, n_px: int) -> float | None:
    """Return the area of pixels of a slice; None where the size of a pixel is unknown.

    >>> import numpy as np
    >>> stack = Stack(np.zeros((2, 4, 4)), "ZYX", {"Z": 0.05, "Y": 0.5, "X": 0.5})
    >>> area_um2(stack, 8), volume_um3(stack, 80)
    (2.0, 1.0)
    """
    return _size(stack, n_px, "YX")


def volume_um3(stack: Stack, n_px: int) -> float | None:
    """Return the volume of pixels of a stack; None where the size of a voxel is unknown."""
    return _size(stack, n_px, "ZYX")


def _size(stack: Stack, n_px: int, axes: str) -> float | None:
    if any(axis not in stack.pixel_size_um for axis in axes):
        return None
    return n_px * math.prod(stack.pixel_size_um[axis] for axis in axes)


def in_units(size: float, unit: str) -> str:
    """Write a size with three digits.

    >>> in_units(123456.7, "µm²"), in_units(0.01234, "µm³")
    ('123,457 µm²', '0.0123 µm³')
    """
    return f"{size:,.0f} {unit}" if size >= 100 else f"{size:.3g} {unit}"

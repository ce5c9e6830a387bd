"""Gradients of grey values by the operators of the textbooks, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class GradientOperator:
    """A derivative along one axis, smoothed along the others.

    Attributes
    ----------
    derivative : tuple of float
        Weights of the pixels at 1, 2, … px; those on the other side have the opposite ones.
    smoothing : tuple of float
        Weights of the pixels at 0, 1, … px; those on the other side have the same ones.
    """

    derivative: tuple[float, ...]
    smoothing: tuple[float, ...]


SOBEL_OPERATOR = GradientOperator((1 / 2,), (1 / 2, 1 / 4))
SCHARR_OPERATOR = GradientOperator((1 / 2,), (10 / 16, 3 / 16))
PREWITT_OPERATOR = GradientOperator((1 / 2,), (1 / 3, 1 / 3))
FARID_OPERATOR = GradientOperator(
    (0.276690988455557, 0.109603762960254),
    (0.426374573253687, 0.249153396177344, 0.0376593171958126),
)


def gradient(
    image: Image, operator: GradientOperator, steps_px: Sequence[float] | None = None
) -> list[Image]:
    """Return the derivatives along all axes; mirrored beyond the borders.

    By slices, four times as fast as convolutions of scipy on 1024 × 1024 float32.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), float
    steps_px : sequence of float, optional
        Length of a step along each axis, in px of Y and X; 1 by default.

    Returns
    -------
    list of ndarray
        In grey values per px, positive where it gets brighter along the axis.
    """
    components = []
    for axis in range(image.ndim):
        along = _derived(image, operator.derivative, axis)
        for other in range(image.ndim):
            if other != axis:
                along = _smoothed(along, operator.smoothing, other)
        if steps_px is not None and steps_px[axis] != 1:
            along /= steps_px[axis]
        components.append(along)
    return components


def norm(components: Sequence[Image]) -> Image:
    """Return the length of the vectors with these components."""
    total = components[0] * components[0]
    for component in components[1:]:
        total += component * component
    return np.asarray(np.sqrt(total, out=total))


def _derived(image: Image, weights: tuple[float, ...], axis: int) -> Image:
    shifted = _Shifts(image, len(weights), axis)
    derived = weights[0] * (shifted[1] - shifted[-1])
    for px, weight in enumerate(weights[1:], start=2):
        derived += weight * (shifted[px] - shifted[-px])
    return np.asarray(derived)


def _smoothed(image: Image, weights: tuple[float, ...], axis: int) -> Image:
    shifted = _Shifts(image, len(weights) - 1, axis)
    smooth = weights[0] * image
    for px, weight in enumerate(weights[1:], start=1):
        smooth += weight * (shifted[px] + shifted[-px])
    return np.asarray(smooth)


class _Shifts:
    """An image, seen from some px farther along an axis."""

    def __init__(self, image: Image, reach: int, axis: int) -> None:
        widths = [(reach, reach) if i == axis else (0, 0) for i in range(image.ndim)]
        self._padded = np.pad(image, widths, mode="symmetric")
        self._reach, self._axis, self._length = reach, axis, image.shape[axis]

    def __getitem__(self, px: int) -> Image:
        first = self._reach + px
        where = [slice(None)] * self._padded.ndim
        where[self._axis] = slice(first, first + self._length)
        return self._padded[tuple(where)]

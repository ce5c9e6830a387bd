"""From the axes a file names to the axes a stack has."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unetseg.errors import UserError

from .damage import check_size
from .stack import AXES

#: An axis of no more than this is of colours or channels, where a file does not say.
_MOST_COLOURS = 4


def resolve_axes(axes: str, shape: tuple[int, ...], name: str) -> tuple[str, tuple[int, ...]]:
    """Decide what each axis of a file is.

    Samples (``S``) are channels. Axes that a file leaves unnamed (``Q``, ``I``) or that a stack
    does not know become Z, then T, then C, from the innermost outwards; of length 1 they vanish.

    Parameters
    ----------
    axes : str
        One letter per axis as the file has them, ``"QYXS"`` for instance.
    shape : tuple of int
        Length of each axis.
    name : str
        Of the file, for the message.

    Returns
    -------
    axes : str
        One of ``"TCZYX"`` per kept axis, in the file's order.
    kept : tuple of int
        Indices of the axes that are kept; the others have length 1.

    Raises
    ------
    UserError
        If there are more axes than T, C, Z, Y and X, no Y and X, or one without a length.

    Examples
    --------
    >>> resolve_axes("QYXS", (5, 64, 64, 3), "cells.tif")
    ('ZYXC', (0, 1, 2, 3))
    """
    check_size(name, shape)
    axes = axes.upper()
    if len(axes) != len(shape) or "Y" not in axes or "X" not in axes:
        raise UserError(
            f"{name} has {len(shape)} axes named {axes!r}; an image needs one letter for each, "
            "Y and X among them."
        )
    if "S" in axes:
        axes = axes.replace("C", "Q").replace("S", "C")
    kept = tuple(
        i
        for i, (axis, length) in enumerate(zip(axes, shape, strict=True))
        if axis in AXES or length > 1
    )
    letters = {i: axes[i] for i in kept if axes[i] in AXES}
    free = [axis for axis in "ZTC" if axis not in letters.values()]
    for i in reversed([i for i in kept if i not in letters]):
        if not free:
            raise UserError(
                f"{name} has the axes {axes!r} of shape {shape}, more than time, channel, Z, Y "
                "and X; save the part you need as a stack of its own."
            )
        letters[i] = free.pop(0)
    return "".join(letters[i] for i in kept), kept


def guess_axes(shape: tuple[int, ...]) -> str:
    """Guess the axes of an array that does not say: colours last, or channels first.

    >>> guess_axes((50, 64, 64, 3)), guess_axes((2, 50, 64, 64)), guess_axes((50, 64, 64))
    ('QYXS', 'CQYX', 'QYX')
    """
    ndim = len(shape)
    if ndim > 2 and shape[-1] <= _MOST_COLOURS < min(shape[-3:-1]):
        return "Q" * (ndim - 3) + "YXS"
    if ndim == 4 and 1 < shape[0] <= _MOST_COLOURS < shape[1]:
        return "CQYX"
    return "Q" * (ndim - 2) + "YX"


def arrange(data: Any, axes: str) -> tuple[Any, str]:
    """Bring axes into the order of a stack, without reading what is not in memory.

    Parameters
    ----------
    data : array-like
        An ndarray or memory map, or anything dask can wrap.
    axes : str
        Some of ``"TCZYX"`` in any order, each at most once.

    Returns
    -------
    data : array-like
        A view, or a dask array.
    axes : str
        The same letters in the order of ``"TCZYX"``.
    """
    ordered = "".join(axis for axis in AXES if axis in axes)
    if ordered == axes:
        return data, axes
    if not isinstance(data, np.ndarray):
        import dask.array

        data = dask.array.asarray(data)  # type: ignore[no-untyped-call]
    return data.transpose([axes.index(axis) for axis in ordered]), ordered

"""Slices that are read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol, TypeAlias, overload, runtime_checkable

import numpy as np
import numpy.typing as npt

from .holes import written_planes
from .stack import Stack


class LazyPlanes:
    """What an array of slices is asked for; none of them is kept.

    Parameters
    ----------
    shape : tuple of int
        (N, Y, X), or (N, C, Y, X).
    dtype : dtype
    read : callable
        Returns a slice, shape (Y, X) or (C, Y, X).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        read: Callable[[int], npt.NDArray[Any]],
    ) -> None:
        self.shape: Any = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._read = read

    @classmethod
    def of(cls, stack: Stack) -> LazyPlanes:
        """Return the slices of a stack; they have channels where it has an axis of them."""
        if "C" in stack.axes:
            shape: tuple[int, ...] = (stack.n_planes, stack.n_channels, *stack.plane_shape)
            return LazyPlanes(shape, stack.dtype, stack.plane)
        shape = (stack.n_planes, *stack.plane_shape)
        return LazyPlanes(shape, stack.dtype, lambda index: stack.plane(index)[0])

    def __len__(self) -> int:
        """Return the number of slices."""
        return int(self.shape[0])

    @overload
    def __getitem__(self, where: int) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, where: slice) -> npt.NDArray[Any]: ...
    def __getitem__(self, where: int | slice) -> npt.NDArray[Any]:
        """Read one slice, or several; these have one axis more."""
        if not isinstance(where, slice):
            return self._read(range(len(self))[where])
        chosen = range(len(self))[where]
        planes = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for plane, index in zip(planes, chosen, strict=True):
            plane[:] = self._read(index)
        return planes

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Read slice after slice."""
        return map(self._read, range(len(self)))


class LazyCodes(LazyPlanes):
    """Codes of slices, and what is known of them without reading them.

    Parameters
    ----------
    read : callable
        Returns the codes of a slice, shape (Y, X), uint8.
    counts : ndarray, shape (N, codes), integer
        How often a code is on a slice.
    plane_shape : tuple of int
        Height and width.

    Attributes
    ----------
    counts : ndarray, shape (N, codes), integer
    """

    def __init__(
        self,
        read: Callable[[int], npt.NDArray[np.uint8]],
        counts: npt.NDArray[np.integer],
        plane_shape: tuple[int, int],
    ) -> None:
        super().__init__((len(counts), *plane_shape), np.uint8, read)
        self.counts = counts

    def only(self, planes: Collection[int]) -> LazyCodes:
        """Return these codes with nothing labelled on other slices."""
        kept = np.zeros(len(self), bool)
        kept[list(planes)] = True
        counts = self.counts * kept[:, None]
        counts[~kept, 0] = math.prod(self.shape[1:])
        nothing = np.broadcast_to(np.uint8(0), self.shape[1:])
        return LazyCodes(lambda i: self[i] if kept[i] else nothing, counts, self.shape[1:])


#: Codes in memory, mapped, or read slice by slice; shape (N, Y, X).
Codes: TypeAlias = npt.NDArray[np.uint8] | LazyCodes

#: Ids of objects likewise, uint32.
Ids: TypeAlias = npt.NDArray[np.uint32] | LazyPlanes


@runtime_checkable
class SparseCodes(Protocol):
    """Codes of slices that change, and know where any may be."""

    def planes(self) -> list[int]:
        """Return the slices on which there may be something; others need not be read."""

    def __getitem__(self, planes: int) -> npt.NDArray[np.uint8]: ...


def annotated_slices(codes: Codes | SparseCodes) -> list[int]:
    """Return the slices on which anything is labelled."""
    if isinstance(codes, LazyCodes):
        return np.flatnonzero(codes.counts[:, 1:].any(axis=1)).tolist()
    maybe = codes.planes() if isinstance(codes, SparseCodes) else written_planes(codes)
    return [index for index in maybe if codes[index].any()]


def code_counts(codes: Codes) -> npt.NDArray[np.integer]:
    """Count the codes on each slice.

    Returns
    -------
    ndarray, shape (N, codes), integer
        There may be fewer columns than classes; what is unlabelled is not always counted.
    """
    if isinstance(codes, LazyCodes):
        return codes.counts
    counts = np.zeros((len(codes), 256), np.int64)
    for index in annotated_slices(codes):
        counts[index] = np.bincount(codes[index].ravel(), minlength=256)
    return counts


def recoded(codes: Codes, table: npt.NDArray[np.uint8]) -> LazyCodes:
    """Return codes with other numbers.

    Parameters
    ----------
    table : ndarray, shape (256,), uint8
        What each code becomes; 0 stays 0.
    """
    before = code_counts(codes)
    counts = np.zeros((len(codes), int(table.max()) + 1), np.int64)
    for code in range(1, before.shape[1]):
        counts[:, table[code]] += before[:, code]
    return LazyCodes(lambda index: table[codes[index]], counts, codes.shape[1:])

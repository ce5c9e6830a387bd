"""Features of some pixels of a slice, computed around these alone."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .filter_bank import TRUNCATE, WINDOW, Bank, Image, eigenvalues, n_per_scale
from .threads import parts_pool

Ints = npt.NDArray[np.int64]

#: Sides of squares that pixels may be gathered in.
_SIDES = (8, 16, 32, 64)

#: Pixels of squares, and what lies around them, that are computed at once; these stay in the cache.
_CHUNK_PX = 2**17


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares of one side that pixels lie in.

    Attributes
    ----------
    side : int
        In px.
    top, left : ndarray, shape (n,), int64
        Their first rows and columns; these may lie outside of the image.
    of : ndarray, shape (pixels,), int64
        Which square a pixel lies in.
    """

    side: int
    top: Ints
    left: Ints
    of: Ints

    def cost_px(self, bank: Bank) -> int:
        """Return of about how many pixels features are computed."""
        return len(self.top) * (self.side + _margin(max(bank.sigmas_px, default=0.0), bank)) ** 2


def squares_around(y: Ints, x: Ints, bank: Bank) -> Squares:
    """Return squares that hold all pixels, of the side that is the least work.

    Parameters
    ----------
    y, x : ndarray, shape (pixels,), int64
        In the order of rows.
    """
    return min((_squares(y, x, side) for side in _SIDES), key=lambda found: found.cost_px(bank))


def _squares(y: Ints, x: Ints, side: int) -> Squares:
    """Take bands of rows from the first pixel on, and in each band squares likewise."""
    of = np.empty(len(y), np.int64)
    top: list[int] = []
    left: list[int] = []
    start = 0
    while start < len(y):
        stop = int(np.searchsorted(y, y[start] + side))
        order = np.argsort(x[start:stop], kind="stable")
        columns = x[start:stop][order]
        first = 0
        while first < len(columns):
            last = int(np.searchsorted(columns, columns[first] + side))
            of[start + order[first:last]] = len(top)
            top.append(int(y[start]))
            left.append(int(columns[first]))
            first = last
        start = stop
    return Squares(side, np.array(top, np.int64), np.array(left, np.int64), of)


def features_at(pixels: npt.NDArray[Any], y: Ints, x: Ints, squares: Squares, bank: Bank) -> Image:
    """Return what `filter_bank` says of some pixels of a slice, to the last bit.

    Parameters
    ----------
    pixels : ndarray, shape (C, Y, X)
    y, x : ndarray, shape (n,), int64
        In the order of rows.
    squares : Squares
        As `squares_around` returned them.

    Returns
    -------
    ndarray, shape (n, F), float32
    """
    per_scale = n_per_scale(bank, 2)
    out = np.empty((len(y), len(pixels) * (1 + len(bank.sigmas_px) * per_scale)), np.float32)
    tasks: list[Future[None]] = []
    order = np.argsort(squares.of, kind="stable")
    at = 0
    for channel in pixels:
        image = np.asarray(channel, np.float32)
        out[:, at] = image[y, x]
        at += 1
        for sigma in bank.sigmas_px:
            columns = out[:, at : at + per_scale]
            around = _Around(image, _margin(sigma, bank), squares)
            for chosen in around.chunks():
                first, last = np.searchsorted(squares.of, (chosen[0], chosen[-1] + 1), sorter=order)
                here = _Pixels.of_squares(squares, chosen, order[first:last], y, x)
                tasks.append(parts_pool().submit(_fill, columns, around, here, sigma, bank))
            at += per_scale
    for task in tasks:
        task.result()
    return out


class _Around:
    """Squares of an image with a margin, which is mirrored beyond the image."""

    def __init__(self, image: Image, margin: int, squares: Squares) -> None:
        self.margin, self.squares, self.shape = margin, squares, image.shape
        self.width = squares.side + 2 * margin
        padded = np.pad(image, (margin, margin + squares.side), mode="symmetric")
        self._windows = np.lib.stride_tricks.sliding_window_view(padded, (self.width, self.width))

    def chunks(self) -> list[Ints]:
        """Return numbers of squares, as many at a time as are to be computed at once."""
        n = max(1, _CHUNK_PX // self.width**2)
        return np.split(np.arange(len(self.squares.top)), range(n, len(self.squares.top), n))

    def read(self, chosen: Ints) -> Image:
        """Return squares with their margins, shape (n, width, width)."""
        return self._windows[self.squares.top[chosen], self.squares.left[chosen]]

    def turned(self, chosen: Ints, margin: int) -> Image:
        """Return −1 where one axis is mirrored and the other is not, else 1; (n, width, width)."""
        offsets = np.arange(-margin, self.squares.side + margin)
        corners = (self.squares.top[chosen], self.squares.left[chosen])
        rows, columns = (
            ((corner[:, None] + offsets) // length) % 2
            for corner, length in zip(corners, self.shape, strict=True)
        )
        return np.where(rows[:, :, None] == columns[:, None, :], np.float32(1), np.float32(-1))


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Pixels in some of the squares: their rows in the table, and where they are.

    Attributes
    ----------
    squares : ndarray
        Numbers of the squares.
    rows, of, y, x : ndarray, shape (n,)
        Of each pixel its row in the table, which of `squares` it is in, and where there.
    """

    squares: Ints
    rows: Ints
    of: Ints
    y: Ints
    x: Ints

    @classmethod
    def of_squares(cls, squares: Squares, chosen: Ints, rows: Ints, y: Ints, x: Ints) -> _Pixels:
        of = squares.of[rows]
        return cls(
            chosen, rows, of - chosen[0], y[rows] - squares.top[of], x[rows] - squares.left[of]
        )


def _fill(out: Image, around: _Around, pixels: _Pixels, sigma_px: float, bank: Bank) -> None:
    """Compute features of pixels in some squares at one scale into `out`, shape (all pixels, f)."""
    side = around.squares.side
    rest = iter(range(out.shape[1]))

    def put(found: Image) -> None:
        beside = (found.shape[1] - side) // 2
        out[pixels.rows, next(rest)] = found[pixels.of, pixels.y + beside, pixels.x + beside]

    smooth = _gaussian(around.read(pixels.squares), sigma_px)
    half = np.float32(0.5)
    down = (smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1]) * half
    right = (smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2]) * half
    put(smooth)
    if bank.edges:
        put(np.sqrt(down * down + right * right))
    if bank.edges or bank.lines:
        middle = smooth[:, 1:-1, 1:-1]
        bends = [
            smooth[:, 2:, 1:-1] + smooth[:, :-2, 1:-1] - middle - middle,
            smooth[:, 1:-1, 2:] + smooth[:, 1:-1, :-2] - middle - middle,
        ]
        if bank.edges:
            put(bends[0] + bends[1])
        if bank.lines:
            mixed = (right[:, 2:, 1:-1] - right[:, :-2, 1:-1]) * half
            for value in eigenvalues([bend[:, 1:-1, 1:-1] for bend in bends], [mixed]):
                put(value)
    if bank.texture:
        window = WINDOW * sigma_px
        mixed = down * right * around.turned(pixels.squares, (down.shape[1] - side) // 2)
        diagonal = [_gaussian(slope * slope, window) for slope in (down, right)]
        for value in eigenvalues(diagonal, [_gaussian(mixed, window)]):
            put(value)


def _gaussian(images: Image, sigma_px: float) -> Image:
    """Smooth images, shape (n, y, x), and cut off what depends on what lies beyond them."""
    reach = int(TRUNCATE * sigma_px + 0.5)
    for axis in (1, 2):
        images = ndimage.gaussian_filter1d(images, sigma_px, axis, truncate=TRUNCATE)
        if reach:
            images = images[(slice(None),) * axis + (slice(reach, -reach),)]
    return images


def _margin(sigma_px: float, bank: Bank) -> int:
    """Return how far features look, in px."""
    window = int(TRUNCATE * WINDOW * sigma_px + 0.5) if bank.texture else 0
    return int(TRUNCATE * sigma_px + 0.5) + window + 2

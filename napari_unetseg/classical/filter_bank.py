"""What a pixel's surroundings look like: edges, lines and texture at several scales."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .step import View
from .threads import parts_pool

Image = npt.NDArray[np.float32]

#: Gaussians end at this many standard deviations.
TRUNCATE = 3.0

#: The window of the structure tensor, in standard deviations of the Gaussian before it.
WINDOW = 1.0

_TINY = np.finfo(np.float32).tiny

#: Pixels whose features are computed at once: 4 M, and half a gigabyte at 30 features.
_BLOCK_PX = 2**22


@dataclass(frozen=True, slots=True)
class Bank:
    """Which filters there are.

    Attributes
    ----------
    sigmas_px : tuple of float
        Scales: standard deviations of Gaussians, in px of Y and X.
    edges : bool
        The magnitude of the gradient, and the Laplacian.
    lines : bool
        Eigenvalues of the Hessian, the smallest first: dark and bright lines and spots.
    texture : bool
        Eigenvalues of the structure tensor, the smallest first: how strong edges nearby are, and
        whether they run one way.
    """

    sigmas_px: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    edges: bool = True
    lines: bool = True
    texture: bool = True

    def n_features(self, view: View) -> int:
        """Return how many features a pixel has."""
        return len(view.pixels) * (1 + len(self.sigmas_px) * n_per_scale(self, view.ndim))


def n_per_scale(bank: Bank, ndim: int) -> int:
    """Return how many features of a pixel are of one scale."""
    return 1 + 2 * bank.edges + ndim * bank.lines + ndim * bank.texture


def filter_bank(view: View, bank: Bank) -> Image:
    """Return the features of every pixel.

    Parameters
    ----------
    view : View
        A slice, or a volume; its lengths along Z are those of its voxels.

    Returns
    -------
    ndarray, shape (F, Y, X) or (F, Z, Y, X), float32
        Of each channel the pixel itself, then for every scale the smoothed pixel, the magnitude of
        the gradient, the Laplacian, eigenvalues of the Hessian, and of the structure tensor.
        Derivatives are central differences per px of Y and X; images are mirrored at borders.
    """
    out = np.empty((bank.n_features(view), *view.shape), np.float32)
    per_channel = len(out) // view.pixels.shape[0]
    per_scale = (per_channel - 1) // len(bank.sigmas_px) if bank.sigmas_px else 0
    tasks = []
    for c, channel in enumerate(view.pixels):
        first = c * per_channel
        out[first] = channel
        for sigma in sorted(bank.sigmas_px, reverse=True):
            start = first + 1 + bank.sigmas_px.index(sigma) * per_scale
            rows = out[start : start + per_scale]
            tasks.append(parts_pool().submit(_fill, rows, out[first], view, sigma, bank))
    for task in tasks:
        task.result()
    return out


def in_blocks(view: View, bank: Bank, n_px: int = _BLOCK_PX) -> Iterator[tuple[slice, View, slice]]:
    """Cut a view along its first axis into parts whose features fit into memory.

    Yields
    ------
    part : slice
        Along the view's first axis.
    around : View
        The part with as much beside it as its features depend on.
    inner : slice
        Where the part is in `around`.
    """
    length = view.shape[0]
    margin = _margin(view, bank)
    thickness = max(1, n_px // max(1, math.prod(view.shape[1:])))
    if thickness < length:
        thickness = max(thickness, margin // 2)
    for start in range(0, length, thickness):
        stop = min(length, start + thickness)
        first, last = max(0, start - margin), min(length, stop + margin)
        around = replace(
            view,
            pixels=view.pixels[:, first:last],
            strokes=None if view.strokes is None else view.strokes[first:last],
            probabilities=None,
        )
        yield slice(start, stop), around, slice(start - first, stop - first)


def _margin(view: View, bank: Bank) -> int:
    """Return how far features look along the first axis, in its steps."""
    sigma = view.per_axis(max(bank.sigmas_px, default=0.0))[0]
    looks = int(TRUNCATE * sigma + 0.5)
    return looks + (int(TRUNCATE * WINDOW * sigma + 0.5) if bank.texture else 0) + 2


def _fill(out: Image, channel: Image, view: View, sigma_px: float, bank: Bank) -> None:
    """Compute the features of one channel at one scale into `out`, shape (f, …)."""
    steps = view.per_axis(1.0)
    smooth, rest = out[0], iter(out[1:])
    _gaussian(channel, view.per_axis(sigma_px), smooth)
    gradient = [_first(smooth, axis, steps[axis]) for axis in range(view.ndim)]
    if bank.edges:
        np.sqrt(sum(d * d for d in gradient), out=next(rest))
    if bank.edges or bank.lines:
        diagonal = [_second(smooth, axis, steps[axis]) for axis in range(view.ndim)]
        if bank.edges:
            np.copyto(next(rest), sum(diagonal))
        if bank.lines:
            mixed = [_first(gradient[b], a, steps[a]) for a, b in _pairs(view.ndim)]
            for value in eigenvalues(diagonal, mixed):
                np.copyto(next(rest), value)
    if bank.texture:
        window = view.per_axis(WINDOW * sigma_px)
        diagonal = [_gaussian(d * d, window) for d in gradient]
        mixed = [_gaussian(gradient[a] * gradient[b], window) for a, b in _pairs(view.ndim)]
        for value in eigenvalues(diagonal, mixed):
            np.copyto(next(rest), value)


def _pairs(ndim: int) -> tuple[tuple[int, int], ...]:
    return ((0, 1),) if ndim == 2 else ((0, 1), (0, 2), (1, 2))


def _gaussian(image: Image, sigmas: tuple[float, ...], out: Image | None = None) -> Image:
    found: Image = ndimage.gaussian_filter(
        image, sigmas, mode="reflect", truncate=TRUNCATE, output=np.float32 if out is None else out
    )
    return found


def _first(image: Image, axis: int, step: float) -> Image:
    """Return central differences along an axis; `step` is how many of its steps make a px."""
    out = np.zeros_like(image)
    if image.shape[axis] > 1:
        to, of = np.moveaxis(out, axis, 0), np.moveaxis(image, axis, 0)
        np.subtract(of[2:], of[:-2], out=to[1:-1])
        np.subtract(of[1], of[0], out=to[0])
        np.subtract(of[-1], of[-2], out=to[-1])
        out *= np.float32(step / 2)
    return out


def _second(image: Image, axis: int, step: float) -> Image:
    """Return second differences along an axis."""
    out = np.zeros_like(image)
    if image.shape[axis] > 1:
        to, of = np.moveaxis(out, axis, 0), np.moveaxis(image, axis, 0)
        np.add(of[2:], of[:-2], out=to[1:-1])
        np.add(of[1], of[0], out=to[0])
        np.add(of[-1], of[-2], out=to[-1])
        to -= of
        to -= of
        out *= np.float32(step * step)
    return out


def eigenvalues(diagonal: list[Image], mixed: list[Image]) -> list[Image]:
    """Return the eigenvalues of a symmetric matrix at every pixel, the smallest first.

    In closed form; a hundred times as fast as `numpy.linalg.eigvalsh` on small matrices.

    Parameters
    ----------
    diagonal : list of 2 or 3 ndarray
    mixed : list of 1 or 3 ndarray
        At (0, 1); or at (0, 1), (0, 2) and (1, 2).

    References
    ----------
    O. K. Smith, "Eigenvalues of a symmetric 3 × 3 matrix", Communications of the ACM 4 (1961) 168.
    """
    if len(diagonal) == 2:
        middle = (diagonal[0] + diagonal[1]) * np.float32(0.5)
        half = (diagonal[0] - diagonal[1]) * np.float32(0.5)
        half *= half
        half += mixed[0] * mixed[0]
        np.sqrt(half, out=half)
        return [middle - half, middle + half]
    mean: Image = sum(diagonal) / np.float32(3)  # type: ignore[assignment]
    entries = [*(value - mean for value in diagonal), *mixed]
    norm = sum(value * value for value in entries[:3]) + 2 * sum(value * value for value in mixed)
    spread = np.sqrt(norm / np.float32(6))
    # Of a matrix of spread 1, so that no product overflows.
    a, b, c, d, e, f = (value / np.maximum(spread, _TINY) for value in entries)
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    angle = np.arccos(np.clip(determinant / 2, -1, 1)) / np.float32(3)
    largest = mean + 2 * spread * np.cos(angle)
    smallest = mean + 2 * spread * np.cos(angle + np.float32(2 * np.pi / 3))
    return [smallest, 3 * mean - largest - smallest, largest]

"""Random walker: each pixel takes the class of the stroke that a wanderer from it meets first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_unetseg.config import BACKGROUND, Config

from .channels import unit_channels
from .step import IN_3D, SMOOTHING, Codes, Method, View

Field32 = npt.NDArray[np.float32]

#: No edge is quite impassable; an even image has edges of weight 1.
_LEAST_WEIGHT = 1e-6

#: The residual that is left, as a share of what it was without a first guess.
_TOLERANCE = 3e-4
_MOST_STEPS = 2000

#: Images no longer than this are not halved for a first guess, in px.
_COARSEST_PX = 32


class RandomWalkerParams(Config):
    """Parameters of the random walker."""

    beta: float = Field(
        3000.0,
        ge=0,
        le=10_000_000,
        description="how much edges hold up what spreads from strokes; higher: borders keep to "
        "faint edges, too; lower: they run smoothly, halfway between strokes",
    )
    sigma_px: float = Field(0.0, ge=0, le=50, description=SMOOTHING)
    in_3d: bool = Field(False, description=IN_3D)


class RandomWalker(Method[RandomWalkerParams]):
    """Each pixel goes to the class whose strokes a random walk that shuns edges reaches first.

    Background is walked to like a class. Where there are strokes of one class alone, what is
    painted stays, and nothing else is answered. The probabilities of the walk can be asked for.

    References
    ----------
    L. Grady, "Random walks for image segmentation", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 28 (2006) 1768–1783; the linear system is solved from coarse to fine: F. A.
    Bornemann and P. Deuflhard, "The cascadic multigrid method for elliptic problems", Numerische
    Mathematik 75 (1996) 135–152.
    """

    name: ClassVar[str] = "random_walker"
    title: ClassVar[str] = "Random walker"
    family: ClassVar[str] = "Regions"
    summary: ClassVar[str] = "Spreads your strokes along even areas, and across gaps in edges."
    good_for: ClassVar[str] = (
        "Structures whose outlines are weak or broken in places: a stroke in each, and outside."
    )
    params = RandomWalkerParams
    needs_strokes: ClassVar[bool] = True
    is_slow: ClassVar[bool] = True

    def n_codes_needed(self, params: RandomWalkerParams) -> int:
        """Need two to find a border between them."""
        return 2

    def segment(self, view: View, params: RandomWalkerParams, prepared: Any = None) -> Codes:
        """Return the most probable class of each pixel."""
        strokes = np.zeros(view.shape, np.uint8) if view.strokes is None else view.strokes
        present = np.unique(strokes[strokes > 0])
        if len(present) < 2:
            return strokes.copy()
        reached = _walk(view, strokes, present, params)
        return np.asarray(present[np.argmax(reached, axis=0)], np.uint8)

    def probabilities(
        self, view: View, params: RandomWalkerParams, prepared: Any = None
    ) -> Field32 | None:
        """Return with which probability a walk ends in background and each class."""
        strokes = view.strokes
        if strokes is None or not strokes.any():
            return None
        present = np.unique(strokes[strokes > 0])
        told = np.zeros((max(2, int(present[-1])), *view.shape), np.float32)
        told[present.astype(int) - BACKGROUND] = _walk(view, strokes, present, params)
        return told

    def grid(self, views: Sequence[View]) -> Iterator[RandomWalkerParams]:
        """Try how much edges count, and smoothings."""
        for sigma in (0.0, 1.0):
            for beta in (130, 1000, 3000, 10_000):
                yield RandomWalkerParams(beta=beta, sigma_px=sigma)


def _walk(view: View, strokes: Codes, present: Codes, params: RandomWalkerParams) -> Field32:
    """Return the probability of each class present, shape (classes, …)."""
    channels = unit_channels(view, params.sigma_px)
    steps_px = view.per_axis(1.0)
    # As in scikit-image, so that beta means the same: β / (10 · standard deviation) · difference².
    spread = 10 * float(channels.std()) * np.sqrt(len(channels))
    per_square = params.beta / spread if spread > 0 else 0.0
    return walk(channels, strokes, present, per_square, steps_px)


def walk(
    channels: Field32,
    strokes: Codes,
    present: Codes,
    per_square: float,
    steps_px: Sequence[float],
) -> Field32:
    """Solve for the probabilities that random walks end on strokes of each code.

    Parameters
    ----------
    channels : ndarray, shape (C, …), float32
    strokes : ndarray, shape without C, uint8
    present : ndarray, shape (K,), uint8
        The codes in `strokes`.
    per_square : float
        An edge's weight is exp(−`per_square` · difference²), differences being per px.
    steps_px : sequence of float
        1 / length of a step along each axis, in px.

    Returns
    -------
    ndarray, shape (K, …), float32
        In [0, 1]; they add up to 1.
    """
    guess = _guess(channels, strokes, present, per_square, steps_px)
    system = _System.of(channels, strokes > 0, per_square, steps_px)
    reached = np.empty((len(present), *strokes.shape), np.float32)
    for k, code in enumerate(present[1:], start=1):
        reached[k] = system.solve((strokes == code).astype(np.float32), guess[k])
    np.clip(reached[1:], 0, 1, out=reached[1:])
    reached[0] = np.clip(1 - reached[1:].sum(axis=0), 0, 1)
    return np.asarray(reached / reached.sum(axis=0))


def _guess(
    channels: Field32,
    strokes: Codes,
    present: Codes,
    per_square: float,
    steps_px: Sequence[float],
) -> Field32:
    """Return the probabilities at half the resolution, at full size."""
    shape = strokes.shape
    halved = [axis for axis, length in enumerate(shape) if axis >= len(shape) - 2 and length > 1]
    if max(shape) <= _COARSEST_PX or not halved:
        return np.full((len(present), *shape), 1 / len(present), np.float32)
    coarse, seeds = channels, strokes
    coarse_steps = list(steps_px)
    for axis in halved:
        coarse = _pairs(coarse, axis + 1).mean(axis=axis + 2, dtype=np.float32)
        seeds = _pairs(seeds, axis).max(axis=axis + 1)
        coarse_steps[axis] /= 2
    found = walk(coarse, seeds, present, per_square, coarse_steps)
    for axis in halved:
        found = np.repeat(found, 2, axis=axis + 1)
    return np.ascontiguousarray(found[(slice(None), *(slice(length) for length in shape))])


def _pairs(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """Return neighbours along an axis side by side on an axis of their own, the last repeated."""
    length = array.shape[axis]
    around = [(0, length % 2) if i == axis else (0, 0) for i in range(array.ndim)]
    padded = np.pad(array, around, mode="edge")
    return padded.reshape(*array.shape[:axis], -1, 2, *array.shape[axis + 1 :])


@dataclass(frozen=True, slots=True)
class _System:
    """The Laplacian of an image's graph, with what is known on seeds.

    Attributes
    ----------
    weights : tuple of ndarray
        Of the edges along each axis, one shorter than the image along it.
    degrees : ndarray
        Sum of the weights of a pixel's edges.
    is_free : ndarray, float32
        1 where a value is looked for, 0 on seeds.
    """

    weights: tuple[Field32, ...]
    degrees: Field32
    is_free: Field32

    @classmethod
    def of(
        cls,
        channels: Field32,
        is_seed: npt.NDArray[np.bool_],
        per_square: float,
        steps_px: Sequence[float],
    ) -> _System:
        weights = []
        degrees = np.zeros(is_seed.shape, np.float32)
        for axis, step in enumerate(steps_px):
            square = (np.diff(channels, axis=axis + 1) ** 2).sum(axis=0)
            weight = np.exp(-per_square * step**2 * square, dtype=np.float32) + np.float32(
                _LEAST_WEIGHT
            )
            weights.append(weight)
            along = np.moveaxis(degrees, axis, 0)
            along[:-1] += np.moveaxis(weight, axis, 0)
            along[1:] += np.moveaxis(weight, axis, 0)
        return cls(
            tuple(weights), np.maximum(degrees, _LEAST_WEIGHT), (~is_seed).astype(np.float32)
        )

    def solve(self, known: Field32, guess: Field32) -> Field32:
        """Return values that are `known` on seeds and the mean of their neighbours elsewhere.

        Conjugate gradients with Jacobi's preconditioner, from a first guess.
        """
        outside = -self._apply(known) * self.is_free
        goal = _TOLERANCE * float(np.linalg.norm(outside.ravel()))
        x = guess * self.is_free
        residual = outside - self._apply(x) * self.is_free
        inverse = self.is_free / self.degrees
        direction = inverse * residual
        power = _dot(residual, direction)
        for _ in range(_MOST_STEPS):
            if np.sqrt(_dot(residual, residual)) <= goal or power == 0:
                break
            applied = self._apply(direction)
            applied *= self.is_free
            curved = _dot(direction, applied)
            if curved <= 0:  # no more is to be had from numbers of 32 bits
                break
            length = np.float32(power / curved)
            x += length * direction
            residual -= length * applied
            preconditioned = inverse * residual
            power, last = _dot(residual, preconditioned), power
            direction *= np.float32(power / last)
            direction += preconditioned
        return np.asarray(x + known)

    def _apply(self, x: Field32) -> Field32:
        """Return the Laplacian of `x`."""
        y = self.degrees * x
        for axis, weight in enumerate(self.weights):
            out, values = np.moveaxis(y, axis, 0), np.moveaxis(x, axis, 0)
            along = np.moveaxis(weight, axis, 0)
            out[:-1] -= along * values[1:]
            out[1:] -= along * values[:-1]
        return y


def _dot(a: Field32, b: Field32) -> float:
    return float(np.dot(a.ravel(), b.ravel()))


RANDOM_WALKER = RandomWalker()

"""Where `evaluate` gets probabilities from: files or an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, open_stack, pair_inputs
from napari_unetseg.wording import counted

from .precision_recall import PrecisionRecall
from .sources import LabelSource, Pair, inputs_of


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Probabilities of one image.

    Attributes
    ----------
    name : str
        For messages.
    open : callable
        Returns the stack: one channel per class, background first; or one of class 1, where
        there are no others.
    """

    name: str
    open: Callable[[], Stack]


def read_probabilities(source: LabelSource, pairs: Sequence[Pair]) -> list[Probabilities]:
    """Find the probabilities of each pair.

    Parameters
    ----------
    source : path, sequence of paths, or ndarray of shape (K, Y, X) or (N, K, Y, X)
    pairs : sequence of Pair

    Raises
    ------
    UserError
        If there are more or fewer than pairs.
    """
    if isinstance(source, np.ndarray):
        if source.ndim not in (3, 4):
            raise UserError(
                f"The probabilities are an array of shape {source.shape}; they are "
                "(slices, classes, Y, X), or (classes, Y, X) of one slice."
            )
        planes = source.reshape(-1, *source.shape[-3:])
        # A stack has its channels before Z; T is as good for slices.
        named = tuple(str(k) for k in range(planes.shape[1]))
        stack = Stack(planes, "TCYX", channels=named)
        return [Probabilities("The array of probabilities", lambda: stack)]
    found = inputs_of(source)
    if len(found) == len(pairs) == 1:
        paths = found
    else:
        by_prediction = pair_inputs(inputs_of([pair.names[0] for pair in pairs]), found)
        paths = [path for _, path in by_prediction]
    return [Probabilities(str(path), _opener(path)) for path in paths]


def _opener(path: Any) -> Callable[[], Stack]:
    return lambda: open_stack(path)


class ProbabilityCounts:
    """Counts the probabilities of a pair, slice by slice, into curves.

    Parameters
    ----------
    counts : PrecisionRecall
    probabilities : Probabilities
    pair : Pair
    n_codes : int
        Classes that the truth has, background included.

    Raises
    ------
    UserError
        If shapes or the number of channels do not fit.
    """

    def __init__(
        self, counts: PrecisionRecall, probabilities: Probabilities, pair: Pair, n_codes: int
    ) -> None:
        self._counts = counts
        self._name = probabilities.name
        self._stack = stack = probabilities.open()
        shapes = pair.predicted.labels.shape, pair.truth.labels.shape
        fits = (stack.n_planes, *stack.plane_shape) in shapes
        if not fits:
            raise UserError(
                f"{self._name} has {counted(stack.n_planes, 'slice')} of {stack.plane_shape[0]} × "
                f"{stack.plane_shape[1]} px, and {pair.names[0]} {shapes[0][0]} of {shapes[0][1]} "
                f"× {shapes[0][2]} px; probabilities need the slices, height and width of the "
                "prediction."
            )
        self._follows_prediction = stack.n_planes == shapes[0][0]
        self._is_single = stack.n_channels == 1
        if stack.n_channels < (n_codes if n_codes > 2 or not self._is_single else 1):
            raise UserError(
                f"{self._name} has {counted(stack.n_channels, 'channel')} and the truth "
                f"{counted(n_codes, 'class', 'classes')}, background included; probabilities have "
                "one channel per class, background first."
            )

    def add(self, truth_codes: npt.NDArray[np.uint8], at: tuple[int, int]) -> None:
        """Count a slice, whose places in the prediction and in the truth are given."""
        planes = self._stack.plane(at[0] if self._follows_prediction else at[1])
        classes = [self._in_0_to_1(plane) for plane in planes]
        if self._is_single:
            classes = [1 - classes[0], classes[0]]
        for code, plane in enumerate(classes, start=1):
            self._counts.add(truth_codes, code, plane)

    def _in_0_to_1(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if plane.dtype in (np.uint8, np.uint16):
            return plane / np.float64(np.iinfo(plane.dtype).max)
        if plane.dtype.kind != "f" or not (plane.min() >= 0 and plane.max() <= 1):
            raise UserError(
                f"{self._name} holds {plane.dtype} values from {plane.min()} to {plane.max()}; "
                "probabilities go from 0 to 1, or to 255 or 65535 as whole numbers."
            )
        return plane

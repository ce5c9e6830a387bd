"""Find parameters of any method with which it agrees best with annotated pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, UNLABELLED, Config
from napari_unetseg.errors import UserError

from .fit import Spent, fit_baseline, search_grid, unhurried, with_defaults
from .mapping import N_CODES, best_mapping, contingency
from .method import LevelMethod
from .registry import find_method
from .step import Codes, Method, UseOfStrokes, View
from .threads import at_once
from .window import busiest_window

#: Views in parts of which candidates are compared first, and the side of these parts, in px.
_SEARCHED = 4
_WINDOW_PX = 320

#: Candidates that are then compared on whole views.
_FINALISTS = 3

#: Side of the squares of which every other is shown to methods that grow from strokes, in px.
_SHOWN_PX = 32


@dataclass(frozen=True, slots=True)
class Fit:
    """What a search has found.

    Attributes
    ----------
    params : Config
        The method's.
    mapping : dict of int to int, or None
        The method's answer → the annotations' code; None where they are the same.
    mean_iou : float
        On the annotations that it was fitted to, in [0, 1].
    px_s : float
        Seconds that it took to segment a pixel; 0 where that is not known.
    use_of_strokes : {'unused', 'used', 'needed'}
        Whether it looks at annotations once parameters are known.
    expected_iou : float
        As of `FittedBaseline`; 0 where that is not known.
    """

    params: Config
    mapping: dict[int, int] | None
    mean_iou: float
    px_s: float = 0.0
    use_of_strokes: UseOfStrokes = "unused"
    expected_iou: float = 0.0


def fit_method(
    name: str, views: Sequence[View], codes: Sequence[Codes], *, spent: Spent = unhurried
) -> Fit:
    """Search parameters and the meaning of the answers for the best mean IoU.

    Methods that grow from strokes are shown the annotations of every other square, and scored on
    the others. Methods with levels are fitted by `fit_baseline`.

    Parameters
    ----------
    name : str
        In ``METHODS``, of a method that answers classes, with some parameters at least.
    views : sequence of View
        Slices; their strokes are not looked at.
    codes : sequence of ndarray, each (Y, X), uint8
        Annotations of `views`: 0 unlabelled, 1 background, k + 1 class k.
    spent : callable
        How much of the time is used up; when all is, the best so far is returned.

    Raises
    ------
    UserError
        If no parameters suit the image.
    """
    method = find_method(name)
    if isinstance(method, LevelMethod):
        pixels = [view.pixels for view in views]
        found = fit_baseline(name, pixels, codes, spent=spent)
        expected = found.expected_iou
        return Fit(found.params, found.mapping, found.mean_iou, expected_iou=expected)
    return _Search(method, views, codes, spent).run()


def can_answer_classes(method: Method[Any]) -> bool:
    """Return whether what is searched answers classes, as superpixels do that strokes claim."""
    if method.answers == "classes":
        return True
    return any(method.answers_with(params) == "classes" for params in method.grid(()))


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A view, and the codes that answers to it are compared with."""

    view: View
    codes: Codes

    def window(self) -> _Piece:
        rows, columns = busiest_window(self.codes, _WINDOW_PX)
        inside = (..., rows, columns)
        strokes = None if self.view.strokes is None else self.view.strokes[inside]
        view = replace(self.view, pixels=self.view.pixels[inside], strokes=strokes)
        return _Piece(view, self.codes[inside])


class _Search:
    def __init__(
        self, method: Method[Any], views: Sequence[View], codes: Sequence[Codes], spent: Spent
    ) -> None:
        self._method = method
        self._spent = spent
        self._grid = with_defaults(method, views)
        if not self._grid:
            raise UserError(f"{method.title} sees volumes alone.")
        self._use = method.use_of_strokes(self._grid[0])
        self._fits: dict[Config, Fit] = {}
        self._shares: dict[Config, float] = {}
        self._pieces = [
            _shown(view, known) if self._use == "needed" else _Piece(view, known)
            for view, known in zip(views, codes, strict=True)
        ]
        ranked = sorted(
            range(len(codes)), key=lambda i: _n_classes(self._pieces[i].codes), reverse=True
        )
        self._windows = [self._pieces[i].window() for i in sorted(ranked[:_SEARCHED])]

    def run(self) -> Fit:
        """Compare all candidates in windows, and the best of them on everything."""
        if len(self._grid) == 1 and self._use == "needed":
            return Fit(self._grid[0], None, 0.0, use_of_strokes=self._use)
        scored = search_grid(self._grid, self._in_windows, self._spent)
        best = max(scored, key=lambda pair: pair[0])[1]
        if self._spent() < 1 and (finer := list(self._method.refine(best))):
            scored += search_grid(finer, self._in_windows, self._spent)
        scored.sort(key=lambda pair: -pair[0])
        return self._decided([params for _, params in scored[:_FINALISTS]])

    def _decided(self, ranked: Sequence[Config]) -> Fit:
        """Compare the best in windows on everything, as far as there is time for that."""
        times_larger = _area(self._pieces) / _area(self._windows)
        finalists = []
        for params in ranked:
            if self._spent() + self._shares[params] * times_larger >= 1:
                break
            finalists.append(self._fit(params, self._pieces))
        return max(finalists, key=lambda fit: fit.mean_iou, default=self._fits[ranked[0]])

    def _in_windows(self, params: Config) -> float:
        began = self._spent()
        fit = self._fits[params] = self._fit(params, self._windows)
        self._shares[params] = self._spent() - began
        return fit.mean_iou

    def _fit(self, params: Config, pieces: Sequence[_Piece]) -> Fit:
        try:
            table, seconds = self._table(params, pieces)
        except UserError:  # such as too few strokes in view; told when it is run, if it is
            return Fit(params, None, -1.0, use_of_strokes=self._use)
        px_s = seconds / _area(pieces)
        if self._use == "needed":
            return Fit(params, None, _mean_iou(table), px_s, self._use)
        mapping, mean_iou = best_mapping(table)
        return Fit(params, mapping, mean_iou, px_s, self._use)

    def _table(
        self, params: Config, pieces: Sequence[_Piece]
    ) -> tuple[npt.NDArray[np.int64], float]:
        """Return how often answers and annotations meet, and seconds to segment the pieces."""
        method, prepared = self._method, None
        if method.prepare_on(params) != "nothing":
            prepared = method.prepare([piece.view for piece in pieces], params)
        began = time.perf_counter()

        def of(piece: _Piece) -> npt.NDArray[np.int64]:
            answered = method.segment(piece.view, params, prepared)
            return contingency(np.asarray(answered, np.uint8), piece.codes)

        table: npt.NDArray[np.int64] = np.sum(at_once(of, pieces), axis=0)
        table[:, UNLABELLED] = 0
        return table, time.perf_counter() - began


def _shown(view: View, codes: Codes) -> _Piece:
    """Let a method see every other square of the annotations, and compare it in the others."""
    y, x = (np.arange(size) // _SHOWN_PX for size in codes.shape)
    seen = (y[:, np.newaxis] + x) % 2 == 0
    nothing = np.uint8(UNLABELLED)
    view = replace(view, strokes=np.where(seen, codes, nothing))
    return _Piece(view, np.where(seen, nothing, codes))


def _area(pieces: Sequence[_Piece]) -> int:
    return sum(piece.codes.size for piece in pieces)


def _n_classes(codes: Codes) -> tuple[int, int]:
    counts = np.bincount(codes.ravel(), minlength=N_CODES)[BACKGROUND:]
    return int(np.count_nonzero(counts)), int(counts.sum())


def _mean_iou(table: npt.NDArray[np.int64]) -> float:
    """Return the mean IoU of answers that are codes already, over the classes annotated."""
    hits = np.diagonal(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hits
    there = table.sum(axis=0) > 0
    return float((hits[there] / union[there]).mean()) if there.any() else 0.0

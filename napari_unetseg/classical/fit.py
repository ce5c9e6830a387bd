"""Find the parameters with which a classical method agrees best with annotated pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, UNLABELLED
from napari_unetseg.errors import UserError

from .grey import thinned
from .mapping import N_CODES, best_mapping, contingency, lookup
from .method import BaselineParams, LevelMethod, Levels
from .registry import find_method
from .step import Codes, Pixels, View
from .window import busiest_window

#: Annotated pixels of a plane that a candidate of a pixelwise method is scored on.
_SCORED_PX = 65536

#: Side of the part of a plane in which candidates of other methods are compared first, in px.
_WINDOW_PX = 320

#: Pixelss on which candidates are compared first; those with the most annotated classes and pixels.
_SEARCH_PLANES = 4

#: Candidates that are then compared on whole planes.
_FINALISTS = 12


@dataclass(frozen=True, slots=True)
class FittedBaseline:
    """A classical method with the parameters that annotated pixels speak for.

    Attributes
    ----------
    method : str
        A name in ``METHODS``.
    mapping : dict of int to int
        The method's answer (1, 2, …) → the annotations' code (1 background, k + 1 class k).
    levels : tuple of tuple of float, or of float, or None
        Levels shared by all slices, where ``params.per_slice`` is off.
    mean_iou : float
        On all annotated pixels given, in [0, 1].
    """

    method: str
    params: BaselineParams
    mapping: dict[int, int]
    mean_iou: float
    levels: Any = None

    def apply(self, plane: Pixels) -> Codes:
        """Segment a plane, shape (C, Y, X), into codes of the annotations, shape (Y, X)."""
        levels = None if self.levels is None else np.asarray(self.levels)
        answered = find_method(self.method).segment(View(plane), self.params, levels)
        return np.asarray(lookup(self.mapping)[answered])


def fit_baseline(
    method: str, planes: Sequence[Pixels], codes: Sequence[npt.NDArray[np.uint8]]
) -> FittedBaseline:
    """Search parameters, polarity and the meaning of the answers for the best mean IoU.

    Parameters
    ----------
    method : str
        A name in ``METHODS``.
    planes : sequence of ndarray, each (C, Y, X)
    codes : sequence of ndarray, each (Y, X), uint8
        Annotations of `planes`: 0 unlabelled, 1 background, k + 1 class k.

    Returns
    -------
    FittedBaseline

    Raises
    ------
    UserError
        If no method has that name, or fewer than two classes are annotated.
    """
    found = find_method(method)
    if not isinstance(found, LevelMethod):
        raise UserError(f"{found.title} has no parameters that can be searched.")
    n_px = np.zeros(N_CODES, np.int64)
    for annotated in codes:
        n_px += np.bincount(annotated.ravel(), minlength=N_CODES)
    if np.count_nonzero(n_px[BACKGROUND:]) < 2:
        raise UserError(
            "Fitting a baseline needs annotations of at least two classes (background is one); "
            f"got {np.count_nonzero(n_px[BACKGROUND:])}."
        )
    labelled = [i for i, annotated in enumerate(codes) if annotated.any()]
    views = [View(planes[i]) for i in labelled]
    search = _Search(found, views, [codes[i] for i in labelled])
    return search.run()


class _Search:
    """A search over one method's parameters: coarse on parts of planes, then on all of them."""

    def __init__(
        self,
        method: LevelMethod[Any],
        views: list[View],
        codes: list[npt.NDArray[np.uint8]],
    ) -> None:
        self._method = method
        self._views = views
        self._codes = codes
        ranked = sorted(
            range(len(views)),
            key=lambda i: (-len(np.unique(codes[i])), -np.count_nonzero(codes[i])),
        )
        self._searched = sorted(ranked[:_SEARCH_PLANES])
        self._parts = {i: _part_to_score(codes[i], method.pixelwise) for i in self._searched}
        self._key: tuple[object, ...] | None = None
        self._features: dict[int, Pixels] = {}
        self._thinned: dict[int, Pixels] = {}

    def run(self) -> FittedBaseline:
        """Compare all candidates on parts, then the best of them on everything."""
        grid = list(self._method.grid([self._views[i] for i in self._searched]))
        scored = [(self._score_part(params), params) for params in grid]
        best = max(scored, key=lambda pair: pair[0])[1]
        scored += [(self._score_part(params), params) for params in self._method.refine(best)]
        scored.sort(key=lambda pair: -pair[0])
        finalists = [self._fit(params) for _, params in scored[:_FINALISTS]]
        return max(finalists, key=lambda fitted: fitted.mean_iou)

    def _score_part(self, params: BaselineParams) -> float:
        self._prepare(params)
        shared = self._shared_levels(params)
        table = np.zeros((N_CODES, N_CODES), np.int64)
        for i, (where, codes) in self._parts.items():
            levels = self._levels(i, params) if shared is None else shared
            table += contingency(
                self._method.label(self._features[i][where], params, levels), codes
            )
        table[:, UNLABELLED] = 0
        return best_mapping(table)[1]

    def _prepare(self, params: BaselineParams) -> None:
        """Keep the features of the planes searched, until they are of other parameters."""
        key = self._method.feature_key(params)
        if key == self._key:
            return
        self._key = key
        self._features = {i: self._method.features(self._views[i], params) for i in self._searched}
        self._thinned = {i: thinned(features) for i, features in self._features.items()}

    def _levels(self, i: int, params: BaselineParams) -> Levels:
        return self._method.measure([self._thinned[i]], params)

    def _shared_levels(self, params: BaselineParams) -> Levels | None:
        if params.per_slice:
            return None
        return self._method.measure(list(self._thinned.values()), params)

    def _fit(self, params: BaselineParams) -> FittedBaseline:
        """Fit the meaning of the answers on every annotated pixel."""
        self._prepare(params)
        shared = self._shared_levels(params)
        table = np.zeros((N_CODES, N_CODES), np.int64)
        for view, codes in zip(self._views, self._codes, strict=True):
            features = self._method.features(view, params)
            levels = self._method.measure([features], params) if shared is None else shared
            table += contingency(self._method.label(features, params, levels), codes)
        table[:, UNLABELLED] = 0
        mapping, mean_iou = best_mapping(table)
        if self._method.is_mirrored and mapping == {1: 2, 2: 1}:
            other = "dark" if params.foreground == "bright" else "bright"
            params, mapping = params.replace(foreground=other), {1: 1, 2: 2}
            shared = self._shared_levels(params)
        levels_kept = None if shared is None else shared.tolist()
        return FittedBaseline(self._method.name, params, mapping, mean_iou, levels_kept)


def _part_to_score(codes: npt.NDArray[np.uint8], pixelwise: bool) -> tuple[Any, Codes]:
    """Return an index into features, (F, Y, X), and the annotations there."""
    if pixelwise:
        ys, xs = np.nonzero(codes)
        stride = max(1, ys.size // _SCORED_PX) | 1
        ys, xs = ys[::stride], xs[::stride]
        return (slice(None), ys, xs), codes[ys, xs]
    rows, columns = busiest_window(codes, _WINDOW_PX)
    return (slice(None), rows, columns), codes[rows, columns]

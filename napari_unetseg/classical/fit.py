"""Find the parameters with which a classical method agrees best with annotated pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND, UNLABELLED, Config
from napari_unetseg.errors import UserError

from .grey import thinned
from .mapping import N_CODES, best_mapping, contingency, lookup
from .method import BaselineParams, LevelMethod, Levels
from .registry import find_method
from .step import Codes, Method, Pixels, View
from .threads import at_once
from .window import busiest_window

#: Annotated pixels of a plane that a candidate of a pixelwise method is scored on.
_SCORED_PX = 65536

#: Side of the part of a plane in which candidates of other methods are compared first, in px.
_WINDOW_PX = 320

#: Side of the part of a plane that is looked at meanwhile, in px.
_SEEN_PX = 512

#: Planes on which candidates are compared first; those with the most annotated classes and pixels.
_SEARCH_PLANES = 4

#: Candidates that are then compared on whole planes.
_FINALISTS = 12

#: Share of the time for a search after which no more parameters are compared first.
_SEARCH_SHARE = 0.6

#: Share of it in which candidates are looked at that lie far apart, where not all can be.
_COARSE_SHARE = 0.4

#: Answers that methods have, at most.
_MOST_ANSWERS = 64

Table: TypeAlias = npt.NDArray[np.int64]

#: Returns how much of the time for a search is used up, 1 for all of it.
Spent: TypeAlias = Callable[[], float]

_T = TypeVar("_T")


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
    expected_iou : float
        Less what a search on some of them loses on the others: lower, the more the search fits what
        is peculiar to single slices, or to parts of one.
    """

    method: str
    params: Config
    mapping: dict[int, int]
    mean_iou: float
    levels: Any = None
    expected_iou: float = 0.0

    def apply(self, plane: Pixels) -> Codes:
        """Segment a plane, shape (C, Y, X), into codes of the annotations, shape (Y, X)."""
        levels = None if self.levels is None else np.asarray(self.levels)
        answered = find_method(self.method).segment(View(plane), self.params, levels)
        return np.asarray(lookup(self.mapping)[answered])


def unhurried() -> float:
    """Return that no time is used up, for searches that may take as long as they do."""
    return 0.0


def search_grid(
    grid: Sequence[_T], score: Callable[[_T], float], spent: Spent
) -> list[tuple[float, _T]]:
    """Score candidates, neighbours of which are alike.

    All where time allows; else every so many, as the first one's time tells, and then those
    around the best.

    Returns
    -------
    list of (score, candidate)
    """
    began = spent()
    scores = {0: score(grid[0])}
    step = max(1, math.ceil((spent() - began) * len(grid) / _COARSE_SHARE))

    def look_at(candidates: Iterable[int]) -> None:
        for i in candidates:
            if spent() >= _SEARCH_SHARE:
                return
            scores[i] = score(grid[i])

    look_at(range(step, len(grid), step))
    best = max(scores, key=lambda i: scores[i])
    beside = range(max(0, best - step + 1), min(len(grid), best + step))
    look_at(sorted(set(beside) - {best}, key=lambda i: abs(i - best)))
    return [(found, grid[i]) for i, found in scores.items()]


def fit_baseline(
    method: str,
    planes: Sequence[Pixels],
    codes: Sequence[npt.NDArray[np.uint8]],
    *,
    spent: Spent = unhurried,
) -> FittedBaseline:
    """Search parameters, polarity and the meaning of the answers for the best mean IoU.

    Parameters
    ----------
    method : str
        A name in ``METHODS``.
    planes : sequence of ndarray, each (C, Y, X)
    codes : sequence of ndarray, each (Y, X), uint8
        Annotations of `planes`: 0 unlabelled, 1 background, k + 1 class k.
    spent : callable
        How much of the time is used up; when all is, the best so far is returned.

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
    search = _Search(found, views, [codes[i] for i in labelled], spent)
    return search.run()


@dataclass(slots=True, eq=False)
class _Part:
    """A part of a plane in which candidates are compared first."""

    view: View
    #: Into features, (F, Y, X), of what candidates are scored on.
    where: Any
    codes: Codes
    features: Pixels
    thinned: Pixels


class _Search:
    """A search over one method's parameters: coarse on parts of planes, then on all of them."""

    def __init__(
        self,
        method: LevelMethod[Any],
        views: list[View],
        codes: list[npt.NDArray[np.uint8]],
        spent: Spent,
    ) -> None:
        self._method = method
        self._spent = spent
        self._views = views
        self._codes = codes
        ranked = sorted(
            range(len(views)),
            key=lambda i: (
                -np.count_nonzero(np.bincount(codes[i].ravel())),
                -np.count_nonzero(codes[i]),
            ),
        )
        self._parts = [self._part(i) for i in sorted(ranked[:_SEARCH_PLANES])]
        self._key: tuple[object, ...] | None = None
        self._found: dict[Config, FittedBaseline] = {}
        self._tables: list[list[Table]] = []

    def run(self) -> FittedBaseline:
        """Compare all candidates on parts, then the best of them on everything."""
        grid = with_defaults(self._method, [part.view for part in self._parts])
        scored = search_grid(grid, self._score_part, self._spent)
        best = max(scored, key=lambda pair: pair[0])[1]
        if self._spent() < 1 and (finer := list(self._method.refine(best))):
            scored += search_grid(finer, self._score_part, self._spent)
        scored.sort(key=lambda pair: -pair[0])
        found = self._decided([params for _, params in scored[:_FINALISTS]])
        # Parts are where most is annotated, and not the same for all methods: what a search comes
        # to there is compared with what it seemed to come to there.
        optimism = max(0.0, scored[0][0] - expected_iou(self._tables))
        return replace(found, expected_iou=found.mean_iou - optimism)

    def _decided(self, ranked: Sequence[Any]) -> FittedBaseline:
        """Compare the best on whole planes, as far as there is time for that."""
        finalists: list[FittedBaseline] = []
        share = 0.0
        for params in ranked:
            began = self._spent()
            if began + share >= 1:
                break
            finalists.append(self._fit(params))
            share = self._spent() - began
        return max(finalists, key=lambda fit: fit.mean_iou, default=self._found[ranked[0]])

    def _part(self, i: int) -> _Part:
        seen = (slice(None), *busiest_window(self._codes[i], _SEEN_PX))
        view = replace(self._views[i], pixels=self._views[i].pixels[seen])
        where, codes = _part_to_score(self._codes[i][seen[1:]], self._method.pixelwise)
        return _Part(view, where, codes, view.pixels, view.pixels)

    def _score_part(self, params: BaselineParams) -> float:
        self._prepare(params)
        shared = self._shared_levels(params)

        # Of a single part, halves stand for what else there may be.
        n = 2 if len(self._parts) == 1 else 1

        def tables_of(part: _Part) -> list[Table]:
            levels = self._method.measure([part.thinned], params) if shared is None else shared
            answered = self._method.label(part.features[part.where], params, levels)
            halves = zip(np.array_split(answered, n), np.array_split(part.codes, n), strict=True)
            return [contingency(one, known) for one, known in halves]

        tables = [table for one in at_once(tables_of, self._parts) for table in one]
        n_codes = max(int(codes.max()) for codes in self._codes) + 1
        self._tables.append([_compact(table, n_codes) for table in tables])
        fit = self._found[params] = self._fitted(params, shared, tables, self._shared_levels)
        return fit.mean_iou

    def _prepare(self, params: BaselineParams) -> None:
        """Keep the features of the parts, until they are of other parameters."""
        key = self._method.feature_key(params)
        if key == self._key:
            return

        def look(part: _Part) -> None:
            part.features = self._method.features(part.view, params)
            part.thinned = thinned(part.features)

        at_once(look, self._parts)
        self._key = key

    def _shared_levels(self, params: BaselineParams) -> Levels | None:
        if params.per_slice:
            return None
        return self._method.measure([part.thinned for part in self._parts], params)

    def _fit(self, params: BaselineParams) -> FittedBaseline:
        """Fit levels, and the meaning of the answers, on every annotated pixel."""

        def measure(params: BaselineParams) -> Levels | None:
            return None if params.per_slice else self._method.prepare(self._views, params)

        shared = measure(params)

        def table(view: View, codes: Codes) -> npt.NDArray[np.int64]:
            return contingency(self._method.segment(view, params, shared), codes)

        tables = at_once(lambda i: table(self._views[i], self._codes[i]), range(len(self._views)))
        return self._fitted(params, shared, tables, measure)

    def _fitted(
        self,
        params: Any,
        shared: Levels | None,
        tables: Sequence[npt.NDArray[np.int64]],
        measure: Callable[[Any], Levels | None],
    ) -> FittedBaseline:
        table = np.sum(tables, axis=0)
        table[:, UNLABELLED] = 0
        mapping, mean_iou = best_mapping(table)
        if self._method.is_mirrored and mapping == {1: 2, 2: 1}:
            other = "dark" if params.foreground == "bright" else "bright"
            params, mapping = params.replace(foreground=other), {1: 1, 2: 2}
            shared = measure(params)
        levels = None if shared is None else shared.tolist()
        return FittedBaseline(self._method.name, params, mapping, mean_iou, levels)


def expected_iou(tables: Sequence[Sequence[Table]]) -> float:
    """Return the mean IoU on parts of a search that does not see them, each in turn.

    Parameters
    ----------
    tables : sequence of sequence of ndarray, each (answers, codes)
        Of every candidate, how often answers and annotations meet in each part, without what is
        not annotated; all of a candidate's of the same shape.
    """
    n_parts, n_codes = len(tables[0]), tables[0][0].shape[1]
    totals = [np.sum(of_parts, axis=0) for of_parts in tables]
    met = np.zeros((n_codes, n_codes), np.int64)
    for left_out in range(n_parts):
        seen = [total - one[left_out] for total, one in zip(totals, tables, strict=True)]
        meanings = [best_mapping(table) if table.any() else ({}, 0.0) for table in seen]
        best = max(range(len(tables)), key=lambda i: meanings[i][1])
        table = tables[best][left_out]
        meant = lookup(meanings[best][0])[: len(table)]
        np.add.at(met, meant, table)
    hits = np.diagonal(met)
    union = met.sum(axis=0) + met.sum(axis=1) - hits
    there = union > 0
    return float((hits[there] / union[there]).mean()) if there.any() else 0.0


def _compact(table: Table, n_codes: int) -> Table:
    """Return the part of a table of `contingency` that is not always empty."""
    small = table[:_MOST_ANSWERS, :n_codes].copy()
    small[:, UNLABELLED] = 0
    return small


def with_defaults(method: Method[Any], views: Sequence[View]) -> list[Any]:
    """Return what a search tries: the defaults first, where classes are what they answer."""
    grid = [params for params in method.grid(views) if not method.sees_volumes(params)]
    usual = method.params()
    if not grid or usual in grid or method.answers_with(usual) != "classes":
        return sorted(grid, key=lambda params: bool(params != usual))
    return [usual, *grid]


def _part_to_score(codes: npt.NDArray[np.uint8], pixelwise: bool) -> tuple[Any, Codes]:
    """Return an index into features, (F, Y, X), and the annotations there."""
    if pixelwise:
        ys, xs = np.nonzero(codes)
        stride = max(1, ys.size // _SCORED_PX) | 1
        ys, xs = ys[::stride], xs[::stride]
        return (slice(None), ys, xs), codes[ys, xs]
    rows, columns = busiest_window(codes, _WINDOW_PX)
    return (slice(None), rows, columns), codes[rows, columns]

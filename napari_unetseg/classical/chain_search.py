"""Find steps before and after a method with which it agrees better with annotated pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from napari_unetseg.config import UNLABELLED

from .chain import Chain, StepSettings
from .fit import Spent, unhurried
from .mapping import best_mapping, contingency
from .registry import find_method, find_step
from .run import filtered, run_view
from .search import Fit, fit_method
from .step import Codes, Labels, View
from .threads import at_once
from .window import busiest_window

#: Slices in parts of which chains are compared, and the side of these parts, in px.
_SEARCHED, _SIDE_PX = 4, 512

#: Methods that are tried with steps before them, and chains with steps after their method.
_METHODS, _REFINED = 4, 3

#: Steps after a method, at most.
_MOST_AFTER = 3

#: A step is worth having if it betters the mean IoU by this.
LEAST_GAIN = 0.002

#: Share of the time for steps before methods.
_BEFORE_SHARE = 0.6

_AFTER: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("fill_holes", "max_area_px", (30, 100, 1000)),
    ("remove_small", "min_area_px", (20, 64, 200, 1000)),
    ("open", "radius_px", (1, 2)),
    ("close", "radius_px", (1, 2)),
    ("smooth", "sigma_px", (1, 2)),
)

Steps: TypeAlias = tuple[StepSettings, ...]

#: Returns the slices around a part of a slice as a volume, and which of them it is; or None.
Around: TypeAlias = Callable[[int, tuple[slice, slice]], tuple[View, int] | None]


@dataclass(frozen=True, slots=True)
class ChainFit:
    """What a search has found.

    Attributes
    ----------
    chain : Chain
    mapping : dict of int to int, or None
        The chain's answer → the annotations' code; None where they are the same.
    mean_iou : float
        On the annotations that it was fitted to, in [0, 1].
    expected_iou : float
        The same, less what the search for parameters loses elsewhere, as of `Fit`.
    px_s : float
        Seconds that it took to segment a pixel.
    """

    chain: Chain
    mapping: dict[int, int] | None
    mean_iou: float
    expected_iou: float
    px_s: float

    @property
    def worth(self) -> float:
        """The mean IoU expected, less what each step has to be worth."""
        return self.expected_iou - LEAST_GAIN * len(self.chain.steps)


def fit_chain(
    fits: Mapping[str, Fit],
    views: Sequence[View],
    codes: Sequence[Codes],
    *,
    around: Around | None = None,
    spent: Spent = unhurried,
) -> ChainFit:
    """Add steps to the best of some methods, one at a time, as long as that betters the mean IoU.

    Parameters of the methods are searched again behind each step before them. Methods, and steps
    before them, are chosen by what they come to where they have not been searched.

    Parameters
    ----------
    fits : mapping of str to Fit
        What `fit_method` found on `views`, by method; of methods that do without annotations.
    views : sequence of View
        Slices.
    codes : sequence of ndarray, each (Y, X), uint8
        Annotations of `views`: 0 unlabelled, 1 background, k + 1 class k.
    around : callable, optional
        Shows a part of a slice with those beside it: then chains are also tried that look along Z.
    spent : callable
        How much of the time is used up; when all is, the best so far is returned.

    Returns
    -------
    ChainFit
        Maybe of a method alone, where no step makes it better.
    """
    ranked = sorted(fits, key=lambda name: -fits[name].expected_iou)[:_METHODS]
    search = _Search(views, codes, spent)
    found = search.with_steps_before({name: fits[name] for name in ranked})
    best = max((search.refined(fit) for fit in found), key=lambda fit: fit.worth)
    return best if around is None else search.along_z(best, around)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A part of a slice, and the annotations there."""

    number: int
    inside: tuple[slice, slice]
    view: View
    codes: Codes


class _Search:
    def __init__(self, views: Sequence[View], codes: Sequence[Codes], spent: Spent) -> None:
        self._spent = spent
        ranked = sorted(range(len(codes)), key=lambda i: -np.count_nonzero(codes[i]))
        self._pieces = [_piece(i, views[i], codes[i]) for i in sorted(ranked[:_SEARCHED])]

    def with_steps_before(self, fits: Mapping[str, Fit]) -> list[ChainFit]:
        """Return the best chains of methods, with a step before them and without."""
        found = [self._scored(Chain.of(name, fit.params), fit) for name, fit in fits.items()]
        tried = list(self._before(fits))
        for n_done, (step, names) in enumerate(tried):
            if self._spent() >= _BEFORE_SHARE:
                break
            alone = _filter_alone(step)
            views = at_once(partial(filtered, alone), [piece.view for piece in self._pieces])
            known = [piece.codes for piece in self._pieces]
            for name in names:
                part = (_BEFORE_SHARE - self._spent()) / (len(tried) - n_done) / len(names)
                fit = fit_method(name, views, known, spent=self._within(part))
                found.append(self._scored(Chain.of(name, fit.params, before=[step]), fit))
        found.sort(key=lambda fit: -fit.worth)
        return found[:_REFINED]

    def refined(self, fit: ChainFit) -> ChainFit:
        """Add steps after the method."""
        answers = self._answers(fit.chain)
        for _ in range(_MOST_AFTER):
            better: tuple[float, StepSettings, list[Labels]] | None = None
            least = fit.mean_iou + LEAST_GAIN
            for step in _after(fit.chain):
                if self._spent() >= 1:
                    break
                bettered = self._applied(step, answers)
                score = self._meaning(bettered)[1]
                if score > (least if better is None else better[0]):
                    better = score, step, bettered
            if better is None:
                return fit
            score, step, answers = better
            chain = fit.chain.replace(steps=(*fit.chain.steps, step))
            expected = fit.expected_iou + score - fit.mean_iou
            fit = ChainFit(chain, self._meaning(answers)[0], score, expected, fit.px_s)
        return fit

    def along_z(self, fit: ChainFit, around: Around) -> ChainFit:
        """Return the same steps in volumes, where that is better."""
        steps = tuple(_in_volumes(step) for step in fit.chain.steps)
        if steps == fit.chain.steps or self._spent() >= 1:
            return fit
        shown = [around(piece.number, piece.inside) for piece in self._pieces]
        volumes = [one for one in shown if one is not None]
        if len(volumes) < len(shown):
            return fit
        chain = Chain(steps=steps)
        began = time.perf_counter()
        answers = [run_view(chain, view)[z] for view, z in volumes]
        px_s = (time.perf_counter() - began) / sum(np.prod(view.shape) for view, _ in volumes)
        mapping, score = self._meaning(answers)
        gain = score - fit.mean_iou
        better = ChainFit(chain, mapping, score, fit.expected_iou + gain, px_s)
        return better if gain > LEAST_GAIN else fit

    def _before(self, fits: Mapping[str, Fit]) -> Iterator[tuple[StepSettings, list[str]]]:
        """Yield steps, and the methods to try behind each."""
        names = list(fits)
        n_channels = self._pieces[0].view.pixels.shape[0]
        for channel in range(1, n_channels + 1) if 1 < n_channels <= 4 else ():
            yield StepSettings(step="channel", params={"channel": channel}), names
        for radius in (25, 75):
            for foreground in ("bright", "dark"):
                params = {"radius_px": radius, "foreground": foreground}
                of = [n for n in names if getattr(fits[n].params, "foreground", "") == foreground]
                if of:
                    yield StepSettings(step="background", params=params), of
        yield StepSettings(step="median", params={"radius_px": 2}), names
        yield StepSettings(step="clahe", params={}), names
        yield StepSettings(step="total_variation", params={}), names

    def _within(self, part: float) -> Spent:
        began = self._spent()
        return lambda: 1.0 if part <= 0 else (self._spent() - began) / part

    def _scored(self, chain: Chain, fit: Fit) -> ChainFit:
        began = time.perf_counter()
        answers = self._answers(chain)
        px_s = (time.perf_counter() - began) / sum(piece.codes.size for piece in self._pieces)
        mapping, score = self._meaning(answers)
        expected = score - (fit.mean_iou - fit.expected_iou)
        return ChainFit(chain, mapping, score, expected, px_s)

    def _answers(self, chain: Chain) -> list[Labels]:
        prepared = _prepared(chain, [piece.view for piece in self._pieces])
        return at_once(lambda p: run_view(chain, p.view, prepared=prepared), self._pieces)

    def _applied(self, step: StepSettings, answers: Sequence[Labels]) -> list[Labels]:
        alone = Chain(steps=(step,))
        both = list(zip(self._pieces, answers, strict=True))
        return at_once(lambda pair: run_view(alone, pair[0].view, labels=pair[1]), both)

    def _meaning(self, answers: Sequence[Labels]) -> tuple[dict[int, int], float]:
        tables = [
            contingency(np.asarray(answer, np.uint8), piece.codes)
            for answer, piece in zip(answers, self._pieces, strict=True)
        ]
        table = np.sum(tables, axis=0)
        table[:, UNLABELLED] = 0
        return best_mapping(table)


def _piece(number: int, view: View, codes: Codes) -> _Piece:
    inside = busiest_window(codes, _SIDE_PX)
    pixels = view.pixels[(..., *inside)]
    return _Piece(number, inside, replace(view, pixels=pixels, strokes=None), codes[inside])


def _prepared(chain: Chain, views: Sequence[View]) -> Any:
    found = chain.method()
    if found is None or found[0].prepare_on(found[1]) == "nothing":
        return None
    return found[0].prepare([filtered(chain, view) for view in views], found[1])


def _filter_alone(step: StepSettings) -> Chain:
    """Return a chain of which only the filter is asked."""
    return Chain.of("mean", find_method("mean").params(), before=[step])


def _after(chain: Chain) -> Iterator[StepSettings]:
    """Yield steps that the chain does not have after its method."""
    there = {settings.step for settings in chain.steps}
    for name, field, values in _AFTER:
        for value in values if name not in there else ():
            yield StepSettings(step=name, params={field: value})


def _in_volumes(settings: StepSettings) -> StepSettings:
    if "in_3d" not in find_step(settings.step).params.model_fields:
        return settings
    return StepSettings(step=settings.step, params={**settings.params, "in_3d": True})

"""The steps of a chain one after the other: what each is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError

from .chain import Chain
from .step import Filter, Labels, Method, Refinement, Step, View

#: Called between steps; what it raises ends them.
Between: TypeAlias = Callable[[], object]


def go_on() -> None:
    """End nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a chain is: what the next step looks at, and what has been answered so far."""

    view: View
    labels: Labels | None = None

    def answered(self) -> Labels:
        """Return what has been answered.

        Raises
        ------
        UserError
            If nothing has.
        """
        if self.labels is None:
            raise UserError("There is nothing to refine: the chain has no method.")
        return self.labels


@dataclass(frozen=True, slots=True)
class Stage:
    """A step with its settings, and whether it is shown volumes."""

    in_3d: bool
    apply: Callable[[Seen], Seen]


Stages: TypeAlias = list[Stage]


def through(stages: Stages, seen: Seen) -> Seen:
    """Take steps one after the other."""
    for stage in stages:
        seen = stage.apply(seen)
    return seen


def stages_of(chain: Chain, prepared: Any, between: Between = go_on) -> Stages:
    """Return the steps of a chain.

    Parameters
    ----------
    prepared : object
        What slices share, of `prepare`.
    between : callable
        Called before each step.
    """
    stages = filter_stages(chain, between)
    refinements = chain.refinements()
    if found := chain.method():
        method, params = found
        wanted = any(step.wants_probabilities for step, _ in refinements)
        segment = partial(_segment, method, params, prepared, wanted)
        stages.append(_stage(method, params, segment, between))
    for step, params in refinements:
        stages.append(_stage(step, params, partial(_refine, step, params), between))
    return stages


def filter_stages(chain: Chain, between: Between = go_on) -> Stages:
    """Return the steps before the method."""
    return [
        _stage(step, params, partial(_filter, step, params), between)
        for step, params in chain.filters()
    ]


def _stage(
    step: Step[Any], params: Config, apply: Callable[[Seen], Seen], between: Between
) -> Stage:
    def taken(seen: Seen) -> Seen:
        between()
        return apply(seen)

    return Stage(step.sees_volumes(params), taken)


def _filter(step: Filter[Any], params: Config, seen: Seen) -> Seen:
    return Seen(replace(seen.view, pixels=step.apply(seen.view, params)), seen.labels)


def _segment(method: Method[Any], params: Config, prepared: Any, wanted: bool, seen: Seen) -> Seen:
    labels = method.segment(seen.view, params, prepared)
    if not wanted:
        return Seen(seen.view, labels)
    told = method.probabilities(seen.view, params, prepared)
    return Seen(replace(seen.view, probabilities=told), labels)


def _refine(step: Refinement[Any], params: Config, seen: Seen) -> Seen:
    return Seen(seen.view, step.apply(seen.answered(), seen.view, params))

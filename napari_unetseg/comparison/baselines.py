"""Classical methods in a comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from napari_unetseg.classical import (
    METHODS,
    Chain,
    ChainRecipe,
    Fit,
    Source,
    can_answer_classes,
    find_method,
    find_step,
    fit_chain,
    fit_method,
    prepare,
    run_stack,
)
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError

from .contestant import Clock, Contestant, Fitted, Kind, OutOfTime, Stopwatch
from .split import Codes, Part

#: Share of its time that a method may search parameters for; it then has slices to segment.
_SEARCH_SHARE = 0.5

#: What to know of the scores of a method that needs strokes beside what it segments.
_ON_EACH = (
    "It needs annotations on every slice that it segments; here it was given those of the training "
    "part alone, and had to reach what is scored from there."
)

#: Name of the best method with steps before and after it.
CHAIN = "chain"


class Baseline(Contestant):
    """A classical method, its parameters searched on what may be seen.

    Parameters
    ----------
    name : str
        In ``METHODS``.
    classes : sequence of LabelClass
        Of the annotations.

    Attributes
    ----------
    found : dict
        What parameters were found, by the fold of the part that was fitted to.
    """

    kind: ClassVar[Kind] = "classical"

    def __init__(self, name: str, classes: Sequence[LabelClass]) -> None:
        method = find_method(name)
        super().__init__(name, method.title, needs_labels=method.needs_strokes)
        if not can_answer_classes(method):
            self.excluded = "they count and outline single objects, and say nothing of the rest"
        self.weight = 2.0 if method.is_slow else 8.0 if method.needs_strokes else 1.0
        if not method.is_slow:
            self.patience = math.inf  # whatever little it takes, it has a row
        self._classes = tuple(classes)
        self.found: dict[int | None, Fit] = {}

    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Search parameters, and measure what slices share."""
        yield from ()
        with self.preparing.running():
            found = self.found[part.fold] = self._searched(part, clock)
            self.needs_labels = found.use_of_strokes == "needed"
            chain = Chain.of(self.name, found.params)
            self.on_each_slice = grows_from_strokes(chain)
            if part.split.kind == "slices" and self.on_each_slice:
                raise UserError("it needs strokes on every slice, and whole slices are scored on")
            if found.px_s * part.scored_area() > clock.left_s():
                raise OutOfTime
            recipe = ChainRecipe(chain=chain, mapping=found.mapping, classes=self._classes)
            fitted = fitted_chain(recipe, part, self.segmenting)
        return replace(fitted, note=_ON_EACH) if self.on_each_slice else fitted

    def _searched(self, part: Part, clock: Clock) -> Fit:
        spent = clock.fair(_SEARCH_SHARE).spent
        return fit_method(self.name, part.views, part.fitted_codes, spent=spent)


class BestChain(Contestant):
    """The best of several methods, with steps before and after it where these make it better.

    Methods, steps and their parameters are chosen on what may be seen.

    Parameters
    ----------
    methods : sequence of Baseline
        That were tried before; those that do without annotations are built on.
    classes : sequence of LabelClass
    """

    kind: ClassVar[Kind] = "classical"

    def __init__(self, methods: Sequence[Baseline], classes: Sequence[LabelClass]) -> None:
        super().__init__(CHAIN, "Several steps", needs_labels=False)
        self.weight = 8.0
        self._methods = methods
        self._classes = tuple(classes)

    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Search steps."""
        yield from ()
        with self.preparing.running():
            fits = {
                method.name: method.found[part.fold]
                for method in self._methods
                if part.fold in method.found and method.found[part.fold].use_of_strokes == "unused"
            }
            if not fits:
                raise UserError("there is no method to put steps before or after")
            found = fit_chain(
                fits,
                part.views,
                part.fitted_codes,
                around=part.around,
                spent=clock.fair(_SEARCH_SHARE).spent,
            )
            if part.is_last and len(found.chain.steps) == 1:
                raise UserError("no step before or after a method made it better")
            recipe = ChainRecipe(chain=found.chain, mapping=found.mapping, classes=self._classes)
            self.title = " → ".join(find_step(s.step).title for s in found.chain.steps)
            return fitted_chain(recipe, part, self.segmenting)


def grows_from_strokes(chain: Chain) -> bool:
    """Return whether a chain needs strokes on the very slice, rather than learning from some."""
    found = chain.method()
    if found is None:
        return False
    method, params = found
    return method.use_of_strokes(params) == "needed" and method.prepare_on(params) != "strokes"


def fitted_chain(recipe: ChainRecipe, part: Part, watch: Stopwatch) -> Fitted:
    """Return a chain that can segment, once what slices share has been measured."""
    found = recipe.chain.method()
    needs = found is not None and found[0].use_of_strokes(found[1]) == "needed"
    sources = [
        Source(image.stack, strokes=part.training_codes(i) if needs else None)
        for i, image in enumerate(part.images)
    ]
    prepared = prepare(recipe.chain, sources)

    def segment(image: int, planes: Sequence[int]) -> Iterator[Codes]:
        return watch.each(_answers(recipe, sources[image], planes, prepared[image]))

    return Fitted(segment, recipe)


def baselines(classes: Sequence[LabelClass]) -> list[Contestant]:
    """Return every classical method: the slow ones late, and else one of each family in turn.

    The last is the best of them with steps before and after it.
    """
    n_before: Counter[str] = Counter()
    order: dict[str, tuple[bool, int]] = {}
    for name, method in METHODS.items():
        order[name] = method.is_slow, n_before[method.family]
        n_before[method.family] += 1
    found = [Baseline(name, classes) for name in sorted(order, key=lambda name: order[name])]
    return [*found, BestChain(found, classes)]


def _answers(
    recipe: ChainRecipe, source: Source, planes: Sequence[int], prepared: Any
) -> Iterator[Codes]:
    stack = source.stack
    chosen = Source(stack, list(planes), source.strokes)
    out = np.zeros((len(planes), *stack.plane_shape), np.uint8)
    for i, _ in enumerate(run_stack(recipe.chain, chosen, out=out, prepared=prepared)):
        yield np.asarray(recipe.meant(out[i]), np.uint8)

"""Classical methods in a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from napari_unetseg.classical import (
    METHODS,
    Chain,
    ChainRecipe,
    Fit,
    Source,
    find_method,
    fit_method,
    prepare,
    run_stack,
)
from napari_unetseg.config import Config, LabelClass
from napari_unetseg.errors import UserError

from .contestant import Clock, Contestant, Fitted, Kind, OutOfTime
from .split import Codes, Part

#: Share of its time that a method may search parameters for; it then has slices to segment.
_SEARCH_SHARE = 0.6

#: A method that seems to need so many times the time that is left is not begun: slices are
#: segmented on all cores, parameters searched on one.
_PATIENCE = 1.5

#: What to know of the scores of a method that needs strokes beside what it segments.
_GROWS = (
    "Given only the strokes of the training part, from which it had to reach what is scored on; so "
    "the score says little about slices that are painted on."
)


class Baseline(Contestant):
    """A classical method, its parameters searched on what may be seen.

    Parameters
    ----------
    name : str
        In ``METHODS``.
    classes : sequence of LabelClass
        Of the annotations.
    """

    kind: ClassVar[Kind] = "classical"

    def __init__(self, name: str, classes: Sequence[LabelClass]) -> None:
        method = find_method(name)
        super().__init__(name, method.title, needs_labels=method.needs_strokes)
        if method.answers != "classes":
            self.excluded = "they find objects, not classes"
        self._method = method
        self._classes = tuple(classes)

    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Search parameters, and measure what slices share."""
        yield from ()
        with self.preparing.running():
            found = self._searched(part, clock)
            if part.split.kind == "slices" and self._grows_from_strokes(found.params):
                raise UserError("it needs strokes on every slice, and whole slices are scored on")
            if found.px_s * part.scored_area() > _PATIENCE * clock.left_s():
                raise OutOfTime
            chain = Chain.of(self.name, found.params)
            recipe = ChainRecipe(chain=chain, mapping=found.mapping, classes=self._classes)
            sources = [self._source(part, i) for i in range(len(part.images))]
            prepared = prepare(recipe.chain, sources)

        def segment(image: int, planes: Sequence[int]) -> Iterator[Codes]:
            answers = _answers(recipe, sources[image], planes, prepared[image])
            return self.segmenting.each(answers)

        return Fitted(
            segment, recipe, note=_GROWS if self._grows_from_strokes(found.params) else ""
        )

    def _searched(self, part: Part, clock: Clock) -> Fit:
        searching = clock.part(_SEARCH_SHARE * clock.left_s())
        codes = [part.training(where) for where in part.fitted_slices]
        return fit_method(self.name, part.views, codes, spent=searching.spent)

    def _source(self, part: Part, image: int) -> Source:
        strokes = part.training_codes(image) if self._method.needs_strokes else None
        return Source(part.images[image].stack, strokes=strokes)

    def _grows_from_strokes(self, params: Config) -> bool:
        """Return whether it needs strokes on the very slice, rather than learning from some."""
        return self._method.needs_strokes and self._method.prepare_on(params) != "strokes"


def baselines(classes: Sequence[LabelClass]) -> list[Baseline]:
    """Return every classical method: the slow ones last, and else one of each family in turn."""
    n_before: Counter[str] = Counter()
    order: dict[str, tuple[bool, int]] = {}
    for name, method in METHODS.items():
        order[name] = method.is_slow, n_before[method.family]
        n_before[method.family] += 1
    return [Baseline(name, classes) for name in sorted(order, key=lambda name: order[name])]


def _answers(
    recipe: ChainRecipe, source: Source, planes: Sequence[int], prepared: Any
) -> Iterator[Codes]:
    stack = source.stack
    chosen = Source(stack, list(planes), source.strokes)
    out = np.zeros((len(planes), *stack.plane_shape), np.uint8)
    for i, _ in enumerate(run_stack(recipe.chain, chosen, out=out, prepared=prepared)):
        yield np.asarray(recipe.meant(out[i]), np.uint8)

"""The table that says which method to use, as a generator of events."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from napari_unetseg.classical import LARGEST_GREY
from napari_unetseg.config import BACKGROUND, LabelClass, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    ComparisonStarted,
    Event,
    MethodCompared,
    MethodNotRun,
    Preparing,
    Progress,
    Recommended,
)
from napari_unetseg.images import check_numbers, check_training_set
from napari_unetseg.measure import scores

from .baselines import baselines
from .contestant import Clock, Contestant, Fitted, OutOfTime
from .recommendation import recommend
from .split import AnnotatedImage, Codes, Part, split_annotations
from .tally import Tally

#: So long it takes, unless told otherwise.
DEFAULT_TIME_S = 120.0

#: Shares of the time after which no classical method, and no model as it is, is begun, where a
#: network is to be trained.
_CLASSICAL_SHARE, _MODELS_SHARE = 0.45, 0.65

#: Share of the time in which models are looked at, to try those first that fit best.
_LOOK_SHARE = 0.15

#: Takes the name of a method, the number of an image, a slice of it and its codes.
Keep: TypeAlias = Callable[[str, int, int, Codes], None]

_NO_TIME = "no time was left"
_TOO_SLOW = "more time would have been needed"

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """`Comparison.stop` was called."""


class Comparison:
    """Compares every method that suits on the same annotated pixels, which none has seen.

    Parameters
    ----------
    images : sequence of AnnotatedImage
    classes : tuple of LabelClass
        Classes 1, 2, …
    models : sequence of str or Path, or None
        Models to compare as they are, and to train from; folders, or names of those that come with
        the package. None: no networks at all, and torch is not loaded.
    max_time_s : float
        Wall clock, from `started_at` on.
    started_at : float, optional
        As of `time.time`; now by default.
    recipe : Recipe, optional
        Of the network that is trained.
    model_path : Path, optional
        Where to keep that.
    device : str
    keep : callable, optional
        Is given the answers to the slices that are scored on.
    check : callable, optional
        Called often; may raise, to cancel.

    Attributes
    ----------
    rows : list of MethodCompared
        So far, the best first.
    not_run : list of MethodNotRun
        So far.
    scored_on : str
        A sentence.

    Raises
    ------
    UserError
        If a pixel is no number, an annotated slice holds no image, or too little is annotated.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        classes: tuple[LabelClass, ...],
        *,
        models: Sequence[str | Path] | None = (),
        max_time_s: float = DEFAULT_TIME_S,
        started_at: float | None = None,
        recipe: Recipe | None = None,
        model_path: Path | None = None,
        device: str = "auto",
        keep: Keep | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.rows: list[MethodCompared] = []
        self.not_run: list[MethodNotRun] = []
        check_training_set([image.stack for image in images], [image.codes for image in images])
        for image in images:
            check_numbers(image.stack, largest=LARGEST_GREY)
        self._split = split_annotations(images)
        self._parts = self._split.parts()
        self.scored_on = self._split.sentence()
        self._classes = classes
        self._models = models
        self._recipe = Recipe() if recipe is None else recipe
        self._model_path = model_path
        self._device = device
        self._keep = keep
        self._check = check
        self._stopped = False
        self._n_methods = 0
        self._tallies: dict[str, Tally] = {}
        used_s = 0.0 if started_at is None else time.time() - started_at
        self._clock = Clock(max_time_s - used_s)

    def stop(self) -> None:
        """End after what is going on; the rows so far are kept."""
        self._stopped = True

    def recommended(self) -> Recommended:
        """Return which of the rows so far to use."""
        return recommend(self.rows, self._uncertainty)

    def run(self) -> Iterator[Event]:
        """Compare one method after the other, the quick ones first, until the time is used up.

        Yields
        ------
        Event
            `ComparisonStarted`; before each method `Progress`, once or often, and after it
            `MethodCompared` or `MethodNotRun`; at the end `Recommended`. Closing the generator
            cancels.

        Raises
        ------
        UserError
            If a model is not there.
        """
        groups: list[Sequence[Contestant]] = [baselines(self._classes)]
        if self._models is not None:
            yield Preparing("Loading the models …")
            groups += self._networks(self._models)
        total = self._clock.left_s()
        shares = [1.0] if len(groups) == 1 else [_CLASSICAL_SHARE, _MODELS_SHARE, 1.0]
        self._n_methods = sum(len(group) for group in groups)
        yield ComparisonStarted(self._n_methods, self.scored_on)
        for group, share in zip(groups, shares, strict=True):
            for i, contestant in enumerate(group):
                seconds = max(0.0, self._clock.left_s() - (1 - share) * total)
                to_come = sum(other.weight for other in group[i:] if not other.excluded)
                fair_s = seconds * contestant.weight / max(contestant.weight, to_come)
                within = min(seconds, contestant.patience * fair_s)
                yield self._progress(contestant.title)
                yield from self._try(contestant, Clock(within, self._look_up, fair_s))
        yield self.recommended()

    def _progress(self, doing: str) -> Progress:
        n_done = len(self.rows) + len(self.not_run)
        left = self._clock.left_s()
        return Progress(f"Trying {doing}", n_done, self._n_methods, left)

    def _networks(self, models: Sequence[str | Path]) -> list[Sequence[Contestant]]:
        from napari_unetseg.learning import choose_device

        from .networks import TrainedHere, models_at_hand

        device = choose_device(self._device)
        at_hand = models_at_hand(models, self._classes, device)
        looking = Clock(_LOOK_SHARE * self._clock.left_s(), self._look_up)
        with suppress(_Stopped):  # each is then said not to be run
            for model in at_hand:
                model.look(self._parts[0], looking)
        at_hand.sort(key=lambda model: -model.fits)
        trained = TrainedHere(at_hand, self._classes, self._recipe, device, self._model_path)
        return [at_hand, [trained]]

    def _try(self, contestant: Contestant, clock: Clock) -> Iterator[Event]:
        name, title = contestant.name, contestant.title
        try:
            if not contestant.excluded and clock.left_s() > 0:
                yield (yield from self._compare(contestant, clock))
                return
            missed = MethodNotRun(name, title, contestant.excluded or _NO_TIME)
        except OutOfTime:
            missed = MethodNotRun(name, title, _TOO_SLOW)
        except _Stopped:
            missed = MethodNotRun(name, title, "you stopped before it")
        except UserError as error:
            missed = MethodNotRun(name, title, str(error).rstrip("."))
        except (ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError) as error:
            # One method that fails on an image is no reason to withhold all others.
            _log.info("%s failed", title, exc_info=True)
            missed = MethodNotRun(name, title, f"it failed ({error})")
        self.not_run.append(missed)
        yield missed

    def _compare(
        self, contestant: Contestant, clock: Clock
    ) -> Generator[Event, None, MethodCompared]:
        split = self._split
        tally = Tally(len(self._classes) + BACKGROUND + 1)
        n_fits = split.n_folds if split.kind == "held out" else split.n_folds + 1
        for n_before, part in enumerate(self._parts):
            fitted = yield from self._fit(contestant, part, clock.nth(n_fits - n_before))
            self._segment(contestant, fitted, part, tally, clock)
        if split.kind != "held out":  # what is used afterwards learns from everything
            fitted = yield from self._fit(contestant, split.everything(), clock)
        row = self._row(contestant, fitted, tally)
        self._tallies[row.name] = tally
        self.rows.append(row)
        self.rows.sort(key=lambda row: -row.mean_iou)
        return row

    def _fit(
        self, contestant: Contestant, part: Part, clock: Clock
    ) -> Generator[Event, None, Fitted]:
        fitting = contestant.fit(part, clock)
        while True:
            try:
                share = next(fitting)
            except StopIteration as end:
                fitted: Fitted = end.value
                return fitted
            yield self._progress(f"{contestant.title}: {share:.0%}")

    def _segment(
        self, contestant: Contestant, fitted: Fitted, part: Part, tally: Tally, clock: Clock
    ) -> None:
        for image, group in itertools.groupby(part.scored_slices, key=lambda where: where[0]):
            planes = [plane for _, plane in group]
            for plane, codes in zip(planes, fitted.segment(image, planes), strict=True):
                clock.require()
                tally.add(part, (image, plane), codes)
                if self._keep is not None:
                    self._keep(contestant.name, image, plane, codes)

    def _row(self, contestant: Contestant, fitted: Fitted, tally: Tally) -> MethodCompared:
        scored = scores(tally.matrix(), ["background", *(c.name for c in self._classes)])
        recipe = fitted.recipe
        return MethodCompared(
            name=contestant.name,
            title=contestant.title,
            kind=contestant.kind,
            needs_labels=contestant.needs_labels,
            mean_iou=scored.mean_iou,
            spread=tally.spread(),
            dice=scored.mean("dice"),
            f1=scored.mean("f1"),
            boundary_f1=tally.boundary_f1(),
            iou=scored.iou,
            n_px=scored.n_px,
            prepare_s=contestant.prepare_s,
            slice_s=contestant.segmenting.mean_s,
            recipe=None if recipe is None else recipe.model_dump(mode="json"),
            model=fitted.model,
            codes=fitted.codes,
            note=fitted.note,
            on_each_slice=contestant.on_each_slice,
        )

    def _uncertainty(self, first: MethodCompared, second: MethodCompared) -> float | None:
        ours, theirs = self._tallies[first.name], self._tallies[second.name]
        return ours.spread_of_difference(theirs)

    def _look_up(self) -> None:
        if self._check is not None:
            self._check()
        if self._stopped:
            raise _Stopped

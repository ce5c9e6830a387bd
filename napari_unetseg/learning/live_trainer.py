"""Training that follows a person who is painting, as a generator of events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from napari_unetseg.config import LabelClass, Recipe
from napari_unetseg.events import AnnotationsTaken, Event, Rested
from napari_unetseg.networks import Network

from .bundle import Model
from .cores import FREE_CORES
from .data import LabelledRegion, TrainingImage
from .live_regions import Change, LiveRegions
from .live_run import LiveRun
from .run import TrainingRun
from .schedule import Budget
from .trainer import Trainer

#: Steps that follow a change of the annotations, before training rests.
STEPS = 200

#: Of the averaged weights, which are those that are seen: so that a stroke shows within seconds.
EMA_DECAY = 0.95

#: Checkpoints that can be returned to.
MOST_KEPT = 8


class LiveTrainer(Trainer):
    """Trains without end on annotations that change meanwhile.

    ::

        new ── run() ──► preparing ──► training ◄──── changes() returns some ──── resting
                                          │  ▲                                      ▲  │
                                   stop() │  └── return_to() ──────────────────────┐│  │ stop()
                                          │     `STEPS` steps since the last change ┘│  │
                                          └──────► done ◄──────────────────────────────┘

    The rate falls over `STEPS` steps, after which nothing more is learned; what is painted
    begins that anew.

    Parameters
    ----------
    images : sequence of TrainingImage
        Whose arrays change; what has changed is read again when `changes` says so.
    recipe : Recipe
        Of which steps and time do not count.
    classes : tuple of LabelClass
    changes : callable
        Returns what has changed since it was called last.
    **more
        As of `Trainer`.
    """

    _RUN: ClassVar[type[TrainingRun]] = LiveRun

    def __init__(
        self,
        images: Sequence[TrainingImage],
        recipe: Recipe,
        classes: tuple[LabelClass, ...],
        changes: Callable[[], Sequence[Change]],
        **more: Any,
    ) -> None:
        training = recipe.training.replace(
            steps=STEPS, max_time_s=None, pretrain=0.0, early_stop=0.0, ema_decay=EMA_DECAY
        )
        super().__init__(images, recipe.replace(training=training.model_dump()), classes, **more)
        self._changes = changes
        self._live: LiveRegions | None = None
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def checkpoint(self, name: str) -> Model:
        """Return the model as it is now, with a picture, and remember it under a name."""
        assert isinstance(self._run, LiveRun)
        model, self._kept[name] = self._run.checkpoint()
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return self._with_rehearsal(model)

    def return_to(self, name: str) -> bool:
        """Go on from an earlier checkpoint; return whether it is still known."""
        assert isinstance(self._run, LiveRun)
        if name not in self._kept:
            return False
        self._run.return_to(self._kept[name])
        return True

    def _all_regions(self, network: Network) -> list[LabelledRegion]:
        self._live = LiveRegions(self._reader(network), len(self._images), len(self._classes))
        return self._live.regions

    def _budget(self) -> Budget:
        return replace(super()._budget(), open=True)

    def _steps(self, run: TrainingRun, asked: dict[str, Any]) -> Iterator[Event]:
        assert isinstance(run, LiveRun)
        assert self._live is not None
        resting = False
        while not self._stop:
            FREE_CORES.follow()
            if changes := self._changes():
                yield self._taken(run, self._live, changes)
                resting = False
            if self._live.can_train and not run.over():
                yield from run.advance()
                continue
            if not resting:
                yield from run.rest()
                resting = True
            yield Rested(run.step)
        run.compare_with_start()

    def _taken(
        self, run: LiveRun, live: LiveRegions, changes: Sequence[Change]
    ) -> AnnotationsTaken:
        live.take(changes)
        if live.can_train:
            run.learn_from(live.regions, live.newest(), live.painted)
        n_px = sum(int(torch.count_nonzero(region.targets)) for region in live.regions)
        return AnnotationsTaken(run.step, n_px, run.scorer.n_px)

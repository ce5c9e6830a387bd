"""Training a network, as a generator of events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from napari_unetseg.config import LabelClass, Recipe, TrainingConfig
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Preparing, TrainingStarted, Warned
from napari_unetseg.images import check_training_set
from napari_unetseg.networks import Network, build_network

from .allocator import keep_freed_memory
from .averaging import measured_on
from .batches import Batches
from .bundle import Model
from .cores import FREE_CORES
from .data import LabelledRegion, RegionReader, TrainingImage, check_annotations
from .description import describe
from .distillation import Teacher, rehearsal_weight, step_back
from .memory import fitting_patches
from .patches import Patches, chosen_patches, margin_px
from .placement import AT_REST, Device, choose_device, place_network, seeded, suited
from .plan import plan_training
from .pretraining import Pretraining, read_unlabelled
from .region_file import kept_regions
from .rehearsal import Rehearsal
from .resume import (
    StateFile,
    TrainingState,
    check_same_training,
    complete_state,
    what_is_asked,
)
from .run import TrainingRun
from .schedule import Budget
from .source import SourceScorer
from .targets import distance_weight, maps_of_objects
from .transfer import (
    copy_weights,
    freeze,
    is_remembered,
    keep_statistics,
    keeps_objects,
    known_by_other_names,
    known_classes,
    may_be_remembered,
)


class Trainer:
    """Trains a network on annotated stacks.

    ::

        new ── run() ──► preparing ──► training ──► averaging ──► done
                             │            │  stop(), budget ▲
                             └── close() ─┴──► cancelled    │ current_model() from here on

    Saving the model that `current_model` returns is the caller's.

    Parameters
    ----------
    images : sequence of TrainingImage
        With the same number of channels.
    recipe : Recipe
        With `base`, its network and normalisation are those of the base.
    classes : tuple of LabelClass
        Classes 1, 2, …
    name : str
        Of the model.
    base : Model, optional
        Start from its weights.
    device : str or Device
    started_at : float, optional
        When the clock of ``max_time_s`` began, as of `time.time`; now by default.
    label_values : dict of str to int, optional
        Kept in the model: value in the labels file → class, where they differ.
    source : sequence of TrainingImage
        What the base learned from, annotated in its classes: scored before and after, never
        learned from.
    state_file : StateFile, optional
        Where to keep what is needed to go on if training is stopped, and what to go on with.

    Raises
    ------
    UserError
        If the images, the classes or the base do not fit each other.
    """

    _RUN: ClassVar[type[TrainingRun]] = TrainingRun

    def __init__(
        self,
        images: Sequence[TrainingImage],
        recipe: Recipe,
        classes: tuple[LabelClass, ...],
        *,
        name: str = "model",
        base: Model | None = None,
        device: str | Device = "auto",
        started_at: float | None = None,
        label_values: Mapping[str, int] | None = None,
        source: Sequence[TrainingImage] = (),
        state_file: StateFile | None = None,
    ) -> None:
        self._clock_start = time.time() if started_at is None else started_at
        if source and base is None:
            raise UserError("Source annotations are those of a base model; name that too.")
        self._device = choose_device(device) if isinstance(device, str) else device
        plan = plan_training(images, recipe, classes, base, self._device)
        self._images = images
        self._recipe = plan.recipe
        self._painted = plan.painted
        self._diameter = plan.object_diameter_px
        self._learns_distances = plan.learns_distances
        self._notes = plan.notes
        self._classes = classes
        self._base = base
        self._name = name
        self._label_values = dict(label_values or {})
        self._source = source
        self._state_file = state_file
        self._resumed: dict[str, Any] = {}
        self._n_pretrained = 0
        self._other_names: dict[str, str] = {}
        self._remembers = False
        self._stop = False
        self._run: TrainingRun | None = None

    def stop(self) -> None:
        """End training after the step in progress; the model so far is kept."""
        self._stop = True

    def current_model(self) -> Model:
        """Return the averaged network as it is now; after `run`, the one to keep.

        Raises
        ------
        RuntimeError
            Before training has begun.
        """
        if self._run is None:
            raise RuntimeError("training has not begun")
        return self._with_rehearsal(self._run.model())

    def _with_rehearsal(self, model: Model) -> Model:
        if not self._remembers:
            return model
        # What is trained from it is not to forget either.
        assert self._base is not None
        return replace(model, rehearsal=self._base.rehearsal)

    def run(self) -> Iterator[Event]:
        """Train until the budget is used up or `stop` is called.

        Yields
        ------
        Event
            `Preparing`, then `TrainingStarted`, then `TrainingStep` and `HeldOutScored` as they
            come; the last score comes after the last step, and with a base model the first before
            the first step. `Warned` where something went wrong and was put right. Closing the
            generator cancels.

        Raises
        ------
        UserError
            If there is nothing to tell apart in the annotations, or training does not get stable.
        """
        try:
            yield from self._run_steps()
        finally:
            FREE_CORES.use_all()

    def _run_steps(self) -> Iterator[Event]:
        FREE_CORES.use_all()
        yield Preparing("Reading the annotated slices")
        yield from map(Warned, self._notes)
        network = self._new_network()
        regions = self._read(network)
        asked = what_is_asked(self._images, self._recipe, self._classes, self._base, regions)
        found = None if self._state_file is None else self._state_file.found
        if found is not None:
            with complete_state():
                check_same_training(found.values["asked"], asked)
                self._go_on_from(found)
        self._use(chosen_patches(self._recipe.training, network, dense=self._painted.dense))
        if self._base is None and found is None and self._pretraining_steps() != 0:
            yield from self._pretrain(network)
        if found is None:
            yield from self._find_other_names(regions, network)
        if self._other_names:
            self._copy_weights(network)
        training = self._recipe.training
        if may_be_remembered(self._classes, self._base, training) and not is_remembered(
            self._classes, self._known, training
        ):
            check_training_set([i.stack for i in self._images], [i.codes for i in self._images])
        source = self._source_scorer()
        run = self._run = self._begin(regions, network)
        yield TrainingStarted(
            device=self._device.kind,
            precision=self._device.precision,
            n_labelled_px=sum(int(torch.count_nonzero(r.targets)) for r in regions),
            n_held_out_px=run.scorer.n_px,
        )
        yield from map(Warned, run.notes)
        if found is not None:
            with complete_state():
                run.restore(found)
        elif self._base is not None:
            names = {c.name for c in self._classes}
            yield from run.score_start(complete=names <= self._known.keys())
        yield from self._steps(run, asked)
        yield from run.finish(source)

    def _steps(self, run: TrainingRun, asked: dict[str, Any]) -> Iterator[Event]:
        while not self._stop and not run.over():
            self._share_cores()
            yield from run.advance()
            if self._state_file is not None:
                yield from self._state_file.keep(lambda: self._state(run, asked))

    def _share_cores(self) -> None:
        """Leave cores to others, unless the same steps are to give the same model every time."""
        if self._device.kind == "cpu" and self._recipe.training.max_time_s is not None:
            FREE_CORES.follow()

    def _use(self, training: TrainingConfig) -> None:
        self._recipe = self._recipe.replace(training=training.model_dump())

    def _new_network(self) -> Network:
        """Build the network with the weights to start from, on the device."""
        recipe, n_channels = self._recipe, self._images[0].stack.n_channels
        seed = recipe.training.seed
        with seeded(AT_REST, seed):
            n_outputs = len(self._classes) + 1 + (self._diameter is not None)
            network = build_network(recipe.network, n_channels, n_outputs)
        network.initialise(torch.Generator().manual_seed(seed))
        if self._base is not None:
            self._copy_weights(network)
        self._device = suited(self._device, network)
        if self._device.kind == "cpu":
            keep_freed_memory()
        network = place_network(network, self._device).train()
        if self._base is not None:
            freeze(network, recipe.training.transfer)
        return network

    def _copy_weights(self, network: Network) -> None:
        assert self._base is not None
        copy_weights(self._base, network, self._classes, self._known)

    @property
    def _known(self) -> dict[str, str]:
        known = known_classes(self._base, self._recipe.training.new_head)
        return known | self._other_names

    def _find_other_names(
        self, regions: Sequence[LabelledRegion], network: Network
    ) -> Iterator[Event]:
        """Look whether the base answers a class under another name, to begin it there."""
        training = self._recipe.training
        if self._base is None or training.new_head:
            return
        wanted = Patches(training.patch_px, training.batch)
        patches = fitting_patches(network, len(regions[0].pixels), wanted, self._device)
        batches = Batches(regions, training, patches, network, self._device)
        self._other_names = known_by_other_names(self._base, network, self._classes, batches)
        for ours, theirs in self._other_names.items():
            yield Warned(
                f"What is painted as {ours} is what the base model calls {theirs}, so it begins "
                "with what that knows."
            )

    def _read(self, network: Network) -> Sequence[LabelledRegion]:
        regions = self._all_regions(network)
        check_annotations(regions, self._classes, self._known)
        return regions

    def _all_regions(self, network: Network) -> Sequence[LabelledRegion]:
        return kept_regions(self._reader(network).read_all())

    def _reader(self, network: Network) -> RegionReader:
        recipe = self._recipe
        return RegionReader(
            self._images,
            recipe.normalisation,
            margin_px(recipe.training, network),
            network.neighbours,
            maps_of_objects(
                recipe.training.loss, network.anisotropy, distances=self._learns_distances
            ),
            unlabelled=self._base is not None and recipe.training.distillation > 0,
        )

    def _pretraining_steps(self) -> int | None:
        """Return how many steps look at unlabelled slices; None where a time decides."""
        training = self._recipe.training
        if training.pretrain and training.steps is None:
            return None
        return int(training.pretrain * (training.steps or 0))

    def _pretrain(self, network: Network) -> Iterator[Event]:
        training, now = self._recipe.training, time.time()
        share, end = training.pretrain, self._deadline()
        stacks = [image.stack for image in self._images]
        unlabelled = list(read_unlabelled(stacks, self._recipe.normalisation, network))
        wanted = Patches(training.patch_px, training.batch)
        pretraining = Pretraining(
            unlabelled,
            network,
            training,
            fitting_patches(network, len(unlabelled[0]), wanted, self._device),
            Budget(
                self._pretraining_steps(),
                None if end is None else now + share * (end - now),
                now,
            ),
            self._device,
        )
        for event in pretraining.run():
            if self._stop:
                break
            self._share_cores()
            yield event
        self._n_pretrained = pretraining.steps

    def _source_scorer(self) -> SourceScorer | None:
        if self._base is None or not self._source:
            return None
        names = ["background", *(c.name for c in self._classes)]
        return SourceScorer(self._source, self._base, names, self._device)

    def _deadline(self) -> float | None:
        seconds = self._recipe.training.max_time_s
        return None if seconds is None else self._clock_start + seconds

    def _teacher(self, network: Network) -> Teacher | None:
        """Return what keeps the base model's answers where nothing is painted."""
        training = self._recipe.training
        remembered = is_remembered(self._classes, self._known, training)
        if self._base is None or not (remembered or keeps_objects(self._base, self._recipe)):
            return None
        return Teacher(
            network,
            n_classes=len(self._classes) + 1,
            knows_classes=remembered,
            knows_distances=self._diameter is not None
            and self._base.info.object_diameter_px is not None,
            weight=training.distillation,
            distance_weight=distance_weight(self._recipe, self._diameter),
            step_back=step_back(self._painted),
            device=self._device,
            rehearsal=self._rehearsal(network),
        )

    def _rehearsal(self, network: Network) -> Rehearsal | None:
        patches = None if self._base is None else self._base.rehearsal
        weight = rehearsal_weight(self._painted)
        if patches is None or not weight:
            return None
        return Rehearsal(patches, network.reduction, self._device, weight=weight)

    def _keeps_statistics(self, teacher: Teacher) -> bool:
        return teacher.knows_classes and (teacher.rehearses or not self._painted.much)

    def _begin(self, regions: Sequence[LabelledRegion], network: Network) -> TrainingRun:
        info = describe(
            self._images,
            self._recipe,
            self._classes,
            self._device,
            self._base,
            name=self._name,
            label_values=self._label_values,
            n_pretrained=self._n_pretrained,
            object_diameter_px=self._diameter,
        )
        teacher = self._teacher(network)
        self._remembers = teacher is not None and teacher.knows_classes
        if teacher is not None and self._keeps_statistics(teacher):
            keep_statistics(network)
        return self._RUN(
            regions,
            network,
            info,
            self._budget(),
            self._device,
            measured_on(self._recipe.training, much=self._painted.much),
            teacher,
        )

    def _budget(self) -> Budget:
        steps = self._recipe.training.steps
        return Budget(
            None if steps is None else max(1, steps - self._n_pretrained),
            self._deadline(),
            time.time() - self._resumed.get("elapsed_s", 0.0),
        )

    def _go_on_from(self, found: TrainingState) -> None:
        self._resumed = found.values
        self._n_pretrained = found.values["n_pretrained"]
        self._other_names = found.values.get("other_names", {})  # unknown to earlier states
        self._clock_start -= found.values["used_s"]

    def _state(self, run: TrainingRun, asked: dict[str, Any]) -> TrainingState:
        state = run.state()
        more = {
            "asked": asked,
            "n_pretrained": self._n_pretrained,
            "other_names": self._other_names,
            "used_s": time.time() - self._clock_start,
        }
        return TrainingState(state.tensors, {**state.values, **more})

"""Training a network, as a generator of events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from napari_unetseg.config import LabelClass, Recipe, UNetConfig
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Preparing, TrainingStarted, Warned
from napari_unetseg.images import check_training_set
from napari_unetseg.networks import Network, build_network

from .bundle import Model
from .data import LabelledRegion, TrainingImage, check_annotations, load_regions
from .description import describe
from .dimensions import dimensions_note, with_anisotropy
from .patches import chosen_patches, margin_px
from .placement import AT_REST, Device, choose_device, place_network, seeded, suited
from .run import TrainingRun
from .schedule import Budget
from .transfer import check_base, copy_weights, recipe_from_base


class Trainer:
    """Trains a network on annotated stacks.

    ::

        new ── run() ──► preparing ──► training ──► averaging ──► done
                             │            │  stop(), budget ▲
                             └── close() ─┴──► cancelled    │ current_model() from here on

    Nothing is written to disk: saving the model that `current_model` returns is the caller's.

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

    Raises
    ------
    UserError
        If the images, the classes or the base do not fit each other.
    """

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
    ) -> None:
        self._clock_start = time.time() if started_at is None else started_at
        check_training_set([i.stack for i in images], [i.codes for i in images])
        if not classes:
            raise UserError("There is no class to learn; name at least one beside background.")
        asked = recipe.network
        if base is not None:
            check_base(base, images[0].stack.n_channels)
            recipe = recipe_from_base(recipe, base)
        stacks = [image.stack for image in images]
        self._notes = [note] if (note := dimensions_note(recipe.network, stacks)) else []
        recipe = recipe.replace(network=with_anisotropy(recipe.network, stacks).model_dump())
        # The default was asked for by nobody.
        asked = recipe.network if asked == UNetConfig() else asked
        self._asked_network = with_anisotropy(asked, stacks)
        self._images = images
        self._recipe = recipe
        self._classes = classes
        self._base = base
        self._device = choose_device(device) if isinstance(device, str) else device
        self._name = name
        self._label_values = dict(label_values or {})
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
        return self._run.model()

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
        yield Preparing("Reading the annotated slices")
        if self._base is not None and self._recipe.network != self._asked_network:
            yield Warned(
                f"The network is that of the base model {self._base.info.name!r}; "
                "the one in the config is for training from scratch."
            )
        yield from map(Warned, self._notes)
        network = self._new_network()
        self._device = suited(self._device, network)
        regions = self._read(network)
        run = self._run = self._begin(regions, network)
        yield TrainingStarted(
            device=self._device.kind,
            precision=self._device.precision,
            n_labelled_px=sum(int(torch.count_nonzero(r.targets)) for r in regions),
            n_held_out_px=run.scorer.n_px,
        )
        if self._base is not None:
            yield from run.score_start()
        while not self._stop and not run.over():
            yield from run.advance()
        yield from run.finish()

    def _new_network(self) -> Network:
        recipe, n_channels = self._recipe, self._images[0].stack.n_channels
        seed = recipe.training.seed
        with seeded(AT_REST, seed):
            network = build_network(recipe.network, n_channels, len(self._classes) + 1)
        network.initialise(torch.Generator().manual_seed(seed))
        if self._base is not None:
            copy_weights(self._base, network, self._classes)
        return network

    def _read(self, network: Network) -> list[LabelledRegion]:
        recipe = self._recipe
        margin = margin_px(recipe.training, network)
        regions = list(load_regions(self._images, recipe.normalisation, margin, network.neighbours))
        known = frozenset(self._base.class_names if self._base is not None else ())
        check_annotations(regions, self._classes, known)
        return regions

    def _begin(self, regions: list[LabelledRegion], network: Network) -> TrainingRun:
        training = chosen_patches(self._recipe.training, regions, network)
        self._recipe = self._recipe.replace(training=training.model_dump())
        info = describe(
            self._images,
            self._recipe,
            self._classes,
            self._device,
            self._base,
            name=self._name,
            label_values=self._label_values,
        )
        deadline = None if training.max_time_s is None else self._clock_start + training.max_time_s
        return TrainingRun(
            regions,
            place_network(network, self._device).train(),
            info,
            Budget(training.steps, deadline, time.time()),
            self._device,
        )

"""Training a network for many people's images: from examples without end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import napari_unetseg
from napari_unetseg.config import (
    AugmentationConfig,
    LabelClass,
    ModelCard,
    ModelInfo,
    Recipe,
    TrainingConfig,
    UNetConfig,
    default_color,
)
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Preparing, TrainingStarted, TrainingStep
from napari_unetseg.networks import Network, build_network
from napari_unetseg.synthesis.example import Example
from napari_unetseg.synthesis.stream import Draw, checksum, example, stream

from .allocator import keep_freed_memory
from .augmentation import Patch, augment, crop_px
from .averaging import measure_batch_statistics
from .bundle import Model
from .cores import cores_left_to
from .description import versions
from .heads import Head, HeadsStepper, channels, packed
from .patches import Patches
from .placement import AT_REST, Device, choose_device, place_image, place_network, seeded
from .rehearsal import Sheet
from .resume import (
    StateFile,
    TrainingState,
    check_same_training,
    complete_state,
    prefixed,
    under,
)
from .schedule import learning_rate
from .stepper import MAX_FAILURES

#: What a step learns from.
PATCHES = Patches(128, 8)

#: Examples kept to draw patches from; one is replaced at every step.
KEPT = 768

#: Patches that are kept with a model, for what is trained from it, and their side.
N_REHEARSED, REHEARSED_PX = 48, 128

#: Patches that the averaged network's statistics are measured on.
_MEASURED_ON = 512

#: Seconds between reported steps.
_REPORT_EVERY_S = 5.0

_NOT_FINITE = "Pretraining failed with numbers that are not finite; try another --seed."

#: Weight of the error of distances.
_DISTANCE_WEIGHT = 4.0

#: As other laboratories, stains and microscopes change pictures: more than one's own do.
_CHANGES = AugmentationConfig(
    scale=0.25,
    elastic=0.02,
    brightness=0.1,
    contrast=0.25,
    gamma=0.3,
    noise=0.04,
    blur_px=0.7,
)


@dataclass(frozen=True, slots=True)
class Backbone:
    """What a network is pretrained on, and for.

    Attributes
    ----------
    heads : tuple of Head
    command : str
        That trains it; the models' cards add steps and seed.
    draw : callable
        Draws an example: one slice.
    learns_from : str
        What that is.
    network : UNetConfig
    pixel_size_um : dict of str to float
        By axis, about, of the examples; empty where they have none.
    object_diameter_px : dict of str to float
        By structure, about, of the examples; of those whose objects are learned.
    material : str
        Checksum of what examples are made of beside code; empty where there is nothing.
    """

    heads: tuple[Head, ...]
    command: str
    draw: Draw
    learns_from: str
    network: UNetConfig
    pixel_size_um: Mapping[str, float] = field(default_factory=dict)
    object_diameter_px: Mapping[str, float] = field(default_factory=dict)
    material: str = ""


def _normalised(drawn: Example) -> npt.NDArray[np.float64]:
    low, high = np.percentile(drawn.pixels, [0.5, 99.5])
    pixels: npt.NDArray[np.float64] = (drawn.pixels[0] - low) / max(high - low, 1.0)
    return pixels


def first_patches(draw: Draw, seed: int) -> Sheet:
    """Return the middles of the first examples of a stream, to be rehearsed.

    Returns
    -------
    ndarray, shape (N_REHEARSED, Y, X), uint8
        Grey values, from the 0.5th percentile of an example to its 99.5th.
    """
    return np.stack([_middle(example(draw, seed, number)) for number in range(N_REHEARSED)])


def _middle(drawn: Example) -> Sheet:
    side = min(REHEARSED_PX, *drawn.pixels.shape[1:])
    y, x = ((n - side) // 2 for n in drawn.pixels.shape[1:])
    cut = _normalised(drawn)[y : y + side, x : x + side]
    return np.round(255 * np.clip(cut, 0, 1)).astype(np.uint8)


class Pool:
    """The last examples of a stream, ready to draw patches from.

    Parameters
    ----------
    heads : sequence of Head
    generator : Generator
    """

    def __init__(self, heads: Sequence[Head], generator: torch.Generator) -> None:
        self._heads = heads
        self._generator = generator
        self._kept: dict[int, tuple[Tensor, Tensor, dict[str, Tensor]]] = {}

    def add(self, drawn: Example, number: int) -> None:
        """Take in an example of a stream, in the place of the oldest where there are `KEPT`."""
        pixels = _normalised(drawn)
        codes, distances = packed(drawn, self._heads)
        self._kept[number % KEPT] = (
            torch.from_numpy(pixels.astype(np.float16)),
            codes[0],
            {name: depth[0] for name, depth in distances.items()},
        )

    def draw(self, batch: int, crop: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Draw squares of some px, each from an example of its own."""
        drawn = [self._crop(self._kept[self._integer(len(self._kept))], crop) for _ in range(batch)]
        return (
            torch.stack([pixels for pixels, _, _ in drawn])[:, None],
            torch.stack([codes for _, codes, _ in drawn]),
            {name: torch.stack([maps[name] for _, _, maps in drawn]) for name in drawn[0][2]},
        )

    def _crop(
        self, kept: tuple[Tensor, Tensor, dict[str, Tensor]], crop: int
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        pixels, codes, maps = kept
        side = min(crop, *pixels.shape)
        y, x = (self._integer(n - side + 1) for n in pixels.shape)
        window = slice(y, y + side), slice(x, x + side)
        cut = {name: values[window].float() for name, values in maps.items()}
        return pixels[window].float(), codes[window], cut

    def _integer(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))


class BackbonePretrainer:
    """Trains a backbone with all its heads.

    Parameters
    ----------
    backbone : Backbone
    steps : int
    seed : int
        The same seed and steps learn the same on the same processor, with as many workers.
    device : str or Device
    state_file : StateFile, optional
        Where to keep what is needed to go on, and what to go on with.

    Attributes
    ----------
    step : int
        Steps done.
    n_examples : int
        Examples seen.
    checksum : str
        Of these.
    """

    def __init__(
        self,
        backbone: Backbone,
        steps: int,
        seed: int = 0,
        *,
        device: str | Device = "auto",
        state_file: StateFile | None = None,
    ) -> None:
        self._backbone = backbone
        self._training = training = TrainingConfig(
            steps=steps,
            max_time_s=None,
            patch_px=PATCHES.patch_px,
            batch=PATCHES.batch,
            ema_decay=0.998,
            seed=seed,
            augmentation=_CHANGES,
        )
        self._history: list[dict[str, float]] = []
        self._device = choose_device(device) if isinstance(device, str) else device
        self._state_file = state_file
        self._generator = torch.Generator().manual_seed(training.seed + 1)
        self._pool = Pool(backbone.heads, self._generator)
        self.checksum = ""
        self.n_examples = 0
        self.step = 0
        self._began = time.time()
        self._set_out = self._began, 0
        self._stepper = HeadsStepper(
            self._new_network(), training, self._device, backbone.heads, _DISTANCE_WEIGHT
        )

    def _new_network(self) -> Network:
        seed, n = self._training.seed, sum(head.n_channels for head in self._backbone.heads)
        with seeded(AT_REST, seed):
            network = build_network(self._backbone.network, 1, n)
        network.initialise(torch.Generator().manual_seed(seed))
        if self._device.kind == "cpu":
            keep_freed_memory()
        return place_network(network, self._device).train()

    def run(self, workers: int = 1) -> Iterator[Event]:
        """Train to the last step.

        Parameters
        ----------
        workers : int
            Processes that draw examples.

        Yields
        ------
        Event
            `Preparing`, `TrainingStarted` and `TrainingStep`.
        """
        found = None if self._state_file is None else self._state_file.found
        if found is not None:
            with complete_state():
                check_same_training(found.values["asked"], self._asked())
                self._restore(found)
        seed, start = self._training.seed, max(0, self.n_examples - KEPT)
        yield Preparing("Drawing the first examples")
        with (
            cores_left_to(workers),
            stream(self._backbone.draw, seed, start=start, workers=workers) as examples,
        ):
            # Those that a stopped training had seen are drawn again.
            for number in range(start, self.n_examples):
                self._pool.add(next(examples), number)
            while self.n_examples < KEPT:
                self._take(next(examples))
            yield TrainingStarted(self._device.kind, self._device.precision, 0, 0)
            self._set_out = time.time(), self.step
            reported = 0.0
            while self.step < (self._training.steps or 0):
                self._take(next(examples))
                loss, rate = self._advance()
                if not math.isfinite(loss):
                    continue
                over = self.step == self._training.steps
                if over or time.time() - reported > _REPORT_EVERY_S:
                    reported = time.time()
                    yield self._report(loss, rate)
                if self._state_file is not None:
                    yield from self._state_file.keep(self._state)
        self._measure_statistics()

    def model(self, head: Head) -> Model:
        """Return the averaged network that answers for one head alone.

        Raises
        ------
        UserError
            If training came to numbers that are not finite.
        """
        own = channels(self._backbone.heads)[self._backbone.heads.index(head)]
        network = build_network(self._backbone.network, 1, head.n_channels)
        weights = place_network(self._stepper.average.network, AT_REST).state_dict()
        network.load_state_dict(
            {name: w[own] if name.startswith("head.") else w for name, w in weights.items()}
        )
        if not all(bool(values.isfinite().all()) for values in weights.values()):
            raise UserError(_NOT_FINITE)
        recipe = Recipe(network=self._backbone.network, training=self._training)
        info = ModelInfo(
            name=head.model,
            recipe=recipe,
            classes=(LabelClass(name=head.structure, color=default_color(1)),),
            object_diameter_px=self._backbone.object_diameter_px.get(head.structure),
            channels=("grey",),
            pixel_size_um=self._backbone.pixel_size_um,
            history={
                "device": self._device.name,
                "precision": self._device.precision,
                "steps": self.step,
                "patch_px": self._training.patch_px,
                "batch": self._training.batch,
                "seconds": round(time.time() - self._began, 2),
            },
            data=[
                {
                    "name": self._backbone.learns_from,
                    "seed": self._training.seed,
                    "examples": self.n_examples,
                    "sha256": self.checksum,
                }
            ],
            versions=versions(),
            card=ModelCard(
                summary=head.summary,
                not_for=head.not_for,
                command=f"{self._backbone.command} --steps {self.step} "
                f"--seed {self._training.seed}",
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return Model(
            info,
            network.eval().requires_grad_(False),
            tuple(self._history),
            rehearsal=self._rehearsal,
        )

    @cached_property
    def _rehearsal(self) -> Sheet:
        return first_patches(self._backbone.draw, self._training.seed)

    def _take(self, example: Example) -> None:
        self._pool.add(example, self.n_examples)
        self.checksum = checksum(self.checksum, example)
        self.n_examples += 1

    def _draw(self) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        training = self._training
        patch = Patch((training.patch_px, training.patch_px))
        crop = crop_px(patch, training.augmentation)[-1]
        pixels, codes, maps = self._pool.draw(training.batch, crop)
        pixels, codes, maps = augment(
            pixels.to(self._device.name),
            codes.to(self._device.name),
            patch,
            training.augmentation,
            self._generator,
            {name: values.to(self._device.name) for name, values in maps.items()},
        )
        return place_image(pixels, self._device), codes, maps

    def _advance(self) -> tuple[float, float]:
        pixels, codes, maps = self._draw()
        rate = learning_rate(self._training, self.step, self.step / (self._training.steps or 1))
        loss = self._stepper.step(pixels, codes, rate, maps)
        if math.isfinite(loss):
            self.step += 1
        elif self._stepper.failures >= MAX_FAILURES:
            raise UserError(_NOT_FINITE)
        return loss, rate

    def _report(self, loss: float, rate: float) -> TrainingStep:
        now, steps = time.time(), self._training.steps or 1
        elapsed, fraction = now - self._began, self.step / steps
        since, first = self._set_out  # drawing the first examples took longer
        left = (now - since) / (self.step - first) * (steps - self.step)
        self._history.append(
            {"step": self.step, "elapsed_s": elapsed, "loss": loss, "learning_rate": rate}
        )
        return TrainingStep(self.step, loss, rate, elapsed, fraction, left)

    def _measure_statistics(self) -> None:
        n = -(-_MEASURED_ON // self._training.batch)
        measure_batch_statistics(self._stepper.average.network, (self._draw()[0] for _ in range(n)))

    def _asked(self) -> dict[str, Any]:
        return {
            "settings": self._training.model_dump(mode="json"),
            "network": self._backbone.network.model_dump(mode="json"),
            "heads": [head.model for head in self._backbone.heads],
            "version": napari_unetseg.__version__,
            "examples": self._backbone.learns_from,
            "material": self._backbone.material,
        }

    def _state(self) -> TrainingState:
        values = {
            "asked": self._asked(),
            "step": self.step,
            "n_examples": self.n_examples,
            "checksum": self.checksum,
            "stepper": self._stepper.values(),
            "history": self._history,
            "elapsed_s": time.time() - self._began,
        }
        tensors = {
            **prefixed("stepper", self._stepper.tensors()),
            "generator": self._generator.get_state(),
        }
        return TrainingState(tensors, values)

    def _restore(self, state: TrainingState) -> None:
        self.step, self.checksum = state.values["step"], state.values["checksum"]
        self.n_examples, self._history = state.values["n_examples"], state.values["history"]
        self._began = time.time() - state.values["elapsed_s"]
        self._stepper.restore(under("stepper", state.tensors), state.values["stepper"])
        self._generator.set_state(state.tensors["generator"])

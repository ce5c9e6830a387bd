"""Learning what images look like before any annotation is seen.

P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010; with whole squares left out as
in D. Pathak et al., "Context Encoders", CVPR 2016.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_unetseg.config import NormalisationConfig, TrainingConfig
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Progress, Warned
from napari_unetseg.images import Stack, fit_normalisation
from napari_unetseg.networks import Network
from napari_unetseg.networks.padding import mirrored

from .memory import said_of_smaller, smaller_after
from .patches import Patches, fitting_shape
from .placement import Device, place_image, place_network, seeded
from .schedule import Budget, learning_rate
from .stepper import MAX_FAILURES, Stepper

#: Seconds between reports.
REPORT_EVERY_S = 0.25

#: Most pixels of the stacks that are read: beyond that, slices evenly spread.
MOST_PX = 64 * 1024**2

#: What a patch is spoiled by: Gaussian noise of up to this standard deviation, and this share of
#: its squares of so many px replaced by its mean.
NOISE = 0.15
MASKED_SHARE = 0.3
MASKED_PX = 12

_STAGE = "Looking at unlabelled slices"


def read_unlabelled(
    stacks: Sequence[Stack], normalisation: NormalisationConfig, network: Network
) -> Iterator[Tensor]:
    """Read whole slices, or volumes, annotated or not, normalised.

    Yields
    ------
    Tensor, shape (C, Y, X) or (C, Z, Y, X), float16
        In 2.5D with the channels of neighbouring sections.
    """
    # Channels of neighbours take memory, too.
    copies = 2 * network.neighbours + 1
    total = copies * sum(stack.n_planes * math.prod(stack.plane_shape) for stack in stacks)
    every = math.ceil(total / MOST_PX)
    for stack in stacks:
        fitted = fit_normalisation(stack, normalisation)
        for planes in _seen_at_once(stack, network, every):
            pixels = [fitted.apply(stack.plane(i)).astype(np.float16) for i in planes]
            if network.spatial_dims == 3:
                yield torch.from_numpy(np.stack(pixels, axis=1))
            else:
                yield torch.from_numpy(np.concatenate(pixels))


def _seen_at_once(stack: Stack, network: Network, every: int) -> Iterator[Sequence[int]]:
    """Yield slices with their neighbours, or the sections of volumes: one in `every` of them."""
    if network.spatial_dims == 2:
        for index in range(0, stack.n_planes, every):
            yield stack.neighbouring_planes(index, network.neighbours)
        return
    depth = stack.size("Z")
    for first in range(0, stack.n_planes, depth):
        yield range(first, first + -(-depth // every))


def spoiled(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Add noise to patches and leave squares out.

    Parameters
    ----------
    clean : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X), float32 near [0, 1]
    generator : Generator
        Of the CPU.
    """
    height, width = clean.shape[-2:]
    each = (len(clean), *(1,) * (clean.ndim - 1))
    strength = NOISE * torch.rand(each, generator=generator)
    noisy = clean + strength * torch.randn(clean.shape, generator=generator)
    sections = clean.shape[2:-2]
    squares = (len(clean), 1, *sections, -(-height // MASKED_PX), -(-width // MASKED_PX))
    masked = torch.rand(squares, generator=generator) < MASKED_SHARE
    masked = masked.repeat_interleave(MASKED_PX, -2).repeat_interleave(MASKED_PX, -1)
    mean = clean.mean(dim=tuple(range(2, clean.ndim)), keepdim=True)
    return torch.where(masked[..., :height, :width], mean, noisy)


class DenoisingStepper(Stepper):
    """Moves a network towards answering with the clean patch."""

    def loss(self, logits: Tensor, codes: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the mean absolute difference from the clean patches in `codes`."""
        return F.l1_loss(logits.float(), codes)


class Pretraining:
    """Trains all of a network but its head to restore patches of unlabelled slices.

    The head is replaced by one that answers with grey values, and put back at the end.

    Parameters
    ----------
    unlabelled : sequence of Tensor, shape (C, Y, X) or (C, Z, Y, X), float16
        As `read_unlabelled` yields them.
    network : Network
        On the device, in training mode; its weights are changed.
    training : TrainingConfig
    patches : Patches
        Wanted; smaller where memory is short.
    budget : Budget
    device : Device

    Attributes
    ----------
    steps : int
        Done so far.
    """

    def __init__(
        self,
        unlabelled: Sequence[Tensor],
        network: Network,
        training: TrainingConfig,
        patches: Patches,
        budget: Budget,
        device: Device,
    ) -> None:
        self.steps = 0
        self._unlabelled = unlabelled
        self._sizes = [image.shape[1:] for image in unlabelled]
        self._network = network
        self._training = training
        self._patches = patches
        self._budget = budget
        self._device = device
        self._generator = torch.Generator().manual_seed(training.seed + 2)
        self._reported_at = -math.inf
        self._head = network.head
        with seeded(device, training.seed):
            convolution = nn.Conv2d if network.spatial_dims == 2 else nn.Conv3d
            head = convolution(network.head.in_channels, len(unlabelled[0]), 1)
        network.head = head
        place_network(network, device)
        self._stepper = DenoisingStepper(network, training, device)

    def run(self) -> Iterator[Event]:
        """Yield `Progress` until the budget is used up; then, or when closed, put the head back."""
        try:
            while (fraction := self._fraction()) < 1.0:
                yield from self._report(fraction)
                rate = learning_rate(self._training, self.steps, fraction)
                try:
                    loss = self._step(rate)
                except (RuntimeError, MemoryError) as error:
                    wanted = self._patches
                    self._patches = smaller_after(error, wanted, self._network)
                    yield Warned(said_of_smaller(wanted, self._patches))
                    continue
                if not math.isfinite(loss) and self._stepper.failures >= MAX_FAILURES:
                    raise UserError(
                        "Learning from the unlabelled slices failed with numbers that are not "
                        "finite; check the images for extreme values, or train without it."
                    )
                self.steps += 1
            self._network.load_state_dict(self._stepper.average.network.state_dict())
        finally:
            self._network.head = self._head

    def _step(self, rate: float) -> float:
        clean = self._draw()
        noisy = place_image(spoiled(clean, self._generator), self._device)
        return self._stepper.step(noisy, clean.to(self._device.name), rate)

    def _fraction(self) -> float:
        return self._budget.fraction(self.steps, time.time(), 0.0)

    def _report(self, fraction: float) -> Iterator[Event]:
        now = time.time()
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            left = self._budget.seconds_left(self.steps, now, 0.0)
            yield Progress(_STAGE, int(100 * fraction), 100, left)

    def _draw(self) -> Tensor:
        return torch.stack([self._crop() for _ in range(self._patches.batch)]).float()

    def _crop(self) -> Tensor:
        image = self._unlabelled[self._integer(len(self._unlabelled))]
        shape = fitting_shape(self._patches.patch_px, self._sizes, self._network)
        sizes = zip(image.shape[1:], shape, strict=True)
        start = [self._integer(max(1, size - n + 1)) for size, n in sizes]
        crop = mirrored(image, start, [at + n for at, n in zip(start, shape, strict=True)])
        crop = torch.rot90(crop, self._integer(4), dims=(-2, -1))
        return crop.flip(-1) if self._integer(2) else crop

    def _integer(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))

"""The patches of a training step, changed at random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_unetseg.config import AugmentationConfig, TrainingConfig

from .augmentation import augment, crop_px
from .data import LabelledPlane, PatchSampler
from .patches import Patches
from .placement import Device, place_image

#: Share of a patch that the labelled pixel it was drawn for may lie from the middle.
JITTER = 0.35


class Batches:
    """Draws patches where annotations are and augments them.

    Parameters
    ----------
    planes : sequence of LabelledPlane
    training : TrainingConfig
    patches : Patches
    device : Device

    Attributes
    ----------
    patches : Patches
        Their side and number; see `use`.
    generator : Generator
        Of everything drawn, so that the rest of its sequence can be kept and restored.
    """

    def __init__(
        self,
        planes: Sequence[LabelledPlane],
        training: TrainingConfig,
        patches: Patches,
        device: Device,
    ) -> None:
        self._planes = planes
        self._training = training
        self._device = device
        # Weights have a generator of their own, so that patches do not depend on the network.
        self.generator = torch.Generator()
        self._choose(patches)

    def use(self, patches: Patches) -> None:
        """Draw patches of another side or number from now on."""
        drawn = self.generator.get_state()
        self._choose(patches)
        self.generator.set_state(drawn)

    def _choose(self, patches: Patches) -> None:
        self.patches = patches
        # The sampler has the same positions to draw from whenever it is made.
        self.generator.manual_seed(self._training.seed + 1)
        self._sampler = PatchSampler(
            self._planes,
            crop_px(patches.patch_px, self._training.augmentation),
            int(patches.patch_px * JITTER),
            self.generator,
        )

    def draw(self, augmentation: AugmentationConfig) -> tuple[Tensor, Tensor]:
        """Draw the pixels (B, C, Y, X) and codes (B, Y, X) of a step, on the device."""
        pixels, codes = self._sampler.draw(self.patches.batch)
        pixels, codes = augment(
            pixels.to(self._device.name),
            codes.to(self._device.name),
            self.patches.patch_px,
            augmentation,
            self.generator,
        )
        return place_image(pixels, self._device), codes

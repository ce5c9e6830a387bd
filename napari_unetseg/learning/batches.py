"""The patches of a training step, changed at random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_unetseg.config import AugmentationConfig, TrainingConfig
from napari_unetseg.networks import Network

from .augmentation import Patch, augment, crop_px
from .data import LabelledRegion, PatchSampler
from .patches import Patches, fitting_shape
from .placement import Device, place_image

#: Share of a patch that the labelled pixel it was drawn for may lie from the middle.
JITTER = 0.35


class Batches:
    """Draws patches where annotations are and augments them.

    Parameters
    ----------
    regions : sequence of LabelledRegion
    training : TrainingConfig
    patches : Patches
    network : Network
        That the patches are for.
    device : Device

    Attributes
    ----------
    patches : Patches
        Their side and number; see `use`.
    device : Device
    generator : Generator
        Of everything drawn, so that the rest of its sequence can be kept and restored.
    """

    def __init__(
        self,
        regions: Sequence[LabelledRegion],
        training: TrainingConfig,
        patches: Patches,
        network: Network,
        device: Device,
    ) -> None:
        self._regions = regions
        self._training = training
        self._network = network
        self.device = device
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
        sizes = [region.targets.shape for region in self._regions]
        shape = fitting_shape(patches.patch_px, sizes, self._network)
        self._patch = Patch(shape, self._network.anisotropy, self._network.neighbours)
        self._sampler = PatchSampler(
            self._regions,
            crop_px(self._patch, self._training.augmentation),
            [int(n * JITTER) for n in shape],
            self.generator,
        )

    def draw(self, augmentation: AugmentationConfig) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Draw the pixels, codes and maps of a step, on the device.

        Returns
        -------
        pixels : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X), float32
        codes : Tensor, shape (B, Y, X) or (B, Z, Y, X), uint8
        maps : dict of str to Tensor, of the shape of `codes`, float32
        """
        pixels, codes, maps = self._sampler.draw(self.patches.batch)
        pixels, codes, maps = augment(
            pixels.to(self.device.name),
            codes.to(self.device.name),
            self._patch,
            augmentation,
            self.generator,
            {name: values.to(self.device.name) for name, values in maps.items()},
        )
        return place_image(pixels, self.device), codes, maps

    def draw_again(self, n_steps: int, augmentation: AugmentationConfig) -> list[Tensor]:
        """Draw the pixels of some steps, the same ones whenever it is asked for; for the CPU.

        What `draw` returns next does not depend on it.
        """
        drawn = self.generator.get_state()
        self.generator.manual_seed(self._training.seed + 2)
        # They are kept for long; a graphics card has little memory.
        pixels = [self.draw(augmentation)[0].cpu() for _ in range(n_steps)]
        self.generator.set_state(drawn)
        return pixels

"""The patches of a training step, changed at random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_unetseg.config import AugmentationConfig, TrainingConfig
from napari_unetseg.networks import Network

from .augmentation import Patch, augment, crop_px
from .data import LabelledRegion
from .patch_sampler import PatchSampler, RegionPart
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
        self.generator = torch.Generator().manual_seed(training.seed + 1)
        self.patches = patches
        self._sampler = PatchSampler(regions, *self._crop(), self.generator)

    def use(self, patches: Patches) -> None:
        """Draw patches of another side or number from now on."""
        self.patches = patches
        self._sampler.cut(*self._crop())

    def learn_from(
        self, regions: Sequence[LabelledRegion], newest: Sequence[RegionPart] = ()
    ) -> None:
        """Draw from other annotations from now on; see `PatchSampler.learn_from`."""
        self._regions = regions
        self._sampler.learn_from(regions, newest)
        self._sampler.cut(*self._crop())

    def _crop(self) -> tuple[tuple[int, ...], list[int]]:
        """Choose the patch that fits; return the size of crops for it, and how far off they are."""
        sizes = [region.targets.shape for region in self._regions]
        shape = fitting_shape(self.patches.patch_px, sizes, self._network)
        self._patch = Patch(shape, self._network.anisotropy, self._network.neighbours)
        return crop_px(self._patch, self._training.augmentation), [int(n * JITTER) for n in shape]

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

"""How large the pieces of image are that a step learns from, and how many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_unetseg.config import SMALLEST_PATCH_PX, TrainingConfig
from napari_unetseg.networks import Network
from napari_unetseg.networks.geometry import THICK

#: Patches per step in 3D: together about as many voxels as the patches of slices have pixels.
VOLUMES = 2


@dataclass(frozen=True, slots=True)
class Patches:
    """A side in px, and patches per step."""

    patch_px: int
    batch: int

    def of(self, network: Network) -> Patches:
        """Return patches of which a network sees as much, whatever it sees of images.

        Where it reduces them, it sees as many pixels once they are reduced; of volumes as many
        voxels, in fewer patches that are about cubes.
        """
        if network.spatial_dims == 2:
            return replace(self, patch_px=self.patch_px * network.reduction)
        axes_reduced = 2 if network.anisotropy >= THICK else 3
        voxels = self.batch * self.patch_px**2 / VOLUMES * network.reduction**axes_reduced
        side = float((voxels * network.anisotropy) ** (1 / 3))
        return Patches(max(SMALLEST_PATCH_PX, round(side / 16) * 16), VOLUMES)


#: For slices painted completely, or nearly so, in px as the network sees them. Many small steps
#: teach more than few large ones: EM membranes, mean IoU after 35 s of one core, without reduction:
#: 0.62 with 4 patches of 256 px, 0.71 with 2, and with 4 of 128 px 0.74 and 0.75.
DENSE = Patches(128, 4)

#: For strokes. Most of a large patch would be unpainted, and the network would learn where the few
#: strokes are from what lies around them. Mean IoU on the generated EM stack after 75 s, 18 strokes
#: on three slices: 0.375 with 4 patches of 256 px, 0.493 with 8 of 128, 0.546 with 12 of 96.
SPARSE = Patches(96, 8)


def chosen_patches(training: TrainingConfig, network: Network, *, dense: bool) -> TrainingConfig:
    """Return the config with side and number of patches filled in where they are left open.

    Parameters
    ----------
    dense : bool
        Whether slices are painted completely, or nearly so.
    """
    fitting = (DENSE if dense else SPARSE).of(network)
    return training.replace(
        patch_px=training.patch_px or fitting.patch_px, batch=training.batch or fitting.batch
    )


def margin_px(training: TrainingConfig, network: Network) -> tuple[int, ...]:
    """Return how much to keep around annotations: what the largest patch around them shows."""
    side = training.patch_px or DENSE.of(network).patch_px
    if network.spatial_dims == 2:
        return (side, side)
    return _sections(side, network), side, side


def fitting_shape(wanted: int, sizes: Sequence[Sequence[int]], network: Network) -> tuple[int, ...]:
    """Return the size of a patch, (Y, X) or (Z, Y, X).

    It is a square, or about a cube in µm, no larger than the largest image and even at every
    pooling. At least 2 × 2 px are left at the bottom of the network: one has no statistics to
    normalise by.

    Parameters
    ----------
    wanted : int
        Side in px.
    sizes : sequence of sequence of int
        Of the images, or the regions of them, along the same axes.
    network : Network
    """
    multiple = network.multiple_px[-1]
    largest = max(max(size[-2:]) for size in sizes)
    side = _rounded_up(max(min(wanted, largest), 2 * multiple), multiple)
    if network.spatial_dims == 2:
        return side, side
    deepest = max(size[0] for size in sizes)
    depth = min(_sections(wanted, network), deepest)
    return _rounded_up(depth, network.multiple_px[0]), side, side


def patch_shape(side_px: int, network: Network) -> tuple[int, ...]:
    """Return the size of a patch, (Y, X) or (Z, Y, X), where images are large enough."""
    if network.spatial_dims == 2:
        return side_px, side_px
    sections = _rounded_up(_sections(side_px, network), network.multiple_px[0])
    return sections, side_px, side_px


def n_pixels(patches: Patches, network: Network) -> int:
    """Return the pixels, or voxels, of all patches of a step, where images are large enough.

    With what the network mirrors around each of them.
    """
    shape = patch_shape(patches.patch_px, network)
    return patches.batch * math.prod(n + 2 * network.mirrored_px for n in shape)


def _sections(px: int, network: Network) -> int:
    """Return how many sections are about as thick as some pixels are wide; at least one."""
    return max(1, round(px / network.anisotropy))


def _rounded_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple

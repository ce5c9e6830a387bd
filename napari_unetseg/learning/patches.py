"""How large the pieces of image are that a step learns from, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_unetseg.config import TrainingConfig

from .data import LabelledPlane


@dataclass(frozen=True, slots=True)
class Patches:
    """A side in px, and patches per step."""

    patch_px: int
    batch: int


#: For slices painted completely, or nearly so: what a step costs teaches something everywhere.
DENSE = Patches(256, 4)

#: For strokes. Most of a large patch would be unpainted, and the network would learn where the few
#: strokes are from what lies around them. Mean IoU on the generated EM stack after 75 s, 18 strokes
#: on three slices: 0.375 with 4 patches of 256 px, 0.493 with 8 of 128, 0.546 with 12 of 96; on
#: three whole slices of `vnc` after 120 s it is the other way round, 0.794, 0.769 and 0.767 (8).
SPARSE = Patches(96, 8)

#: Share of painted pixels, in the annotated slices, from which they count as dense.
DENSE_SHARE = 0.25


def chosen_patches(training: TrainingConfig, planes: Sequence[LabelledPlane]) -> TrainingConfig:
    """Return the config with side and number of patches filled in where they are left open."""
    painted = sum(int(torch.count_nonzero(plane.targets)) for plane in planes)
    share = painted / sum(plane.targets.numel() for plane in planes)
    fitting = DENSE if share >= DENSE_SHARE else SPARSE
    return training.replace(
        patch_px=training.patch_px or fitting.patch_px, batch=training.batch or fitting.batch
    )


def fitting_side(wanted: int, planes: Sequence[LabelledPlane], multiple: int) -> int:
    """Return the side of a patch: no larger than the largest slice, even at every pooling.

    At least 2 px are left at the bottom of the network: one has no statistics to normalise by.
    """
    largest = max(max(plane.targets.shape) for plane in planes)
    side = max(min(wanted, largest), 2 * multiple)
    return -(-side // multiple) * multiple

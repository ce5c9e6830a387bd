"""The ways of looking at a tile over which predictions are averaged.

G. Wang et al., "Aleatoric uncertainty estimation with test-time augmentation for medical image
segmentation with convolutional neural networks", Neurocomputing 338, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from torch import Tensor


@dataclass(frozen=True, slots=True)
class View:
    """A symmetry of the pixel grid.

    Attributes
    ----------
    flips : tuple of int
        Axes to mirror, counted from the last: -1 is X.
    turned : bool
        Whether Y and X are then exchanged; with a flip that is a quarter turn.
    """

    flips: tuple[int, ...] = ()
    turned: bool = False

    def apply(self, image: Tensor) -> Tensor:
        """Show an image (…, Y, X) this way."""
        image = image.flip(self.flips) if self.flips else image
        return image.transpose(-1, -2) if self.turned else image

    def undo(self, answer: Tensor) -> Tensor:
        """Turn an answer back to how the image was."""
        answer = answer.transpose(-1, -2) if self.turned else answer
        return answer.flip(self.flips) if self.flips else answer


def all_views(spatial_dims: int) -> list[View]:
    """List the eight flips and turns of a slice, or the eight flips of a volume; as it is first."""
    axes = range(-spatial_dims, 0)
    flips = [
        tuple(axis for axis, flipped in zip(axes, chosen, strict=True) if flipped)
        for chosen in product([False, True], repeat=spatial_dims)
    ]
    return [View(flip, turned) for turned in (False, True)[: 4 - spatial_dims] for flip in flips]

"""The ways of looking at a tile over which predictions are averaged.

G. Wang et al., "Aleatoric uncertainty estimation with test-time augmentation for medical image
segmentation with convolutional neural networks", Neurocomputing 338, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from torch import Tensor

from napari_unetseg.networks import Network


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

    def logits(self, network: Network, image: Tensor, part: Sequence[slice]) -> Tensor:
        """Compute the logits of a part of an image that is shown to the network this way.

        Parameters
        ----------
        network : Network
        image : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X)
            With sizes that are multiples of ``network.multiple_px``.
        part : sequence of slice
            Per spatial axis.

        Returns
        -------
        Tensor, shape (B, n_classes, *part)
            As the image was.
        """
        # In whole multiples, which begin at one in every view.
        box = [
            slice(p.start - p.start % n, p.stop + -p.stop % n)
            for p, n in zip(part, network.multiple_px, strict=True)
        ]
        kept: Any = (
            ...,
            *(
                slice(p.start - around.start, p.stop - around.start)
                for p, around in zip(part, box, strict=True)
            ),
        )
        answer = network.logits_of(self.apply(image), self._shown(box, image.shape))
        return self.undo(answer)[kept]

    def _shown(self, box: Sequence[slice], shape: Sequence[int]) -> list[slice]:
        """Return where a box of an image of that shape, (…, Y, X), is when it is shown this way."""
        shown = list(box)
        for axis in self.flips:
            size, part = shape[axis], shown[axis]
            shown[axis] = slice(size - part.stop, size - part.start)
        if self.turned:
            shown[-2:] = reversed(shown[-2:])
        return shown

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

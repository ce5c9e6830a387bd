"""What every architecture promises to the trainer and the predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """A network that answers with one logit per class and pixel.

    Attributes
    ----------
    spatial_dims : {2, 3}
        Axes of an input beside batch and channels: (Y, X) or (Z, Y, X).
    anisotropy : float
        Size of the voxels along Z ÷ along X that the network is made for; 1 in 2D.
    neighbours : int
        Sections on each side of the one answered for that are stacked as channels, from the
        first section to the last, all channels of a section together; 0 unless 2.5D.
    reduction : int
        Times that Y and X are made smaller before the first convolution.
    multiple_px : tuple of int
        Per spatial axis, an input is padded to a multiple of this. Tiles that begin at multiples
        of it see the same pooling as the whole image.
    halo_px : tuple of int
        Context that a tile needs on every side, per spatial axis, so that its middle equals that
        of the whole image; with instance and group normalisation nearly so, for these measure
        each tile by itself.
    mirrored_px : int
        What it mirrors around an image by itself, on every side, and computes with: 0 where
        convolutions are padded.
    contracting : Module
        The path from the image to the bottom; what it sees in an image serves other classes too.
    head : Conv2d or Conv3d
        The last layer, whose output channels are the classes.
    """

    spatial_dims: int = 2
    anisotropy: float = 1.0
    neighbours: int = 0
    reduction: int = 1
    mirrored_px: int = 0
    multiple_px: tuple[int, ...]
    halo_px: tuple[int, ...]
    contracting: nn.Module
    head: nn.Conv2d | nn.Conv3d

    def logits_of(self, image: Tensor, box: Sequence[slice]) -> Tensor:
        """Compute the logits of a part of an image, as `forward` would, and no more than it has to.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X)
        box : sequence of slice
            Per spatial axis; begins at a multiple of `multiple_px`.

        Returns
        -------
        Tensor, shape (B, n_classes, *box)
        """
        inside: Any = (..., *box)
        logits: Tensor = self(image)[inside]
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights.

        Every convolution is Gaussian with standard deviation ``sqrt(2 / N)``, N the incoming nodes
        of one unit, and has no bias to begin with.

        References
        ----------
        K. He et al., "Delving Deep into Rectifiers", ICCV 2015, as in O. Ronneberger et al.,
        "U-Net", MICCAI 2015.
        """
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d):
                # With kernel = stride every output pixel has one incoming pixel.
                std = (2.0 / module.in_channels) ** 0.5
                nn.init.normal_(module.weight, std=std, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            else:
                continue
            if module.bias is not None:
                nn.init.zeros_(module.bias)

"""What every architecture promises to the trainer and the predictor."""

from __future__ import annotations

import torch
from torch import nn


class Network(nn.Module):
    """A network that answers with one logit per class and pixel.

    Attributes
    ----------
    multiple_px : int
        Height and width of an input are padded to a multiple of this. Tiles that begin at
        multiples of it see the same pooling as the whole image.
    halo_px : int
        Context that a tile needs on every side so that its middle equals that of the whole image.
    contracting : Module
        The path from the image to the bottom; what it sees in an image serves other classes too.
    head : Conv2d
        The last layer, whose output channels are the classes.
    """

    multiple_px: int
    halo_px: int
    contracting: nn.Module
    head: nn.Conv2d

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
            if isinstance(module, nn.ConvTranspose2d):
                # With kernel = stride every output pixel has one incoming pixel.
                nn.init.normal_(
                    module.weight, std=(2.0 / module.in_channels) ** 0.5, generator=generator
                )
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

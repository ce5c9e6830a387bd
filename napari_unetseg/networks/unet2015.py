"""The U-Net as it was published: unpadded, without normalisation.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_unetseg.config import UNet2015Config

from .base import Network
from .padding import mirrored

#: What unpadded convolutions take off on each side: (572 − 388) / 2.
BORDER_PX = 92

#: The smallest output; larger ones differ from it by multiples of 16 px, so that every map that
#: is pooled is even.
SMALLEST_PX, MULTIPLE_PX = 4, 16

#: The border, rounded up so that pooling stays aligned.
HALO_PX = 96


class UNet2015(Network):
    """A contracting and an expanding path of unpadded convolutions, joined by cropped maps.

    Each level of the contracting path has two 3 × 3 convolutions, then 2 × 2 max pooling; channels
    double from level to level, 64 to 1024 in the paper. Dropout follows the last level. Each level
    of the expanding path begins with a 2 × 2 up-convolution that halves the channels and is
    concatenated with the middle of the map of the contracting path. A ReLU follows every 3 × 3
    convolution. With the 1 × 1 convolution at the end there are 23 layers of convolutions.

    Parameters
    ----------
    config : UNet2015Config
    n_channels : int
        Channels of an image.
    n_classes : int
        Outputs, background included.
    """

    contracting: nn.ModuleList

    def __init__(self, config: UNet2015Config, n_channels: int, n_classes: int) -> None:
        super().__init__()
        widths = [config.filters * 2**level for level in range(config.depth + 1)]
        self.spatial_dims, self.neighbours = 2, 0
        self.multiple_px = (MULTIPLE_PX, MULTIPLE_PX)
        self.halo_px = (HALO_PX, HALO_PX)
        self.mirrored_px = BORDER_PX
        inputs = [n_channels, *widths[:-1]]
        self.contracting = nn.ModuleList(
            _block(n_in, n_out) for n_in, n_out in zip(inputs, widths, strict=True)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2)
            for level in range(config.depth)
        )
        self.expanding = nn.ModuleList(
            _block(2 * widths[level], widths[level]) for level in range(config.depth)
        )
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits for a whole image, whose missing context is mirrored.

        This is the paper's overlap-tile strategy for a single tile. A patch of 384 × 384 px costs
        what the paper's tile costs: it is mirrored to 572 × 572 px, and 2 px on each side of the
        388 × 388 px that come out are not needed.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X)
            Of any size.

        Returns
        -------
        Tensor, shape (B, n_classes, Y, X)
        """
        return self.logits_of(image, [slice(0, size) for size in image.shape[-2:]])

    def logits_of(self, image: Tensor, box: Sequence[slice]) -> Tensor:
        """Compute the logits of a part of an image; what the image has around it is not mirrored.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X)
        box : sequence of slice
            Along Y and X; begins at multiples of 16 px.

        Returns
        -------
        Tensor, shape (B, n_classes, *box)
        """
        height, width = (part.stop - part.start for part in box)
        start = [part.start - BORDER_PX for part in box]
        valid = (_valid_px(height), _valid_px(width))
        stop = [part.start + px + BORDER_PX for part, px in zip(box, valid, strict=True)]
        return self.forward_unpadded(mirrored(image, start, stop))[..., :height, :width]

    def forward_unpadded(self, image: Tensor) -> Tensor:
        """Compute logits for the middle of an image: 388 × 388 px of 572 × 572.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X)
            Y and X 188 px, or a multiple of 16 px more.

        Returns
        -------
        Tensor, shape (B, n_classes, Y − 184, X − 184)

        Raises
        ------
        ValueError
            If Y or X is such that a map that is pooled would not be even.
        """
        smallest = SMALLEST_PX + 2 * BORDER_PX
        more = [size - smallest for size in image.shape[-2:]]
        if any(px < 0 or px % MULTIPLE_PX for px in more):
            raise ValueError(
                f"an input of {tuple(image.shape[-2:])} px; height and width must be {smallest} px "
                f"or a multiple of {MULTIPLE_PX} px more"
            )
        x = image
        skips = []
        for block in self.contracting[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.dropout(self.contracting[-1](x))
        for level in reversed(range(len(skips))):
            x = self.up[level](x)
            x = torch.cat([_middle(skips[level], x.shape), x], dim=1)
            x = self.expanding[level](x)
        logits: Tensor = self.head(x)
        return logits


def _valid_px(wanted: int) -> int:
    """Return the smallest output that holds `wanted` px.

    >>> [_valid_px(wanted) for wanted in (1, 4, 5, 384, 388, 389)]
    [4, 4, 20, 388, 388, 404]
    """
    return max(wanted, SMALLEST_PX) + (SMALLEST_PX - max(wanted, SMALLEST_PX)) % MULTIPLE_PX


def _middle(image: Tensor, shape: torch.Size) -> Tensor:
    """Cut the middle of `shape` out of a map."""
    top, left = (image.shape[-2] - shape[-2]) // 2, (image.shape[-1] - shape[-1]) // 2
    return image[..., top : top + shape[-2], left : left + shape[-1]]


def _block(n_in: int, n_out: int) -> nn.Sequential:
    """Two unpadded 3 × 3 convolutions, each rectified."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3),
        nn.ReLU(inplace=True),
    )

"""The U-Net, padded and normalised.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_unetseg.config import UNetConfig

from .base import Network
from .padding import mirrored


class UNet(Network):
    """A contracting and an expanding path, joined level by level.

    Each level of the contracting path has two 3 × 3 convolutions, then 2 × 2 max pooling; channels
    double from level to level. Each level of the expanding path begins with a 2 × 2
    up-convolution that halves the channels and is concatenated with the map of the contracting
    path. Convolutions are padded, so the output is as large as the input.

    Parameters
    ----------
    config : UNetConfig
    n_channels : int
        Channels of an image.
    n_classes : int
        Outputs, background included.
    """

    contracting: nn.ModuleList

    def __init__(self, config: UNetConfig, n_channels: int, n_classes: int) -> None:
        super().__init__()
        depth = config.depth
        widths = [config.filters * 2**level for level in range(depth + 1)]
        self.multiple_px = 2**depth
        self.halo_px = context_px(depth)
        inputs = [n_channels, *widths[:-1]]
        self.contracting = nn.ModuleList(
            _block(n_in, n_out, config.norm) for n_in, n_out in zip(inputs, widths, strict=True)
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2)
            for level in range(depth)
        )
        self.expanding = nn.ModuleList(
            _block(2 * widths[level], widths[level], config.norm) for level in range(depth)
        )
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X)
            Of any size: it is padded by mirroring to the next multiple of ``multiple_px``, so
            that every pooled map is even, and the padding is cut off again.

        Returns
        -------
        Tensor, shape (B, n_classes, Y, X)
        """
        height, width = image.shape[-2:]
        below, beside = -height % self.multiple_px, -width % self.multiple_px
        x = mirrored(image, 0, height + below, 0, width + beside)
        skips = []
        for block in self.contracting[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.dropout(self.contracting[-1](x))
        for level in reversed(range(len(skips))):
            x = torch.cat([skips[level], self.up[level](x)], dim=1)
            x = self.expanding[level](x)
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]


def context_px(depth: int) -> int:
    """Return how far an output pixel sees, rounded up so that pooling stays aligned.

    Followed through the network for the first pixel of a tile that begins at a multiple of
    ``2 ** depth``: two convolutions reach 2 px at their level, pooling doubles a distance and
    up-convolution halves it.

    Examples
    --------
    >>> [context_px(depth) for depth in (1, 2, 3, 4)]
    [8, 24, 48, 96]
    """
    wanted = [0]
    for _ in range(depth):
        wanted.append((wanted[-1] + 2 + 1) // 2)
    reach = 0
    for level in reversed(range(depth + 1)):
        from_skip = wanted[level] + 2 if level < depth else wanted[level]
        reach = max(2 * reach, from_skip) + 2
    multiple = 2**depth
    return int(-(-reach // multiple) * multiple)


def _block(n_in: int, n_out: int, norm: str) -> nn.Sequential:
    """Two 3 × 3 convolutions, each normalised and rectified."""
    layers: list[nn.Module] = []
    for source in (n_in, n_out):
        layers += [
            # The normalisation that follows has the bias.
            nn.Conv2d(source, n_out, 3, padding=1, bias=False),
            _norm(norm, n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    groups = channels if kind == "instance" else max(1, channels // 8)
    # filters may be any number from 4 on; a group count must divide it.
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)

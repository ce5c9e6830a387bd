"""The U-Net, padded and normalised, of slices, of sections with their neighbours, and of volumes.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015; Ö. Çiçek et al., "3D U-Net", MICCAI 2016.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_unetseg.config import UNetConfig

from .base import Network
from .blocks import enlarging, two_convolutions
from .geometry import Geometry
from .padding import mirrored

#: Channels at the top level where nobody said how many.
USUAL_FILTERS = 16

#: Times the image is halved where nobody said how often: the paper's.
USUAL_DEPTH = 4


class UNet(Network):
    """A contracting and an expanding path, joined level by level.

    Each level of the contracting path has two 3 × 3 convolutions, then 2 × 2 max pooling; channels
    double from level to level. Each level of the expanding path begins with a 2 × 2
    up-convolution that halves the channels and is concatenated with the map of the contracting
    path. Convolutions are padded, so the output is as large as the input. In 3D the kernels along
    Z are those of `Geometry`.

    With ``reduction`` r the image is averaged over squares of r px first (over cubes in 3D, where
    sections are thin), and the logits are enlarged linearly: a network of the same cost sees r
    times as far, and learns from r² times as many pixels in a step.

    Parameters
    ----------
    config : UNetConfig
        With ``anisotropy`` 0 voxels count as isotropic; with ``reduction`` 0 nothing is reduced;
        with ``filters`` 0 there are `USUAL_FILTERS`, with ``depth`` 0 it is `USUAL_DEPTH`.
    n_channels : int
        Channels of an image; in 2.5D the network takes them of every section it sees.
    n_classes : int
        Outputs, background included.
    """

    contracting: nn.ModuleList

    def __init__(self, config: UNetConfig, n_channels: int, n_classes: int) -> None:
        super().__init__()
        depth = config.depth or USUAL_DEPTH
        widths = [(config.filters or USUAL_FILTERS) * 2**level for level in range(depth + 1)]
        self.spatial_dims = 3 if config.dims == "3" else 2
        self.neighbours = config.neighbours if config.dims == "2.5" else 0
        if self.spatial_dims == 3 and config.anisotropy:
            self.anisotropy = config.anisotropy
        self.reduction = config.reduction or 1
        geometry = Geometry.of(depth, self.spatial_dims, self.anisotropy, reduction=self.reduction)
        self.multiple_px, self.halo_px = geometry.multiple_px, geometry.halo_px
        self._averaged = geometry.reduction
        self._poolings = geometry.poolings
        # One pixel at the bottom cannot be normalised by itself.
        self._least = 2 if config.norm == "instance" else 1
        inputs = [n_channels * (2 * self.neighbours + 1), *widths[:-1]]
        self.contracting = nn.ModuleList(
            two_convolutions(n_in, n_out, kernel, config.norm, residual=config.residual)
            for n_in, n_out, kernel in zip(inputs, widths, geometry.kernels, strict=True)
        )
        dropout = nn.Dropout2d if self.spatial_dims == 2 else nn.Dropout3d
        self.dropout = dropout(config.dropout)
        self.up = nn.ModuleList(
            enlarging(widths[level + 1], widths[level], pooling, config.upsampling)
            for level, pooling in enumerate(geometry.poolings)
        )
        self.expanding = nn.ModuleList(
            two_convolutions(2 * width, width, kernel, config.norm, residual=config.residual)
            for width, kernel in zip(widths[:-1], geometry.kernels, strict=False)
        )
        head = nn.Conv2d if self.spatial_dims == 2 else nn.Conv3d
        self.head = head(widths[0], n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits.

        Parameters
        ----------
        image : Tensor, shape (B, C, Y, X) or (B, C, Z, Y, X)
            Of any size: it is padded by mirroring to the next multiple of ``multiple_px``, so
            that every pooled map is even, and the padding is cut off again.

        Returns
        -------
        Tensor, shape (B, n_classes, Y, X) or (B, n_classes, Z, Y, X)
        """
        sizes = image.shape[2:]
        zeros = [0] * len(sizes)
        padded = [
            max(self._least, -(-n // m)) * m for n, m in zip(sizes, self.multiple_px, strict=True)
        ]
        x = mirrored(image, zeros, padded)
        pool = F.max_pool2d if self.spatial_dims == 2 else F.max_pool3d
        if self.reduction > 1:
            average = F.avg_pool2d if self.spatial_dims == 2 else F.avg_pool3d
            x = average(x, self._averaged)
        skips = []
        for block, size in zip(self.contracting, self._poolings, strict=False):
            x = block(x)
            skips.append(x)
            x = pool(x, size)
        x = self.dropout(self.contracting[-1](x))
        for level in reversed(range(len(skips))):
            x = torch.cat([skips[level], self.up[level](x)], dim=1)
            x = self.expanding[level](x)
        logits: Tensor = self.head(x)
        if self.reduction > 1:
            mode = "bilinear" if self.spatial_dims == 2 else "trilinear"
            logits = F.interpolate(logits, size=padded, mode=mode)
        return mirrored(logits, zeros, sizes)

"""What networks are made of, in two dimensions and in three by the length of a kernel."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def convolution(n_in: int, n_out: int, kernel: tuple[int, ...], *, bias: bool) -> nn.Module:
    """Make a convolution whose output is as large as its input."""
    layer: Any = nn.Conv2d if len(kernel) == 2 else nn.Conv3d
    padding = tuple(n // 2 for n in kernel)
    made: nn.Module = layer(n_in, n_out, kernel, padding=padding, bias=bias)
    return made


def two_convolutions(
    n_in: int, n_out: int, kernel: tuple[int, ...], norm: str, *, residual: bool
) -> nn.Module:
    """Two convolutions, each normalised and rectified."""
    layers: list[nn.Module] = []
    for source in (n_in, n_out):
        layers += [
            # The normalisation that follows has the bias.
            convolution(source, n_out, kernel, bias=False),
            normalisation(norm, n_out, len(kernel)),
            nn.ReLU(inplace=True),
        ]
    if not residual:
        return nn.Sequential(*layers)
    shortcut = nn.Sequential(
        convolution(n_in, n_out, (1,) * len(kernel), bias=False),
        normalisation(norm, n_out, len(kernel)),
    )
    return Residual(nn.Sequential(*layers[:-1]), nn.Identity() if n_in == n_out else shortcut)


class Residual(nn.Module):
    """Adds what goes in to what comes out, and rectifies.

    References
    ----------
    K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape but for the channels."""
        total: Tensor = self.body(x) + self.shortcut(x)
        return total.relu_()


def enlarging(n_in: int, n_out: int, factor: tuple[int, ...], kind: str) -> nn.Module:
    """Make a map larger by `factor`, with fewer channels.

    ``"transposed"`` learns every pixel of what comes out. ``"nearest"`` repeats pixels, which
    leaves no chequered pattern; its 1 px convolution commutes with that and runs before it, on
    the fewer pixels.

    References
    ----------
    A. Odena, V. Dumoulin, C. Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
    """
    if kind == "nearest":
        return nn.Sequential(
            convolution(n_in, n_out, (1,) * len(factor), bias=True),
            nn.Upsample(scale_factor=tuple(map(float, factor)), mode="nearest"),
        )
    layer: Any = nn.ConvTranspose2d if len(factor) == 2 else nn.ConvTranspose3d
    made: nn.Module = layer(n_in, n_out, factor, stride=factor)
    return made


def normalisation(kind: str, channels: int, spatial_dims: int) -> nn.Module:
    """Make a layer of one of the kinds that a config names."""
    if kind == "batch":
        return nn.BatchNorm2d(channels) if spatial_dims == 2 else nn.BatchNorm3d(channels)
    groups = channels if kind == "instance" else max(1, channels // 8)
    # filters may be any number from 4 on; a group count must divide it.
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)

"""How large convolutions and poolings are at each level, and how far a network sees through them.

Everything is counted per spatial axis: (Y, X) or (Z, Y, X).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

#: Sections are thick from this size of a voxel along Z ÷ along X on.
THICK = 2.0


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the kernels of a U-Net with two convolutions at each level.

    Attributes
    ----------
    kernels : tuple of tuple of int
        Of the convolutions, for each level from the top.
    poolings : tuple of tuple of int
        Between a level and the one below it; one fewer than levels.
    reduction : tuple of int
        Pixels that are averaged before the first level.
    """

    kernels: tuple[tuple[int, ...], ...]
    poolings: tuple[tuple[int, ...], ...]
    reduction: tuple[int, ...]

    @classmethod
    def of(cls, depth: int, spatial_dims: int, anisotropy: float, *, reduction: int = 1) -> Self:
        """Choose 3 px kernels and 2 px poolings, and along Z 1 px while sections are too thick.

        A section is too thick where it is at least `THICK` times as thick as a pixel of its level
        is wide; pooling within sections makes voxels more alike from level to level.

        Parameters
        ----------
        depth : int
            Poolings.
        spatial_dims : {2, 3}
        anisotropy : float
            Size of a voxel along Z ÷ along X; what is below `THICK` counts as isotropic.
        reduction : int
            Times that the image is made smaller before the first level; sections that are
            thick stay as they are.

        References
        ----------
        F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
        image segmentation", Nature Methods 18, 2021.

        Examples
        --------
        >>> Geometry.of(2, 3, anisotropy=3.0).kernels
        ((1, 3, 3), (3, 3, 3), (3, 3, 3))
        >>> Geometry.of(2, 3, anisotropy=3.0).poolings
        ((1, 2, 2), (2, 2, 2))
        """
        along_z = reduction if anisotropy < THICK else 1
        reductions = ((along_z,) if spatial_dims == 3 else ()) + (reduction, reduction)
        anisotropy *= along_z / reduction
        sizes = []
        for _ in range(depth + 1):
            thick = spatial_dims == 3 and anisotropy >= THICK
            anisotropy = anisotropy / 2 if thick else anisotropy
            within = (spatial_dims - 1) * (2,)
            sizes.append((1, *within) if thick else (2, *within))
        kernels = tuple(tuple(2 * n - 1 for n in size) for size in sizes)
        return cls(kernels, tuple(sizes[:-1]), reductions)

    @property
    def multiple_px(self) -> tuple[int, ...]:
        """What sizes are divisible by where every pooling is even, per axis."""
        return tuple(math.prod(along) for along in zip(self.reduction, *self.poolings, strict=True))

    @property
    def halo_px(self) -> tuple[int, ...]:
        """How far an output pixel sees, per axis."""
        return tuple(
            context_px(kernels, poolings, reduction)
            for kernels, poolings, reduction in zip(
                zip(*self.kernels, strict=True),
                zip(*self.poolings, strict=True),
                self.reduction,
                strict=True,
            )
        )


def context_px(kernels: Sequence[int], poolings: Sequence[int], reduction: int = 1) -> int:
    """Return how far an output pixel sees along one axis, rounded up to keep pooling aligned.

    Followed through the network for the first pixel of a tile that begins at a multiple of the
    product of the poolings: two convolutions reach twice half a kernel at their level, pooling
    multiplies a distance and up-convolution divides it. Logits that are enlarged look one pixel
    further.

    Examples
    --------
    >>> [context_px([3] * (depth + 1), [2] * depth) for depth in (1, 2, 3, 4)]
    [8, 24, 48, 96]
    >>> context_px([1, 1, 3], [1, 1])
    2
    >>> context_px([3, 3], [2], reduction=2)
    20
    """
    reaches = [2 * (kernel // 2) for kernel in kernels]
    wanted = [0]
    for reach, pooling in zip(reaches, poolings, strict=False):
        wanted.append(-(-(wanted[-1] + reach) // pooling))
    seen = wanted[-1] + reaches[-1]
    for reach, pooling, start in reversed(list(zip(reaches, poolings, wanted, strict=False))):
        seen = max(pooling * seen, start + reach) + reach
    if reduction > 1:
        seen = reduction * (seen + 1)
    multiple = reduction * math.prod(poolings)
    return -(-seen // multiple) * multiple

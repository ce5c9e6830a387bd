"""Whether images are slices or volumes, and how thick their sections are."""

from __future__ import annotations

from collections.abc import Sequence

from napari_unetseg.config import LEAST_ANISOTROPY, NetworkConfig
from napari_unetseg.images import Stack


def with_anisotropy(network: NetworkConfig, stacks: Sequence[Stack]) -> NetworkConfig:
    """Fill in the shape of the voxels that a network of volumes is made for.

    It is that of the first stack that knows it, and that of a cube where none does. What is given
    already stays.
    """
    if network.dims != "3" or network.anisotropy:
        return network
    known = [a for a in map(_anisotropy, stacks) if a is not None]
    return network.replace(anisotropy=known[0] if known else 1.0)


def as_far_as_asked(asked: NetworkConfig, network: NetworkConfig) -> NetworkConfig:
    """Return what was asked for, with what it leaves to the images as `network` has it."""
    left_open = ("anisotropy", "reduction", "depth", "filters")
    if asked.kind != "unet" or network.kind != "unet":
        return asked
    return asked.replace(
        **{name: getattr(network, name) for name in left_open if not getattr(asked, name)}
    )


def dimensions_note(network: NetworkConfig, stacks: Sequence[Stack]) -> str | None:
    """Say in a sentence what a person may not expect of a network that looks beyond a slice."""
    if network.dims == "2":
        return None
    if all(stack.size("Z") == 1 for stack in stacks):
        return (
            "No image has slices above one another (an axis Z), so nothing is gained by looking "
            "beyond a slice; dims 2 learns the same faster."
        )
    asks = network.dims == "3" and not network.anisotropy
    if asks and all(_anisotropy(stack) is None for stack in stacks):
        return (
            "The distance between slices is not known, so voxels count as cubes; give the image "
            "its pixel size and slice distance, or set anisotropy in the config."
        )
    return None


def _anisotropy(stack: Stack) -> float | None:
    """Return the size of a voxel along Z ÷ along X, rounded; None where it is not known."""
    sizes = stack.pixel_size_um
    if "Z" not in sizes or "X" not in sizes:
        return None
    return min(max(round(sizes["Z"] / sizes["X"], 3), LEAST_ANISOTROPY), 1000.0)

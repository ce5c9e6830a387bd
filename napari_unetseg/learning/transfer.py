"""Starting from a model instead of from nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from napari_unetseg.config import LabelClass, Recipe, Transfer
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, pixel_size_ratio
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .averaging import FROZEN
from .bundle import Model
from .detail import MOST_REDUCED


def check_base(base: Model, n_channels: int) -> None:
    """Raise `UserError` if `base` was made for images of other channels."""
    expected = len(base.info.channels)
    if n_channels != expected:
        raise UserError(
            f"The base model {base.info.name!r} was made for {counted(expected, 'channel')}, "
            f"but these images have {n_channels}; choose another base, or train from scratch."
        )


def recipe_from_base(recipe: Recipe, base: Model, stack: Stack) -> Recipe:
    """Return `recipe` with the network and the normalisation that the weights were made for.

    Where pixel sizes are known, images are reduced until the network sees them about as large as
    those it knows; they are never enlarged.
    """
    network = base.info.recipe.network
    ratio = pixel_size_ratio(base.info, stack)
    if network.kind == "unet" and ratio is not None:
        reduction = round((network.reduction or 1) / ratio)
        network = network.replace(reduction=min(max(reduction, 1), MOST_REDUCED))
    return recipe.replace(
        network=network.model_dump(),
        normalisation=base.info.recipe.normalisation.model_dump(),
    )


def known_classes(base: Model | None, new_head: bool) -> frozenset[str]:
    """Return the names of the classes that a network knows before it has learned anything."""
    return frozenset() if base is None or new_head else frozenset(base.class_names)


@torch.no_grad()
def copy_weights(
    base: Model, network: Network, classes: Sequence[LabelClass], known: frozenset[str]
) -> None:
    """Copy what `base` knows into `network`; everything but the head fits as it is.

    Rows of the head are matched by class name, so classes may be added, dropped and reordered;
    rows of classes that are not `known` keep the weights they have. The last row is that of the
    distance, where `network` answers with one.
    """
    source = base.network.state_dict()
    head = {f"head.{name}" for name, _ in network.head.named_parameters()}
    network.load_state_dict({k: v for k, v in source.items() if k not in head}, strict=False)
    names = ("background", *(c.name for c in classes))
    rows = {row: base.class_names.index(n) for row, n in enumerate(names) if n in known}
    if network.head.out_channels > len(names) and base.info.object_diameter_px is not None:
        rows[len(names)] = len(base.class_names)
    for own, other in zip(network.head.parameters(), base.network.head.parameters(), strict=True):
        for row, old in rows.items():
            own[row] = other[old]


def freeze(network: Network, transfer: Transfer) -> None:
    """Keep what does not learn as it is: weights, and statistics of batch normalisation.

    No gradients are computed for a frozen contracting path, nor are its maps kept for them, so
    that a step is faster and needs less memory.

    Parameters
    ----------
    network : Network
        In training mode; changed in place.
    transfer : {"all", "expanding", "head"}
        What learns.
    """
    if transfer == "all":
        return
    frozen = [part for part in network.children() if part is not network.head]
    for part in [network.contracting] if transfer == "expanding" else frozen:
        part.requires_grad_(False).eval()
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.momentum = FROZEN

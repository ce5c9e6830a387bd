"""Starting from a model instead of from nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_unetseg.config import LabelClass, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .bundle import Model


def check_base(base: Model, n_channels: int) -> None:
    """Raise `UserError` if `base` was made for images of other channels."""
    expected = len(base.info.channels)
    if n_channels != expected:
        raise UserError(
            f"The base model {base.info.name!r} was made for {counted(expected, 'channel')}, "
            f"but these images have {n_channels}; choose another base, or train from scratch."
        )


def recipe_from_base(recipe: Recipe, base: Model) -> Recipe:
    """Return `recipe` with the network and the normalisation that the weights were made for."""
    return recipe.replace(
        network=base.info.recipe.network.model_dump(),
        normalisation=base.info.recipe.normalisation.model_dump(),
    )


@torch.no_grad()
def copy_weights(base: Model, network: Network, classes: Sequence[LabelClass]) -> list[str]:
    """Copy what `base` knows into `network`; everything but the head fits as it is.

    Rows of the head are matched by class name, so classes may be added, dropped and reordered;
    rows of new classes keep the weights they have.

    Returns
    -------
    list of str
        Names of the classes that are new to the network.
    """
    source = base.network.state_dict()
    head = {f"head.{name}" for name, _ in network.head.named_parameters()}
    network.load_state_dict({k: v for k, v in source.items() if k not in head}, strict=False)
    new = []
    for row, name in enumerate(("background", *(c.name for c in classes))):
        if name not in base.class_names:
            new.append(name)
            continue
        old = base.class_names.index(name)
        for own, other in zip(
            network.head.parameters(), base.network.head.parameters(), strict=True
        ):
            own[row] = other[old]
    return new

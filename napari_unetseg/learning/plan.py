"""What is decided of a training before it begins: from images, settings, device, base model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_unetseg.config import LabelClass, NetworkConfig, Recipe, UNetConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    check_training_set,
    format_length,
    is_scale_open,
    pixel_size_note,
)

from .bundle import Model
from .data import TrainingImage
from .detail import (
    Painted,
    count_painted,
    median_diameter,
    with_reduction,
    with_reduction_of_objects,
)
from .dimensions import as_far_as_asked, dimensions_note, with_anisotropy
from .network_size import with_size
from .placement import Device
from .transfer import (
    check_base,
    keeps_objects,
    may_be_remembered,
    recipe_from_base,
)

_NO_BASE = "There is no base model to transfer from, so all of the network is learned from scratch."
_NO_OBJECTS = (
    "Borders between objects get no weight of their own, for these labels do not tell objects "
    "apart; give labels of kind objects."
)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A recipe with what images and base model decide filled in.

    Attributes
    ----------
    recipe : Recipe
        Side and number of patches may still be open: they depend on the network.
    painted : Painted
    object_diameter_px : float or None
        Of the median annotated object, or of those that the base model knows; None where the
        network does not tell objects apart.
    learns_distances : bool
        Whether the annotations tell objects apart.
    notes : tuple of str
        What a person may not expect, in sentences.
    """

    recipe: Recipe
    painted: Painted
    object_diameter_px: float | None
    learns_distances: bool
    notes: tuple[str, ...]


def plan_training(
    images: Sequence[TrainingImage],
    recipe: Recipe,
    classes: Sequence[LabelClass],
    base: Model | None,
    device: Device,
) -> TrainingPlan:
    """Fit a recipe to images, to the device, and to the model that training starts from.

    Raises
    ------
    UserError
        If the images, the classes or the base do not fit each other.
    """
    if not images:
        raise UserError("There is nothing to learn from; give at least one annotated image.")
    check_training_set(
        [i.stack for i in images],
        [i.codes for i in images],
        n_classes=1 if may_be_remembered(classes, base, recipe.training) else 2,
    )
    if not classes:
        raise UserError("There is no class to learn; name at least one beside background.")
    if again := [name for name, n in Counter(c.name for c in classes).items() if n > 1]:
        raise UserError(f"Two classes are named {again[0]!r}; give each a name of its own.")
    asked = recipe.network
    transfers = recipe.training.transfer != "all" or recipe.training.new_head
    if base is not None:
        check_base(base, images[0].stack.n_channels)
        recipe = recipe_from_base(recipe, base, images[0].stack, device)
    elif transfers:
        recipe = recipe.replace(
            training=recipe.training.replace(transfer="all", new_head=False).model_dump()
        )
    diameter = None if recipe.objects is None else median_diameter(images)
    painted = count_painted(images)
    network = _fitted(recipe, images, diameter, painted)
    network = with_size(network, recipe.training, device, painted)
    notes = [_NO_BASE] if transfers else []
    if base is not None:
        notes = _notes_on_base(base, recipe, asked, network)
        notes += _notes_on_scale(base, images[0].stack, network)
    if note := dimensions_note(recipe.network, [image.stack for image in images]):
        notes.append(note)
    recipe = recipe.replace(network=network.model_dump())
    if recipe.training.loss.border_weight and all(image.ids is None for image in images):
        loss = recipe.training.loss.replace(border_weight=0)
        recipe = recipe.replace(training=recipe.training.replace(loss=loss))
        notes.append(_NO_OBJECTS)
    learns_distances = diameter is not None
    if diameter is None and base is not None and keeps_objects(base, recipe):
        diameter = _diameter_known(base, network)
    return TrainingPlan(recipe, painted, diameter, learns_distances, tuple(notes))


def _fitted(
    recipe: Recipe, images: Sequence[TrainingImage], diameter: float | None, painted: Painted
) -> NetworkConfig:
    """Return the network's config with what it leaves to the images filled in."""
    network = with_anisotropy(recipe.network, [image.stack for image in images])
    if recipe.objects is not None and diameter is not None:
        network = with_reduction_of_objects(network, diameter, recipe.objects.diameter_px)
    return with_reduction(network, images, painted)


def _diameter_known(base: Model, network: NetworkConfig) -> float | None:
    """Return the diameter of what a base model knows, in px of images as they are reduced now."""
    if base.info.object_diameter_px is None:
        return None
    reduced = network.reduction / (base.info.recipe.network.reduction or 1)
    return base.info.object_diameter_px * reduced


def _notes_on_base(
    base: Model, recipe: Recipe, asked: NetworkConfig, network: NetworkConfig
) -> list[str]:
    """Say what of the settings does not count, because the base model has it already."""
    notes = []
    # The default was asked for by nobody.
    if asked != UNetConfig() and as_far_as_asked(asked, network) != network:
        notes.append(
            f"The network is that of the base model {base.info.name!r}; "
            "the one that was asked for is for training from scratch."
        )
    if recipe.training.pretrain:
        notes.append(
            f"The base model {base.info.name!r} has seen images already, so the time for "
            "looking at unlabelled slices goes to training."
        )
    return notes


def _notes_on_scale(base: Model, stack: Stack, network: NetworkConfig) -> list[str]:
    """Say where images are reduced, or cannot be, to be as large as those a base model knows."""
    reduced = network.reduction / (base.info.recipe.network.reduction or 1)
    if is_scale_open(base.info, stack) and reduced > 1:
        return [
            f"The base model {base.info.name!r} is surest of {stack.name} seen {reduced:g} times "
            "smaller, so images are reduced for it."
        ]
    if pixel_size_note(base.info, stack) is None:
        return []
    theirs, ours = (
        format_length(float(np.mean([sizes[axis] for axis in "YX" if axis in sizes])))
        for sizes in (base.info.pixel_size_um, stack.pixel_size_um)
    )
    found = (
        f"{stack.name} has pixels of {ours}, and the base model {base.info.name!r} knows {theirs}"
    )
    if network.reduction > (base.info.recipe.network.reduction or 1):
        return [f"{found}, so images are reduced {network.reduction} times for it."]
    return [f"{found}; it may know less of these images than of its own."]

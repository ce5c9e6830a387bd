"""Starting from a model instead of from nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from napari_unetseg.config import (
    AugmentationConfig,
    LabelClass,
    Recipe,
    TrainingConfig,
    Transfer,
)
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, is_scale_open, pixel_size_ratio
from napari_unetseg.measure import ConfusionMatrix
from napari_unetseg.networks import Network
from napari_unetseg.wording import counted

from .averaging import FROZEN
from .batches import Batches
from .bundle import Model
from .detail import MOST_REDUCED
from .placement import Device, autocast
from .predictor import Predictor

#: IoU from which a class of the base is what is painted, whatever both are called. A person paints
#: where a model is wrong: two to ten strokes of what it knows come to 0.31 and more in 71 of 72
#: drawings of EM (`vnc`, a generated stack; one stroke had 0.04), to 0.23 where images are reduced
#: farther than it knows them; strokes of what it does not know to 0.14 at most.
MATCHES = 0.2

#: Steps whose patches are looked at for it.
_MATCHED_ON = 4


def check_base(base: Model, n_channels: int) -> None:
    """Raise `UserError` if `base` was made for images of other channels."""
    expected = len(base.info.channels)
    if n_channels != expected:
        raise UserError(
            f"The base model {base.info.name!r} was made for {counted(expected, 'channel')}, "
            f"but these images have {n_channels}; choose another base, or train from scratch."
        )


def recipe_from_base(recipe: Recipe, base: Model, stack: Stack, device: Device) -> Recipe:
    """Return `recipe` with the network and the normalisation that the weights were made for.

    Where pixel sizes are known, images are reduced until the network sees them about as large as
    those it knows, else, for a model that comes with the package, until it is surest of them; they
    are never enlarged.
    """
    network = base.info.recipe.network
    ratio = pixel_size_ratio(base.info, stack)
    if is_scale_open(base.info, stack):
        ratio = 1 / Predictor(base, stack, device=device, resample=True).scale
    if network.kind == "unet" and ratio is not None:
        reduction = round((network.reduction or 1) / ratio)
        network = network.replace(reduction=min(max(reduction, 1), MOST_REDUCED))
    return recipe.replace(
        network=network.model_dump(),
        normalisation=base.info.recipe.normalisation.model_dump(),
    )


def is_remembered(
    classes: Sequence[LabelClass], known: Mapping[str, str], training: TrainingConfig
) -> bool:
    """Return whether what a base model answers is kept where nothing is painted.

    It is if the base knows all classes: of one that is new it says nothing.
    """
    return training.distillation > 0 and all(c.name in known for c in classes)


def may_be_remembered(
    classes: Sequence[LabelClass], base: Model | None, training: TrainingConfig
) -> bool:
    """Return whether `base` may know all classes, if perhaps by other names."""
    known = known_classes(base, training.new_head)
    return training.distillation > 0 and len(classes) < len(known)


def keeps_objects(base: Model, recipe: Recipe) -> bool:
    """Return whether objects stay apart as `base` has them, where annotations do not say so."""
    training = recipe.training
    return (
        base.info.object_diameter_px is not None
        and recipe.objects is not None
        and training.distillation > 0
        and not training.new_head
    )


def known_classes(base: Model | None, new_head: bool) -> dict[str, str]:
    """Return classes that a network knows before it has learned anything, by their names."""
    return {} if base is None or new_head else {name: name for name in base.class_names}


@torch.no_grad()
def known_by_other_names(
    base: Model, network: Network, classes: Sequence[LabelClass], batches: Batches
) -> dict[str, str]:
    """Find classes that a base model answers where they are painted, under names of its own.

    Parameters
    ----------
    base : Model
    network : Network
        With the weights of `base`, on the device.
    classes : sequence of LabelClass
        What is painted.
    batches : Batches
        Of what is painted.

    Returns
    -------
    dict of str to str
        Name of a class that `base` does not know → name of that which agrees with it, where
        `MATCHES` of the pixels that are either are both, in some patches.
    """
    ours, theirs = [c.name for c in classes], list(base.class_names[1:])
    new, free = ([n for n in a if n not in b] for a, b in ((ours, theirs), (theirs, ours)))
    if not new or not free:
        return {}
    as_base = copy.deepcopy(network).eval()
    as_base.head = copy.deepcopy(base.network.head).to(next(network.parameters()).device)
    matrix = ConfusionMatrix(len(ours) + 1)
    for _ in range(_MATCHED_ON):
        pixels, codes, _ = batches.draw(AugmentationConfig.none())
        with autocast(batches.device):
            found = as_base(pixels)[:, : len(theirs) + 1].argmax(dim=1) + 1
        matrix.add(codes.cpu().numpy(), found.cpu().numpy())
    counts = matrix.counts.astype(float)
    either = counts.sum(axis=1)[:, None] + counts.sum(axis=0) - counts
    iou = np.divide(counts, either, out=np.zeros_like(counts), where=either > 0)
    pairs = [(iou[ours.index(a) + 2, theirs.index(b) + 2], a, b) for a in new for b in free]
    found_names: dict[str, str] = {}
    for value, a, b in sorted(pairs, reverse=True):
        if value >= MATCHES and a not in found_names and b not in found_names.values():
            found_names[a] = b
    return found_names


@torch.no_grad()
def copy_weights(
    base: Model, network: Network, classes: Sequence[LabelClass], known: Mapping[str, str]
) -> None:
    """Copy what `base` knows into `network`; everything but the head fits as it is.

    Rows of the head are matched by class name, so classes may be added, dropped and reordered;
    rows of classes that are not `known` keep the weights they have. The last row is that of the
    distance, where `network` answers with one.

    Parameters
    ----------
    known : mapping of str to str
        Name of a class, or of background → its name in `base`.
    """
    source = base.network.state_dict()
    head = {f"head.{name}" for name, _ in network.head.named_parameters()}
    network.load_state_dict({k: v for k, v in source.items() if k not in head}, strict=False)
    names = ("background", *(c.name for c in classes))
    rows = {row: base.class_names.index(known[n]) for row, n in enumerate(names) if n in known}
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
        keep_statistics(part)


def keep_statistics(part: nn.Module) -> None:
    """Keep the statistics of batch normalisation as they are, while weights may learn.

    Those of the patches around a few strokes are not those of images. Mean IoU of the membranes
    that ship, fine-tuned on EM for 300 steps: with ten strokes 0.823 and 0.834 with statistics kept
    and 0.814 and 0.817 without (two drawings), with thirty 0.834 and 0.828, with three 0.803 and
    0.810, and with a hundred, which is much, 0.837 and 0.844. With rehearsal they are those of all
    that the base knows, too: nuclei had 0.902 on images of other kinds with statistics kept and
    0.828 without, membranes of a hundred strokes 0.831 and 0.841 with, 0.823 and 0.825 without.
    """
    for module in part.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()
            module.momentum = FROZEN

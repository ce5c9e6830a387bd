"""A paragraph for a paper: what was annotated, what was trained, and how well it did."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_unetseg import __version__
from napari_unetseg.annotations import BLOCK_PX, MIN_BOX_SECTIONS
from napari_unetseg.classical import ChainRecipe
from napari_unetseg.config import (
    LabelClass,
    LossConfig,
    ModelInfo,
    NetworkConfig,
    Recipe,
    TrainingConfig,
)
from napari_unetseg.images import Stack, format_length
from napari_unetseg.wording import counted

from .controller import JobController
from .export import count_pixels
from .image_entry import ImageEntry
from .open_model import OpenModel
from .rounds import Round
from .slots import Codes
from .workspace import Workspace

_DEVICES = {"cpu": "a CPU", "cuda": "an NVIDIA GPU", "mps": "an Apple GPU"}

#: Shares of a loss config, as a paper names them.
_LOSSES = {
    "cross_entropy": "cross entropy",
    "dice": "Dice loss",
    "binary": "binary cross entropy of each class",
    "focal": "focal loss (γ = {focal_gamma:g})",
    "tversky": "Tversky loss (α = {tversky_alpha:g}, β = {tversky_beta:g})",
}

#: Those in which single pixels are weighted.
_PIXEL_LOSSES = ("cross_entropy", "binary", "focal")

#: Parts of an augmentation config, as a paper names them; each is left out where it is off.
_SHAPE_CHANGES = {
    "flip": "flips",
    "rotation_deg": "rotations",
    "scale": "scaling",
    "elastic": "elastic deformations",
}
_GREY_CHANGES = {
    "brightness": "brightness",
    "contrast": "contrast",
    "gamma": "gamma",
    "noise": "noise",
    "blur_px": "blur",
    "section_dropout": "missing slices",
}


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What the paragraph is made of, taken at one moment in the window's thread.

    Attributes
    ----------
    round : Round or None
        The training that made the model; None where the model comes from elsewhere.
    versions : mapping of str to str
        Of programs that only the window knows, by name.
    made_by : str or None
        A classical method with its settings, where the result of one is what is described.
    answered : ndarray, shape (planes, Y, X), uint8, or None
        That result, in codes.
    recipe : ChainRecipe or None
        Its steps, with what they learned or grew from.
    """

    entries: Mapping[str, ImageEntry]
    classes: tuple[LabelClass, ...]
    info: ModelInfo | None
    round: Round | None
    versions: Mapping[str, str]
    made_by: str | None = None
    answered: Codes | None = None
    recipe: ChainRecipe | None = None


def method_facts(
    workspace: Workspace,
    controller: JobController,
    versions: Mapping[str, str],
) -> MethodFacts:
    """Collect what there is to say now; cheap."""
    model = controller.model
    return MethodFacts(
        dict(workspace.images),
        workspace.classes,
        None if model is None else model.info,
        None if model is None else _round_of(model, controller.rounds, workspace),
        dict(versions),
    )


def methods_paragraph(facts: MethodFacts) -> str:
    """Write the paragraph; reads all annotations, so it is called on a thread.

    Empty where nothing has been annotated, trained or made by a classical method.
    """
    if facts.entries and facts.made_by is not None:
        facts = replace(facts, info=None)
        return f"{_images(facts)} {_classical(facts)}"
    annotated = any(entry.annotated_planes() for entry in facts.entries.values())
    if not facts.entries or not (annotated or facts.info):
        return ""
    sentences = [_images(facts), _annotations(facts)]
    if facts.info is not None:
        sentences += [_network(facts.info), _objects(facts.info)]
        sentences += [_training(facts.info), _sampling(facts.info.recipe)]
        sentences += [_held_out(facts.info, facts.round), _applied(facts)]
    return " ".join(sentence for sentence in sentences if sentence)


def _classical(facts: MethodFacts) -> str:
    """Say by which steps, into which classes, and what they grew or learned from."""
    into = ""
    if facts.answered is not None:
        found = np.zeros(256, np.int64)
        for plane in facts.answered:
            found += np.bincount(plane.ravel(), minlength=256)[:256]
        names = ("background", *(c.name for c in facts.classes))
        present = [name for name, n in zip(names, found[1:], strict=False) if n]
        into = f" into {_list(present)}" if present else ""
    by = f"Each slice was segmented{into} by {facts.made_by}."
    return f"{by}{_grown_from(facts)}"


def _grown_from(facts: MethodFacts) -> str:
    """Say from how many annotated pixels steps grew or learned; nothing where from none."""
    recipe = facts.recipe
    if recipe is None:
        return ""
    if recipe.learned is not None and not recipe.n_painted:
        return " It had been trained before, and was applied as it was."
    names = dict(enumerate(("background", *(c.name for c in facts.classes)), 1))
    mapping = recipe.mapping or {}
    painted = [
        f"{names.get(mapping.get(code, code), 'unnamed')} ({n:,} px)"
        for code, n in recipe.n_painted.items()
    ]
    verb = "grew" if recipe.learned is None else "learned"
    return f" It {verb} from pixels annotated as {_list(painted)}." if painted else ""


def _images(facts: MethodFacts) -> str:
    stacks = [entry.stack for entry in facts.entries.values()]
    one = len(stacks) == 1
    what = f"The image “{stacks[0].name}”" if one else counted(len(stacks), "image")
    verb = "was" if one else "were"
    versions = dict(facts.versions) | {"Python": platform.python_version()}
    if facts.info is not None and "torch" in facts.info.versions:
        versions |= {"PyTorch": facts.info.versions["torch"]}
    programs = _list([f"{name} {version}" for name, version in versions.items()])
    return (
        f"{what} ({_extent(stacks)}) {verb} segmented with napari-unetseg {__version__} "
        f"({programs})."
    )


def _extent(stacks: Sequence[Stack]) -> str:
    sizes = {stack.plane_shape for stack in stacks}
    n_slices = sum(stack.n_planes for stack in stacks)
    parts = [counted(n_slices, "slice")]
    if len(sizes) == 1:
        height, width = sizes.pop()
        parts[0] += f" of {height} × {width} px"
    pixels = {tuple(sorted(stack.pixel_size_um.items())) for stack in stacks}
    size = stacks[0].pixel_size_um
    if len(pixels) == 1 and "X" in size:
        across = {format_length(size[axis]) for axis in "YX" if axis in size}
        parts.append(f"pixel size {' × '.join(sorted(across))}")
        if "Z" in size and any("Z" in stack.axes for stack in stacks):
            parts.append(f"slice spacing {format_length(size['Z'])}")
    return ", ".join(parts)


def _annotations(facts: MethodFacts) -> str:
    counts = count_pixels(facts.entries)
    names = ("background", *(c.name for c in facts.classes))
    painted = [f"{name} ({n:,} px)" for name, n in zip(names, counts[1:], strict=False) if n]
    if not painted:
        return "Nothing was annotated."
    n_annotated = sum(len(entry.annotated_planes()) for entry in facts.entries.values())
    n_all = sum(entry.shape[0] for entry in facts.entries.values())
    where = "the slice" if n_all == 1 else f"{n_annotated} of {n_all} slices"
    what = "pixel was" if sum(counts) == 1 else "pixels were"
    return f"On {where}, {sum(counts):,} {what} annotated as {_list(painted)}."


def _network(info: ModelInfo) -> str:
    base = info.history.get("base")
    trained = f"starting from the model “{base}”" if base else "from scratch"
    return (
        f"A {_architecture(info.recipe.network)} with "
        f"{counted(len(info.channels), 'input channel')} was trained {trained}."
    )


def _objects(info: ModelInfo) -> str:
    if info.object_diameter_px is None:
        return ""
    return (
        "Beside its class the network learned of every pixel the distance to the border of its "
        "object, as a share of the largest in that object."
    )


def _architecture(network: NetworkConfig) -> str:
    size = f"depth {network.depth}, {counted(network.filters, 'filter')} at the top level"
    if network.kind == "unet2015":
        return f"2D U-Net as published in 2015 ({size}, dropout {network.dropout:g})"
    if network.reduction > 1:
        size += f", images reduced {network.reduction} ×"
    return f"{network.dims}D U-Net ({size}, {network.norm} normalisation)"


def _training(info: ModelInfo) -> str:
    history = info.history
    if "steps" not in history:
        return ""
    device = str(history.get("device", ""))
    where = next((name for key, name in _DEVICES.items() if device.startswith(key)), device)
    precision = history.get("precision")
    on = f" on {where}" + (f" in {precision}" if precision else "") if where else ""
    return (
        f"Training took {counted(int(history['steps']), 'optimiser step')} in "
        f"{_duration(float(history.get('seconds', 0)))}{on}."
    )


def _sampling(recipe: Recipe) -> str:
    training = recipe.training
    changes = training.augmentation.model_dump()
    if recipe.network.dims == "2":
        del changes["section_dropout"]
    shapes = [name for key, name in _SHAPE_CHANGES.items() if changes.get(key)]
    greys = [name for key, name in _GREY_CHANGES.items() if changes.get(key)]
    random = [f"random {_list(shapes)}"] if shapes else []
    random += [f"random changes of {_list(greys)}"] if greys else []
    augmented = f", augmented by {', and by '.join(random)}" if random else ""
    size = f"{training.patch_px} × {training.patch_px} px"
    if recipe.network.dims == "3":
        size += " and about as deep"
    return (
        f"Each step minimised {_loss(training.loss)} over the annotated pixels of "
        f"{counted(training.batch, 'patch', 'patches')} of {size}{augmented}, by "
        f"{_optimiser(training)} at a learning rate of up to {training.learning_rate:g}."
    )


def _loss(loss: LossConfig) -> str:
    """Name what was minimised; shares are told where they differ."""
    shares = {name: getattr(loss, name) for name in _LOSSES if getattr(loss, name)}
    parts = []
    for name, share in shares.items():
        text = _LOSSES[name].format(**loss.model_dump())
        parts.append(f"{share:g} × {text}" if len(set(shares.values())) > 1 else text)
    return _list(parts) + _pixel_weights(loss)


def _pixel_weights(loss: LossConfig) -> str:
    of_pixels = [name for name in _PIXEL_LOSSES if getattr(loss, name)]
    purposes = ["to balance the classes"] if loss.class_balanced else []
    if loss.border_weight:
        purposes.append(
            f"to stress borders between objects (w₀ = {loss.border_weight:g}, "
            f"σ = {loss.border_sigma_px:g} px)"
        )
    if not of_pixels or not purposes:
        return ""
    names = _list([name.replace("_", " ") for name in of_pixels])
    return f", the pixels of the {names} weighted {_list(purposes)},"


def _optimiser(training: TrainingConfig) -> str:
    if training.optimiser == "sgd":
        return f"stochastic gradient descent with momentum {training.momentum:g}"
    if training.optimiser == "adamw":
        return "AdamW"
    return "Muon in the convolutions between the first and the last and by AdamW elsewhere,"


def _held_out(info: ModelInfo, made_by: Round | None) -> str:
    score = info.scores.get("mean_iou")
    n_held = made_by.n_held_out_px if made_by else int(info.scores.get("n_px", 0))
    n_all = info.history.get("n_labelled_px")
    if made_by is not None:
        n_all = made_by.n_labelled_px + n_held
    if score is None or not n_held:
        return "No annotations were held out, so the model was not scored."
    share = f" ({n_held / n_all:.0%} of those annotated then)" if n_all else ""
    before = ""
    if made_by is not None and made_by.before is not None:
        before = f", and {made_by.before:.3f} before this training"
    verb = "pixel was" if n_held == 1 else "pixels were"
    blocks = f"square blocks of {BLOCK_PX} × {BLOCK_PX} px"
    if info.recipe.network.dims != "2":
        blocks = f"boxes {BLOCK_PX} px wide and about as deep, at least {MIN_BOX_SECTIONS} sections"
    return (
        f"In {blocks}, {n_held:,} annotated {verb} held out from training{share}; on them the "
        "mean intersection over union was "
        f"{score:.3f}{before}{_per_class(info.scores.get('iou', {}))}."
    )


def _per_class(iou: Mapping[str, float]) -> str:
    scores = _list([f"{name} {value:.3f}" for name, value in iou.items()])
    return f" ({scores})" if len(iou) > 1 else ""


def _applied(facts: MethodFacts) -> str:
    n_segmented = sum(
        int(plane.any()) for entry in facts.entries.values() for plane in entry.prediction
    )
    if not n_segmented:
        return ""
    n_all = sum(entry.shape[0] for entry in facts.entries.values())
    return (
        f"The network was applied to {n_segmented} of {counted(n_all, 'slice')}; annotated pixels "
        "were kept as annotated."
    )


def _round_of(model: OpenModel, rounds: Sequence[Round], workspace: Workspace) -> Round | None:
    """Find the training that made a model; None where it is none of this window's."""
    if not model.path.is_relative_to(workspace.session.folder):
        return None
    score = model.info.scores.get("mean_iou")
    return next((r for r in reversed(rounds) if r.after == score), None)


def _list(parts: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> _list(["a"]), _list(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _duration(seconds: float) -> str:
    """Write a duration.

    >>> _duration(59.6), _duration(200)
    ('60 s', '3 min 20 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{round(seconds)} s" if seconds < 120 else f"{minutes} min {rest} s"

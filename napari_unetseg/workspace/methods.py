"""A paragraph for a paper: what was annotated, what was trained, and how well it did."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_unetseg import __version__
from napari_unetseg.classical import ChainRecipe
from napari_unetseg.config import LabelClass, ModelInfo
from napari_unetseg.images import Stack, format_length
from napari_unetseg.wording import counted, listed

from .controller import JobController
from .export import count_pixels
from .image_entry import ImageEntry
from .objects import BY_NETWORK, BY_NUMBERING, ObjectSet
from .open_model import OpenModel
from .rounds import Round
from .slots import Codes
from .training_in_words import model_in_words
from .workspace import Workspace


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What the paragraph is made of, taken at one moment in the window's thread.

    Attributes
    ----------
    info : ModelInfo or None
        Of the model that has segmented what is shown, else of one that was trained here.
    is_own : bool
        Whether that model was trained here.
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
    objects : ObjectSet or None
        Numbered objects, where these are what is described.
    """

    entries: Mapping[str, ImageEntry]
    classes: tuple[LabelClass, ...]
    info: ModelInfo | None
    is_own: bool
    round: Round | None
    versions: Mapping[str, str]
    made_by: str | None = None
    answered: Codes | None = None
    recipe: ChainRecipe | None = None
    objects: ObjectSet | None = None


def method_facts(
    workspace: Workspace,
    controller: JobController,
    versions: Mapping[str, str],
) -> MethodFacts:
    """Collect what there is to say now; cheap."""
    model, at_hand = controller.segmented_by, controller.model
    if model is None and at_hand is not None and _is_own(at_hand, workspace):
        model = at_hand
    is_own = model is not None and _is_own(model, workspace)
    return MethodFacts(
        dict(workspace.images),
        workspace.classes,
        None if model is None else model.info,
        is_own,
        _round_of(model, controller.rounds) if model is not None and is_own else None,
        dict(versions),
    )


def methods_paragraph(facts: MethodFacts) -> str:
    """Write the paragraph; reads all annotations, so it is called on a thread.

    Empty where nothing has been annotated, trained or made by a classical method.
    """
    if facts.entries and facts.made_by is not None:
        facts = replace(facts, info=None)
        return f"{_images(facts)} {_classical(facts)}"
    if facts.objects is not None and facts.objects.made_by not in (BY_NETWORK, BY_NUMBERING):
        return f"{_images(replace(facts, info=None))} {_found(facts.objects)}"
    annotated = any(entry.annotated_planes() for entry in facts.entries.values())
    if not facts.entries or not (annotated or facts.info):
        return ""
    sentences = [_images(facts), _annotations(facts), _filled(facts)]
    if facts.info is not None:
        sentences += [*model_in_words(facts.info, facts.is_own, facts.round), _applied(facts)]
    if facts.objects is not None:
        sentences.append(_found(facts.objects))
    return " ".join(sentence for sentence in sentences if sentence)


def _found(objects: ObjectSet) -> str:
    """Say how objects were found, and how many there are; reads all of their ids."""
    seen: set[int] = set()
    n_slices = 0
    for plane in objects.ids:
        ids = np.unique(plane)
        seen.update(ids[ids > 0].tolist())
        n_slices += bool(ids.any())
    there = f"{counted(len(seen), 'object')} on {counted(n_slices, 'slice')}"
    by = f" by {objects.made_by}" if objects.made_by else ""
    if objects.made_by == BY_NETWORK:
        by = " by the network, which tells apart those that touch"
    elif objects.made_by == BY_NUMBERING:
        by = " as connected pieces of this segmentation"
    corrected = ", and corrected by hand" if objects.is_corrected else ""
    n_right = len(objects.reviewed & seen)
    reviewed = f"; {n_right:,} of them were reviewed one by one" if n_right else ""
    verb = "was" if len(seen) == 1 else "were"
    return f"{there} {verb} found{by}{corrected}{reviewed}."


def _filled(facts: MethodFacts) -> str:
    """Say how many annotations were not painted, and where they came from."""
    counts: dict[str, int] = {}
    for entry in facts.entries.values():
        found = entry.sources.count(entry.codes, entry.annotated_planes())
        for source, n in found.items():
            counts[source] = counts.get(source, 0) + n
    parts = [f"{n:,} px from the answer of {source}" for source, n in counts.items()]
    return f"Of these, {listed(parts)} were taken over and not painted." if parts else ""


def _classical(facts: MethodFacts) -> str:
    """Say by which steps, into which classes, and what they grew or learned from."""
    into = ""
    if facts.answered is not None:
        found = np.zeros(256, np.int64)
        for plane in facts.answered:
            found += np.bincount(plane.ravel(), minlength=256)[:256]
        names = ("background", *(c.name for c in facts.classes))
        present = [name for name, n in zip(names, found[1:], strict=False) if n]
        into = f" into {listed(present)}" if present else ""
    steps = () if facts.recipe is None else facts.recipe.chain.steps
    in_3d = any(getattr(settings.checked(), "in_3d", False) for settings in steps)
    what = "The stack" if in_3d else "Each slice"
    by = f"{what} was segmented{into} by {facts.made_by}."
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
    return f" It {verb} from pixels annotated as {listed(painted)}." if painted else ""


def _images(facts: MethodFacts) -> str:
    stacks = [entry.stack for entry in facts.entries.values()]
    one = len(stacks) == 1
    what = f"The image “{stacks[0].name}”" if one else counted(len(stacks), "image")
    verb = "was" if one else "were"
    versions = dict(facts.versions) | {"Python": platform.python_version()}
    if facts.info is not None and "torch" in facts.info.versions:
        versions |= {"PyTorch": facts.info.versions["torch"]}
    programs = listed([f"{name} {version}" for name, version in versions.items()])
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
    return f"On {where}, {sum(counts):,} {what} annotated as {listed(painted)}."


def _applied(facts: MethodFacts) -> str:
    n_segmented = sum(len(entry.predicted) for entry in facts.entries.values())
    if not n_segmented:
        return ""
    n_all = sum(entry.shape[0] for entry in facts.entries.values())
    return (
        f"The network was applied to {n_segmented} of {counted(n_all, 'slice')}; annotated pixels "
        "were kept as annotated."
    )


def _is_own(model: OpenModel, workspace: Workspace) -> bool:
    """Return whether a model was trained in this window."""
    return model.path.is_relative_to(workspace.session.folder)


def _round_of(model: OpenModel, rounds: Sequence[Round]) -> Round | None:
    """Find the training that made a model of this window."""
    score = model.info.scores.get("mean_iou")
    return next((r for r in reversed(rounds) if r.after == score), None)

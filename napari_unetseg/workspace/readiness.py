"""Why something cannot begin yet, in one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from napari_unetseg.annotations import code_of
from napari_unetseg.config import BACKGROUND, ModelInfo
from napari_unetseg.wording import counted

from .image_entry import ImageEntry
from .workspace import Workspace


def why_not_train(workspace: Workspace, base: ModelInfo | None = None) -> str | None:
    """Return why there is nothing to learn from; None when there is.

    Parameters
    ----------
    base : ModelInfo, optional
        Of the model that training would start from. One that may know all classes, if perhaps by
        other names, can be told of one alone.
    """
    if not workspace.images:
        return "Choose an image in the Data step first."
    known = () if base is None else [c.name for c in base.classes]
    names = {code_of(k): c.name for k, c in enumerate(workspace.classes, 1)}
    new = {code: name for code, name in names.items() if name not in known}
    painted = _codes_painted(workspace, [*new, BACKGROUND, *(names.keys() - new)], len(new))
    if not painted:
        return "Paint a few strokes on the annotations first: some of each class."
    if len(painted) < 2 and len(known) < len(names):
        return only_painted(workspace, min(painted))
    missing = next((name for code, name in new.items() if code not in painted), None)
    if missing is not None:
        return f"Nothing of {missing} is painted yet; paint some, or delete the class."
    return None


def only_painted(workspace: Workspace, code: int) -> str:
    """Say that there is one class alone, and what is missing."""
    if code == BACKGROUND:
        return "Only background is painted; paint some of a class, too."
    name = workspace.classes[code - code_of(1)].name
    return f"Only {name} is painted; paint some of another class, or background, too."


def why_not_predict(workspace: Workspace, model: ModelInfo | None) -> str | None:
    """Return why a model cannot be applied to the images; None when it can."""
    if model is None:
        return "Train a model or open one first."
    n_channels = len(model.channels)
    for entry in workspace.images.values():
        if entry.stack.n_channels != n_channels:
            return (
                f"The model takes {counted(n_channels, 'channel')} and {entry.stack.name} has "
                f"{entry.stack.n_channels}."
            )
    return None


def _codes_painted(workspace: Workspace, codes: Sequence[int], n_needed: int) -> set[int]:
    """Return codes that are painted: all of the first `n_needed`, of the others two at most."""
    images = workspace.images.values()
    slices = [(entry, plane) for entry in images for plane in entry.annotated_planes()]
    painted: set[int] = set()
    for n, code in enumerate(codes):
        if n >= n_needed and len(painted) > 1:
            break
        if any(_is_painted(entry, plane, code) for entry, plane in slices):
            painted.add(code)
    return painted


def _is_painted(entry: ImageEntry, plane: int, code: int) -> bool:
    where = entry.codes[plane] == code
    return bool((where if entry.region is None else where & entry.allowed(plane)).any())

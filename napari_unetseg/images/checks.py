"""What is checked before any work begins, each with the sentence a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import ModelInfo
from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .lazy_planes import Codes, annotated_slices, code_counts
from .reading import open_stack
from .stack import Stack


def check_numbers(
    stack: Stack, planes: Iterable[int] | None = None, *, largest: float = np.inf
) -> None:
    """Raise where a value cannot be computed with; of whole numbers up to 32 bits nothing is read.

    Parameters
    ----------
    stack : Stack
        The image.
    planes : iterable of int, optional
        The slices to look at; all where left out.
    largest : float
        Beyond it, values cannot be computed with.

    Raises
    ------
    UserError
        If a pixel is NaN, infinite or too large, or the image holds something else than numbers.
    """
    if _are_safe(stack.dtype):
        return
    for index in range(stack.n_planes) if planes is None else planes:
        check_values(stack.plane(index), _name(stack), index, largest)


def check_pixels(
    stack: Stack, planes: Iterable[int] | None = None, *, largest: float = np.inf
) -> None:
    """Raise where there is nothing to see or a value that is not a number.

    Of whole numbers up to 32 bits no more is read than until two of them differ.

    Parameters
    ----------
    stack : Stack
        The image.
    planes : iterable of int, optional
        The slices to look at; all where left out.
    largest : float
        Beyond it, values cannot be computed with.

    Raises
    ------
    UserError
        If a pixel is NaN, infinite or too large, or all of them are the same.
    """
    low, high = np.inf, -np.inf
    for index in range(stack.n_planes) if planes is None else planes:
        plane = stack.plane(index)
        check_values(plane, _name(stack), index, largest)
        low, high = min(low, plane.min()), max(high, plane.max())
        if _are_safe(stack.dtype) and low < high:
            return
    if low == high:
        raise UserError(
            f"{_name(stack)} has the same value {low:g} everywhere; there is nothing to segment, "
            "so check that it was exported with its pixels."
        )


def _are_safe(dtype: np.dtype[Any]) -> bool:
    """Return whether any value can be computed with."""
    return dtype.kind in "iub" and dtype.itemsize <= 4


def check_values(plane: npt.NDArray[Any], name: str, index: int, largest: float = np.inf) -> None:
    """Raise where values cannot be computed with.

    Parameters
    ----------
    plane : ndarray, any shape
        A slice of the image that is called `name`, the one numbered `index`.
    largest : float
        Beyond it, values cannot be computed with.

    Raises
    ------
    UserError
        If it holds no numbers, NaN, infinite values, or some that are too large.
    """
    if plane.dtype.kind not in "iubf":
        raise UserError(f"{name} holds {plane.dtype} values; an image needs integers or floats.")
    if plane.dtype.kind == "f" and not np.isfinite(plane).all():
        what = "NaN" if np.isnan(plane).any() else "infinite values"
        raise UserError(
            f"{name} contains {what} in slice {index}; replace them by numbers, for "
            "instance with numpy.nan_to_num, and save it again."
        )
    if plane.dtype.kind == "f" or plane.dtype.itemsize > 4:
        found = max(abs(float(plane.min())), abs(float(plane.max())))
        if found > largest:
            raise UserError(
                f"{name} has values as large as {found:.2g} in slice {index}; they can be "
                f"computed with up to {largest:.2g}, so divide all of them by the same number, and "
                "save it again."
            )


def check_same_slices(
    shape: tuple[int, ...], image: Stack, name: str, labels: Stack | None = None
) -> None:
    """Raise UserError where labels of a shape, (N, Y, X), do not cover the image.

    Where another level of the image fits, or of `labels`, the sentence names it.
    """
    wanted = (image.n_planes, *image.plane_shape)
    if shape != wanted:
        other = _part_of(labels, wanted) if labels else None
        fits = f"; {other} fits" if other else ""
        if not fits and (other := _part_of(image, shape)):
            fits = f"; they fit {other}"
        raise UserError(
            f"{name} has {_slices(shape)} and {_name(image)} has {_slices(wanted)}; labels "
            f"need the slices, height and width of their image{fits}."
        )


def _part_of(stack: Stack, shape: tuple[int, ...]) -> Path | None:
    """Find another image of this shape, (N, Y, X), in the same file, labels in it left out."""
    within = [part for part in stack.parts if not part.startswith("labels/")]
    for place in [stack.path / part for part in within] if stack.path else []:
        with suppress(UserError):
            other = open_stack(place)
            if (other.n_planes, *other.plane_shape) == shape:
                return place
    return None


def check_training_inputs(stack: Stack, codes: Codes) -> None:
    """Raise UserError where one annotated image is not enough to learn from."""
    check_training_set([stack], [codes])


def check_training_set(
    stacks: Sequence[Stack], codes: Sequence[Codes], *, n_classes: int = 2
) -> None:
    """Check that a network can learn from these images and their annotations.

    Parameters
    ----------
    stacks : sequence of Stack
        The images.
    codes : sequence of ndarray or LazyCodes, shape (N, Y, X), uint8
        Their annotations.
    n_classes : int
        So many must be labelled, background among them: 1 for a network that knows what the others
        look like, else 2.

    Raises
    ------
    UserError
        If shapes or channels do not agree, nothing is labelled, labels are of fewer classes, or
        an annotated slice holds no image.
    """
    if not stacks:
        raise UserError("There is no image to learn from; give at least one.")
    present: set[int] = set()
    for stack, labels in zip(stacks, codes, strict=True):
        check_same_slices(labels.shape, stack, f"The labels of {_name(stack)}")
        if stack.n_channels != stacks[0].n_channels:
            raise UserError(
                f"{_name(stack)} has {counted(stack.n_channels, 'channel')} and "
                f"{_name(stacks[0])} has {stacks[0].n_channels}; images that are learned "
                "from together need the same."
            )
        present.update(np.flatnonzero(code_counts(labels).any(axis=0)).tolist())
    _check_present(present - {0}, n_classes, [_name(stack) for stack in stacks])
    for stack, labels in zip(stacks, codes, strict=True):
        if labelled := annotated_slices(labels):
            check_pixels(stack, labelled)


def check_channels(info: ModelInfo, stack: Stack) -> None:
    """Raise UserError where an image has other channels than a model was made for."""
    if stack.n_channels != len(info.channels):
        named = ", ".join(name for name in info.channels if name)
        n = len(info.channels)
        advice = "give it an image with the same channels, or train a model on this one"
        if stack.n_channels > n:
            which = "the one that it looks at" if n == 1 else f"the {n} that it looks at"
            numbers = " ".join(f"--channel {i + 1}" for i in range(n))
            advice = (
                f"choose {which}: with predict {numbers} on the command line, and in the window by "
                "the boxes beside Channels in the Data step"
            )
        raise UserError(
            f"{_name(stack)} has {counted(stack.n_channels, 'channel')} and the model "
            f"{info.name!r} was made for {n}{f' ({named})' if named else ''}; {advice}."
        )


def _check_present(present: set[int], n_classes: int, names: Sequence[str]) -> None:
    where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    if not present:
        raise UserError(
            f"The labels of {where} hold no label; paint some background and some of each class "
            "first, or check --slices and the kind of labels."
        )
    if len(present) < n_classes:
        (code,) = present
        painted = "background" if code == 1 else f"class {code - 1}"
        missing = "some of a class" if code == 1 else "some background or another class"
        raise UserError(
            f"The labels of {where} hold only {painted}; paint {missing} too, as there is "
            "nothing to tell apart yet; if 0 is background in the file, say --labels-kind masks."
        )


def _name(stack: Stack) -> str:
    return str(stack.path or stack.name)


def _slices(shape: tuple[int, ...]) -> str:
    planes, height, width = shape
    return f"{counted(planes, 'slice')} of {height} × {width} px"

"""Labels files before their values are understood: what they say of themselves, and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy.typing as npt

from napari_unetseg.config import MAX_CLASSES
from napari_unetseg.errors import UserError

from .label_formats import LABEL_SUFFIXES, open_label_stack
from .label_meaning import LabelsKind, saved_kind
from .label_values import ValueMap
from .names import suffix_of
from .stack import Stack


def open_labels(path: Path, kind: LabelsKind, like: Stack | None = None) -> Stack:
    """Open a file whose values are integers or bool, and which is not of another kind.

    Parameters
    ----------
    path : Path
        Of any format of labels that is read: see `open_label_stack`.
    kind : {"annotations", "masks", "objects"}
        What the values mean.
    like : Stack, optional
        The image: files of outlines do not know its size. As many channels as it has slices are
        slices.

    Raises
    ------
    UserError
        If it cannot be read, or is something else.
    """
    if kind not in get_args(LabelsKind):
        raise UserError(
            f"{kind!r} is no kind of labels; it is one of {', '.join(get_args(LabelsKind))}."
        )
    stack = _opened(path, kind, like)
    check_kind(stack, path, kind)
    if stack.n_planes == 1 < stack.n_channels and like and like.n_planes == stack.n_channels:
        return _channels_as_slices(stack)
    return stack


def kind_of_file(path: Path, like: Stack | None = None) -> LabelsKind | None:
    """Return the kind of labels a file says it holds; outlines of other programs are objects.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    return saved_kind(_opened(path, None, like))


def _opened(path: Path, kind: LabelsKind | None, like: Stack | None) -> Stack:
    # Only outlines need the image; whether others fit it is told by whoever reads them.
    return open_label_stack(path, kind, like if suffix_of(path) in LABEL_SUFFIXES else None)


def _channels_as_slices(stack: Stack) -> Stack:
    """Take channels for what another program saved as such."""
    data = stack.data.reshape(stack.n_channels, *stack.plane_shape)
    return replace(stack, data=data, axes="ZYX", channels=("",), channel_colors=())


def check_kind(stack: Stack, path: str | Path, kind: LabelsKind) -> None:
    """Raise `UserError` where labels are no whole numbers, or of another kind."""
    if stack.dtype.kind not in "iub":
        raise UserError(
            f"{path} holds {stack.dtype} values; labels must be whole numbers, so save them as "
            "8-bit or 16-bit integers."
        )
    saved = saved_kind(stack)
    if saved is not None and saved != kind and (saved, kind) != ("masks", "objects"):
        raise UserError(
            f"{path} was saved as {saved}, not as {kind}; give {saved} as the kind of labels."
        )


def label_plane(stack: Stack, index: int, name: str | Path) -> npt.NDArray[Any]:
    """Read a slice of labels, shape (Y, X); of several channels, which must be alike, the first.

    Raises
    ------
    UserError
        If channels differ.
    """
    return _only_channel(stack.plane(index), name)


def label_planes(stack: Stack, name: str | Path) -> Iterator[npt.NDArray[Any]]:
    """Read slice after slice of labels; see `label_plane`."""
    return (_only_channel(plane, name) for plane in stack.planes())


def _only_channel(plane: npt.NDArray[Any], name: str | Path) -> npt.NDArray[Any]:
    if len(plane) > 1 and not (plane == plane[:1]).all():
        raise UserError(
            f"{name} has {len(plane)} channels that differ, as a colour picture has; labels "
            "have one whole number per pixel."
        )
    first: npt.NDArray[Any] = plane[0]
    return first


def check_class_count(mapping: ValueMap, path: str | Path) -> None:
    """Raise `UserError` where there are more values than there can be classes."""
    if mapping.n_classes > MAX_CLASSES:
        raise UserError(
            f"{path} holds {mapping.n_classes} different labels, more than the {MAX_CLASSES} "
            "classes there can be; these look like objects, so give objects as the kind of labels."
        )

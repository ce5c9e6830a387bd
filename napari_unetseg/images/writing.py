"""Write labels, probabilities and images, with calibration, classes and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError

from .atomic import atomic_file, atomic_folder
from .formats import TIFF_SUFFIXES, ZARR_SUFFIXES
from .label_formats import WRITTEN_SUFFIXES, find_writer
from .label_meaning import LabelsKind, described
from .labels import codes_to_masks
from .names import suffix_of
from .ome_tiff_writer import write_ome_tiff
from .ome_zarr_writer import write_ome_zarr
from .stack import Stack
from .unfinished_stack import UnfinishedStack
from .watched import Reached, WatchedPixels


def write_labels(
    path: str | Path,
    codes: npt.NDArray[Any],
    *,
    like: Stack,
    kind: LabelsKind,
    classes: Sequence[LabelClass],
    slices: Sequence[int] | None = None,
    overwrite: bool = False,
    reached: Reached | None = None,
) -> None:
    """Write labels, complete or not at all.

    Parameters
    ----------
    path : str or Path
        Its ending says in which format: see `write_label_stack`.
    codes : ndarray, shape (N, Y, X)
        Codes, uint8; of kind ``"objects"`` ids, up to 2³² − 1.
    like : Stack
        The image; the labels get its axes (without channels), name and pixel size.
    kind : {"annotations", "masks", "objects"}
        What to write: codes as they are, classes (code − 1, unlabelled as 0), ids as they are.
    classes : sequence of LabelClass
        Classes 1, 2, …; names and colours travel in the file.
    slices : sequence of int, optional
        Those that were segmented, where not all were; the file says so, as the others look like
        background.
    overwrite : bool
        Replace what exists.
    reached : callable, optional
        Told time and again which part is written, from 0 to 1. What it raises is raised, and
        nothing is there.

    Raises
    ------
    UserError
        If the file exists, cannot be written, or its name has another ending.
    """
    values = codes
    if kind == "masks":
        values = codes_to_masks(codes)
    elif kind == "objects":
        values = codes.astype(np.uint32, copy=False)
    stack = labels_like(like, kind, classes, slices)
    values = values.reshape(like.labels_shape)
    data = values if reached is None else WatchedPixels(values, reached)
    write_label_stack(path, replace(stack, data=data), overwrite=overwrite)


def labels_like(
    like: Stack,
    kind: LabelsKind,
    classes: Sequence[LabelClass],
    slices: Sequence[int] | None = None,
) -> Stack:
    """Return labels of an image that say what they mean, and hold nothing yet.

    Parameters
    ----------
    like, kind, classes, slices
        As for `write_labels`.

    Returns
    -------
    Stack
        Of type uint8, of kind ``"objects"`` uint32.
    """
    about = described(kind, tuple(classes))
    if slices is not None and len(slices) < like.n_planes:
        about["slices"] = list(slices)
    nothing = np.zeros((), np.uint32 if kind == "objects" else np.uint8)
    axes, empty = like.axes.replace("C", ""), np.broadcast_to(nothing, like.labels_shape)
    return Stack(empty, axes, like.pixel_size_um, like.name, None, ("",), about)


def maps_like(like: Stack, channels: Sequence[str] = ("",), colors: Sequence[str] = ()) -> Stack:
    """Return numbers for the pixels of an image, float32, that are not there yet.

    Parameters
    ----------
    like : Stack
        The image.
    channels : sequence of str
        Names; with one alone, there is no axis of channels.
    colors : sequence of str
        Of the channels, as `Stack` has them.
    """
    axes, sizes = like.axes.replace("C", ""), {axis: like.size(axis) for axis in like.axes}
    if len(channels) > 1:
        at = axes.index("Z") if "Z" in axes else axes.index("Y")
        axes, sizes["C"] = f"{axes[:at]}C{axes[at:]}", len(channels)
    empty = np.broadcast_to(np.float32(0), [sizes[axis] for axis in axes])
    return Stack(
        empty,
        axes,
        like.pixel_size_um,
        like.name,
        channels=tuple(channels),
        channel_colors=tuple(colors),
    )


def probabilities_like(like: Stack, classes: Sequence[LabelClass]) -> Stack:
    """Return probabilities of classes for the pixels of an image that are not there yet."""
    names = ("background", *(label_class.name for label_class in classes))
    return maps_like(like, names, ("#ffffff", *(label_class.color for label_class in classes)))


def write_label_stack(path: str | Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write labels that say of themselves what they mean, complete or not at all.

    Parameters
    ----------
    path : str or Path
        Ending in ``.tif``, ``.zarr``, ``.h5``, ``.geojson`` (outlines for QuPath), ``.zip``
        (regions of ImageJ), ``.stl``, ``.ply``, ``.glb`` (surfaces) or ``.png`` (a single slice).
        Without an ending it is a folder of PNGs,
        or inside an OME-Zarr, as in ``image.zarr/labels/cells``, labels of that image.
    labels : Stack
        With ``"kind"`` and ``"classes"`` in its metadata.
    overwrite : bool
        Replace what exists.

    Raises
    ------
    UserError
        If the file exists, cannot be written, or the format has no room for these labels.
    """
    path = Path(path)
    writer = find_writer(path)
    if writer is not None:
        writer(path, labels, overwrite=overwrite)
    elif suffix_of(path) in (*ZARR_SUFFIXES, *TIFF_SUFFIXES):
        _write(path, labels, compress=True, overwrite=overwrite)
    else:
        others = ", ".join(WRITTEN_SUFFIXES)
        raise UserError(
            f"{path} would be no labels; give a name that ends in .tif, .zarr, {others}, or one "
            "without a dot, of a folder for PNGs."
        )


def write_probabilities(
    path: str | Path,
    probs: npt.NDArray[Any],
    *,
    like: Stack,
    classes: Sequence[LabelClass],
    overwrite: bool = False,
) -> None:
    """Write probabilities as a stack with one channel per class, background first.

    Parameters
    ----------
    path : str or Path
        Ending in ``.tif``, ``.tiff`` or ``.zarr``.
    probs : ndarray, shape (N, K, Y, X), float32 in [0, 1]
        ``K = len(classes) + 1``.
    like, classes, overwrite
        As for `write_labels`.
    """
    maps = probabilities_like(like, classes)
    with UnfinishedStack(Path(path), maps, overwrite=overwrite) as result:
        for plane, values in enumerate(probs):
            result.put(plane, values)
        result.finish()


def write_image(
    path: str | Path,
    image: Stack | npt.NDArray[Any],
    *,
    like: Stack | None = None,
    compress: bool = False,
    overwrite: bool = False,
) -> None:
    """Write an image as OME-TIFF or OME-Zarr.

    Parameters
    ----------
    path : str or Path
        Ending in ``.tif``, ``.tiff`` or ``.zarr``.
    image : Stack or ndarray
        An array needs `like`, whose shape it has.
    like : Stack, optional
        Where axes, pixel size and channels come from; a stack's own where left out.
    compress : bool
        A TIFF that is compressed cannot be mapped into memory.
    overwrite : bool
        Replace what exists.
    """
    if isinstance(image, Stack):
        stack = (
            image
            if like is None
            else Stack(
                image.data,
                image.axes,
                like.pixel_size_um,
                image.name,
                channels=image.channels,
                channel_colors=image.channel_colors,
            )
        )
    elif like is None:
        raise ValueError("an array has no axes: give the stack it is like")
    else:
        stack = replace(like, data=image, path=None, metadata={}, notes=(), parts=())
    _write(Path(path), stack, compress=compress, overwrite=overwrite)


def _write(path: Path, stack: Stack, *, compress: bool, overwrite: bool) -> None:
    suffix = suffix_of(path)
    if suffix in ZARR_SUFFIXES:
        with atomic_folder(path, overwrite=overwrite, marker="zarr.json") as folder:
            write_ome_zarr(folder, stack)
    elif suffix in TIFF_SUFFIXES:
        with atomic_file(path, overwrite=overwrite) as partial:
            write_ome_tiff(partial, stack, compress=compress)
    else:
        raise UserError(f"{path} would be no image; give a name that ends in .tif or .zarr.")

"""Open a file, whatever its format, as a stack."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from napari_unetseg.errors import UserError

from .damage import READ_ERRORS, unreadable
from .formats import (
    HDF5_SUFFIXES,
    MRC_SUFFIXES,
    N5_SUFFIXES,
    NIFTI_SUFFIXES,
    NRRD_SUFFIXES,
    PICTURE_SUFFIXES,
    TIFF_SUFFIXES,
    ZARR_SUFFIXES,
)
from .names import natural_key, stem_of, suffix_of
from .places import split_axes, split_place
from .stack import Stack

#: More parts than this of a container are not named in a sentence.
_NAMED_PARTS = 10

_Reader = Callable[[Path, str, str | None], Stack]

#: Each module has a function `read` of the file, the part of it that is meant, and its axes.
_MODULES = (
    (TIFF_SUFFIXES, ".tiff"),
    (PICTURE_SUFFIXES, ".pictures"),
    (HDF5_SUFFIXES, ".hdf5"),
    (MRC_SUFFIXES, ".mrc"),
    (NIFTI_SUFFIXES, ".nifti"),
    (NRRD_SUFFIXES, ".nrrd"),
    ((".czi",), ".czi"),
    ((".lif",), ".lif"),
    ((".nd2",), ".nd2"),
    ((".oib", ".oif"), ".oib"),
)

_CONVERT_IN = {
    ".vsi": ("an Olympus VSI file", "Fiji (File > Import > Bio-Formats)"),
    ".ims": ("an Imaris file", "Imaris or Fiji (File > Import > Bio-Formats)"),
    ".dm3": ("a Gatan DM3 file", "Fiji (File > Import > Bio-Formats)"),
    ".dm4": ("a Gatan DM4 file", "Fiji (File > Import > Bio-Formats)"),
    ".npy": ("a NumPy file", "Python (napari_unetseg.images.write_image)"),
}


def open_stack(path: str | Path, *, axes: str | None = None) -> Stack:
    """Open an image, without reading its pixels where the format allows.

    Parameters
    ----------
    path : str or Path
        A file of any format in `SUFFIXES`, an OME-Zarr, or a folder of pictures of one shape,
        which becomes one Z stack in natural order. One of several images in a file is named
        behind it: ``cells.h5/volumes/raw``, ``cells.lif/Series 2``, ``plate.zarr/A/1/0``.
    axes : str, optional
        What the axes of the file are, one letter each (``"ZCYX"``), where it does not say or is
        wrong. A path may say so itself: ``cells.tif/@ZCYX``.

    Returns
    -------
    Stack
        RGB becomes the channels red, green and blue; an alpha channel is dropped.

    Raises
    ------
    UserError
        If there is no such file, it cannot be read, or a package that reads it is not installed.
    """
    place = split_place(path)
    if place is None:
        raise nothing_at(path)
    file, part = place
    inside, given = split_axes(Path(part))
    reader = _reader(file)
    try:
        stack = reader(file, inside.as_posix() if inside.name else "", axes or given)
    except UserError:
        raise
    except READ_ERRORS as error:
        raise unreadable(file, error) from error
    return replace(stack, name=stem_of(file / part), path=file / part) if part else stack


def _reader(path: Path) -> _Reader:
    suffix = suffix_of(path)
    if path.is_dir():
        return _folder_reader(path, suffix)
    for suffixes, module in _MODULES:
        if suffix in suffixes:
            reader: _Reader = importlib.import_module(module, __package__).read
            return reader
    if suffix in _CONVERT_IN:
        what, where = _CONVERT_IN[suffix]
        raise UserError(
            f"{path} is {what}, which cannot be read yet; save it as OME-TIFF with {where} and "
            "open that."
        )
    raise UserError(
        f"{path} is not an image this program reads; it reads TIFF, OME-TIFF, PNG, JPEG, OME-Zarr, "
        "HDF5, N5, MRC, NIfTI, NRRD, CZI, LIF, ND2, OIB and folders of pictures."
    )


def _folder_reader(path: Path, suffix: str) -> _Reader:
    if is_n5(path):
        from . import n5

        return n5.read
    if suffix in ZARR_SUFFIXES or is_chunk_store(path):
        from . import ome_zarr

        return ome_zarr.read
    if (path / "model.json").is_file():
        raise UserError(f"{path} is a model, not an image; train and predict take it with -m.")
    from . import sequence

    return sequence.read


def is_chunk_store(path: Path) -> bool:
    """Say whether a folder is a group or an array of Zarr or N5, whatever its name."""
    return is_n5(path) or any(
        (path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")
    )


def container_of(path: Path) -> Path | None:
    """Return the nearest group of Zarr or N5 that is there above a path."""
    return next((above for above in path.parents if is_chunk_store(above)), None)


def nothing_at(path: str | Path) -> UserError:
    """Return the sentence about a path at which nothing is: what is beside it, in a container."""
    bare, _ = split_axes(Path(path))
    container = container_of(bare)
    if container is None:
        return UserError(f"There is no file or folder {path}; check the path.")
    inside = sorted((p for p in container.iterdir() if is_chunk_store(p)), key=natural_key)
    held = ", ".join(found.name for found in inside[:_NAMED_PARTS])
    missing = bare.relative_to(container).as_posix()
    more = " …" if inside[_NAMED_PARTS:] else ""
    return UserError(f"{container} holds no {missing!r}; it holds {held or 'nothing'}{more}.")


def is_n5(path: Path) -> bool:
    """Say whether a folder is a container or an array of N5, or a group in one."""
    within = any(suffix_of(folder) in N5_SUFFIXES for folder in (path, *path.parents))
    return path.is_dir() and (within or (path / "attributes.json").is_file())

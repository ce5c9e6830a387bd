"""Open a file, whatever its format, as a stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_unetseg.errors import UserError

from .damage import READ_ERRORS, unreadable
from .formats import PICTURE_SUFFIXES, TIFF_SUFFIXES, ZARR_SUFFIXES
from .names import suffix_of
from .stack import Stack

_CONVERT_IN = {
    ".czi": ("a Zeiss CZI file", "Fiji (File > Import > Bio-Formats) or ZEN"),
    ".lif": ("a Leica LIF file", "Fiji (File > Import > Bio-Formats) or LAS X"),
    ".nd2": ("a Nikon ND2 file", "Fiji (File > Import > Bio-Formats) or NIS-Elements"),
    ".oib": ("an Olympus OIB file", "Fiji (File > Import > Bio-Formats)"),
    ".vsi": ("an Olympus VSI file", "Fiji (File > Import > Bio-Formats)"),
    ".ims": ("an Imaris file", "Imaris or Fiji (File > Import > Bio-Formats)"),
    ".dm3": ("a Gatan DM3 file", "Fiji (File > Import > Bio-Formats)"),
    ".dm4": ("a Gatan DM4 file", "Fiji (File > Import > Bio-Formats)"),
    ".mrc": ("an MRC file", "Fiji (File > Import > Bio-Formats)"),
    ".h5": ("an HDF5 file", "Fiji (File > Import > HDF5) or Python"),
    ".hdf5": ("an HDF5 file", "Fiji (File > Import > HDF5) or Python"),
    ".n5": ("an N5 folder", "Fiji (File > Import > HDF5/N5/Zarr)"),
    ".npy": ("a NumPy file", "Python (napari_unetseg.images.write_image)"),
}


def open_stack(path: str | Path, *, axes: str | None = None) -> Stack:
    """Open an image; uncompressed TIFFs and Zarrs without reading their pixels.

    Parameters
    ----------
    path : str or Path
        A TIFF, OME-TIFF or ImageJ TIFF, a PNG or JPEG, an OME-Zarr, or a folder of pictures of
        one shape, which becomes one Z stack in natural order.
    axes : str, optional
        What the axes of the file are, one letter each (``"ZCYX"``), where it does not say or is
        wrong.

    Returns
    -------
    Stack
        RGB becomes the channels red, green and blue; an alpha channel is dropped.

    Raises
    ------
    UserError
        If there is no such file, or it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no file or folder {path}; check the path.")
    reader = _reader(path)
    try:
        return reader(path, axes)
    except UserError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def _reader(path: Path) -> Callable[[Path, str | None], Stack]:
    suffix = suffix_of(path)
    if path.is_dir():
        return _folder_reader(path, suffix)
    if suffix in TIFF_SUFFIXES:
        from .tiff import read_tiff

        return read_tiff
    if suffix in PICTURE_SUFFIXES:
        from .pictures import read_picture

        return read_picture
    if suffix in _CONVERT_IN:
        what, where = _CONVERT_IN[suffix]
        raise UserError(
            f"{path} is {what}, which cannot be read yet; save it as OME-TIFF with {where} and "
            "open that."
        )
    raise UserError(
        f"{path} is not an image this program reads; it reads TIFF, OME-TIFF, PNG, JPEG, OME-Zarr "
        "and folders of these."
    )


def _folder_reader(path: Path, suffix: str) -> Callable[[Path, str | None], Stack]:
    if suffix in ZARR_SUFFIXES or is_zarr(path):
        from .ome_zarr import read_zarr

        return read_zarr
    if (path / "model.json").is_file():
        raise UserError(f"{path} is a model, not an image; train and predict take it with -m.")
    from .sequence import read_sequence

    return read_sequence


def is_zarr(path: Path) -> bool:
    """Say whether a folder is a Zarr group or array, whatever its name."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))

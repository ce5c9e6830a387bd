"""Labels in the formats of other programs: opened, and written."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError

from .checks import check_same_slices
from .damage import READ_ERRORS, unreadable
from .label_meaning import LabelsKind
from .names import suffix_of
from .outlined_labels import Outlines, draw
from .places import split_place
from .reading import is_chunk_store, nothing_at, open_stack
from .stack import Stack
from .zarr_labels import source_of

#: Endings of files that hold outlines of labels, or labels as NumPy has them.
OUTLINE_SUFFIXES = (".geojson", ".json", ".roi", ".zip")
LABEL_SUFFIXES = (*OUTLINE_SUFFIXES, ".npy")

HDF5_SUFFIXES = (".h5", ".hdf5")

#: Endings of surfaces, which say nothing of slices.
MESH_SUFFIXES = (".stl", ".ply", ".glb")

_READ_ERRORS = (*READ_ERRORS, zipfile.BadZipFile, EOFError)

#: Ending → module and function that write labels.
_WRITERS = {
    ".geojson": "geojson:write_geojson",
    ".zip": "imagej_rois:write_rois",
    **dict.fromkeys(HDF5_SUFFIXES, "hdf5_labels:write_hdf5"),
    ".stl": "meshes:write_stl",
    ".ply": "meshes:write_ply",
    ".glb": "meshes:write_glb",
    ".png": "picture_folder:write_pictures",
    "": "picture_folder:write_pictures",
}

#: Endings that `write_label_stack` knows beside those of images.
WRITTEN_SUFFIXES = tuple(suffix for suffix in _WRITERS if suffix)

Writer = Callable[..., None]


def open_label_stack(
    path: Path, kind: LabelsKind | None = None, like: Stack | None = None
) -> Stack:
    """Open labels of any format that is read.

    Parameters
    ----------
    path : Path
        What `open_stack` reads, QuPath's GeoJSON, ImageJ's regions, COCO's JSON, Cellpose's
        ``_seg.npy`` or another ``.npy``.
    kind : {"objects", "masks", "annotations"}, optional
        What outlines mean: see `outlined_labels.draw`. Values of other files stay as they are.
    like : Stack, optional
        The image; outlines are drawn at its size, and what has no pixel size gets its own.

    Raises
    ------
    UserError
        If the file cannot be read, or the image has another size.
    """
    opened = read_label_file(path, like)
    if isinstance(opened, Outlines):
        return draw(opened, kind, like)
    return opened if like is None else _on(opened, like)


def read_label_file(path: Path, like: Stack | None = None) -> Stack | Outlines:
    """Read what `open_label_stack` opens; outlines, which may lack a size, are not drawn.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    if split_place(path) is None:
        raise nothing_at(path)
    try:
        return _read(path, like)
    except UserError:
        raise
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error


def find_writer(path: Path) -> Writer | None:
    """Return what writes labels to a name; None where that is how images are written."""
    found = "zarr_labels:write_zarr_labels" if source_of(path) else _WRITERS.get(suffix_of(path))
    if found is None:
        return None
    module, _, name = found.partition(":")
    writer: Writer = getattr(importlib.import_module(f".{module}", __package__), name)
    return writer


def _read(path: Path, like: Stack | None) -> Stack | Outlines:
    suffix = suffix_of(path)
    if path.is_dir():
        from .picture_folder import with_what_is_beside

        stack = open_stack(path)
        return stack if is_chunk_store(path) else with_what_is_beside(path, stack)
    if suffix == ".npy":
        from .numpy_labels import read_npy

        return read_npy(path)
    if suffix in (".roi", ".zip"):
        from .imagej_rois import read_rois

        return read_rois(path, like)
    if suffix in (".json", ".geojson"):
        return _read_json(path, like)
    stack = open_stack(path)
    if suffix in HDF5_SUFFIXES:
        from .hdf5_labels import with_what_is_beside as with_facts

        return with_facts(path, stack)
    return stack


def _read_json(path: Path, like: Stack | None) -> Outlines:
    from .coco import is_coco, read_coco
    from .geojson import is_geojson, read_geojson

    content: Any = json.loads(path.read_text("utf-8"))
    if is_coco(content):
        return read_coco(path, content, like)
    if is_geojson(content):
        return read_geojson(path, content)
    raise UserError(f"{path} holds no labels; it reads QuPath's GeoJSON and COCO's annotations.")


def _on(labels: Stack, like: Stack) -> Stack:
    """Give labels the axes of their image, and its pixel size where they have none."""
    if labels.n_planes == 1 < labels.n_channels == like.n_planes:
        axes = labels.axes.replace("C", "Z")  # slices that a program saved as channels
        labels = replace(labels, axes=axes, channels=("",), channel_colors=())
    shape = (labels.n_planes, *labels.plane_shape)
    check_same_slices(shape, like, str(labels.path), labels)
    sizes = labels.pixel_size_um or like.pixel_size_um
    if labels.n_channels > 1:
        return replace(labels, pixel_size_um=sizes)
    axes, data = like.axes.replace("C", ""), labels.data.reshape(like.labels_shape)
    return replace(
        labels, data=data, axes=axes, pixel_size_um=sizes, channels=("",), channel_colors=()
    )

"""HDF5: ilastik's, PlantSeg's and BigDataViewer's layouts, and any other with arrays in it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .assemble import assemble
from .axes import guess_axes
from .bigdataviewer import is_bigdataviewer, read_bigdataviewer, sizes_of_cells
from .calibration import length_um
from .damage import check_size
from .extras import needed
from .hdf5_chunks import check_chunks
from .hdf5_files import files_behind
from .lazy import chunk_to_read, lazy_array
from .stack import Stack

#: What programs call the image among other arrays, the surest first.
_USUAL_NAMES = ("raw", "exported_data", "image", "data", "volume")

#: Fewer numbers than this along Y or X are a table.
_SMALLEST_PX = 8


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open an array of a file without reading it.

    Parameters
    ----------
    path : Path
        The file.
    part : str
        Name of the array, ``"volumes/raw"``; where it is empty, the only or likeliest one.
    axes : str, optional
        One letter per axis of it.

    Raises
    ------
    UserError
        If there is no such array, or none that could be an image.
    """
    h5py = needed("h5py", "hdf5", path)
    with h5py.File(path, "r") as file:
        if is_bigdataviewer(file) and not isinstance(file.get(part), h5py.Dataset):
            return read_bigdataviewer(path, part, file, axes)
        names = _images(h5py, file)
        name = _chosen(h5py, path, file, part.strip("/"), names)
        found = file[name]
        others = [other for other in names if other != name]
        sizes = sizes_of_cells(path, file, name) or _sizes(found, name)
        note = f"{path.name} holds {len(names)} images; this is {name}."
        return assemble(
            path,
            _lazy(path, found),
            axes or _axes(found),
            sizes,
            notes=[note] if others and not part else [],
            parts=others,
            files=files_behind(path, file, [name]),
        )


def _lazy(path: Path, found: Any) -> Any:
    name, shape = found.name, tuple(int(n) for n in found.shape)
    check_size(path, shape)
    looked: list[str] = []

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        import h5py

        with h5py.File(path, "r") as file:
            if not looked:
                check_chunks(path, file[name])
                looked.append(name)
            pixels: npt.NDArray[Any] = file[name][where]
        return pixels

    chunk = chunk_to_read(shape, found.chunks, found.dtype.itemsize)
    return lazy_array(path, block, shape, chunk, found.dtype)


def _images(h5py: Any, file: Any) -> list[str]:
    """List what could be an image, the likeliest first; what is empty where all of it is."""
    found: dict[str, int] = {}

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and _is_image(node):
            found[name] = math.prod(node.shape)

    file.visititems(look)
    full = [name for name in found if found[name]]
    return sorted(full or found, key=lambda name: (_rank(name), -found[name], name))


def _is_image(node: Any) -> bool:
    shape = node.shape or ()
    long = sum(length >= _SMALLEST_PX for length in shape)
    return node.dtype.kind in "iubf" and (long >= 2 or (len(shape) >= 2 and 0 in shape))


def _rank(name: str) -> int:
    last = name.rpartition("/")[2].lower()
    return _USUAL_NAMES.index(last) if last in _USUAL_NAMES else len(_USUAL_NAMES)


def _chosen(h5py: Any, path: Path, file: Any, part: str, names: list[str]) -> str:
    node = file.get(part) if part else None
    if isinstance(node, h5py.Dataset):
        if node.dtype.kind not in "iubf" or len(node.shape or ()) < 2:
            raise UserError(f"{part} in {path} is no image: it holds {node.dtype} {node.shape}.")
        return part
    within = [name for name in names if name.startswith(f"{part}/")] if part else names
    if within:
        return within[0]
    held = ", ".join(names[:10]) or "no image at all"
    if part:
        raise UserError(f"{path} holds no image {part!r}; it holds {held}.")
    raise UserError(f"{path} holds {held}; name the array that is meant, as {path}/PATH/INSIDE.")


def _axes(node: Any) -> str:
    """Return a letter per axis: from ilastik's tags, an attribute, dimension labels, or a guess."""
    ndim = len(node.shape)
    for letters in (_tagged(node.attrs), _attribute(node.attrs), "".join(_labels(node))):
        if len(letters) == ndim and len(set(letters)) == ndim and {"Y", "X"} <= set(letters):
            return letters
    return guess_axes(tuple(node.shape))


def _tagged(attributes: Mapping[str, Any]) -> str:
    """Read vigra's axistags, which ilastik writes."""
    try:
        tags = json.loads(_text(attributes.get("axistags", "")))
        return "".join(str(axis["key"]).upper() for axis in tags["axes"])
    except (ValueError, TypeError, LookupError):
        return ""


def _attribute(attributes: Mapping[str, Any]) -> str:
    value = attributes.get("axes", attributes.get("axis_names", ""))
    parts = np.asarray(value).ravel().tolist()
    return "".join(_text(part) for part in parts).upper().replace(",", "").replace(" ", "")


def _labels(node: Any) -> list[str]:
    return [_text(dimension.label).upper()[:1] for dimension in node.dims]


def _sizes(node: Any, name: str) -> dict[str, float]:
    """Return the voxel size in µm: Fiji's and PlantSeg's attribute, or a resolution with a unit."""
    attributes = node.attrs
    unit = _text(np.asarray(attributes.get("units", attributes.get("unit", ""))).ravel()[:1])
    known = (
        ("element_size_um", "um"),
        ("resolution", unit or ("nm" if re.match(r"volumes/", name) else "")),  # CREMI says nm
        ("voxel_size", unit),
    )
    spatial = [axis for axis in _axes(node).replace("Q", "Z") if axis in "ZYX"]
    for key, its_unit in known:
        values = np.asarray(attributes.get(key, ())).ravel().tolist()
        if len(values) >= len(spatial) and its_unit:
            sizes = zip(spatial, values[-len(spatial) :], strict=True)
            found = {axis: length_um(value, its_unit) for axis, value in sizes}
            return {axis: size for axis, size in found.items() if size is not None}
    return {}


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

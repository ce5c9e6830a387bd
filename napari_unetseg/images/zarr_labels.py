"""Labels inside the OME-Zarr of their image: ``image.zarr/labels/cells``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .atomic import atomic_folder
from .ome_zarr_writer import image_label
from .reading import is_chunk_store, open_stack
from .stack import Stack
from .tiff_metadata import NAMESPACE

_FOLDER = "labels"
_CHUNK_PX = 512


def source_of(path: Path) -> Path | None:
    """Return the image inside which a name would be labels; None where it is inside none."""
    image = path.parent.parent
    return image if path.parent.name == _FOLDER and is_chunk_store(image) else None


def write_zarr_labels(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write labels into the OME-Zarr of their image, at all its levels, and list them there.

    Parameters
    ----------
    path : Path
        ``image.zarr/labels/NAME``. Zarr and OME-Zarr are of the versions that the image has.

    Raises
    ------
    UserError
        If the image has another size, or labels of that name.
    """
    import zarr

    source = path.parent.parent
    image = open_stack(source)
    if image.labels_shape != labels.shape:
        raise UserError(
            f"{source} has the shape {image.labels_shape} and the labels {labels.shape}; write "
            "them into the image that was labelled."
        )
    group = zarr.open_group(source, mode="r+", use_consolidated=False)
    is_old = group.metadata.zarr_format == 2
    attributes: dict[str, Any] = dict(group.attrs)
    described: dict[str, Any] = attributes.get("ome", attributes)["multiscales"][0]
    parent = group.require_group(_FOLDER)
    with atomic_folder(path, overwrite=overwrite, marker=_marker(is_old)) as folder:
        made = zarr.open_group(folder, mode="a", zarr_format=2 if is_old else 3)
        levels = [(dataset, group.get(dataset["path"])) for dataset in described["datasets"]]
        there = [(dataset, array) for dataset, array in levels if isinstance(array, zarr.Array)]
        names = [str(axis["name"]).upper()[:1] for axis in described["axes"]]
        for level, (_, array) in enumerate(there):
            lengths = dict(zip(names, array.shape, strict=True))
            shape = tuple(lengths[axis] for axis in labels.axes)
            _fill(_array(made, str(level), shape, labels, is_old), labels)
        kept = [names.index(axis) for axis in labels.axes]
        datasets = [dataset for dataset, _ in there]
        made.attrs.update(_attributes(path.name, labels, described, datasets, kept, is_old))
    _list(parent, path.name, is_old)
    if _is_consolidated(source):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr 3 has no such thing, which the image has
            zarr.consolidate_metadata(source)


def _array(group: Any, name: str, shape: Sequence[int], labels: Stack, is_old: bool) -> Any:
    keys = {"name": "v2" if is_old else "default", "separator": "/"}
    leading = len(shape) - 2
    chunks = (*(1,) * leading, *(min(length, _CHUNK_PX) for length in shape[leading:]))
    return group.create_array(
        name,
        shape=shape,
        dtype=labels.dtype,
        chunks=chunks,
        chunk_key_encoding=keys,
        dimension_names=None if is_old else list(labels.axes.lower()),
    )


def _fill(array: Any, labels: Stack) -> None:
    """Fill a level with the labels nearest to its pixels: ids have no mean."""
    at = [_nearest(n, m) for n, m in zip(labels.shape, array.shape, strict=True)]
    for place in np.ndindex(*array.shape[:-2]):
        found = [int(at[axis][i]) for axis, i in enumerate(place)]
        index = int(np.ravel_multi_index(found, labels.shape[:-2])) if found else 0
        array[(*place, ...)] = labels.plane(index)[0][np.ix_(at[-2], at[-1])]


def _nearest(n: int, n_reduced: int) -> npt.NDArray[np.int64]:
    return ((np.arange(n_reduced) + 0.5) * n / n_reduced).astype(np.int64)


def _attributes(
    name: str,
    labels: Stack,
    image: dict[str, Any],
    datasets: Sequence[dict[str, Any]],
    kept: Sequence[int],
    is_old: bool,
) -> dict[str, Any]:
    multiscale: dict[str, Any] = {
        "name": name,
        "axes": [image["axes"][i] for i in kept],
        "datasets": [
            {"path": str(level)} | _transformations(dataset, kept)
            for level, dataset in enumerate(datasets)
        ],
        **_transformations(image, kept),
    }
    label = image_label(labels.metadata) | {"source": {"image": "../../"}}
    about = {NAMESPACE: labels.metadata}
    if is_old:
        multiscale["version"] = label["version"] = "0.4"
        return {"multiscales": [multiscale], "image-label": label, **about}
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "image-label": label}, **about}


def _transformations(owner: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Return where something lies, without the axes that labels do not have."""
    found = []
    for transformation in owner.get("coordinateTransformations", []):
        kind = transformation.get("type")
        if isinstance(transformation.get(kind), list):
            found.append({"type": kind, kind: [transformation[kind][i] for i in kept]})
    return {"coordinateTransformations": found} if found else {}


def _list(parent: Any, name: str, is_old: bool) -> None:
    attributes = dict(parent.attrs)
    ome = attributes if is_old else dict(attributes.get("ome", {"version": "0.5"}))
    listed = [*ome.get(_FOLDER, [])]
    ome[_FOLDER] = listed if name in listed else [*listed, name]
    parent.attrs.update(ome if is_old else {"ome": ome})


def _marker(is_old: bool) -> str:
    return ".zgroup" if is_old else "zarr.json"


def _is_consolidated(source: Path) -> bool:
    found = source / "zarr.json"
    return (source / ".zmetadata").is_file() or (
        found.is_file() and '"consolidated_metadata": {' in found.read_text("utf-8")
    )

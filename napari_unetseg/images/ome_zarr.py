"""OME-Zarr 0.4 and 0.5: the level of highest resolution that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError

from .axes import arrange, resolve_axes
from .calibration import length_um
from .names import stem_of
from .stack import Stack
from .tiff_metadata import NAMESPACE


def read(path: Path, part: str = "", axes: str | None = None) -> Stack:
    """Open an OME-Zarr image, or a bare Zarr array, without reading its pixels.

    Raises
    ------
    UserError
        If it is a group without an image.
    """
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return _stack(path, node, axes or "Q" * (node.ndim - 2) + "YX", {}, {})
    attributes: dict[str, Any] = dict(node.attrs)
    ome = attributes.get("ome", attributes)
    if not ome.get("multiscales"):
        raise UserError(
            f"{path} is a Zarr group without an image; give the path of an image in it."
        )
    image = ome["multiscales"][0]
    for dataset in image["datasets"]:
        level = node.get(dataset["path"])
        if isinstance(level, zarr.Array):
            named = "".join(str(axis["name"]).upper()[:1] for axis in image["axes"])
            return _stack(path, level, axes or named, _sizes(image, dataset), {**attributes, **ome})
    raise UserError(f"{path} names resolution levels but holds none of them; copy it again.")


def _stack(
    path: Path, array: Any, axes: str, sizes: dict[str, float], ome: dict[str, Any]
) -> Stack:
    import dask.array

    data = dask.array.from_zarr(array)  # type: ignore[no-untyped-call]
    axes, kept = resolve_axes(axes, tuple(data.shape), str(path))
    data, axes = arrange(data.reshape([data.shape[i] for i in kept]), axes)
    n_channels = data.shape[axes.index("C")] if "C" in axes else 1
    names = tuple(str(c.get("label", "")) for c in ome.get("omero", {}).get("channels", []))
    if len(names) != n_channels or not all(names):
        names = tuple(f"channel {i + 1}" for i in range(n_channels)) if n_channels > 1 else ("",)
    sizes = {axis: size for axis, size in sizes.items() if axis in axes}
    metadata = dict(ome.get(NAMESPACE, {}))
    return Stack(data, axes, sizes, stem_of(path), path, names, metadata)


def _sizes(image: dict[str, Any], dataset: dict[str, Any]) -> dict[str, float]:
    """Multiply the scales of a level and of the whole image, in µm."""
    sizes: dict[str, float] = {}
    for index, axis in enumerate(image["axes"]):
        scale = 1.0
        for owner in (dataset, image):
            for transformation in owner.get("coordinateTransformations", []):
                if transformation.get("type") == "scale":
                    scale *= float(transformation["scale"][index])
        size = length_um(scale, axis.get("unit"))
        if axis.get("type") == "space" and size is not None:
            sizes[str(axis["name"]).upper()] = size
    return sizes

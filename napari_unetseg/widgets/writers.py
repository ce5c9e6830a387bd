"""Saving labels layers through napari with what they say of themselves: sizes, classes, colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from napari.layers import Labels

from napari_unetseg.config import UNLABELLED, LabelClass
from napari_unetseg.images import LabelsKind, Stack, write_labels
from napari_unetseg.workspace.export import with_suffix

from .stack_from_layers import METADATA, guess_axes, pixel_size_um

#: Path, pixels, what napari knows of the layer; returns what was written.
Writer: TypeAlias = Callable[[str, Any, Mapping[str, Any]], list[str]]

#: Roles of layers in which every pixel was decided upon, and of those that show numbers.
_DECIDED = ("segmentation", "baseline", "preview")
_NUMBERED = ("objects",)


def _write(endings: Sequence[str], path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write the pixels of a labels layer.

    Parameters
    ----------
    endings : sequence of str
        That the file may have; the first is added where it has none of them.
    path, data, meta
        As napari hands them to a writer. It has asked before it names a file that exists.

    Raises
    ------
    UserError
        If it cannot be written; napari shows the sentence.
    """
    pixels = data[0] if meta.get("multiscale") else data
    kept = ("name", "scale", "units", "axis_labels", "metadata", "features", "colormap")
    layer = Labels(pixels, **{name: meta[name] for name in kept if name in meta})
    target, _ = with_suffix(Path(path), endings)
    axes = guess_axes(layer).replace("C", "T")
    nothing = np.broadcast_to(np.uint8(0), layer.data.shape)
    like = Stack(nothing, axes, pixel_size_um(layer, axes), layer.name)
    codes = np.asarray(layer.data).reshape(like.n_planes, *like.plane_shape)
    kind = _kind_of(layer)
    slices = [i for i, plane in enumerate(codes) if kind != "masks" or plane.any()]
    classes = () if kind == "objects" else _classes_of(layer)
    write_labels(
        target, codes, like=like, kind=kind, classes=classes, slices=slices, overwrite=True
    )
    return [str(target)]


def _kind_of(layer: Labels) -> LabelsKind:
    """Tell what the values of a layer mean: codes where it is ours, else ids."""
    facts = layer.metadata.get(METADATA, {})
    if facts.get("role") in _DECIDED:
        return "masks"
    if facts.get("values") == "codes" or facts.get("role") not in (None, *_NUMBERED):
        decided = facts.get("role") is None and not (np.asarray(layer.data) == UNLABELLED).any()
        return "masks" if decided else "annotations"
    return "objects"


def _classes_of(layer: Labels) -> tuple[LabelClass, ...]:
    """Return the classes that a layer of codes names, in the colours it shows them in."""
    names = list(layer.features.get("class", ()))[2:]
    colors = [layer.get_color(code) for code in range(2, len(names) + 2)]
    shown = ["#808080" if color is None else _hex(color) for color in colors]
    return tuple(LabelClass(name=n, color=c) for n, c in zip(names, shown, strict=True))


def _hex(color: Any) -> str:
    return f"#{bytes(round(float(part) * 255) for part in color[:3]).hex()}"


write_ome_tiff: Writer = partial(_write, (".ome.tif", ".ome.tiff", ".tif", ".tiff"))
write_ome_zarr: Writer = partial(_write, (".zarr",))
write_hdf5: Writer = partial(_write, (".h5", ".hdf5"))
write_geojson: Writer = partial(_write, (".geojson",))
write_rois: Writer = partial(_write, (".zip",))

"""Opening files through napari with what they say of themselves: sizes, channels, classes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from napari import current_viewer
from napari.layers import Image
from napari.utils.notifications import show_info

from napari_unetseg.config import BACKGROUND_COLOR, LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    SUFFIXES,
    ZARR_SUFFIXES,
    LabelsKind,
    Outlines,
    Stack,
    codes_to_show,
    open_label_stack,
    read_label_file,
    saved_kind,
    split_place,
    suffix_of,
    values_to_show,
)

from .contrast import contrast_limits
from .stack_from_layers import CHOICES, METADATA, guess_axes, stack_from_layers

#: Pixels, arguments of the layer, type of the layer.
LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
Reader: TypeAlias = Callable[[str | Sequence[str]], list[LayerData]]

_RGB = ("red", "green", "blue")

#: Colours of channels that lie over each other.
_CHANNEL_COLORS = ("green", "magenta", "cyan", "yellow", "red", "blue")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of a file or folder; None where it is left to others.

    napari calls this before it reads. Several files that are to be opened as one stack are left
    to others, as are addresses, and folders that are models.
    """
    if not isinstance(path, str | Path):
        return None
    place = split_place(path)
    if place is None:
        return None
    found, _ = place
    if found.is_dir():
        return None if (found / "model.json").is_file() else read_layers
    is_ours = suffix_of(found) in SUFFIXES or _holds_outlines(found)
    return read_layers if is_ours else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read a file or folder as layers.

    Labels that this package wrote become a labels layer of codes, with names and colours; an
    image becomes one layer, or one for each of its channels. Outlines that do not know the size of
    their image are drawn on the one that is chosen in the viewer. What a person may not expect of
    it, napari shows as a notification.

    Raises
    ------
    UserError
        If it cannot be read; napari shows the sentence.
    """
    found = Path(str(path))
    like = _image_of(found) if _holds_outlines(found) else None
    stack = open_label_stack(found, None, like)  # images, too, and what labels have beside them
    for note in stack.notes:
        show_info(note)
    kind = saved_kind(stack)
    if kind in ("annotations", "masks"):
        return [_codes_layer(stack, kind)]
    if kind == "objects" or _is_in_labels(stack):
        return [_objects_layer(stack)]
    if stack.channels == _RGB:
        return [_rgb_layer(stack)]
    if stack.n_channels > 1:
        return _channel_layers(stack)
    arguments = _arguments(stack, stack.axes.replace("C", "")) | {"colormap": "gray"}
    (arguments["contrast_limits"],) = contrast_limits(stack)
    return [(_channel(stack, 0), arguments, "image")]


def _holds_outlines(path: Path) -> bool:
    """Tell whether this is QuPath's GeoJSON, or ImageJ's regions, which may lie in a zip."""
    suffix = suffix_of(path)
    if suffix != ".zip" or not zipfile.is_zipfile(path):
        return suffix in (".geojson", ".roi")
    with zipfile.ZipFile(path) as archive:
        return any(name.lower().endswith(".roi") for name in archive.namelist())


def _image_of(path: Path) -> Stack | None:
    """Return the image in the viewer that outlines are of; None where the file knows its size.

    Raises
    ------
    UserError
        If neither the file nor the viewer knows an image.
    """
    found = read_label_file(path)
    if not isinstance(found, Outlines) or found.known_frame is not None:
        return None
    viewer = current_viewer()
    layers = [] if viewer is None else [*viewer.layers, viewer.layers.selection.active]
    images = [la for la in layers if isinstance(la, Image) and la.ndim in CHOICES]
    if not images:
        raise UserError(
            f"{path} holds outlines and not the size of their image; open that image first, or "
            f"make a TIFF of them with napari-unetseg convert {path.name} --like IMAGE -o "
            "labels.tif."
        )
    return stack_from_layers(images[-1:], guess_axes(images[-1]))


def _is_in_labels(stack: Stack) -> bool:
    """Tell whether this is of the ``labels`` of an OME-Zarr."""
    if stack.path is None or "labels" not in stack.path.parts[-3:-1]:
        return False
    in_zarr = any(suffix_of(folder) in ZARR_SUFFIXES for folder in stack.path.parents)
    is_within = in_zarr or stack.path.parent.name == "labels"
    return is_within and stack.dtype.kind in "iu" and stack.n_channels == 1


def _arguments(stack: Stack, axes: str) -> dict[str, Any]:
    """Return name, place and metadata of a layer with these axes."""
    return {
        "name": stack.name,
        "scale": tuple(stack.pixel_size_um.get(axis, 1.0) for axis in axes),
        "units": tuple("micrometer" if axis in stack.pixel_size_um else "pixel" for axis in axes),
        "axis_labels": tuple(axes.lower()),
        "metadata": {
            METADATA: {
                "axes": axes,
                "name": stack.name,
                "path": str(stack.path or ""),
                "parts": list(stack.parts),
            },
        },
    }


def _channel_layers(stack: Stack) -> list[LayerData]:
    axes = stack.axes.replace("C", "")
    layers: list[LayerData] = []
    colors, limits = _colors_apart(stack), contrast_limits(stack)
    for i, name in enumerate(stack.channels):
        arguments = _arguments(stack, axes)
        arguments["name"] = f"{stack.name} · {name}" if name else f"{stack.name} · {i + 1}"
        arguments["metadata"][METADATA] |= {
            "group": str(stack.path or stack.name),
            "channel": i,
            "channel_name": name,
        }
        arguments["colormap"] = (colors or _CHANNEL_COLORS)[i % len(colors or _CHANNEL_COLORS)]
        arguments["blending"] = "additive"
        arguments["contrast_limits"] = limits[i]
        layers.append((_channel(stack, i), arguments, "image"))
    return layers


def _colors_apart(stack: Stack) -> tuple[str, ...]:
    """Return the colours that the file gives its channels, if each has another that is seen."""
    colors = stack.channel_colors
    return colors if len({*colors, "", "#000000"}) == len(colors) + 2 else ()


def _channel(stack: Stack, index: int) -> Any:
    """Return the pixels of one channel, without reading them."""
    if "C" not in stack.axes:
        return stack.data
    return stack.data[(slice(None),) * stack.axes.index("C") + (index,)]


def _rgb_layer(stack: Stack) -> LayerData:
    pixels = np.moveaxis(stack.data, stack.axes.index("C"), -1)
    return pixels, _arguments(stack, stack.axes.replace("C", "")) | {"rgb": True}, "image"


def _codes_layer(stack: Stack, kind: LabelsKind) -> LayerData:
    codes, classes = codes_to_show(stack, kind, str(stack.path or stack.name))
    arguments = _arguments(stack, stack.axes)
    arguments["metadata"][METADATA] |= {
        "values": "codes",
        "classes": [c.model_dump() for c in classes],
    }
    arguments["colormap"] = _colors(classes, strokes=kind == "annotations")
    names = ["unlabelled", "background", *(c.name for c in classes)]
    arguments["features"] = {"index": list(range(len(names))), "class": names}
    return codes, arguments, "labels"


def _objects_layer(stack: Stack) -> LayerData:
    axes = stack.axes.replace("C", "")
    one = replace(stack, data=_channel(stack, 0), axes=axes, channels=("",), channel_colors=())
    return values_to_show(one), _arguments(one, axes), "labels"


def _colors(classes: Sequence[LabelClass], *, strokes: bool) -> dict[int | None, str]:
    """Return the colours of codes, as a labels layer takes them; background is seen in strokes."""
    background = BACKGROUND_COLOR if strokes else "transparent"
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent", 1: background}
    return colors | {k + 1: c.color for k, c in enumerate(classes, 1)}

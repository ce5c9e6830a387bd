"""What a TIFF says about its pixels: sizes, channels, classes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile

from .calibration import length_um, resolution_um
from .channel_colors import color_of_lut, color_of_rgba

#: Of the OME-XML MapAnnotation in which classes travel.
NAMESPACE = "napari-unetseg"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What could be learned from a file's metadata.

    Attributes
    ----------
    pixel_size_um : dict of str to float
        By axis, ``"Z"``, ``"Y"``, ``"X"``; what is unknown is left out.
    channels : tuple of str
        Names, empty where there are none.
    channel_colors : tuple of str
        As of `Stack`.
    metadata : dict
        What this package wrote: ``"kind"``, ``"classes"``.
    """

    pixel_size_um: dict[str, float] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    channel_colors: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


def read_facts(tif: tifffile.TiffFile, index: int = 0) -> FileFacts:
    """Collect calibration, channel names and classes of a TIFF's series number `index`."""
    if tif.is_ome and tif.ome_metadata:
        return ome_facts(tif.ome_metadata, index)
    if tif.is_imagej and tif.imagej_metadata:
        tables = tif.imagej_metadata.get("LUTs")
        return FileFacts(
            _imagej_sizes(tif.pages.first, tif.imagej_metadata),
            channel_colors=tuple(map(color_of_lut, tables)) if isinstance(tables, list) else (),
        )
    return FileFacts(_tag_sizes(tif.series[index].keyframe))


def ome_facts(xml: str, index: int = 0) -> FileFacts:
    """Read the image number `index` of an OME-XML document."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return FileFacts()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # the schema's year is in the namespace
    images = root.findall("./Image/Pixels")
    if index >= len(images):
        return FileFacts()
    pixels = images[index]
    sizes = {
        axis: length_um(
            pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        )
        for axis in "ZYX"
    }
    channels = pixels.findall("Channel")
    names = tuple(channel.get("Name", "") for channel in channels)
    return FileFacts(
        {axis: size for axis, size in sizes.items() if size is not None},
        names if all(names) else (),
        tuple(color_of_rgba(channel.get("Color", "")) for channel in channels),
        _our_annotation(root),
    )


def _our_annotation(root: ElementTree.Element) -> dict[str, Any]:
    for annotation in root.iter("MapAnnotation"):
        if annotation.get("Namespace") != NAMESPACE:
            continue
        for entry in annotation.iter("M"):
            if entry.get("K") == "labels":
                return _json_object(entry.text or "")
    return {}


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _imagej_sizes(page: tifffile.TiffPage, metadata: dict[str, Any]) -> dict[str, float]:
    unit = str(metadata.get("unit", ""))
    x, y = _pixels_per_unit(page, "XResolution"), _pixels_per_unit(page, "YResolution")
    if unit in ("inch", "in", "cm"):
        name = "cm" if unit == "cm" else "inch"
        sizes = {"Y": resolution_um(y, name), "X": resolution_um(x, name)}
    else:
        sizes = {"Y": _inverse_um(y, unit), "X": _inverse_um(x, unit)}
        sizes["Z"] = length_um(metadata.get("spacing"), unit)
    return {axis: size for axis, size in sizes.items() if size is not None}


def _tag_sizes(page: tifffile.TiffPage) -> dict[str, float]:
    tag = page.tags.get("ResolutionUnit")
    unit = {2: "inch", 3: "cm"}.get(int(tag.value) if tag is not None else 2)
    if unit is None:
        return {}
    sizes = {
        "Y": resolution_um(_pixels_per_unit(page, "YResolution"), unit),
        "X": resolution_um(_pixels_per_unit(page, "XResolution"), unit),
    }
    return {axis: size for axis, size in sizes.items() if size is not None}


def _pixels_per_unit(page: tifffile.TiffPage, name: str) -> float:
    tag = page.tags.get(name)
    if tag is None:
        return 0.0
    numerator, denominator = tag.value
    return float(numerator / denominator) if denominator else 0.0


def _inverse_um(pixels_per_unit: float, unit: str) -> float | None:
    return length_um(1 / pixels_per_unit, unit) if pixels_per_unit > 0 else None

"""The samples as napari's *File → Open Sample* wants them: lists of layer data."""

from __future__ import annotations

from typing import Any, TypeAlias

from napari_unetseg.images import codes_to_masks

from .em import em_stack
from .nuclei import nuclei_stack
from .sample import Sample

#: Pixels, arguments of the layer, type of the layer.
LayerData: TypeAlias = tuple[Any, dict[str, Any], str]


def open_em_sample() -> list[LayerData]:
    """Return the EM sample."""
    return [_image_layer(em_stack())]


def open_em_sample_with_truth() -> list[LayerData]:
    """Return the EM sample and, hidden, its true masks."""
    return _with_truth(em_stack())


def open_nuclei_sample() -> list[LayerData]:
    """Return the fluorescence sample."""
    return [_image_layer(nuclei_stack())]


def open_nuclei_sample_with_truth() -> list[LayerData]:
    """Return the fluorescence sample and, hidden, its true masks."""
    return _with_truth(nuclei_stack())


def _with_truth(sample: Sample) -> list[LayerData]:
    colors: dict[int | None, str] = {k: c.color for k, c in enumerate(sample.classes, 1)}
    arguments = {
        **_placement(sample),
        "name": f"{sample.image.name} · truth",
        "colormap": colors | {None: "transparent"},
        "visible": False,
    }
    return [_image_layer(sample), (codes_to_masks(sample.codes), arguments, "labels")]


def _image_layer(sample: Sample) -> LayerData:
    stack = sample.image
    about = {"axes": stack.axes, "name": stack.name}
    arguments = {
        **_placement(sample),
        "name": stack.name,
        "colormap": "gray",
        "contrast_limits": (0, 255),
        "metadata": {"napari_unetseg": about},
    }
    return stack.data, arguments, "image"


def _placement(sample: Sample) -> dict[str, Any]:
    stack = sample.image
    return {
        "scale": tuple(stack.pixel_size_um[axis] for axis in stack.axes),
        "units": ("um",) * len(stack.axes),
        "axis_labels": tuple(stack.axes.lower()),
    }

"""Colours and names of the codes in layers."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from napari.utils.colormaps import DirectLabelColormap

from napari_unetseg.annotations import Classes, add_class, code_of
from napari_unetseg.config import BACKGROUND, BACKGROUND_COLOR, MAX_CLASSES

Role: TypeAlias = Literal[
    "annotations", "segmentation", "region", "baseline", "preview", "comparison", "objects"
]

OPACITY: dict[Role, float] = {
    "annotations": 0.7,
    "segmentation": 0.45,
    "region": 0.3,
    "baseline": 0.6,
    "preview": 0.5,
    "comparison": 0.6,
    "objects": 0.7,
}
_REGION = (("region of interest", "#009e73"), ("excluded", "#d55e00"))


def highest_label(role: Role, classes: Classes) -> int:
    """Return the largest value that can be painted: one more than there are classes makes one."""
    if role == "region":
        return len(_REGION)
    return code_of(min(len(classes) + 1, MAX_CLASSES))


def label_colormap(role: Role, classes: Classes) -> DirectLabelColormap:
    """Return the colours: 0 clear, 1 background, then the classes and the one to come.

    Background is seen where a person painted it; where a method answered it, the image is.
    """
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    if role == "region":
        colors |= {i: color for i, (_, color) in enumerate(_REGION, 1)}
    else:
        colors[BACKGROUND] = BACKGROUND_COLOR if role == "annotations" else "transparent"
        colors |= {code_of(k): cls.color for k, cls in enumerate(_with_next(classes), 1)}
    return DirectLabelColormap(color_dict=colors)


def label_features(role: Role, classes: Classes) -> dict[str, list[Any]]:
    """Name the values, for napari's status bar."""
    if role == "region":
        names = ["", *(name for name, _ in _REGION)]
    else:
        names = ["unlabelled", "background", *(c.name for c in classes)]
    return {"index": list(range(len(names))), "class": names}


def _with_next(classes: Classes) -> Classes:
    return classes if len(classes) == MAX_CLASSES else add_class(classes)[0]

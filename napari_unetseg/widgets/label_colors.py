"""Colours and names of the codes in layers."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from napari.utils.colormaps import DirectLabelColormap

from napari_unetseg.annotations import Classes, add_class, code_of
from napari_unetseg.config import BACKGROUND, BACKGROUND_COLOR, MAX_CLASSES

Role: TypeAlias = Literal[
    "annotations",
    "segmentation",
    "region",
    "baseline",
    "preview",
    "comparison",
    "difference",
    "objects",
]

OPACITY: dict[Role, float] = {
    "annotations": 0.7,
    "segmentation": 0.45,
    "region": 0.3,
    "baseline": 0.6,
    "preview": 0.5,
    "comparison": 0.6,
    "difference": 0.7,
    "objects": 0.7,
}
#: Groups of pixels beside the background, at most.
_MOST_GROUPS = 15
_SOLID = ("annotations", "difference")
_REGION = (("region of interest", "#009e73"), ("excluded", "#d55e00"))


def highest_label(role: Role, classes: Classes) -> int:
    """Return the largest value that can be painted: one more than there are classes makes one."""
    if role == "region":
        return len(_REGION)
    return code_of(min(len(classes) + 1, MAX_CLASSES))


def label_colormap(role: Role, classes: Classes) -> DirectLabelColormap:
    """Return the colours: 0 clear, 1 background, then the classes and the one to come.

    Background is seen where a person painted it, or two answers differ; where a method answered
    it, the image is. Groups of pixels may be more than there are classes.
    """
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    if role == "region":
        colors |= {i: color for i, (_, color) in enumerate(_REGION, 1)}
    else:
        colors[BACKGROUND] = BACKGROUND_COLOR if role in _SOLID else "transparent"
        n = max(len(classes) + 1, _MOST_GROUPS if role in ("baseline", "preview") else 0)
        colors |= {code_of(k): cls.color for k, cls in enumerate(_at_least(classes, n), 1)}
    return DirectLabelColormap(color_dict=colors)


def label_features(role: Role, classes: Classes) -> dict[str, list[Any]]:
    """Name the values, for napari's status bar."""
    if role == "region":
        names = ["", *(name for name, _ in _REGION)]
    else:
        names = ["unlabelled", "background", *(c.name for c in classes)]
    return {"index": list(range(len(names))), "class": names}


def _at_least(classes: Classes, n: int) -> Classes:
    """Return so many classes, with those that would be added next."""
    while len(classes) < min(n, MAX_CLASSES):
        classes = add_class(classes)[0]
    return classes

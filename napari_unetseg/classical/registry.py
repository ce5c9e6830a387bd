"""The classical methods, by name; each is loaded when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from napari_unetseg.errors import UserError

from .method import Method

_PLACES = {
    "otsu": "napari_unetseg.classical.threshold:OTSU",
    "threshold": "napari_unetseg.classical.threshold:THRESHOLD",
    "canny": "napari_unetseg.classical.edges:CANNY",
    "sobel": "napari_unetseg.classical.edges:SOBEL",
    "kmeans": "napari_unetseg.classical.clustering:KMEANS",
}


class Registry(Mapping[str, Method[Any]]):
    """Methods by name, from ``"module:attribute"`` strings.

    A new method is one class in the file of its family and one entry here.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> Method[Any]:
        module, attribute = self._places[name].split(":")
        method = getattr(importlib.import_module(module), attribute)
        if not isinstance(method, Method):
            raise TypeError(f"{self._places[name]} is not a method")
        return method

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


METHODS = Registry(_PLACES)


def find_method(name: str) -> Method[Any]:
    """Return a method by name.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in METHODS:
        raise UserError(f"No method is called {name!r}; the methods are {', '.join(METHODS)}.")
    return METHODS[name]

"""The classical steps, by name; each is loaded when it is first asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from napari_unetseg.errors import UserError

from .step import Filter, Method, Refinement, Step

S = TypeVar("S", bound=Step[Any])

_HERE = "napari_unetseg.classical"


class Registry(Mapping[str, S], Generic[S]):
    """Steps of a kind by name, from ``"module:attribute"`` strings.

    A new step is one class in the file of its family and one entry here.
    """

    def __init__(self, kind: type[S], places: Mapping[str, str]) -> None:
        self._kind = kind
        self._places = dict(places)

    @property
    def kind_name(self) -> str:
        """What its steps are called: filter, method or refinement."""
        return self._kind.__name__.lower()

    def __getitem__(self, name: str) -> S:
        module, attribute = self._places[name].split(":")
        step = getattr(importlib.import_module(f"{_HERE}.{module}"), attribute)
        if not isinstance(step, self._kind):
            raise TypeError(f"{self._places[name]} is not a {self._kind.__name__}")
        return step

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


FILTERS: Registry[Filter[Any]] = Registry(
    Filter,  # type: ignore[type-abstract]
    {
        "gaussian": "smoothing:GAUSSIAN",
        "median": "smoothing:MEDIAN",
        "nl_means": "smoothing:NL_MEANS",
        "total_variation": "smoothing:TOTAL_VARIATION",
        "background": "contrast:BACKGROUND",
        "clahe": "contrast:CLAHE",
        "invert": "contrast:INVERT",
        "channel": "contrast:CHANNEL",
    },
)

METHODS: Registry[Method[Any]] = Registry(
    Method,  # type: ignore[type-abstract]
    {
        "otsu": "auto_threshold:OTSU",
        "threshold": "threshold:THRESHOLD",
        "li": "auto_threshold:LI",
        "triangle": "auto_threshold:TRIANGLE",
        "yen": "auto_threshold:YEN",
        "isodata": "auto_threshold:ISODATA",
        "minimum": "auto_threshold:MINIMUM",
        "mean": "auto_threshold:MEAN",
        "multiotsu": "multi_otsu:MULTI_OTSU",
        "local": "local_threshold:LOCAL",
        "sauvola": "local_threshold:SAUVOLA",
        "niblack": "local_threshold:NIBLACK",
        "hysteresis": "threshold:HYSTERESIS",
        "sobel": "edges:SOBEL",
        "scharr": "edges:SCHARR",
        "prewitt": "edges:PREWITT",
        "farid": "edges:FARID",
        "canny": "edges:CANNY",
        "laplacian": "zero_crossings:LAPLACIAN",
        "log": "zero_crossings:LOG",
        "dog": "zero_crossings:DOG",
        "kmeans": "clustering:KMEANS",
        "mixture": "clustering:MIXTURE",
        "grow": "region_growing:GROW",
        "random_walker": "random_walk:RANDOM_WALKER",
        "watershed": "flooding:WATERSHED",
        "chan_vese": "chan_vese:CHAN_VESE",
        "slic": "superpixels:SLIC",
        "felzenszwalb": "superpixels:FELZENSZWALB",
        "compact_watershed": "superpixels:COMPACT_WATERSHED",
        "blob_log": "blobs:BLOB_LOG",
        "blob_dog": "blobs:BLOB_DOG",
        "blob_doh": "blobs:BLOB_DOH",
        "mser": "mser:MSER",
        "forest": "forest:FOREST",
    },
)

REFINEMENTS: Registry[Refinement[Any]] = Registry(
    Refinement,  # type: ignore[type-abstract]
    {
        "fill_holes": "refinement:FILL_HOLES",
        "remove_small": "refinement:REMOVE_SMALL",
        "smooth": "refinement:SMOOTH",
        "open": "refinement:OPEN",
        "close": "refinement:CLOSE",
        "keep_largest": "refinement:KEEP_LARGEST",
        "split": "splitting:SPLIT",
        "crf": "crf:CRF",
    },
)


def find_method(name: str) -> Method[Any]:
    """Return a method by name.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    found: Method[Any] = find_step(name, METHODS)
    return found


def find_step(name: str, *kinds: Registry[Any]) -> Any:
    """Return a filter, a method or a refinement by name.

    Parameters
    ----------
    name : str
    *kinds : Registry
        Where it is looked for; in all of them where left out.

    Returns
    -------
    Step

    Raises
    ------
    UserError
        If there is none of that name.
    """
    asked = kinds or (FILTERS, METHODS, REFINEMENTS)
    for registry in asked:
        if name in registry:
            return registry[name]
    what = " or ".join(registry.kind_name for registry in asked)
    known = [step for registry in asked for step in registry]
    meant = name.strip().lower()
    alike = difflib.get_close_matches(meant, known, n=1)
    alike += [step for step in known if meant and meant in step]
    if alike:
        raise UserError(f"No {what} is called {name!r}; did you mean {alike[0]}?")
    raise UserError(f"No {what} is called {name!r}; there are {', '.join(known)}.")

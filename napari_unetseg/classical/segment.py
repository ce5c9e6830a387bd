"""Apply a classical method to a plane or to a stack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from napari_unetseg.config import Config, describe_validation_error
from napari_unetseg.errors import UserError
from napari_unetseg.events import Progress
from napari_unetseg.images import Stack

from .grey import thinned
from .method import BaselineParams, Codes, Levels, Method, Plane
from .registry import find_method

#: Slices that levels shared by a whole stack are measured on, evenly spread.
_LEVEL_PLANES = 16


def parse_params(method: str, pairs: Sequence[str]) -> BaselineParams:
    """Read parameters from texts such as ``"sigma_px=2"``.

    Raises
    ------
    UserError
        If a text is not ``key=value``, a key is not known, or a value is out of range.

    Examples
    --------
    >>> parse_params("otsu", ["sigma_px=2", "foreground=dark"]).sigma_px
    2.0
    """
    params: type[BaselineParams] = find_method(method).params
    known = ", ".join(params.model_fields)
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise UserError(f"{pair!r} is not of the form key=value, such as sigma_px=2.")
        if key not in params.model_fields:
            raise UserError(f"{method} has no parameter {key!r}; its parameters are {known}.")
        values[key] = value
    try:
        return params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{method}: {describe_validation_error(error)}") from error


def segment(method: str, plane: Plane, params: Config | None = None) -> Codes:
    """Segment one plane.

    Parameters
    ----------
    method : str
        A name in ``METHODS``.
    plane : ndarray, shape (C, Y, X), any dtype
        Methods that look at grey values take the mean of the channels.
    params : BaselineParams, optional
        The method's defaults if None.

    Returns
    -------
    ndarray, shape (Y, X), uint8
        1 background, 2 and up the classes.

    Raises
    ------
    UserError
        If no method has that name, or the parameters are those of another.

    Examples
    --------
    >>> plane = np.zeros((1, 8, 8), np.uint8)
    >>> plane[0, 2:5, 2:5] = 200
    >>> int((segment("otsu", plane, parse_params("otsu", ["sigma_px=0"])) == 2).sum())
    9
    """
    found, checked = _with_params(method, params)
    features = found.features(plane, checked)
    return found.label(features, checked, found.measure([features], checked))


def shared_levels(
    method: str,
    stack: Stack,
    params: Config | None = None,
    *,
    planes: Sequence[int] | None = None,
) -> Levels:
    """Measure the levels that slices have in common, on up to 16 of them.

    Parameters
    ----------
    planes : sequence of int, optional
        The slices; all of `stack` if None.
    """
    found, checked = _with_params(method, params)
    chosen = range(stack.n_planes) if planes is None else planes
    spread = np.linspace(0, len(chosen) - 1, min(len(chosen), _LEVEL_PLANES)).round()
    return found.measure(
        [thinned(found.features(stack.plane(chosen[int(i)]), checked)) for i in spread], checked
    )


def segment_stack(
    method: str,
    stack: Stack,
    params: Config | None = None,
    *,
    out: npt.NDArray[np.uint8],
    planes: Sequence[int] | None = None,
) -> Iterator[Progress]:
    """Segment slice after slice into `out`.

    Close the generator to cancel; slices done by then stay in `out`.

    Parameters
    ----------
    params : BaselineParams, optional
        With ``per_slice`` off, levels are first measured on up to 16 of the slices together.
    out : ndarray, shape (n, Y, X), uint8
        Receives codes, one plane for each of `planes` in their order. Modified.
    planes : sequence of int, optional
        Slices to segment; all if None.

    Yields
    ------
    Progress
        After each slice, ``done`` of them being in `out`.
    """
    found, checked = _with_params(method, params)
    chosen = range(stack.n_planes) if planes is None else planes
    levels = None if checked.per_slice else shared_levels(method, stack, checked, planes=chosen)
    started = time.perf_counter()
    for done, index in enumerate(chosen, start=1):
        features = found.features(stack.plane(index), checked)
        used = found.measure([features], checked) if levels is None else levels
        out[done - 1] = found.label(features, checked, used)
        left = (time.perf_counter() - started) / done * (len(chosen) - done)
        yield Progress("Segmenting", done, len(chosen), left)


def _with_params(method: str, params: Config | None) -> tuple[Method[Any], BaselineParams]:
    found = find_method(method)
    if params is None:
        return found, found.params()
    if not isinstance(params, found.params):
        raise UserError(
            f"{method} takes {found.params.__name__}, not {type(params).__name__}; "
            "the parameters are those of another method."
        )
    return found, params

"""The blobs of a stack, as points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError

from .blobs import BlobMethod
from .chain import Chain
from .run import seen_by_method
from .source import Source

Points = npt.NDArray[np.float64]


def points_of(chain: Chain, source: Source) -> Points:
    """Find the blobs of a stack that the method of a chain finds; refinements take no part.

    Returns
    -------
    ndarray, shape (n, axes of the labels + 1), float64
        Centres in px along (T, Z,) Y and X, as far as the stack has them, then radii in px.

    Raises
    ------
    UserError
        If the method finds no blobs.
    """
    method, params = chain.method() or (None, Config())
    if not isinstance(method, BlobMethod):
        title = "A refinement" if method is None else method.title
        raise UserError(f"{title} finds no points; blob_log, blob_dog, blob_doh and mser do.")
    axes = ["TZYX".index(axis) for axis in source.stack.axes if axis != "C"]
    rows = list(_on_slices_or_volumes(chain, method, params, source))
    return np.concatenate([np.empty((0, len(axes) + 1)), *(row[:, [*axes, 4]] for row in rows)])


def _on_slices_or_volumes(
    chain: Chain, method: BlobMethod[Any], params: Config, source: Source
) -> Iterator[Points]:
    """Yield (t, z, y, x, radius) of the blobs of each slice chosen, or of each time point."""
    depth, chosen = source.stack.size("Z"), source.chosen()
    if method.sees_volumes(params):
        for t in sorted({plane // depth for plane in chosen}):
            (view,) = seen_by_method(chain, source, [t * depth])
            blobs = method.points(view, params)
            is_chosen = np.isin(t * depth + np.rint(blobs[:, 0]), chosen)
            yield np.insert(blobs, 0, t, axis=1)[is_chosen]
        return
    for plane in chosen:
        (view,) = seen_by_method(chain, source, [plane])
        yield np.insert(method.points(view, params), [0, 0], divmod(plane, depth), axis=1)

"""When a person is painting on a layer, and which slices a finished stroke touched."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import numpy as np
from napari.layers import Labels


class DragWatch:
    """Knows whether a mouse button is down on a layer: nothing may write to it meanwhile."""

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._dragging = False
        layer.mouse_drag_callbacks.append(self._watch)

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way."""
        # A stroke of several clicks (encircle and fill) holds no button down; what it has painted
        # so far is staged, and napari 0.9 has no public name for that.
        return self._dragging or bool(getattr(self._layer, "_staged_history", ()))

    def _watch(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        self._dragging = True
        try:
            yield
            while event.type == "mouse_move":
                yield
        finally:
            self._dragging = False


def touched_planes(layer: Labels, atoms: Iterable[Any]) -> list[int]:
    """Return the slices that a ``paint`` event changed, along the flattened leading axes.

    Parameters
    ----------
    atoms : iterable
        The event's value. An atom holds either a tuple of index arrays or a bounding box; where
        it is neither, every slice counts as touched.
    """
    leading = layer.data.shape[:-2]
    n_planes = int(np.prod(leading, dtype=int))
    planes: set[int] = set()
    for atom in atoms:
        where: Any = getattr(atom, "slice_key", None)
        if where is None:
            where = atom[0] if isinstance(atom, tuple) else ()
        if len(where) != layer.ndim:
            return list(range(n_planes))
        axes = [_indices(w, n) for w, n in zip(where, leading, strict=False)]
        if not axes:
            return [0]
        if isinstance(where[0], np.ndarray):
            flat = np.ravel_multi_index(tuple(where[: len(leading)]), leading)
        else:
            flat = np.ravel_multi_index(np.ix_(*axes), leading)
        planes.update(int(p) for p in np.unique(flat))
    return sorted(planes)


def _indices(where: Any, length: int) -> np.ndarray[Any, Any]:
    if isinstance(where, slice):
        return np.arange(length)[where]
    return np.unique(np.asarray(where))

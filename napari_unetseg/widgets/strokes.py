"""When a person is painting on a layer, and what a finished stroke has touched and covered."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_unetseg.annotations import covered_by_brush


class DragWatch:
    """Knows whether a mouse button is down on a layer, and where the brush has been.

    Parameters
    ----------
    layer : Labels
    follow_brush : bool
        Whether `take_covered` will be asked.
    """

    def __init__(self, layer: Labels, *, follow_brush: bool) -> None:
        self._layer = layer
        self._follow_brush = follow_brush
        self._dragging = False
        self._path: list[npt.NDArray[np.float64]] = []
        layer.mouse_drag_callbacks.append(self._watch)
        layer.events.visible.connect(self._on_visible_changed)

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way: nothing may write to the layer meanwhile."""
        # A stroke of several clicks (encircle and fill) holds no button down.
        return self._dragging or bool(self._staged)

    @property
    def planes_so_far(self) -> list[int]:
        """The slices that the stroke under way has painted on, along the flattened leading axes."""
        return touched_planes(self._layer, self._staged)

    @property
    def _staged(self) -> Sequence[Any]:
        # What a stroke has painted so far; napari 0.9 has no public name for that.
        staged: Sequence[Any] = getattr(self._layer, "_staged_history", ())
        return staged

    @property
    def has_painted(self) -> bool:
        """Whether a stroke of the brush waits for `take_covered`."""
        return bool(self._path)

    def take_covered(self) -> tuple[int, npt.NDArray[np.bool_]] | None:
        """Return what the last stroke of the brush covered, once.

        napari tells only of pixels that a stroke has changed.

        Returns
        -------
        plane : int
            Slice, along the flattened leading axes.
        covered : ndarray of bool, shape (Y, X)
        """
        path, self._path = self._path, []
        if not path:
            return None
        *leading, height, width = self._layer.data.shape
        index = np.clip(np.round(path[0][:-2]), 0, np.array(leading) - 1).astype(int)
        plane = int(np.ravel_multi_index(tuple(index), tuple(leading))) if leading else 0
        points = np.array([point[-2:] for point in path])
        return plane, covered_by_brush(points, self._layer.brush_size, (height, width))

    def _on_visible_changed(self) -> None:
        """End a stroke on a layer that is hidden: napari would neither go on nor tell of it."""
        if not self._layer.visible and self.busy:
            self._dragging = False
            self._layer._commit_staged_history()  # noqa: SLF001 - nothing else tells of it

    def _watch(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        self._dragging = True
        n_shown = len(event.dims_displayed)
        flat = n_shown == 2 and max(event.dims_displayed) == len(event.position) - 1
        brush = flat and str(layer.mode) == "paint" and layer.selected_label != 0
        brush = brush and self._follow_brush
        self._path = []
        try:
            self._follow(event, brush)
            yield
            while event.type == "mouse_move":
                self._follow(event, brush)
                yield
        finally:
            self._dragging = False

    def _follow(self, event: Any, brush: bool) -> None:
        if brush:
            position = np.array(event.position)[-self._layer.ndim :]
            self._path.append(np.array(self._layer.world_to_data(position)))


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

"""Keeps the window alive where somebody asks for a volume that is larger than the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.viewer import Viewer

from napari_unetseg.hardware import free_memory_bytes

#: napari holds a volume several times on its way to the graphics card.
_COPIES = 3


class VolumeGuard:
    """Goes back to slices before napari reads a volume for which there is no room.

    Parameters
    ----------
    viewer : Viewer
    say : callable
        Told why, in a sentence.
    """

    def __init__(self, viewer: Viewer, say: Callable[[str], None]) -> None:
        self._viewer = viewer
        self._say = say
        asked: Any = viewer.dims.events.ndisplay
        asked.connect(self._on_ndisplay)
        # napari lets its own callbacks come first, and the first of them reads everything at once.
        for listed in (asked._callbacks, asked._callback_refs, asked._callback_pass_event):  # noqa: SLF001
            listed.insert(0, listed.pop())

    def _on_ndisplay(self, event: Any) -> None:
        if self._viewer.dims.ndisplay != 3:
            return
        needed, free = _COPIES * volume_bytes(self._viewer), free_memory_bytes()
        if needed > free:
            event.blocked = True
            self._viewer.dims.ndisplay = 2
            self._say(
                f"The volume would take about {needed / 1e9:.0f} GB of memory to show, and "
                f"{free / 1e9:.0f} GB are free; hide layers that need not be seen, or open a part "
                "of it or a coarser resolution."
            )


def volume_bytes(viewer: Viewer) -> int:
    """Return how much of the visible layers would be read for a view in 3D."""
    shown = [la for la in viewer.layers if isinstance(la, Image | Labels) and la.visible]
    total = 0
    for layer in shown:
        data = layer.data[-1] if layer.multiscale else layer.data
        axes = data.shape[-4:] if getattr(layer, "rgb", False) else data.shape[-3:]
        total += int(np.prod(axes, dtype=np.int64)) * np.dtype(data.dtype).itemsize
    return total

"""Opening napari with the plugin docked."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

PLUGIN = "napari-unetseg"
DOCK_TITLE = "U-Net segmentation"


def open_window(paths: Sequence[str | Path] = (), *, sample: str | None = None) -> None:
    """Open napari with the dock, show the images at `paths`, and return when it is closed.

    Parameters
    ----------
    paths : sequence of path-like
        Images to open.
    sample : str, optional
        Key of a sample of this plugin to open.
    """
    import napari

    from .parts import add_layers

    viewer = napari.Viewer(title="napari-unetseg")
    viewer.window.add_plugin_dock_widget(PLUGIN, DOCK_TITLE)
    for path in paths:
        if Path(path).exists():
            viewer.open(str(path), plugin=PLUGIN)
        else:  # a part of a file
            add_layers(viewer, Path(path))
    if sample is not None:
        viewer.open_sample(PLUGIN, sample)
    keep_until_the_end()
    napari.run()


def keep_until_the_end() -> None:
    """Spare what is there by now from garbage collection: it lives as long as the program.

    There are 330,000 objects once napari is open. Looking through all of them, as Python does every
    few minutes, stops the hand for a fifth of a second.
    """
    gc.collect()
    gc.freeze()

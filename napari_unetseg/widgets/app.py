"""Opening napari with the plugin docked."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from .readers import LayerData

PLUGIN = "napari-unetseg"
DOCK_TITLE = "U-Net segmentation"

#: What napari runs instead of reading it.
_PROGRAM_SUFFIX = ".py"


def open_window(paths: Sequence[str | Path] = (), *, sample: str | None = None) -> None:
    """Open napari with the dock, show the images at `paths`, and return when it is closed.

    Parameters
    ----------
    paths : sequence of path-like
        Images to open.
    sample : str, optional
        Key of a sample of this plugin to open.

    Raises
    ------
    UserError
        If one of `paths` cannot be read as an image; no window is opened then.
    """
    import napari

    found = [layer for path in paths for layer in _layers_at(Path(path))]
    viewer = napari.Viewer(title="napari-unetseg")
    viewer.window.add_plugin_dock_widget(PLUGIN, DOCK_TITLE)
    for pixels, arguments, kind in found:
        getattr(viewer, f"add_{kind}")(pixels, **arguments)
    if sample is not None:
        viewer.open_sample(PLUGIN, sample)
    keep_until_the_end()
    napari.run()


def _layers_at(path: Path) -> list[LayerData]:
    """Read a file or folder as this plugin does, or else as another one of napari does."""
    from .readers import get_reader, read_layers

    if not path.exists():  # a part of a file, or nothing
        return read_layers(str(path))
    reader = get_reader(str(path))
    return reader(str(path)) if reader is not None else _layers_of_others(path)


def _layers_of_others(path: Path) -> list[LayerData]:
    import npe2

    from napari_unetseg.images import open_stack
    from napari_unetseg.images.damage import READ_ERRORS, unreadable

    plugins = npe2.PluginManager.instance()
    plugins.discover()
    readable = path.is_file() and path.suffix.lower() != _PROGRAM_SUFFIX
    if not readable or not any(plugins.iter_compatible_readers([str(path)])):
        open_stack(path)  # raises: it knows what this is, and what to do with it
    try:
        read = npe2.read([str(path)], stack=False)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    layers = [_completed(layer, path) for layer in read if layer[0] is not None]
    if not any(kind in ("image", "labels") for _, _, kind in layers):
        raise UserError(
            f"{path} holds no image; give a TIFF, PNG, JPEG or OME-Zarr, or a folder of these."
        )
    return layers


def _completed(layer: Sequence[Any], path: Path) -> LayerData:
    """Add what a plugin may leave out of a layer."""
    arguments = layer[1] if len(layer) > 1 else {}
    kind = layer[2] if len(layer) > 2 else "image"
    return layer[0], {"name": path.stem} | arguments, kind


def keep_until_the_end() -> None:
    """Spare what is there by now from garbage collection: it lives as long as the program.

    There are 330,000 objects once napari is open. Looking through all of them, as Python does every
    few minutes, stops the hand for a fifth of a second.
    """
    gc.collect()
    gc.freeze()

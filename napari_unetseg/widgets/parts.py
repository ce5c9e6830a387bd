"""Other images in the file of one that is open: scenes, arrays, resolution levels, labels."""

from __future__ import annotations

from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_unetseg.errors import UserError
from napari_unetseg.images import split_place
from napari_unetseg.wording import counted

from .context import Context
from .open_images import OpenImage
from .readers import read_layers
from .stack_from_layers import METADATA


def add_layers(viewer: ViewerModel, path: Path) -> None:
    """Open what a path means, as layers: napari asks no plugin for a part of a file.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    for data in read_layers(str(path)):
        viewer.add_layer(Layer.create(*data))


def open_part(context: Context, path: Path) -> None:
    """Open what was chosen, or say why it cannot be."""
    try:
        add_layers(context.viewer, path)
    except UserError as error:
        context.say(str(error))


class PartChoice(QComboBox):
    """Names the other images in the file of an image; hidden where there are none.

    Attributes
    ----------
    chosen : Signal(object)
        Path of the one to open.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(
            "Other images in the same file: scenes, arrays, resolution levels or labels. Choose "
            "one to open it, too."
        )
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.activated.connect(self._on_activated)

    def show_parts(self, image: OpenImage) -> bool:
        """List those of an image; return whether there are any."""
        facts = image.layers[0].metadata.get(METADATA, {})
        place = split_place(facts["path"]) if facts.get("path") else None
        parts = [] if place is None else [str(part) for part in facts.get("parts", ())]
        self.clear()
        self.setPlaceholderText(counted(len(parts), "more in this file", "more in this file"))
        for part in parts:
            self.addItem(part, None if place is None else place[0] / part)
        self.setCurrentIndex(-1)
        return bool(parts)

    def _on_activated(self, row: int) -> None:
        self.chosen.emit(self.itemData(row))
        self.setCurrentIndex(-1)

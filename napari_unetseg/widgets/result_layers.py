"""Results of classical methods, each a layer of its own that can be edited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_unetseg.classical import ChainRecipe
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.slots import Codes

from .stack_from_layers import METADATA

if TYPE_CHECKING:
    from napari_unetseg.project import ResultNotes

    from .layers import LayerBinder


class ResultLayers:
    """Adds results as layers; what is painted on one outlives the window.

    Parameters
    ----------
    layers : LayerBinder
    workspace : Workspace

    Attributes
    ----------
    said : Signal(str)
        What could not be kept.
    """

    said = Signal(str)

    def __init__(self, layers: LayerBinder, workspace: Workspace) -> None:
        self._layers = layers
        self._workspace = workspace
        self._painted_last: Labels | None = None
        workspace.results.brought_back.connect(self._on_brought_back)
        workspace.history_changed.connect(self._on_history_changed)

    def add(
        self,
        image_id: str,
        title: str,
        codes: Codes,
        made_by: str,
        recipe: ChainRecipe | None = None,
    ) -> Labels:
        """Show what a method answered, instead of what others did.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            On disk, of the session: to be painted on.
        made_by : str
            Method and settings, in words for a paper.
        recipe : ChainRecipe, optional
            Its steps, with what they learned or grew from.
        """
        for earlier in self._layers.result_layers(image_id):
            earlier.visible = False
        layer = self._add(image_id, title, codes, made_by)
        if recipe is not None:
            layer.metadata[METADATA]["recipe"] = recipe
        if isinstance(codes, np.memmap):
            self._keep_once_painted(layer, Path(str(codes.filename)), title, made_by)
        return layer

    def _keep_once_painted(self, layer: Labels, path: Path, title: str, made_by: str) -> None:
        def keep(_: object) -> None:
            try:
                self._workspace.results.keep(path, title, made_by)
            except OSError as error:
                self.said.emit(f"What is painted there could not be kept ({error.strerror}).")
                return
            layer.events.paint.disconnect(keep)

        layer.events.paint.connect(keep)

    def show_difference(self, image_id: str, title: str, codes: Codes) -> Labels:
        """Show where two answers differ, in one layer for each image.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            What one of them answers there, 0 elsewhere.
        """
        ours = {"image": image_id, "role": "difference"}
        for layer in self._layers.labels_layers():
            if layer.metadata.get(METADATA) == ours:
                self._layers.viewer.layers.remove(layer)
        entry = self._workspace.images[image_id]
        name = f"{entry.stack.name} · {title}"
        layer = self._layers.add_labels(entry, "difference", codes, name)
        layer.editable = False
        return layer

    def _add(self, image_id: str, title: str, codes: Codes, made_by: str) -> Labels:
        entry = self._workspace.images[image_id]
        layer = self._layers.add_labels(entry, "baseline", codes, f"{entry.stack.name} · {title}")
        layer.metadata[METADATA]["made_by"] = made_by
        layer.events.paint.connect(lambda _: self._on_painted(layer))
        self._layers.bind_undo(layer, self._on_undo, self._on_redo)
        return layer

    def _on_brought_back(self, image_id: str, codes: Codes, notes: ResultNotes) -> None:
        if image_id in self._workspace.images:
            self._add(image_id, notes.title, codes, notes.made_by)

    # ------------------------------------------------------------------ undo

    def _on_painted(self, layer: Labels) -> None:
        self._painted_last = layer

    def _on_history_changed(self) -> None:
        self._painted_last = None

    def _on_undo(self, layer: Labels) -> None:
        """Take back what was done last: a stroke on the result, or a step of the window's."""
        painted_last = layer is self._painted_last
        if painted_last and layer._undo_history:  # noqa: SLF001 - nothing else tells
            layer.undo()
            return
        self._layers.undo(layer)
        self._painted_last = layer

    def _on_redo(self, layer: Labels) -> None:
        painted_last = layer is self._painted_last
        if painted_last and layer._redo_history:  # noqa: SLF001
            layer.redo()
        else:
            self._layers.redo(layer)

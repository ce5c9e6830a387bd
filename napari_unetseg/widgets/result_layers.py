"""Results of classical methods, each a layer of its own that can be edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_unetseg.classical import ChainRecipe
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.result_codes import ResultCodes
from napari_unetseg.workspace.slots import Codes

from .label_colors import Role
from .stack_from_layers import METADATA

if TYPE_CHECKING:
    from napari_unetseg.project import ResultNotes

    from .layers import LayerBinder


def made_by(layer: Labels) -> str:
    """Return how a result was made, in words for a paper."""
    known = layer.metadata[METADATA]
    made: str = known.get("made_by", "")
    return f"{made}, corrected by hand" if made and known.get("corrected") else made


@dataclass(eq=False)
class _Followed:
    """A layer whose codes follow the classes.

    Attributes
    ----------
    recipe : ChainRecipe or None
        As the result was made.
    kept_at : Path or None
        Its file, if a person has painted on it.
    strokes : dict
        What napari can undo and redo on the layer, by what codes stood for when it was painted.
    """

    layer: Labels
    codes: ResultCodes
    recipe: ChainRecipe | None = None
    kept_at: Path | None = None
    strokes: dict[bytes, tuple[Any, Any]] = field(default_factory=dict)


class ResultLayers:
    """Adds results as layers; what is painted on one outlives the window.

    Their codes follow the classes: those of one that was moved move, and those of one that was
    deleted are back when it is.

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
        self._numbers = count(1)
        self._followed: dict[Labels, _Followed] = {}
        self._meant_as = workspace.results.meant_as
        workspace.results.brought_back.connect(self._on_brought_back)
        workspace.results.meaning_changed.connect(self._on_meaning_changed)
        workspace.history_changed.connect(self._on_history_changed)
        layers.viewer.layers.events.removed.connect(self._on_layer_removed)

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
        earlier = self._layers.result_layers(image_id)
        self._hide(earlier)
        layer = self._add(image_id, title, codes, made_by, recipe)
        selection = self._layers.viewer.layers.selection
        if selection.active in earlier:  # who goes on means the new one
            selection.active = layer
        if isinstance(codes, np.memmap):
            self._keep_once_painted(layer, Path(str(codes.filename)), title, made_by)
        return layer

    def _keep_once_painted(self, layer: Labels, path: Path, title: str, made_by: str) -> None:
        def keep(_: object) -> None:
            recipe = layer.metadata[METADATA].get("recipe")
            try:
                self._workspace.results.keep(path, title, made_by, recipe)
            except OSError as error:
                self.said.emit(f"What is painted there could not be kept ({error.strerror}).")
                return
            layer.events.paint.disconnect(keep)
            self._followed[layer].kept_at = path

        layer.events.paint.connect(keep)

    def show_difference(self, image_id: str, title: str, codes: Codes) -> Labels:
        """Show where two answers differ, in one layer for each image.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            What one of them answers there, 0 elsewhere.
        """
        for layer in self.differences(image_id):
            self._layers.viewer.layers.remove(layer)
        self._hide(self._layers.result_layers(image_id))
        entry = self._workspace.images[image_id]
        layer = self._labels(image_id, "difference", codes, f"{entry.stack.name} · {title}")
        layer.editable = False
        return layer

    def differences(self, image_id: str) -> list[Labels]:
        """Return the layers that show where answers for an image differ."""
        ours = {"image": image_id, "role": "difference"}
        return [la for la in self._layers.labels_layers() if la.metadata.get(METADATA) == ours]

    def _hide(self, layers: Iterable[Labels]) -> None:
        for layer in layers:
            layer.visible = False

    def _add(
        self,
        image_id: str,
        title: str,
        codes: Codes,
        made_by: str,
        recipe: ChainRecipe | None,
        kept_at: Path | None = None,
    ) -> Labels:
        entry = self._workspace.images[image_id]
        layer = self._labels(image_id, "baseline", codes, f"{entry.stack.name} · {title}")
        layer.metadata[METADATA] |= {"made_by": made_by, "recipe": recipe}
        followed = self._followed[layer]
        followed.recipe, followed.kept_at = recipe, kept_at
        layer.events.paint.connect(lambda _: self._on_painted(layer))
        self._layers.bind_undo(layer, self._on_undo, self._on_redo)
        return layer

    def _on_brought_back(
        self, image_id: str, codes: np.memmap[Any, Any], notes: ResultNotes
    ) -> None:
        if image_id in self._workspace.images:
            path = Path(str(codes.filename))
            recipe = self._workspace.results.recipe(path)
            layer = self._add(image_id, notes.title, codes, notes.made_by, recipe, path)
            layer.metadata[METADATA]["corrected"] = True

    # --------------------------------------------------------------- classes

    def _labels(self, image_id: str, role: Role, codes: Codes, name: str) -> Labels:
        """Add a layer whose codes follow the classes."""
        entry, new_array = self._workspace.images[image_id], self._workspace.session.array
        layer = self._layers.add_labels(entry, role, codes, name)
        begun = partial(new_array, entry.id, f"codes-begun-{next(self._numbers)}", entry.shape)
        meant_as = self._workspace.results.meant_as
        self._followed[layer] = _Followed(layer, ResultCodes(meant_as, begun))
        return layer

    def _on_layer_removed(self, event: Any) -> None:
        followed = self._followed.get(event.value)
        if followed is not None and followed.kept_at is None:
            del self._followed[event.value]

    def _on_meaning_changed(self) -> None:
        before, self._meant_as = self._meant_as, self._workspace.results.meant_as
        for followed in self._followed.values():
            self._follow(followed, before, self._meant_as)

    def _follow(self, followed: _Followed, before: Codes, now: Codes) -> None:
        layer = followed.layer
        codes = np.asarray(layer.data).reshape(-1, *layer.data.shape[-2:])
        if not followed.codes.follow(codes, now):
            return
        # napari's history holds codes: that of before waits until they mean the same again.
        followed.strokes[before.tobytes()] = (layer._undo_history, layer._redo_history)  # noqa: SLF001
        layer._reset_history()  # noqa: SLF001
        if now.tobytes() in followed.strokes:
            layer._undo_history, layer._redo_history = followed.strokes.pop(now.tobytes())  # noqa: SLF001
        if followed.recipe is not None:
            recipe = followed.codes.recipe(followed.recipe)
            layer.metadata[METADATA]["recipe"] = recipe
            if followed.kept_at is not None:
                self._keep_recipe(followed.kept_at, recipe)
        layer.refresh()

    def _keep_recipe(self, path: Path, recipe: ChainRecipe) -> None:
        try:
            self._workspace.results.keep_recipe(path, recipe)
        except OSError as error:
            self.said.emit(f"The steps of a result could not be kept ({error.strerror}).")

    # ------------------------------------------------------------------ undo

    def _on_painted(self, layer: Labels) -> None:
        self._painted_last = layer
        layer.metadata[METADATA]["corrected"] = True

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

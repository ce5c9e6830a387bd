"""Results of classical methods, each a layer of its own that can be edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from napari.layers import Labels
from psygnal import Signal

from napari_unetseg.classical import ChainRecipe
from napari_unetseg.workspace import Result, Workspace
from napari_unetseg.workspace.slots import Codes

from .label_colors import Role
from .layers import LayerBinder
from .shown_result import ShownResult
from .stack_from_layers import METADATA


class ResultLayers:
    """Adds results as layers; what is painted on one is a step of the workspace's history.

    Parameters
    ----------
    layers : LayerBinder
    workspace : Workspace

    Attributes
    ----------
    said : Signal(str)
        What becomes of a result whose layer was closed.
    """

    said = Signal(str)

    def __init__(self, layers: LayerBinder, workspace: Workspace) -> None:
        self._layers = layers
        self._workspace = workspace
        self._left: dict[str, list[tuple[Result, Role, bool]]] = {}
        workspace.results.brought_back.connect(partial(self._show, role="baseline"))
        workspace.results.changed.connect(self._on_changed)
        workspace.results.meaning_changed.connect(self._on_meaning_changed)
        layers.came.connect(self._on_came)
        layers.leaving.connect(self._on_leaving)
        layers.viewer.layers.events.removed.connect(self._on_layer_removed)

    def add(
        self,
        image_id: str,
        title: str,
        codes: Codes,
        made_by: str,
        recipe: ChainRecipe | None = None,
        moment: Codes | None = None,
    ) -> Labels:
        """Show what a method answered, instead of what others did.

        Parameters
        ----------
        codes, made_by, recipe, moment
            As of `Results.add`.
        """
        earlier = self._layers.result_layers(image_id)
        _hide(earlier)
        result = self._workspace.results.add(image_id, title, codes, made_by, recipe, moment)
        layer = self._show(result, "baseline")
        selection = self._layers.viewer.layers.selection
        if selection.active in earlier:  # who goes on means the new one
            selection.active = layer
        return layer

    def show_difference(
        self, image_id: str, title: str, codes: Codes, moment: Codes | None = None
    ) -> Labels:
        """Show where two answers differ, in one layer for each image.

        Parameters
        ----------
        codes : ndarray, shape (planes, Y, X), uint8
            What one of them answers there, 0 elsewhere.
        moment : ndarray of uint8, shape (256,), optional
            As of `Results.add`.
        """
        for layer in self.differences(image_id):
            self._layers.viewer.layers.remove(layer)
        _hide(self._layers.result_layers(image_id))
        result = self._workspace.results.add(image_id, title, codes, moment=moment)
        return self._show(result, "difference")

    def differences(self, image_id: str) -> list[Labels]:
        """Return the layers that show where answers for an image differ."""
        return [
            layer
            for layer in self._layers.labels_layers()
            if layer.metadata.get(METADATA, {}).get("role") == "difference"
            and layer.metadata[METADATA]["image"] == image_id
        ]

    def result_of(self, layer: Labels) -> Result | None:
        """Return what a layer shows, if that is the result of a method."""
        return next((shown.result for shown in self._shown() if shown.layer is layer), None)

    def layer_of(self, result: Result) -> Labels | None:
        """Return the layer that shows a result, where there is one."""
        shown = self._layers.shown(result.image, result.key)
        return None if shown is None else shown.layer

    def _shown(self) -> Iterator[ShownResult]:
        for image_id in self._workspace.images:
            for result in self._workspace.results.of(image_id):
                shown = self._layers.shown(image_id, result.key)
                if isinstance(shown, ShownResult):
                    yield shown

    def _show(self, result: Result, role: Role) -> Labels:
        entry = self._workspace.images[result.image]
        shown = ShownResult(self._workspace, entry, result)
        name = f"{entry.stack.name} · {result.title}"
        layer = self._layers.new_labels(entry, role, shown.pixels, name)
        layer.editable = role != "difference"
        layer.metadata[METADATA]["result"] = result.key
        self._layers.follow(entry.id, result.key, layer, shown)
        self._layers.put(entry, layer)
        return layer

    def _on_changed(self, result: Result, planes: list[int]) -> None:
        if result.image not in self._workspace.images:
            return
        layer = self.layer_of(result) or self._show(result, "baseline")
        if not layer.visible:  # undo is not to change what nobody sees
            layer.visible = True
        self._layers.show_planes(result.image, result.key, planes)

    def _on_meaning_changed(self) -> None:
        self._layers.after_stroke(self._show_meaning)

    def _show_meaning(self) -> None:
        for shown in list(self._shown()):
            result = shown.result
            shown.follow_class_in_hand()
            self._layers.show_planes(result.image, result.key, range(len(result.slots)))

    # ----------------------------------------------------------- coming and going

    def _on_leaving(self, image_id: str) -> None:
        """Remember what is shown of an image that is left out."""
        self._left[image_id] = [
            (shown.result, shown.layer.metadata[METADATA]["role"], shown.layer.visible)
            for shown in self._shown()
            if shown.result.image == image_id
        ]

    def _on_came(self, image_id: str) -> None:
        for result, role, visible in self._left.pop(image_id, ()):
            self._show(result, role).visible = visible

    def _on_layer_removed(self, event: Any) -> None:
        """Forget a result that nobody has painted on; that of an image left out comes back."""
        known = event.value.metadata.get(METADATA, {})
        image_id = known.get("image")
        for result in self._workspace.results.of(image_id):
            left = any(result is other for other, *_ in self._left.get(image_id, ()))
            if self.layer_of(result) is None and not left:
                self._workspace.results.forget(result)
                if event.value.metadata[METADATA].get("result") == result.key:
                    self._tell_of(result)

    def _tell_of(self, result: Result) -> None:
        if result.is_corrected:
            self.said.emit(
                f"What you painted on {result.title} is kept: the next window that opens this "
                "image offers it."
            )


def _hide(layers: Iterable[Labels]) -> None:
    for layer in layers:
        layer.visible = False

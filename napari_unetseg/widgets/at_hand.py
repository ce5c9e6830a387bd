"""Which segmentation of an image a person means: the network's, or the result of a method."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from napari.layers import Labels
from psygnal import Signal

from .layers import LayerBinder
from .stack_from_layers import METADATA


class AtHand:
    """Reads off the list of layers what is to be worked on.

    Parameters
    ----------
    layers : LayerBinder

    Attributes
    ----------
    changed : Signal()
        It may be another.
    """

    changed = Signal()

    def __init__(self, layers: LayerBinder) -> None:
        self._layers = layers
        there = layers.viewer.layers
        there.events.inserted.connect(self._on_inserted)
        there.events.removed.connect(self._on_changed)
        there.events.reordered.connect(self._on_changed)
        there.selection.events.active.connect(self._on_changed)

    def result(self, image_id: str, hidden: Collection[Labels] = ()) -> Labels | None:
        """Return the layer of the result that a person means; None for the segmentation.

        That is the active layer, where it is one of results, objects or the segmentation; else
        what lies on top of results and segmentation; else objects in view.

        Parameters
        ----------
        hidden : collection of Labels
            Layers that are hidden for a moment, and count as being in view.
        """
        segmentation = self._layers.shown_segmentation(image_id)
        answers = {*self._layers.result_layers(image_id), segmentation}
        objects = self._objects(image_id)
        active = self._layers.viewer.layers.selection.active
        if isinstance(active, Labels) and active in answers | objects:
            return None if active is segmentation else active
        for among in (answers, objects):
            for layer in reversed(self._layers.labels_layers()):
                if layer in among and (layer.visible or layer in hidden):
                    return None if layer is segmentation else layer
        return None

    def why_not_correct(self, image_id: str) -> str | None:
        """Return why the segmentation cannot be corrected: somebody means a result."""
        layer = self.result(image_id)
        if layer is None or _role(layer) != "baseline":
            return None
        return (
            f"“{layer.name}” is the result of a classical method. Better it with Refine in "
            "Baselines, or use it as annotations there; to work on the network's segmentation, "
            "hide this layer and choose another."
        )

    def hide_results(self) -> None:
        """Hide the results of images whose segmentation is about to be answered anew."""
        for image_id in self._layers.workspace.images:
            if self._layers.shown_segmentation(image_id) is not None:
                self._layers.hide(self._layers.result_layers(image_id))

    def _objects(self, image_id: str) -> set[Labels]:
        there = self._layers.labels_layers()
        return {
            layer
            for layer in there
            if _role(layer) == "objects" and layer.metadata[METADATA]["image"] == image_id
        }

    def _on_inserted(self, event: Any) -> None:
        if _role(event.value) in ("baseline", "segmentation", "objects"):
            event.value.events.visible.connect(self._on_changed)
            self.changed.emit()

    def _on_changed(self, _: object) -> None:
        self.changed.emit()


def _role(layer: Any) -> str | None:
    role: str | None = layer.metadata.get(METADATA, {}).get("role")
    return role

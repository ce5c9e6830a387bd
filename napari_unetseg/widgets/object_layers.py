"""The layers of numbered objects: which there are, and which of them is at hand."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Labels
from psygnal import Signal

from napari_unetseg.wording import counted
from napari_unetseg.workspace import ObjectCorrections, ObjectSet, Workspace
from napari_unetseg.workspace.objects import BY_NETWORK

from .layers import LayerBinder
from .shown_objects import ShownObjects
from .stack_from_layers import METADATA

#: How long counting may hold the window up each time.
_COUNTING_S = 0.008


class ObjectLayers:
    """Shows the numbered objects of the workspace, each in a layer of its own.

    Objects that are the answer of a model are hidden when a new answer would belie them. Those
    that a person has corrected stay, until new ones are shown in their place.

    Attributes
    ----------
    changed : Signal()
        Objects were added, corrected, counted or called right, or are out of date.
    renamed : Signal(ObjectSet, dict)
        Objects have other numbers: by those before, those now.
    said : Signal(str)
    this_slice_only : bool
        Whether objects are divided, joined and deleted in the slice in view alone.
    """

    changed = Signal()
    renamed = Signal(ObjectSet, dict)
    said = Signal(str)

    def __init__(
        self, layers: LayerBinder, workspace: Workspace, corrections: ObjectCorrections
    ) -> None:
        self.this_slice_only = False
        self._to_tell: list[ObjectSet] = []
        self._layers = layers
        self._workspace = workspace
        self._corrections = corrections
        workspace.objects.added.connect(self._on_added)
        workspace.objects.removed.connect(self._on_removed)
        workspace.objects.changed.connect(self._on_changed)
        workspace.objects.outdated.connect(self._on_outdated)
        workspace.objects.renamed.connect(self._on_renamed)

    def take(self, image_id: str, ids: Any) -> None:
        """Take in what a model has answered.

        Parameters
        ----------
        ids : memmap, shape (planes, Y, X), uint32
            Of a file in the session.
        """
        self._workspace.objects.add(image_id, Path(ids.filename), made_by=BY_NETWORK)

    def found(self, image_id: str, ids: Any, made_by: str) -> None:
        """Show what a classical method has found, instead of results; say how many once counted.

        Parameters
        ----------
        ids : ndarray, shape (planes, Y, X), uint32
        made_by : str
            Method and settings, in words for a paper.
        """
        self._layers.hide(self._layers.result_layers(image_id))
        number = self._workspace.number_objects
        self._to_tell.append(number(image_id, ids, made_by, "finding objects"))

    def show(self, objects: ObjectSet) -> Labels:
        """Bring the layer of some objects into view, made again where it was closed."""
        was_active = self.are_active
        shown = self.layer_of(objects) or self._new_layer(objects)
        for other in self._workspace.objects.of(objects.image):
            layer = self.layer_of(other)
            if layer is not None:
                layer.visible = layer is shown
        if was_active:
            self._layers.activate(shown)
        return shown

    def set_tool(self, objects: ObjectSet, mode: str) -> None:
        """Take up a tool of napari for some objects."""
        layer = self.show(objects)
        self._layers.activate(layer)
        layer.mode = mode

    def hide_answers(self) -> None:
        """Hide objects that are about to be answered anew; what was corrected stays."""
        self._layers.after_stroke(self._hide_answers)

    def _hide_answers(self) -> None:
        for image_id in self._workspace.images:
            for objects in self._workspace.objects.of(image_id):
                layer = self.layer_of(objects)
                if layer is not None and not objects.is_corrected:
                    layer.visible = False

    def layer_of(self, objects: ObjectSet) -> Labels | None:
        """Return the layer that shows some objects, where there is one."""
        shown = self._layers.shown(objects.image, objects.key)
        return None if shown is None else shown.layer

    def current(self, image_id: str) -> ObjectSet | None:
        """Return the objects of the active layer, else those in view, else the newest."""
        there = self._workspace.objects.of(image_id)
        active = self._layers.viewer.layers.selection.active
        shown = [(objects, self.layer_of(objects)) for objects in reversed(there)]
        for objects, layer in shown:
            if layer is not None and layer is active:
                return objects
        visible = [objects for objects, layer in shown if layer is not None and layer.visible]
        return next(iter(visible), there[-1] if there else None)

    @property
    def are_active(self) -> bool:
        """Whether the active layer is one of objects."""
        active = self._layers.viewer.layers.selection.active
        return active is not None and active.metadata.get(METADATA, {}).get("role") == "objects"

    def count(self) -> None:
        """Go on counting; called regularly by the window."""
        self._tell()
        end = time.perf_counter() + _COUNTING_S
        for image_id in self._workspace.images:
            for objects in self._workspace.objects.of(image_id):
                if objects.is_counted:
                    continue
                while not objects.is_counted and time.perf_counter() < end:
                    objects.count_next()
                if objects.is_counted:
                    self._layers.after_stroke(partial(self._offer_new_number, objects))
                    self.changed.emit()
                return

    def _tell(self) -> None:
        """Say how many objects were found, of those that are counted by now."""
        for objects in [found for found in self._to_tell if found.is_counted]:
            self._to_tell.remove(objects)
            areas = objects.areas()
            planes = {plane for of_object in areas.values() for plane in of_object}
            where = ""
            if len(self._workspace.images) > 1 and objects.image in self._workspace.images:
                where = f" of {self._workspace.images[objects.image].stack.name}"
            self.said.emit(
                f"Found {counted(len(areas), 'object')} on {counted(len(planes), 'slice')}{where}."
                if areas
                else f"Found no object{where and ' on any slice'}{where}; try other settings."
            )

    def _on_added(self, objects: ObjectSet) -> None:
        self._layers.after_stroke(partial(self._show_new, objects))

    def _show_new(self, objects: ObjectSet) -> None:
        there = self._workspace.objects.of(objects.image)
        if objects.image not in self._workspace.images or objects not in there:
            return
        kept = [o for o in there if o.is_corrected]
        hidden = [la for la in map(self.layer_of, kept) if la is not None and la.visible]
        self.show(objects)
        if hidden and not objects.is_corrected:
            self.said.emit(f"What you corrected is kept in “{hidden[-1].name}”, which is hidden.")
        self.changed.emit()

    def _on_removed(self, objects: ObjectSet) -> None:
        """Take the layer away; what is at hand now comes into view."""
        layer, was_active = self.layer_of(objects), self.are_active
        if layer is not None:
            self._layers.viewer.layers.remove(layer)
        if self._can_show(objects):
            at_hand = self.current(objects.image)
            shown = self.show(at_hand) if at_hand is not None else None
            if was_active:
                self._layers.activate(shown or self._layers.annotations_layer(objects.image))
        self.changed.emit()

    def _on_outdated(self, _: ObjectSet) -> None:
        self.changed.emit()

    def _can_show(self, objects: ObjectSet) -> bool:
        return objects.image in self._workspace.images and self._layers.is_shown(objects.image)

    def _on_changed(self, objects: ObjectSet, planes: list[int]) -> None:
        layer = self.layer_of(objects)
        if self._can_show(objects) and (layer is None or not layer.visible):
            layer = self.show(objects)  # undo is not to change what nobody sees
        if layer is not None:
            self._name(layer, objects)
            self._layers.show_planes(objects.image, objects.key, planes)
        self.changed.emit()

    def _on_renamed(self, objects: ObjectSet, names: dict[int, int]) -> None:
        """Keep in hand what was in hand: the object, or a number that is free."""
        layer = self.layer_of(objects)
        if layer is not None and layer.selected_label:
            number = number_after(names, int(layer.selected_label))
            layer.selected_label = number or objects.free_number()
        self.renamed.emit(objects, names)

    def _new_layer(self, objects: ObjectSet) -> Labels:
        entry = self._workspace.images[objects.image]
        shown = ShownObjects(self._workspace, self._corrections, entry, objects)
        layer = Labels(
            shown.pixels,
            name=f"{entry.stack.name} · {objects.title}",
            metadata={
                METADATA: {
                    "image": entry.id,
                    "role": "objects",
                    "kind": "objects",
                    "axes": entry.stack.axes.replace("C", ""),
                },
            },
            **self._layers.placement(entry.id),
        )
        self._layers.put(entry, layer)
        self._layers.follow(entry.id, objects.key, layer, shown)
        self._layers.bind_shortcuts(layer)
        if objects.is_counted:
            self._offer_new_number(objects)
        return layer

    def _name(self, layer: Labels, objects: ObjectSet) -> None:
        """Let the name say that somebody has worked on the objects, but not undo a renaming."""
        stack = self._workspace.images[objects.image].stack.name
        if objects.is_corrected and layer.name.startswith(f"{stack} · objects"):
            layer.name = f"{stack} · {objects.title}"

    def _offer_new_number(self, objects: ObjectSet) -> None:
        """Let the brush paint a new object, and not go on with the first one."""
        layer = self.layer_of(objects)
        if layer is not None and layer.selected_label == 1:
            layer.selected_label = objects.free_number()


def number_after(names: dict[int, int], number: int) -> int:
    """Return the number that an object has after others were given; 0 where it names another."""
    return names.get(number, 0 if number in names.values() else number)

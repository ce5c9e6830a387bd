"""How probable each class is, as an image in the colour of the class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from napari.utils import Colormap

from .layers import LayerBinder
from .stack_from_layers import METADATA

#: Of a class that is not, or no longer, one of the window's.
_GREY = "#9a9a9a"
_OPACITY = 0.7
_ROLE = "probability"


class ProbabilityLayers:
    """One layer for each class of each image; what is improbable leaves the image in view.

    Parameters
    ----------
    layers : LayerBinder
    """

    def __init__(self, layers: LayerBinder) -> None:
        self._layers = layers
        self._hidden: list[Any] = []
        layers.workspace.classes_changed.connect(self._recolour)

    def show(
        self, image_id: str, names: Sequence[str], probabilities: npt.NDArray[np.uint8]
    ) -> None:
        """Show how probable each class is, in the layers that there are or in new ones.

        What a person has hidden stays hidden.

        Parameters
        ----------
        names : sequence of str
            Of the classes.
        probabilities : ndarray, shape (classes, planes, Y, X), uint8
            255 is certain.
        """
        entry = self._layers.workspace.images[image_id]
        there = {
            layer.metadata[METADATA]["class"]: layer
            for layer in self._all()
            if layer.metadata[METADATA]["image"] == image_id
        }
        for name, values in zip(names, probabilities, strict=True):
            pixels = values.reshape(entry.stack.labels_shape)
            layer = there.pop(name, None)
            if layer is not None:
                layer.data = pixels
                if layer in self._hidden:
                    self._hidden.remove(layer)
                    layer.visible = True
                continue
            made = Image(
                pixels,
                name=f"{entry.stack.name} · p({name})",
                colormap=_colormap(self._color(name) or _GREY),
                blending="translucent_no_depth",
                opacity=_OPACITY,
                contrast_limits=(0, 255),
                metadata={METADATA: {"image": image_id, "role": _ROLE, "class": name}},
                **self._layers.placement(image_id),
            )
            self._layers.put(entry, made)
        for layer in there.values():  # of classes that the model does not know
            self._layers.viewer.layers.remove(layer)

    def hide(self) -> None:
        """Hide all of them: a new answer would belie them."""
        for layer in self._all():
            if layer.visible:
                self._hidden.append(layer)
                layer.visible = False

    def close(self) -> None:
        """Let go of the workspace."""
        self._layers.workspace.classes_changed.disconnect(self._recolour)

    def _all(self) -> Iterator[Any]:
        for layer in list(self._layers.viewer.layers):
            if layer.metadata.get(METADATA, {}).get("role") == _ROLE:
                yield layer

    def _recolour(self) -> None:
        for layer in self._all():
            color = self._color(layer.metadata[METADATA]["class"])
            if color is not None:
                layer.colormap = _colormap(color)

    def _color(self, name: str) -> str | None:
        classes = self._layers.workspace.classes
        return next((c.color for c in classes if c.name == name), None)


def _colormap(color: str) -> Colormap:
    """Return a colour from clear to opaque."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return Colormap([[red, green, blue, 0.0], [red, green, blue, 1.0]], name=f"probable {color}")

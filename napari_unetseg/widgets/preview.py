"""The live preview of a baseline: computed on the slice in view, shown over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.classical import METHODS, BaselineParams, Chain, View, prepare
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .label_colors import OPACITY, label_colormap
from .newest import NewestWins
from .stack_from_layers import METADATA, placement_in_plane

Codes = npt.NDArray[np.uint8]

#: How long the preview of another slice may stay when its successor is late.
_STALE_MS = 150


@dataclass(frozen=True)
class Request:
    """A preview to compute.

    Attributes
    ----------
    mapping : ndarray of uint8, shape (256,), or None
        The method's answers → codes; None where they are the same.
    """

    entry: ImageEntry
    plane: int
    method: str
    params: BaselineParams
    mapping: Codes | None = None

    @property
    def slice_in_view(self) -> tuple[str, int]:
        """Which slice this is a preview of."""
        return self.entry.id, self.plane


@dataclass
class PreviewComputer:
    """Computes previews, keeping what the next one is likely to need; used by one thread.

    A move of a threshold's slider reads no pixels and smooths nothing again.
    """

    _pixels: dict[Any, npt.NDArray[Any]] = field(default_factory=dict)
    _features: dict[Any, npt.NDArray[Any]] = field(default_factory=dict)
    _levels: dict[Any, npt.NDArray[Any]] = field(default_factory=dict)

    def compute(self, request: Request) -> tuple[Request, Codes]:
        """Return the codes of the slice, shape (Y, X)."""
        method, params, stack = METHODS[request.method], request.params, request.entry.stack
        features = self._features_of(request, stack)
        if params.per_slice:
            levels = method.measure([features], params)
        else:
            key = (request.entry.id, request.method, params)
            if key not in self._levels:
                levels = prepare(Chain.of(request.method, params), stack)
                self._levels = {key: levels}
            levels = self._levels[key]
        codes = method.label(features, params, levels)
        return request, codes if request.mapping is None else request.mapping[codes]

    def _features_of(self, request: Request, stack: Stack) -> npt.NDArray[Any]:
        where = request.slice_in_view
        if where not in self._pixels:
            pixels = stack.plane(request.plane)
            if not np.isfinite(pixels).all():
                raise UserError(
                    f"{stack.name} contains NaN or infinite values in slice {request.plane}; "
                    "replace them by numbers, for instance with numpy.nan_to_num."
                )
            self._pixels = {where: pixels}
        method = METHODS[request.method]
        key = (*where, request.method, method.feature_key(request.params))
        if key not in self._features:
            self._features = {key: method.features(View(self._pixels[where]), request.params)}
        return self._features[key]


class LivePreview(QObject):
    """Shows what a baseline answers on the slice in view, as a layer that comes and goes.

    The layer is two-dimensional, cannot be painted on, and neither takes the selection nor moves
    the camera.

    Attributes
    ----------
    shown : Signal()
        A preview is in view.
    failed : Signal(str)
        A preview could not be made; the sentence says why.
    """

    shown = Signal()
    failed = Signal(str)

    def __init__(self, context: Context, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self._computer = PreviewComputer()
        self._worker = NewestWins()
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)
        self._wanted: Request | None = None
        self._layer: Labels | None = None
        self._shows: tuple[str, int] | None = None
        self._made_room: Labels | None = None
        self._stale = QTimer(self)
        self._stale.setSingleShot(True)
        self._stale.setInterval(_STALE_MS)
        self._stale.timeout.connect(self._clear)

    @property
    def layer(self) -> Labels | None:
        """The layer of the preview, while there is one."""
        layer = self._layer
        return layer if layer is not None and layer in self._context.viewer.layers else None

    def request(self, request: Request) -> None:
        """Show a preview as soon as it is computed; newer requests win."""
        self._wanted = request
        if self._shows not in (None, request.slice_in_view) and not self._stale.isActive():
            self._stale.start()
        computer = self._computer
        self._worker.ask(lambda: computer.compute(request))

    def remove(self) -> None:
        """Take the preview away, and forget what is being computed."""
        self._wanted = None
        self._shows = None
        self._stale.stop()
        self._worker.forget()
        self._computer = PreviewComputer()
        layer, self._layer = self.layer, None
        if layer is not None:
            self._context.viewer.layers.remove(layer)
        hidden, self._made_room = self._made_room, None
        if hidden is not None:
            hidden.visible = True

    def _make_room(self, entry: ImageEntry) -> None:
        """Hide the segmentation while a preview is in view: two answers at once are none."""
        shown = self._context.layers.shown_segmentation(entry.id)
        if self._made_room is None and shown is not None and shown.visible:
            self._made_room = shown
            shown.visible = False

    def _on_answered(self, answer: tuple[Request, Codes]) -> None:
        request, codes = answer
        wanted = self._wanted
        if wanted is None or request.slice_in_view != wanted.slice_in_view:
            return
        if request.entry.id not in self._context.workspace.images:
            return
        images = self._context.layers.image_layers_of(request.entry.id)
        if not any(image in self._context.viewer.layers for image in images):
            return  # closed while the answer was on its way
        self._stale.stop()
        self._show(request, codes)
        self.shown.emit()

    def _on_failed(self, sentence: str) -> None:
        self._clear()
        self.failed.emit(sentence)

    def _clear(self) -> None:
        """Show nothing rather than the preview of another slice."""
        layer = self.layer
        if layer is not None:
            layer.data[...] = 0
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _show(self, request: Request, codes: Codes) -> None:
        layer = self.layer
        moved = self._shows is None or self._shows[0] != request.entry.id
        if layer is not None and (moved or layer.data.shape != codes.shape):
            self._context.viewer.layers.remove(layer)
            layer = None
        if layer is None:
            self._layer = self._add(request.entry, codes)
        else:
            layer.data[...] = codes
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._shows = request.slice_in_view

    def _add(self, entry: ImageEntry, codes: Codes) -> Labels:
        layers = self._context.viewer.layers
        image_layers = self._context.layers.image_layers_of(entry.id)
        layer = Labels(
            codes.copy(),
            name=f"{entry.stack.name} · preview",
            opacity=OPACITY["preview"],
            colormap=label_colormap("preview", self._context.workspace.classes),
            metadata={METADATA: {"image": entry.id, "role": "preview"}},
            **placement_in_plane(image_layers[0]),
        )
        layer.editable = False
        self._make_room(entry)
        selected = set(layers.selection)
        layers.insert(1 + max(layers.index(la) for la in image_layers if la in layers), layer)
        layers.selection.clear()
        layers.selection.update(selected)
        return layer

"""The live preview of a baseline: computed on the slice in view, shown over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.classical import Chain, Preview, PreviewComputer, PreviewRequest, Source
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.workspace import ImageEntry

from .context import Context
from .label_colors import OPACITY, label_colormap
from .listen import listen
from .mean_colors import Look, looks, painted
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
        The answers of the chain → codes; None where they are the same.
    strokes : ndarray of uint8, shape (planes, Y, X), or None
        What a method grows from, where that is not what is painted.
    learned : object
        What a method has learned before, and is applied with; None where it learns from strokes.
    in_means : bool
        Whether groups are shown in their mean colours, instead of the colours of classes.
    begun : ndarray, shape (planes, Y, X), or None
        Codes or ids that refinements begin with; None for the segmentation shown.
    """

    entry: ImageEntry
    plane: int
    chain: Chain
    mapping: Codes | None = None
    strokes: Codes | None = None
    learned: Any = None
    in_means: bool = False
    begun: AnyLabels | None = None

    @property
    def slice_in_view(self) -> tuple[str, int]:
        """Which slice this is a preview of."""
        return self.entry.id, self.plane


class Segmented:
    """What is shown of an image as its segmentation, slice by slice when it is asked for."""

    dtype = np.dtype(np.uint8)

    def __init__(self, entry: ImageEntry) -> None:
        self._entry = entry

    def __getitem__(self, plane: int) -> Codes:
        return self._entry.segmentation(plane)


class LivePreview(QObject):
    """Shows what a baseline answers on the slice in view, as a layer that comes and goes.

    The layer is two-dimensional, cannot be painted on, and neither takes the selection nor moves
    the camera. It is one of labels, or an image in the mean colours of groups.

    Attributes
    ----------
    shown : Signal()
        A preview is in view.
    answer : Preview or None
        The one that was shown last.
    hidden : list of Labels
        Layers that are hidden as long as it is in view.
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
        self._layer: Labels | Image | None = None
        self._shows: tuple[str, int] | None = None
        self.hidden: list[Labels] = []
        self._revision = 0
        self.answer: Preview | None = None
        listen(context.workspace.codes_changed, self._on_codes_changed)
        self._stale = QTimer(self)
        self._stale.setSingleShot(True)
        self._stale.setInterval(_STALE_MS)
        self._stale.timeout.connect(self._clear)

    @property
    def layer(self) -> Labels | Image | None:
        """The layer of the preview, while there is one."""
        layer = self._layer
        return layer if layer is not None and layer in self._context.viewer.layers else None

    def request(self, request: Request) -> None:
        """Show a preview as soon as it is computed; newer requests win."""
        self._wanted = request
        if self._shows not in (None, request.slice_in_view) and not self._stale.isActive():
            self._stale.start()
        computer, asked = self._computer, self._asked(request)
        seen_as = self._looks(request.entry) if request.in_means else None
        self._worker.ask(lambda: (request, *_drawn(computer.compute(asked), seen_as)))

    def _looks(self, entry: ImageEntry) -> list[Look]:
        return looks(self._context.layers.image_layers_of(entry.id), entry.stack)

    def _asked(self, request: Request) -> PreviewRequest:
        entry, method = request.entry, request.chain.method()
        source = Source(entry.stack)
        others: list[Source] = []
        if method is None and request.begun is not None:
            source = replace(source, labels=request.begun)
        elif method is None:
            told = self._context.controller.told.of(entry.id)
            source = replace(source, labels=Segmented(entry), probabilities=told)
        elif method[0].use_of_strokes(method[1]) != "unused":
            images = self._context.workspace.images.values()
            painted = entry.codes if request.strokes is None else request.strokes
            source = replace(source, strokes=painted)
            others = [Source(e.stack, strokes=e.codes) for e in images if e is not entry]
        return PreviewRequest(
            entry.id,
            source,
            request.plane,
            request.chain,
            None if request.in_means else request.mapping,
            self._visible(entry),
            others,
            self._revision,
            request.learned,
            request.in_means,
        )

    def _visible(self, entry: ImageEntry) -> tuple[slice, slice] | None:
        """Return the rows and columns in sight; None where that is not known."""
        box = self._context.layers.box_in_sight(entry)
        return None if box is None else (slice(box[0], box[2]), slice(box[1], box[3]))

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
        while self.hidden:
            self.hidden.pop().visible = True

    def recolor(self, *_: object) -> None:
        """Take the colours that the classes have now."""
        layer = self.layer
        if isinstance(layer, Labels) and layer.data.dtype == np.uint8:
            layer.colormap = self._colors()

    def _colors(self) -> DirectLabelColormap:
        return label_colormap("preview", self._context.workspace.classes)

    def _on_codes_changed(self, *_: object) -> None:
        self._revision += 1

    def _make_room(self, entry: ImageEntry) -> None:
        """Hide other answers while a preview is in view: two at once are none."""
        layers = self._context.layers
        answers = [layers.shown_segmentation(entry.id), *layers.result_layers(entry.id)]
        answers += map(self._context.objects.layer_of, self._context.workspace.objects.of(entry.id))
        for layer in answers:
            if layer is not None and layer.visible:
                self.hidden.append(layer)
                layer.visible = False

    def _on_answered(self, answer: tuple[Request, Preview, AnyLabels]) -> None:
        request, preview, drawn = answer
        wanted = self._wanted
        if wanted is None or request.slice_in_view != wanted.slice_in_view:
            return
        if request.entry.id not in self._context.workspace.images:
            return
        images = self._context.layers.image_layers_of(request.entry.id)
        if not any(image in self._context.viewer.layers for image in images):
            return  # closed while the answer was on its way
        self._stale.stop()
        self._show(request, drawn)
        self.answer = preview
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

    def _show(self, request: Request, drawn: AnyLabels) -> None:
        layer = self.layer
        moved = self._shows is None or self._shows[0] != request.entry.id
        like = (request.in_means, drawn.shape, drawn.dtype)
        if layer is not None:
            is_like = (isinstance(layer, Image), layer.data.shape, layer.data.dtype) == like
            if moved or not is_like:
                self._context.viewer.layers.remove(layer)
                layer = None
        if layer is None:
            self._layer = self._add(request, drawn)
        else:
            layer.data[...] = drawn
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._shows = request.slice_in_view

    def _add(self, request: Request, drawn: AnyLabels) -> Labels | Image:
        entry = request.entry
        layers = self._context.viewer.layers
        image_layers = self._context.layers.image_layers_of(entry.id)
        layer = self._make(request, drawn.copy(), placement_in_plane(image_layers[0]))
        layer.editable = False
        self._make_room(entry)
        selected = set(layers.selection)
        layers.insert(1 + max(layers.index(la) for la in image_layers if la in layers), layer)
        layers.selection.clear()
        layers.selection.update(selected)
        return layer

    def _make(
        self, request: Request, drawn: AnyLabels, placement: dict[str, Any]
    ) -> Labels | Image:
        entry = request.entry
        role = "centroids" if request.in_means else "preview"
        name = f"{entry.stack.name} · {role}"
        metadata = {METADATA: {"image": entry.id, "role": role}}
        if request.in_means:
            return Image(
                drawn,
                name=name,
                rgb=True,
                blending="translucent_no_depth",
                metadata=metadata,
                **placement,
            )
        colors = {"colormap": self._colors()} if drawn.dtype == np.uint8 else {}
        return Labels(
            drawn, name=name, opacity=OPACITY["preview"], **colors, metadata=metadata, **placement
        )


def _drawn(preview: Preview, seen_as: list[Look] | None) -> tuple[Preview, AnyLabels]:
    """Return a preview, and the pixels of the layer that shows it."""
    if seen_as is None or preview.means is None:
        return preview, preview.labels
    return preview, painted(preview.labels, preview.means, seen_as)

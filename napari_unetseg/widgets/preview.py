"""The live preview of a baseline: computed on the slice in view, shown over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.classical import Chain, Preview, PreviewComputer, PreviewRequest, Source
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.workspace import ImageEntry
from napari_unetseg.workspace.painted import Painted

from .context import Context
from .label_colors import OPACITY, label_colormap
from .mean_colors import Look, looks, painted
from .newest import NewestWins
from .stack_from_layers import METADATA, placement_in_plane

Codes = npt.NDArray[np.uint8]

#: How long the preview of another slice may stay when its successor is late.
_STALE_MS = 150

#: A preview that takes longer is said to be computed, and given up once another is wanted.
_LATE_MS = 500


class _ObsoleteError(Exception):
    """Nobody waits for a preview any more."""


@dataclass(frozen=True)
class Request:
    """A preview to compute.

    Attributes
    ----------
    mapping : ndarray of uint8, shape (256,), or None
        The answers of the chain → codes; None where they are the same.
    strokes : mapping of str to array-like of uint8, shape (planes, Y, X)
        By image: what a method grows or learns from; empty where it does neither.
    revision : int
        Of `strokes`: another number where they have changed.
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
    strokes: Mapping[str, Painted | Codes] = field(default_factory=dict)
    revision: int = 0
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
    late : Signal()
        One takes long that is being computed.
    """

    shown = Signal()
    failed = Signal(str)
    late = Signal()

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
        self.answer: Preview | None = None
        self._stale = self._timer(_STALE_MS, self._clear)
        self._late = self._timer(_LATE_MS, self._on_late)

    def _timer(self, interval_ms: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(slot)
        return timer

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
        self._worker.ask(lambda: self._answer_to(request, computer, asked, seen_as))
        if not self._late.isActive():
            self._late.start()

    def _answer_to(
        self,
        request: Request,
        computer: PreviewComputer,
        asked: PreviewRequest,
        seen_as: list[Look] | None,
    ) -> tuple[Request, Preview, AnyLabels] | None:
        """Compute a preview, on a thread; None where it takes long and another is wanted by now.

        A quick one is computed to its end, so that something moves as long as a slider does.
        """
        began = time.monotonic()

        def between() -> None:
            is_late = time.monotonic() - began > _LATE_MS / 1000
            if is_late and self._wanted is not request:
                raise _ObsoleteError

        try:
            return request, *_drawn(computer.compute(asked, between), seen_as)
        except _ObsoleteError:
            return None

    def _looks(self, entry: ImageEntry) -> list[Look]:
        return looks(self._context.layers.image_layers_of(entry.id), entry.stack)

    def _asked(self, request: Request) -> PreviewRequest:
        entry, strokes = request.entry, request.strokes
        source = Source(entry.stack, strokes=strokes.get(entry.id))
        refines = request.chain.method() is None
        if refines and request.begun is not None:
            source = replace(source, labels=request.begun)
        elif refines:
            told = self._context.controller.told.of(entry.id)
            source = replace(source, labels=Segmented(entry), probabilities=told)
        entries = self._context.workspace.images.values()
        given = [e for e in entries if e is entry or e.id in strokes]
        return PreviewRequest(
            entry.id,
            source,
            request.plane,
            request.chain,
            None if request.in_means else request.mapping,
            self._visible(entry),
            [Source(e.stack, strokes=strokes[e.id]) for e in given if e is not entry],
            request.revision,
            request.learned,
            request.in_means,
            given.index(entry),
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
        self._late.stop()
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

    def _on_late(self) -> None:
        if self._worker.busy:
            self.late.emit()

    def _make_room(self, entry: ImageEntry) -> None:
        """Hide other answers while a preview is in view: two at once are none."""
        layers = self._context.layers
        answers = [layers.shown_segmentation(entry.id), *layers.result_layers(entry.id)]
        answers += map(self._context.objects.layer_of, self._context.workspace.objects.of(entry.id))
        answers += self._context.results.differences(entry.id)
        for layer in answers:
            if layer is not None and layer.visible:
                self.hidden.append(layer)
                layer.visible = False

    def _on_answered(self, answer: tuple[Request, Preview, AnyLabels] | None) -> None:
        if answer is None:
            return
        self._late.stop()
        if self._worker.busy:
            self._late.start()
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
        self._late.stop()
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

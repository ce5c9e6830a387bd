"""What a chain answers on a slice, as quickly as what has been computed before allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import Config
from napari_unetseg.images import Stack, check_values

from .chain import Chain
from .grey import sample
from .method import LevelMethod
from .quantising import group_means
from .run import answers, filtered, prepare, run_stack, run_view
from .source import Source
from .stages import Between, go_on
from .step import LARGEST_GREY, Codes, Labels, Pixels, Step, View

#: Slices of more pixels are previewed as far as they are in sight, where a step takes long on them.
_HUGE_PX = 4096**2

#: Longest side of what is previewed of steps that are slow, and slices on either side of the one in
#: view that steps which look along Z are shown.
SLOW_PX, BESIDE = 384, 4

#: Longest side of what is previewed of slices that are huge.
_SHOWN_PX = 1024

_Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class PreviewRequest:
    """A preview to compute.

    Attributes
    ----------
    key : str
        Of the image: requests of equal keys are of the same pixels.
    source : Source
        With what is annotated, where the method needs that.
    mapping : ndarray of uint8, shape (256,), or None
        Answers of the chain → codes; None where they are the same.
    visible : tuple of slice or None
        Rows and columns in view; of the whole slice if None.
    others : sequence of Source
        Other images that are annotated, for a method that learns from all.
    revision : int
        Of what is annotated on all images, and of which images there are: another number where
        that has changed.
    learned : object
        What the method has learned before, and is applied with; None where it learns from strokes.
    in_means : bool
        Whether the means of groups are asked for.
    at : int
        How many of the others stand before this one: what is learned depends on the order.
    """

    key: str
    source: Source
    plane: int
    chain: Chain
    mapping: Codes | None = None
    visible: _Box | None = None
    others: Sequence[Source] = ()
    revision: int = 0
    learned: Any = None
    in_means: bool = False
    at: int = 0

    def sources(self) -> list[Source]:
        """Return this image and all others that are annotated, in their order."""
        return [*self.others[: self.at], self.source, *self.others[self.at :]]


@dataclass(frozen=True, slots=True, eq=False)
class GreyValues:
    """Grey values as a method sees them.

    Attributes
    ----------
    counts : ndarray, shape (256,), int64
        Pixels in bins of equal width.
    span : tuple of float
        The lowest and the highest.
    levels : tuple of float
        Those at which the method decides.
    names : tuple of str
        What these are called; empty where that needs no saying.
    """

    counts: npt.NDArray[np.int64]
    span: tuple[float, float]
    levels: tuple[float, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """What was answered.

    Attributes
    ----------
    labels : ndarray, shape (Y, X), uint8 or uint32
        0 outside of what was looked at.
    box : tuple of slice or None
        Rows and columns that were looked at, where that is not the whole slice.
    n_planes : int
        Slices that were looked at.
    grey : GreyValues or None
        Where the method decides by grey values.
    means : ndarray, shape (labels, C), float64, or None
        Of the image where it is labelled 0, 1, …, on this slice; where that was asked for.
    lacks_strokes : bool
        Whether too little is painted in what was looked at for a method that grows from strokes.
    by_grey_value : dict of str to float
        By field of the method, what grey values come to that are set in %.
    """

    labels: Labels
    box: _Box | None
    n_planes: int
    grey: GreyValues | None = None
    means: npt.NDArray[np.float64] | None = None
    lacks_strokes: bool = False
    by_grey_value: dict[str, float] = field(default_factory=dict)


@dataclass
class PreviewComputer:
    """Computes previews, keeping what the next one is likely to need; used by one thread.

    A move of a threshold's slider reads no pixels and smooths nothing again.
    """

    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def compute(self, request: PreviewRequest, between: Between = go_on) -> Preview:
        """Return what the chain answers on the slice.

        Parameters
        ----------
        between : callable
            Called between steps; what it raises ends them.

        Raises
        ------
        UserError
            If values cannot be computed with, or the method needs annotations that are not there.
        """
        chain, source = request.chain, request.source
        steps: list[tuple[Step[Any], Config]] = [*chain.filters(), *chain.refinements()]
        if method := chain.method():
            steps.append(method)
        in_3d = any(step.sees_volumes(params) for step, params in steps)
        is_large = max(source.stack.plane_shape) > SLOW_PX
        in_part = in_3d or any(
            step.is_slow or (step.previews_part and is_large) for step, _ in steps
        )
        is_huge = np.prod(source.stack.plane_shape) > _HUGE_PX
        of_huge = bool(is_huge) and not in_part and not _is_quick(chain)
        longest = _SHOWN_PX if of_huge else SLOW_PX
        box = _box(request, longest) if in_part or of_huge else None
        planes = _planes(source, request.plane) if in_3d else [request.plane]
        part = _Part(request, planes, box, in_3d)
        view = part.said(self._once("view", part.key, part.view))
        between()
        by_grey: dict[str, float] = {}
        grey, pixels = None, view.pixels
        if in_3d:
            at = planes.index(request.plane)
            labels = self._run(request, view, part.begun(), between)[at]
            pixels = view.pixels[:, at]
        else:
            labels, grey, by_grey = self._staged(request, view, part, between, whole=of_huge)
        if request.mapping is not None and labels.dtype == np.uint8:
            labels = np.asarray(request.mapping[labels])
        means = group_means(labels, pixels) if request.in_means else None
        lacks = _lacks_strokes(chain, view)
        return Preview(part.whole(labels), box, len(planes), grey, means, lacks, by_grey)

    def _run(
        self, request: PreviewRequest, view: View, begun: Labels | None, between: Between
    ) -> Labels:
        """Take all steps, one after the other, on slices put together to a volume."""
        out = np.zeros(view.shape, np.uint32 if answers(request.chain) == "objects" else np.uint8)
        size = {"Z": view.z_px, "Y": 1.0, "X": 1.0}
        stack = Stack(view.pixels, "CZYX", size, channels=("",) * len(view.pixels))
        told = view.probabilities
        by_plane = None if told is None else np.moveaxis(told, 1, 0)
        source = Source(stack, strokes=view.strokes, labels=begun, probabilities=by_plane)
        prepared = self._prepared(request)
        for _ in run_stack(request.chain, source, out=out, prepared=prepared, between=between):
            between()
        return out

    def _staged(
        self, request: PreviewRequest, view: View, part: _Part, between: Between, *, whole: bool
    ) -> tuple[Labels, GreyValues | None, dict[str, float]]:
        """Take the steps on one slice; those before the first that has changed are not taken.

        Parameters
        ----------
        whole : bool
            Whether levels are those of the whole slice, though a part of it is looked at.
        """
        chain, prepared = request.chain, self._prepared(request)
        method = chain.method()
        seen_by = (part.key, chain.before_method())
        view = self._once("filtered", seen_by, lambda: filtered(chain, view, between))
        view = part.said(view)
        if method is None or not isinstance(method[0], LevelMethod):
            rest = chain.without_filters()
            by_grey = {} if method is None else method[0].by_grey_value(view, method[1])
            begun = part.begun()
            answer = run_view(rest, view, prepared=prepared, labels=begun, between=between)
            return answer, None, by_grey
        step: LevelMethod[Any] = method[0]
        params = method[1]
        key = (seen_by, step.name, step.feature_key(params))
        between()
        if whole and prepared is None and part.box is not None:
            measured = self._of_whole(request, step, params)
            features = measured[(..., *part.box)]
        else:
            measured = features = self._once("features", key, lambda: step.features(view, params))
        between()
        levels = step.measure([measured], params) if prepared is None else prepared
        answered: Labels = step.label(features, params, levels)
        grey = None
        if step.decides_by_grey:
            counts, span = self._once("histogram", key, lambda: _histogram(measured[0]))
            at = tuple(float(level) for level in levels)
            grey = GreyValues(counts, span, at, step.names_of_levels(params))
        after = chain.after_method()
        if after is not None:
            wants = any(refinement.wants_probabilities for refinement, _ in chain.refinements())
            rest = chain.without_filters() if wants else after
            answered = run_view(rest, view, prepared=prepared, labels=answered, between=between)
        by_grey = dict(zip(step.set_by_hand, levels.tolist(), strict=False))
        return answered, grey, {name: at for name, at in by_grey.items() if np.isfinite(at)}

    def _prepared(self, request: PreviewRequest) -> Any:
        """Return what slices share, from what was measured before if nothing else is asked."""
        chain = request.chain
        method = chain.method()
        if method is None or request.learned is not None:
            return request.learned
        wanted = method[0].prepare_on(method[1])
        strokes = method[0].use_of_strokes(method[1])
        if wanted == "nothing" and strokes != "needed":
            return None
        revision = 0 if strokes == "unused" else request.revision
        sources = request.sources()
        sizes = [source.stack.pixel_size_um for source in sources]
        key = (request.key, sizes, chain.before_method(), chain.method(), revision)
        return self._once("prepared", key, lambda: prepare(chain, sources)[request.at])

    def _of_whole(self, request: PreviewRequest, step: LevelMethod[Any], params: Config) -> Pixels:
        """Return the features of the whole slice."""
        part, chain = _Part(request, [request.plane], None, False), request.chain
        key = (part.key, chain.before_method(), step.name, step.feature_key(params))

        def features() -> Pixels:
            return step.features(filtered(chain, part.view()), params)

        return np.asarray(self._once("features of whole", key, features))

    def _once(self, what: str, key: object, compute: Callable[[], Any]) -> Any:
        kept = self._kept.get(what)
        if kept is None or kept[0] != key:
            kept = key, compute()
            self._kept[what] = kept
        return kept[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The part of a stack that is looked at."""

    request: PreviewRequest
    planes: list[int]
    box: _Box | None
    in_3d: bool

    @property
    def key(self) -> object:
        """Which part it is."""
        sizes = self.request.source.stack.pixel_size_um
        return self.request.key, sizes, self.planes, str(self.box), self.in_3d

    def view(self) -> View:
        """Read its pixels."""
        source = replace(self.request.source, probabilities=None)
        views = [source.slice_view(plane) for plane in self.planes]
        for plane, view in zip(self.planes, views, strict=True):
            check_values(view.pixels, source.stack.name, plane, LARGEST_GREY)
        pixels = self._together([view.pixels[self._where(None)] for view in views], axis=1)
        return replace(views[0], pixels=pixels, strokes=None)

    def said(self, view: View) -> View:
        """Return a view of the part with what is annotated there by now, and how probable."""
        source = self.request.source
        told = None
        if source.probabilities is not None:
            parts = [np.asarray(source.probabilities[p])[self._where(None)] for p in self.planes]
            told = self._together(parts, axis=1)
        return replace(view, strokes=self._of(source.strokes), probabilities=told)

    def begun(self) -> Labels | None:
        """Return what refinements begin with there."""
        begun: Labels | None = self._of(self.request.source.labels)
        return begun

    def whole(self, labels: Labels) -> Labels:
        """Put labels of the part, shape (y, x), into a slice; 0 elsewhere."""
        if self.box is None:
            return labels
        slice_ = np.zeros(self.request.source.stack.plane_shape, labels.dtype)
        slice_[self.box] = labels
        return slice_

    def _of(self, labels: Any) -> Any:
        if labels is None:
            return None
        return self._together([labels[plane][self._where()] for plane in self.planes], axis=0)

    def _together(self, slices: list[Any], axis: int) -> Any:
        return np.stack(slices, axis=axis) if self.in_3d else slices[0]

    def _where(self, *leading: None) -> Any:
        box = (slice(None), slice(None)) if self.box is None else self.box
        return (slice(None), *box) if leading else box


def _lacks_strokes(chain: Chain, view: View) -> bool:
    method, params = chain.method() or (None, None)
    if method is None or view.strokes is None or method.prepare_on(params) == "strokes":
        return False
    return len(np.unique(view.strokes[view.strokes > 0])) < method.n_codes_needed(params)


def _histogram(grey: Pixels) -> tuple[npt.NDArray[np.int64], tuple[float, float]]:
    values = sample([grey])
    span = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=256, range=span)
    return counts, span


def _is_quick(chain: Chain) -> bool:
    """Return whether a chain decides by levels, pixel by pixel, and does nothing else."""
    method = chain.method()
    if method is None or len(chain.steps) > 1:
        return False
    return isinstance(method[0], LevelMethod) and method[0].pixelwise


def _box(request: PreviewRequest, longest_px: int) -> _Box | None:
    """Return the middle of what is in view, as much of it as a slow step can be shown."""
    shape = request.source.stack.plane_shape
    visible = request.visible or (slice(0, shape[0]), slice(0, shape[1]))
    parts = []
    for part, length in zip(visible, shape, strict=True):
        first, last = max(0, part.start), min(length, part.stop)
        spare = max(0, last - first - longest_px)
        parts.append(slice(first + spare // 2, last - (spare - spare // 2)))
    rows, columns = parts
    is_whole = (rows.start, columns.start, rows.stop, columns.stop) == (0, 0, *shape)
    is_empty = rows.start >= rows.stop or columns.start >= columns.stop
    return None if is_whole or is_empty else (rows, columns)


def _planes(source: Source, plane: int) -> list[int]:
    """Return the slice in view and some on either side, of the same time point."""
    depth = source.stack.size("Z")
    first = plane // depth * depth
    return list(range(max(first, plane - BESIDE), min(first + depth, plane + BESIDE + 1)))

"""Apply a chain of steps to a view, or to all slices of a stack on all cores."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import Config
from napari_unetseg.errors import UserError
from napari_unetseg.events import Progress
from napari_unetseg.hardware import free_memory_bytes
from napari_unetseg.images import Stack

from .chain import Chain
from .registry import find_method
from .source import Source
from .stages import Between, Seen, Stages, filter_stages, go_on, stages_of, through
from .step import Kind, Labels, Method, View
from .threads import cores

#: Slices that what a whole stack shares is measured on, evenly spread.
_SHARED_PLANES = 16

#: Bytes that a volume takes for each of its pixels, at least: 10 with a Gaussian along Z, 18 with
#: small pieces removed and 52 with objects split, measured on 96 slices of 512 × 512 px.
_BYTES_PER_PX = 10

#: Stands for what has not been asked for; None is an answer.
_UNPREPARED: Any = object()


class Receiver(Protocol):
    """Takes slices by their number, as an array does."""

    def __setitem__(self, n: int, labels: Any, /) -> None:
        """Take one slice."""


_T = TypeVar("_T")
_R = TypeVar("_R")


def checked_params(method: str, params: Config | None) -> Config:
    """Return parameters of a method, its defaults if None.

    Raises
    ------
    UserError
        If no method has that name, or the parameters are those of another.
    """
    expected: type[Config] = find_method(method).params
    if params is None:
        return expected()
    if not isinstance(params, expected):
        raise UserError(
            f"{method} takes {expected.__name__}, not {type(params).__name__}; "
            "the parameters are those of another method."
        )
    return params


def segment(method: str, pixels: npt.NDArray[Any], params: Config | None = None) -> Labels:
    """Segment one slice, or one volume, by one method.

    Parameters
    ----------
    method : str
        A name in ``METHODS``.
    pixels : ndarray, shape (C, Y, X) or (C, Z, Y, X), any dtype
        Methods that look at grey values take the mean of the channels.
    params : Config, optional
        The method's defaults if None.

    Returns
    -------
    ndarray, shape without C
        uint8, 1 background, 2 and up the classes; or uint32 ids where the method finds objects.

    Raises
    ------
    UserError
        If no method has that name, or the parameters are those of another.

    Examples
    --------
    >>> plane = np.zeros((1, 8, 8), np.uint8)
    >>> plane[0, 2:5, 2:5] = 200
    >>> from napari_unetseg.classical import parse_params
    >>> int((segment("otsu", plane, parse_params("otsu", ["sigma_px=0"])) == 2).sum())
    9
    """
    return run_view(Chain.of(method, checked_params(method, params)), View(pixels))


def run_view(
    chain: Chain,
    view: View,
    *,
    prepared: Any = None,
    labels: Labels | None = None,
    between: Between = go_on,
) -> Labels:
    """Take all steps of a chain on one slice, or on one volume.

    Parameters
    ----------
    prepared : object
        Of `prepare`; None where each view is on its own.
    labels : ndarray, shape of the view
        What refinements without a method begin with.
    between : callable
        Called before each step; what it raises ends them.
    """
    seen = Seen(view, labels)
    return through(stages_of(chain, prepared, between), seen).answered()


def filtered(chain: Chain, view: View, between: Between = go_on) -> View:
    """Return what the method of a chain sees of a view: its filters alone are applied."""
    return through(filter_stages(chain, between), Seen(view)).view


def answers(chain: Chain) -> Kind | None:
    """Return what a chain answers; None where it keeps what it is given."""
    method = chain.method()
    kinds = [] if method is None else [method[0].answers_with(method[1])]
    kinds += [step.answers for step, _ in chain.refinements() if step.answers is not None]
    return kinds[-1] if kinds else None


def sees_volumes(chain: Chain) -> bool:
    """Return whether a step of the chain looks along Z."""
    return any(stage.in_3d for stage in stages_of(chain, None))


def prepare(chain: Chain, sources: Sequence[Source]) -> list[Any]:
    """Measure what slices have in common: those of a stack, or all that are annotated.

    Returns
    -------
    list
        One for each of `sources`, for `run_view` and `run_stack`; None where nothing is shared.

    Raises
    ------
    UserError
        If the method needs annotations and there are none.
    """
    found = chain.method()
    if found is None:
        return [None for _ in sources]
    method, params = found
    _check_strokes(method, params, sources)
    wanted = method.prepare_on(params)
    if wanted == "nothing":
        return [None for _ in sources]
    if wanted == "slices":
        chosen = [_spread(source.chosen()) for source in sources]
        return [
            method.prepare(seen_by_method(chain, source, planes), params)
            for source, planes in zip(sources, chosen, strict=True)
        ]
    views = [
        view
        for source in sources
        for view in seen_by_method(chain, source, source.annotated_planes())
    ]
    return [method.prepare(views, params)] * len(sources)


def _check_strokes(method: Method[Any], params: Config, sources: Sequence[Source]) -> None:
    needed, painted = method.n_codes_needed(params), set[int]()
    for code in itertools.chain.from_iterable(source.codes() for source in sources):
        if len(painted) >= needed:
            return
        painted.add(code)
    if len(painted) >= needed:
        return
    if not painted:
        raise UserError(
            f"{method.title} needs annotations: paint some of each class first (on the command "
            "line: give them with -l LABELS or --points POINTS)."
        )
    raise UserError(
        f"{method.title} needs annotations of at least two classes, of which background is one: "
        "paint some of another class, or background, too."
    )


def seen_by_method(chain: Chain, source: Source, planes: Sequence[int]) -> list[View]:
    """Return what the method of a chain sees of slices: them alone, or the volumes they lie in."""
    found = chain.method()
    filters = filter_stages(chain)
    in_volumes = found is not None and found[0].sees_volumes(found[1])
    if not in_volumes and not any(stage.in_3d for stage in filters):
        return [through(filters, Seen(source.slice_view(plane))).view for plane in planes]
    depth = source.stack.size("Z")
    views = []
    for t, of_volume in itertools.groupby(sorted(planes), key=lambda plane: plane // depth):
        seen = Seen(source.volume_view(t))
        for stage in filters:
            seen = stage.apply(seen) if stage.in_3d else _slicewise([stage], seen)
        views += [seen.view] if in_volumes else [_slice_of(seen, p % depth).view for p in of_volume]
    return views


def run_stack(
    chain: Chain,
    source: Source,
    *,
    out: Receiver,
    prepared: Any = _UNPREPARED,
    between: Between = go_on,
) -> Iterator[Progress]:
    """Take all steps of a chain on every slice, or on whole volumes, into `out`.

    Slices are computed on all cores. Close the generator to cancel; slices done by then stay in
    `out`. Ids of objects go on from slice to slice, but for ids that were there before.

    Parameters
    ----------
    out : ndarray, shape (n, Y, X), uint8 or uint32, or any other that takes items
        Receives codes or ids, one plane for each of the slices chosen, in their order. Modified.
    prepared : object
        What `prepare` returned for this source, perhaps among others; prepared now if left out.
    between : callable
        Called before each step, on any thread; what it raises ends all of them.

    Yields
    ------
    Progress
        After each slice, ``done`` of them being in `out`.
    """
    shared = prepare(chain, [source])[0] if prepared is _UNPREPARED else prepared
    stages = stages_of(chain, shared, between)
    chosen = source.chosen()
    by = _by_volume if any(stage.in_3d for stage in stages) else _by_slice
    started = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        for done, answer in enumerate(by(stages, source, chosen, pool), start=1):
            out[done - 1] = answer
            left = (time.perf_counter() - started) / done * (len(chosen) - done)
            yield Progress("Segmenting", done, len(chosen), left)


def _by_slice(
    stages: Stages, source: Source, chosen: Sequence[int], pool: ThreadPoolExecutor
) -> Iterator[Labels]:
    def answer(plane: int) -> Labels:
        return through(stages, Seen(source.slice_view(plane), source.begun(plane))).answered()

    last_id, keeps = 0, _are_ids(source.labels)
    for found in _map(pool, answer, chosen):
        numbered = found if keeps else _after(found, last_id)
        last_id = max(last_id, int(numbered.max()))
        yield numbered


def _are_ids(labels: Any) -> bool:
    """Return whether labels are ids, which mean the same in all slices, and so have to stay."""
    return labels is not None and bool(labels.dtype != np.uint8)


def _after(labels: Labels, last_id: int) -> Labels:
    """Return ids of objects as they go on after others; codes as they are."""
    if labels.dtype == np.uint8 or last_id == 0:
        return labels
    return np.where(labels > 0, labels + np.uint32(last_id), np.uint32(0))


def _by_volume(
    stages: Stages, source: Source, chosen: Sequence[int], pool: ThreadPoolExecutor
) -> Iterator[Labels]:
    _check_memory(source.stack)
    depth = source.stack.size("Z")
    answered: dict[int, Labels] = {}
    last_id, keeps = 0, _are_ids(source.labels)
    for plane in chosen:
        t, z = divmod(plane, depth)
        if t not in answered:
            seen = Seen(source.volume_view(t), source.begun(slice(t * depth, (t + 1) * depth)))
            for in_3d, group in itertools.groupby(stages, key=lambda stage: stage.in_3d):
                run = list(group)
                seen = through(run, seen) if in_3d else _slicewise(run, seen, pool)
            found = seen.answered()
            answered = {t: found if keeps else _after(found, last_id)}
            last_id = max(last_id, int(answered[t].max()))
        yield answered[t][z]


def _check_memory(stack: Stack) -> None:
    n_bytes = _BYTES_PER_PX * stack.size("Z") * math.prod(stack.plane_shape) * stack.n_channels
    free = free_memory_bytes()
    if n_bytes > free:
        raise UserError(
            f"A step looks along Z, so {stack.name} is needed whole: that takes at least "
            f"{n_bytes / 1e9:.0f} GB of memory, and {free / 1e9:.0f} GB are free. Segment slice by "
            "slice (in_3d=off), or cut the stack into parts."
        )


def _slicewise(stages: Stages, seen: Seen, pool: ThreadPoolExecutor | None = None) -> Seen:
    """Take steps that see slices on each slice of a volume."""
    slices = (_slice_of(seen, z) for z in range(seen.view.shape[0]))
    take = partial(through, stages)
    done = map(take, slices) if pool is None else _map(pool, take, slices)
    return _stacked(list(done), seen.view, keeps=_are_ids(seen.labels))


def _stacked(slices: Sequence[Seen], like: View, *, keeps: bool) -> Seen:
    """Put slices back into a volume; ids that are new go on from slice to slice."""
    pixels = np.stack([one.view.pixels for one in slices], axis=1)
    told = [p for one in slices if (p := one.view.probabilities) is not None]
    probabilities = np.stack(told, axis=1) if told else None
    view = replace(like, pixels=pixels, probabilities=probabilities)
    answered = [one.labels for one in slices if one.labels is not None]
    if not answered:
        return Seen(view)
    numbered, last_id = [], 0
    for labels in answered:
        numbered.append(labels if keeps else _after(labels, last_id))
        last_id = max(last_id, int(numbered[-1].max()))
    joined: Labels = np.stack(numbered)  # type: ignore[assignment]
    return Seen(view, joined)


# --------------------------------------------------------------------- views


def _slice_of(seen: Seen, z: int) -> Seen:
    view = seen.view
    return Seen(
        replace(
            view,
            pixels=view.pixels[:, z],
            strokes=None if view.strokes is None else view.strokes[z],
            probabilities=None if view.probabilities is None else view.probabilities[:, z],
        ),
        None if seen.labels is None else seen.labels[z],
    )


def _spread(planes: Sequence[int]) -> list[int]:
    """Return up to 16 of the slices, evenly spread."""
    n = min(len(planes), _SHARED_PLANES)
    return [planes[int(i)] for i in np.linspace(0, len(planes) - 1, n).round()]


# ------------------------------------------------------------------- threads


def _map(pool: ThreadPoolExecutor, call: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield what calls return in the order of items, a few being computed ahead."""
    ahead: deque[Future[_R]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(call, item))
            if len(ahead) > 2 * cores():
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()

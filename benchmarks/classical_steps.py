"""How long every classical step takes: a preview, and a whole stack beside a plain loop.

A preview is timed as the window asks for it: from the move of a slider to the answer for the slice
in view, on 1024 × 1024 and 2048 × 2048 px. Steps that are slow, and those that look along Z, show
the part in sight, at most 384 px a side. The limit is 150 ms on a machine that does nothing else::

    python benchmarks/classical_steps.py [otsu kmeans …] [--sides 1024 2048]

A stack of twelve slices, beside a loop that calls scikit-image, scikit-learn or SciPy for the same
on slice after slice::

    python benchmarks/classical_steps.py --stack [otsu kmeans …]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from plain_loops import PLAIN

from napari_unetseg.classical import (
    FILTERS,
    METHODS,
    REFINEMENTS,
    Chain,
    PreviewComputer,
    PreviewRequest,
    Source,
    StepSettings,
    answers,
    find_step,
    run_stack,
)
from napari_unetseg.config import Config
from napari_unetseg.images import Stack
from napari_unetseg.samples import em_stack

LIMIT_MS = 150

#: Slices of the stack that is segmented.
SLICES = 12


def main() -> None:
    """Print a line per step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", help="names of steps; all by default")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048], help="in px")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stack", action="store_true", help="time stacks instead")
    options = parser.parse_args()
    names = options.steps or [*METHODS, *FILTERS, *REFINEMENTS]
    if options.stack:
        whole_stacks(names, options.sides[0])
    else:
        previews(names, options.sides, options.repeats)


def previews(names: list[str], sides: list[int], repeats: int) -> None:
    """Time previews of one step after the other, on slices of several sizes."""
    samples = {side: sample(side, 9) for side in sides}
    print(f"{'':20}" + "".join(f"{side:>10} px" for side in sides) + "   (ms, median)")
    for name in names:
        cells = []
        for side in sides:
            ms = preview_ms(name, samples[side], repeats)
            cells.append(f"{ms:8.0f}{' over' if ms > LIMIT_MS else '     '}")
        step = find_step(name)
        shown = "in sight" if step.is_slow or step.previews_part else ""
        print(f"{name:20}{''.join(cells)} {shown}", flush=True)


def preview_ms(name: str, source: Source, repeats: int) -> float:
    """Return the median time from the move of a slider to the answer, after a first look."""
    computer, times = PreviewComputer(), []
    middle = source.stack.n_planes // 2
    for i, chain in zip(range(repeats + 1), moves(name), strict=False):
        began = time.perf_counter()
        computer.compute(PreviewRequest("image", source, middle, chain))
        if i:
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def moves(name: str) -> Iterator[Chain]:
    """Yield the chain with one number of the step changed a little each time."""
    step = find_step(name)
    params = step.params()
    fields = params.model_json_schema().get("properties", {})
    slider = next((f for f, about in fields.items() if about.get("type") == "number"), None)
    i = 0
    while True:
        i += 1
        changed = params
        if slider is not None:
            about = fields[slider]
            high = about.get("maximum", about.get("exclusiveMaximum", np.inf))
            value = about["default"] * (1 + 0.02 * (i % 5))
            changed = params.replace(**{slider: min(value, high)})
        yield around(name, changed)


def around(name: str, params: Config) -> Chain:
    """Return a chain with a step: filters and refinements go with Otsu's threshold."""
    settings = StepSettings(step=name, params=params.model_dump(mode="json"))
    otsu = StepSettings(step="otsu")
    if name in FILTERS:
        return Chain(steps=(settings, otsu))
    return Chain(steps=(otsu, settings)) if name in REFINEMENTS else Chain(steps=(settings,))


def whole_stacks(names: list[str], side: int) -> None:
    """Time stacks, ours and the plain loop in turns."""
    source = sample(side, SLICES)
    pixels = np.asarray(source.stack.data)
    print(f"{'':20}{'ours':>8}{'plain loop':>12}{'ratio':>8}   s for {SLICES} × {side} × {side} px")
    for name in names:
        ours = seconds(partial(run, name, source))
        if name not in PLAIN:
            print(f"{name:20}{ours:8.2f}{'none':>12}", flush=True)
            continue
        plain = seconds(partial(loop, PLAIN[name], pixels, source.strokes))
        print(f"{name:20}{ours:8.2f}{plain:12.2f}{plain / ours:8.2f}", flush=True)


def run(name: str, source: Source) -> None:
    """Segment the whole stack with the step's defaults."""
    chain = around(name, find_step(name).params())
    kind = np.uint32 if answers(chain) == "objects" else np.uint8
    out: Any = np.zeros(source.stack.labels_shape, kind)
    for _ in run_stack(chain, source, out=out):
        pass


def loop(
    call: Callable[[Any, Any], Any], pixels: npt.NDArray[Any], strokes: npt.NDArray[np.uint8] | None
) -> None:
    """Call a library's function on slice after slice."""
    for index, plane in enumerate(pixels):
        call(plane, None if strokes is None else strokes[index])


def seconds(call: Callable[[], None]) -> float:
    """Return how long a call takes, the quicker of two."""
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def sample(side: int, n_planes: int) -> Source:
    """Return a generated stack of 8-bit EM slices with some strokes on each."""
    made = em_stack(shape=(n_planes, side, side))
    strokes = np.zeros_like(made.codes)
    rng = np.random.default_rng(0)
    for codes, drawn in zip(made.codes, strokes, strict=True):
        for y, x in rng.integers(8, side - 8, (24, 2)):
            drawn[y - 4 : y + 4, x - 4 : x + 4] = codes[y - 4 : y + 4, x - 4 : x + 4]
    return Source(
        Stack(np.asarray(made.image.data), "ZYX", made.image.pixel_size_um), None, strokes
    )


if __name__ == "__main__":
    main()

"""How long a classical method takes for the slice in view: medians on 1024 × 1024.

Run it with ``python benchmarks/baseline_preview.py``. The limit for a live preview is 150 ms of
wall clock on a machine that does nothing else; the processor time beside it tells, on a busy one,
what the method itself costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from napari_unetseg.classical import METHODS, fit_baseline, segment
from napari_unetseg.samples import em_stack

LIMIT_MS = 150


def median_ms(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return median wall clock and processor time of a call in ms, after one that is not timed."""
    call()
    wall, processor = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        call()
        wall.append((time.perf_counter() - started) * 1000)
        processor.append((time.process_time() - used) * 1000)
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    """Print one line per method and type of pixel, and what a fit on three slices takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024, help="of the slice, in px")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--fits", action="store_true", help="time fits on three slices too")
    arguments = parser.parse_args()
    sample = em_stack(shape=(3, arguments.side, arguments.side))
    planes = [sample.image.plane(index) for index in range(3)]
    for name in METHODS:
        for dtype in (np.uint8, np.uint16, np.int32, np.float32):
            plane = planes[0].astype(dtype)
            wall, processor = median_ms(partial(segment, name, plane), arguments.repeats)
            verdict = "" if wall < LIMIT_MS else "  over the limit"
            print(
                f"{name:10} {np.dtype(dtype).name:8} {wall:6.1f} ms "
                f"({processor:5.1f} ms of processor){verdict}",
                flush=True,
            )
    for name in METHODS if arguments.fits else ():
        started = time.perf_counter()
        fitted = fit_baseline(name, planes, list(sample.codes))
        seconds = time.perf_counter() - started
        print(f"{name:10} fit {seconds:5.1f} s  mean IoU {fitted.mean_iou:.3f}  {fitted.params}")


if __name__ == "__main__":
    main()

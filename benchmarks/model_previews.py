"""Measure how long a person waits for the pictures of all models that ship on the slice in view.

*first*: the child has loaded its libraries, and none of the models. *next*: another slice.

    python benchmarks/model_previews.py [--size 1024] [--slices 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from job_start import wait_until_warm

from napari_unetseg.config import shipped_models
from napari_unetseg.events import ModelPreviewed
from napari_unetseg.jobs import Worker
from napari_unetseg.project import Session
from napari_unetseg.samples import em_stack
from napari_unetseg.workspace import ImageEntry, JobController, Workspace

LIMIT_S = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--slices", type=int, default=5)
    options = parser.parse_args()
    worker = Worker()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Session(Path(folder)))
        controller = JobController(workspace, worker)
        sample = em_stack(shape=(options.slices + 1, options.size, options.size))
        entry = workspace.add_image(sample.image)
        wait_until_warm(worker)
        times = [seconds_for(controller, entry, plane) for plane in range(options.slices + 1)]
        controller.close()
        workspace.close()
    load = psutil.getloadavg()[0]
    print(
        f"{len(shipped_models())} models on {options.size} × {options.size} px, "
        f"{psutil.cpu_count()} cores, load {load:.1f}: first {times[0]:.2f} s, "
        f"next {np.median(times[1:]):.2f} s (worst {max(times[1:]):.2f} s; at most {LIMIT_S:g} s "
        "wanted)"
    )


def seconds_for(controller: JobController, entry: ImageEntry, plane: int) -> float:
    """Return the seconds until every model has been seen on a slice."""
    models = list(shipped_models().values())
    seen: list[ModelPreviewed] = []
    controller.previews.previewed.connect(seen.append)
    began = time.monotonic()
    controller.previews.ask(entry, plane, models)
    while len(seen) < len(models):
        controller.poll()
        time.sleep(0.005)
    controller.previews.previewed.disconnect(seen.append)
    if unfit := [event.sentence for event in seen if event.sentence]:
        raise SystemExit(unfit[0])
    return time.monotonic() - began


if __name__ == "__main__":
    main()

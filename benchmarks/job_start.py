"""Measure how long a person waits between the click on Train and the first training step.

Three ways to begin: *cold*, the child is started by the click; *warm*, it was started with the
first image and has loaded its libraries; *again*, right after another training.

    python benchmarks/job_start.py [--repeats 3] [--size 512]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from napari_unetseg.config import Recipe
from napari_unetseg.events import TrainingStarted, TrainingStep
from napari_unetseg.jobs import (
    ImageRef,
    JobState,
    TrainCommand,
    TrainingImageRef,
    Worker,
    save_planes,
)
from napari_unetseg.samples import em_stack

LIMIT_S = 10.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": [], "again": []}
    with tempfile.TemporaryDirectory() as folder:
        command = training(Path(folder), options.size)
        for _ in range(options.repeats):
            worker = Worker()
            times["cold"].append(start(worker, command))
            times["again"].append(start(worker, command))
            worker.close()
            worker = Worker()
            worker.start()
            wait_until_warm(worker)
            times["warm"].append(start(worker, command))
            worker.close()
    load = psutil.getloadavg()[0]
    print(f"{options.size} × {options.size} px, {psutil.cpu_count()} cores, load {load:.1f}")
    for way, measured in times.items():
        ready, stepped = np.median(measured, axis=0)
        worst = max(step for _, step in measured)
        print(
            f"{way:6} network built {ready:5.2f} s, first step {stepped:5.2f} s (worst "
            f"{worst:5.2f} s; at most {LIMIT_S:g} s wanted)"
        )


def training(folder: Path, size: int) -> TrainCommand:
    """Return a command that trains on three slices of the sample stack."""
    sample = em_stack(shape=(8, size, size))
    codes = sample.codes.copy()
    codes[[1, 2, 4, 5, 7]] = 0
    save_planes(sample.image, folder / "image.npy")
    np.save(folder / "codes.npy", codes)
    image = ImageRef("sample", str(folder / "image.npy"), sample.image.axes)
    return TrainCommand(
        images=[TrainingImageRef(image, str(folder / "codes.npy"))],
        recipe=Recipe().model_dump(mode="json"),
        classes=[label_class.model_dump() for label_class in sample.classes],
        model_path=str(folder / "sample.unet"),
    )


def start(worker: Worker, command: TrainCommand) -> tuple[float, float]:
    """Return the seconds from the click to the finished preparations and to the first step."""
    clicked = time.monotonic()
    ready = stepped = 0.0
    worker.submit(command)
    while not stepped:
        for event in worker.poll():
            if isinstance(event, TrainingStarted):
                ready = time.monotonic() - clicked
            elif isinstance(event, TrainingStep) and not stepped:
                stepped = time.monotonic() - clicked
        if worker.state is JobState.IDLE:
            raise SystemExit("training ended without a step")
        time.sleep(0.005)
    worker.cancel()
    while worker.state is not JobState.IDLE:
        worker.poll()
        time.sleep(0.005)
    return ready, stepped


def wait_until_warm(worker: Worker) -> None:
    """Return when the child has nothing more to load."""
    child = psutil.Process(worker.pid)
    child.cpu_percent()
    time.sleep(1)
    while child.cpu_percent() > 5:
        time.sleep(1)


if __name__ == "__main__":
    main()

"""What few annotations teach in how many seconds: the network beside a random forest.

All sides learn from the same annotations and are scored on the same images that none has seen.
The network is trained by the command line, so that ``program, s`` runs from the start of the
program to the model on disk; ``training, s`` is what the model's history counts, from the moment
the network is built. The forest predicts as well as learns before it has an answer::

    UNETSEG_DATA=../shared/data python benchmarks/few_shot.py --task vnc-3 --seeds 3
    UNETSEG_DATA=../shared/data python benchmarks/few_shot.py --task vnc-ten-strokes --times 120
    UNETSEG_DATA=../shared/data python benchmarks/few_shot.py --only baselines

The classical baselines are fitted to the same annotations, with ``--only baselines`` alone.
Tasks: ``vnc-1`` and ``vnc-3`` (slices of serial-section EM painted completely), ``vnc-strokes``
(strokes over 2 % of the pixels of the three slices), ``vnc-ten-strokes`` (ten in all), and
``nuclei-5`` (five fluorescence images).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from forest import Forest

from napari_unetseg import evaluate, open_stack
from napari_unetseg.classical import METHODS, LevelMethod, View, fit_baseline
from napari_unetseg.classical.forest import FOREST, ForestParams
from napari_unetseg.images import codes_to_masks, read_labels
from napari_unetseg.samples.strokes import Annotator

Codes = npt.NDArray[np.uint8]

#: Painted completely; of one slice, the middle one.
SLICES = (0, 7, 14)

#: Of the strokes.
BRUSH_PX, LENGTH_PX = 5.0, 120.0
STROKED_SHARE = 0.02

PROGRAM = (
    sys.executable,
    "-c",
    "import sys; from napari_unetseg.cli import main; sys.exit(main())",
)


@dataclass(frozen=True, slots=True)
class Task:
    """Images, what is annotated of them, and the truth.

    Attributes
    ----------
    images : list of ndarray, shape (Y, X)
    annotations : dict of int to ndarray, shape (Y, X), uint8
        Codes of the annotated images.
    truth : dict of int to ndarray, shape (Y, X), uint8
        Masks of the images that are scored.
    """

    images: list[npt.NDArray[Any]]
    annotations: dict[int, Codes]
    truth: dict[int, Codes]


def main() -> None:
    """Run every side and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=sorted(TASKS), default="vnc-3")
    parser.add_argument("--structure", default="membranes", choices=["membranes", "mitochondria"])
    parser.add_argument("--times", default="5,10,20,30,60,120", help="seconds of the network")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scored", type=int, default=1000, help="at most so many unseen images")
    parser.add_argument("--only", choices=["network", "forest", "classifier", "baselines"])
    parser.add_argument("--config", help="of the network")
    options = parser.parse_args()
    data = Path(os.environ.get("UNETSEG_DATA", "../shared/data"))
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        task = TASKS[options.task](data, options, seed)
        for row in _sides(task, seed, options):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    _print_table(rows)


def _sides(task: Task, seed: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the sides that are asked for, one after the other."""
    if options.only in (None, "forest"):
        yield _fitted(task, seed, "random forest", lambda *data: Forest(*data, seed=seed))
    if options.only in (None, "classifier"):
        yield _fitted(task, seed, "pixel classifier", partial(_Classifier, seed=seed))
    if options.only == "baselines":
        for name, method in METHODS.items():
            if isinstance(method, LevelMethod):
                yield _fitted(task, seed, name, partial(fit_baseline, name))
    if options.only in (None, "network"):
        for seconds in options.times.split(","):
            yield _network(task, seconds, seed, options.config)


class _Classifier:
    """The pixel classifier as it comes."""

    def __init__(self, planes: list[npt.NDArray[Any]], codes: list[Codes], *, seed: int) -> None:
        self._params = ForestParams(seed=seed)
        views = [View(plane, strokes=of) for plane, of in zip(planes, codes, strict=True)]
        self._learned = FOREST.prepare(views, self._params)

    def apply(self, plane: npt.NDArray[Any]) -> Codes:
        """Return codes, shape (Y, X), of a plane, shape (C, Y, X)."""
        return FOREST.segment(View(plane), self._params, self._learned)


def _vnc(data: Path, options: argparse.Namespace) -> tuple[list[npt.NDArray[Any]], Codes]:
    stack = open_stack(data / "vnc" / "raw.ome.tif")
    truth = read_labels(data / "vnc" / f"{options.structure}.ome.tif", "masks", like=stack)
    return [plane[0] for plane in stack.planes()], truth.codes


def _slices(
    n_slices: int, data: Path, options: argparse.Namespace
) -> tuple[list[npt.NDArray[Any]], Codes, list[int]]:
    images, codes = _vnc(data, options)
    annotated = list(SLICES) if n_slices == len(SLICES) else [SLICES[1]]
    return images, codes, annotated


def _unseen(n_images: int, annotated: list[int], options: argparse.Namespace) -> list[int]:
    others = [i for i in range(n_images) if i not in annotated]
    if len(others) <= options.scored:
        return others
    chosen = np.linspace(0, len(others) - 1, options.scored).round().astype(int)
    return [others[i] for i in chosen]


def _dense(n_slices: int) -> Any:
    def make(data: Path, options: argparse.Namespace, seed: int) -> Task:
        images, codes, annotated = _slices(n_slices, data, options)
        return Task(
            images,
            {i: codes[i] for i in annotated},
            {i: codes_to_masks(codes[i]) for i in _unseen(len(images), annotated, options)},
        )

    return make


def _stroked(share: float | None) -> Any:
    def make(data: Path, options: argparse.Namespace, seed: int) -> Task:
        images, codes, annotated = _slices(len(SLICES), data, options)
        painted = np.zeros_like(codes)
        annotator = Annotator(codes, seed, BRUSH_PX)
        present = [int(code) for code in np.unique(codes[annotated])]
        n_strokes = 0
        while True:
            plane = annotated[n_strokes % len(annotated)]
            code = present[n_strokes // len(annotated) % len(present)]
            annotator.annotate(painted, plane, [code], LENGTH_PX)
            n_strokes += 1
            done = np.count_nonzero(painted) / codes[annotated].size
            if n_strokes == 10 if share is None else done >= share:
                break
        print(f"{n_strokes} strokes over {done:.2%} of the three slices", file=sys.stderr)
        return Task(
            images,
            {i: painted[i] for i in annotated},
            {i: codes_to_masks(codes[i]) for i in _unseen(len(images), annotated, options)},
        )

    return make


def _nuclei(data: Path, options: argparse.Namespace, seed: int) -> Task:
    paths = sorted((data / "nuclei" / "images").glob("*.png"))
    order = [int(i) for i in np.random.default_rng([seed, 5]).permutation(len(paths))]
    chosen = order[: 5 + min(options.scored, 50)]
    images, codes = [], []
    for index in chosen:
        stack = open_stack(paths[index])
        images.append(stack.plane(0)[0])
        masks = data / "nuclei" / "masks" / paths[index].name
        codes.append(read_labels(masks, "objects", like=stack).codes[0])
    return Task(
        images,
        dict(enumerate(codes[:5])),
        {i: codes_to_masks(codes[i]) for i in range(5, len(codes))},
    )


TASKS: dict[str, Any] = {
    "vnc-1": _dense(1),
    "vnc-3": _dense(3),
    "vnc-strokes": _stroked(STROKED_SHARE),
    "vnc-ten-strokes": _stroked(None),
    "nuclei-5": _nuclei,
}


def _network(task: Task, seconds: str, seed: int, config: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("images", "labels", "unseen"):
            (folder / name).mkdir()
        for i, codes in task.annotations.items():
            tifffile.imwrite(folder / "images" / f"{i:03}.tif", task.images[i])
            tifffile.imwrite(folder / "labels" / f"{i:03}.tif", codes)
        for i in task.truth:
            tifffile.imwrite(folder / "unseen" / f"{i:03}.tif", task.images[i])
        model = folder / "model.unet"
        train: list[Any] = [*PROGRAM, "train", folder / "images", "-l", folder / "labels"]
        train += ["-o", model, "--max-time", f"{seconds}s", "--seed", str(seed)]
        train += ["--config", config] if config else []
        began = time.perf_counter()
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        program_s = time.perf_counter() - began
        history = json.loads((model / "model.json").read_text())["history"]
        held_out = _spread_at_the_end(model / "history.csv")
        predict: list[Any] = [*PROGRAM, "predict", folder / "unseen", "-m", model]
        predict += ["-o", folder / "masks"]
        began = time.perf_counter()
        subprocess.run(predict, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        predict_s = time.perf_counter() - began
        answers = {i: open_stack(folder / "masks" / f"{i:03}.tif").plane(0)[0] for i in task.truth}
    return {
        "side": f"network, {seconds} s",
        "seed": seed,
        "steps": history["steps"],
        "training, s": history["seconds"],
        "program, s": round(program_s, 1),
        "prediction, s": round(predict_s, 1),
        **_scores(answers, task.truth),
        "held out, last fifth": held_out,
    }


def _spread_at_the_end(path: Path) -> str:
    """Return the range of the held-out scores in the last fifth of a training's time."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("held_out_mean_iou")]
    last = [
        float(row["held_out_mean_iou"])
        for row in rows
        if float(row["elapsed_s"]) >= 0.8 * float(rows[-1]["elapsed_s"])
    ]
    return f"± {(max(last) - min(last)) / 2:.4f} ({len(last)})" if last else ""


def _fitted(task: Task, seed: int, side: str, fit: Callable[..., Any]) -> dict[str, Any]:
    began = time.perf_counter()
    fitted = fit([task.images[i][None] for i in task.annotations], list(task.annotations.values()))
    trained = time.perf_counter()
    answers = {i: codes_to_masks(fitted.apply(task.images[i][None])) for i in task.truth}
    predicted = time.perf_counter()
    return {
        "side": side,
        "seed": seed,
        "steps": "",
        "training, s": round(trained - began, 1),
        "program, s": "",
        "prediction, s": round(predicted - trained, 1),
        **_scores(answers, task.truth),
        "held out, last fifth": "",
    }


def _scores(answers: dict[int, Codes], truth: dict[int, Codes]) -> dict[str, Any]:
    scored = evaluate(
        np.concatenate([answers[i].ravel() for i in truth])[None],
        np.concatenate([truth[i].ravel() for i in truth])[None],
        kind="masks",
    )
    return {"mean IoU": round(scored.mean_iou, 4), "IoU": round(scored.classes[-1].iou, 4)}


def _print_table(rows: list[dict[str, Any]]) -> None:
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in sorted(rows, key=lambda row: (row["side"], row["seed"])):
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print()
    for side in dict.fromkeys(row["side"] for row in rows):
        scores = [row["mean IoU"] for row in rows if row["side"] == side]
        print(f"{side}: mean {np.mean(scores):.4f}, from {min(scores)} to {max(scores)}")


if __name__ == "__main__":
    main()

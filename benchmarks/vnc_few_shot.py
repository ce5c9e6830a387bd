"""Membranes of the `vnc` stack from three annotated slices: network, forest and baselines.

All sides learn from the same slices and are scored on the others, in one run::

    UNETSEG_DATA=../shared/data python benchmarks/vnc_few_shot.py --max-time 120s

The network is trained by the command line, so its time includes starting the program and writing
the model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from forest import Forest

from napari_unetseg import evaluate, open_stack
from napari_unetseg.classical import METHODS, fit_baseline
from napari_unetseg.images import Stack, read_labels

Apply = Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]


def main() -> None:
    """Run every side and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-time", default="120s")
    parser.add_argument("--slices", default="0,7,14")
    parser.add_argument("--structure", default="membranes", choices=["membranes", "mitochondria"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="network, forest or baselines")
    parser.add_argument("--config", help="of the network")
    options = parser.parse_args()
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
    raw, truth = folder / "raw.ome.tif", folder / f"{options.structure}.ome.tif"
    stack = open_stack(raw)
    annotated = [int(n) for n in options.slices.split(",")]
    others = [n for n in range(stack.n_planes) if n not in annotated]
    masks = read_labels(truth, "masks", like=stack).codes - 1
    rows: list[dict[str, Any]] = []
    if options.only in ("", "network"):
        for seed in range(options.seeds):
            rows.append(_network(raw, truth, options, seed, masks[others], others))
            print(json.dumps(rows[-1]), file=sys.stderr)
    sides: dict[str, Callable[[Any, Any], Apply]] = {}
    if options.only in ("", "forest"):
        sides["random forest"] = lambda planes, codes: Forest(planes, codes).apply
    if options.only in ("", "baselines"):
        for name in METHODS:
            sides[name] = lambda planes, codes, name=name: fit_baseline(name, planes, codes).apply
    for name, fit in sides.items():
        rows.append(_other(name, fit, stack, masks, annotated, others))
        print(json.dumps(rows[-1]), file=sys.stderr)
    _print_table(rows)


def _network(
    raw: Path,
    truth: Path,
    options: argparse.Namespace,
    seed: int,
    expected: npt.NDArray[np.uint8],
    others: list[int],
) -> dict[str, Any]:
    program = [
        sys.executable,
        "-c",
        "import sys; from napari_unetseg.cli import main; sys.exit(main())",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        model, masks = f"{scratch}/model.unet", f"{scratch}/masks.tif"
        train = [*program, "train", raw, "-l", truth, "--labels-kind", "masks", "-o", model]
        train += ["--slices", options.slices, "--max-time", options.max_time, "--seed", str(seed)]
        if options.config:
            train += ["--config", options.config]
        began = time.perf_counter()
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        trained = time.perf_counter()
        predict = [*program, "predict", raw, "-m", model, "-o", masks]
        subprocess.run(predict, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        predicted = time.perf_counter()
        steps = json.loads(Path(model, "model.json").read_text())["history"]["steps"]
        answer = np.stack([plane[0] for plane in open_stack(masks).planes()])
    return {
        "side": f"network, seed {seed}, {steps} steps",
        "train_s": round(trained - began, 1),
        "predict_s": round(predicted - trained, 1),
        **_scores(answer[others], expected),
    }


def _other(
    name: str,
    fit: Callable[[Any, Any], Apply],
    stack: Stack,
    masks: npt.NDArray[np.uint8],
    annotated: list[int],
    others: list[int],
) -> dict[str, Any]:
    began = time.perf_counter()
    planes = [stack.plane(n) for n in annotated]
    apply = fit(planes, [masks[n] + np.uint8(1) for n in annotated])
    trained = time.perf_counter()
    answer = np.stack([apply(stack.plane(n)) for n in others]) - np.uint8(1)
    predicted = time.perf_counter()
    return {
        "side": name,
        "train_s": round(trained - began, 1),
        "predict_s": round(predicted - trained, 1),
        **_scores(answer, masks[others]),
    }


def _scores(answer: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> dict[str, Any]:
    scored = evaluate(answer, truth, kind="masks")
    return {"mean_iou": round(scored.mean_iou, 4), "iou": round(scored.classes[-1].iou, 4)}


def _print_table(rows: list[dict[str, Any]]) -> None:
    print("| side | training, s | prediction, s | mean IoU | IoU of the structure |")
    print("|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: -row["mean_iou"]):
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()

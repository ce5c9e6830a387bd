"""Mitochondria of the `vnc` stack from one annotated slice, with a model of its membranes at hand.

From scratch, after looking at the unlabelled slices, and each way to go on from the model; a budget
of seconds or of steps for each, scored on slices that neither this training nor the model's has
seen labels of, in one run::

    UNETSEG_DATA=../shared/data python benchmarks/transfer.py --seconds 20,60,120

Seconds are those of the training alone, reading the slices included. Where a machine is shared,
compare by steps (``--steps 50,100``), with the CPU seconds that they took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg import evaluate, load_model, open_stack, predict
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass, Recipe, TrainingConfig, default_class
from napari_unetseg.images import Labels, Stack, parse_slices, read_labels
from napari_unetseg.learning import Model, Trainer, TrainingImage

#: Slices that the base model learns from, the one annotated anew, and those that are scored.
BASE_SLICES, SLICE = "0,7,14", "10"
SCORED = (2, 4, 12, 17, 19)

SIDES: dict[str, dict[str, Any]] = {
    "from scratch": {},
    "unlabelled slices first": {"pretrain": 0.3},
    "all of the base": {"transfer": "all"},
    "its expanding path": {"transfer": "expanding"},
    "its head": {"transfer": "head"},
}


def main() -> None:
    """Run every side and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--seconds", type=numbers, default=[])
    budget.add_argument("--steps", type=numbers, default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--base", type=Path, help="a model of the membranes of those slices")
    parser.add_argument("--save-base", type=Path, help="where to keep the one trained here")
    parser.add_argument("--base-steps", type=int, default=300)
    parser.add_argument("--crop", type=int, default=0, help="of the slices, in px; 0: whole")
    parser.add_argument("--patch", type=int, default=0, help="side in px; 0: as the program does")
    parser.add_argument("--pretrain", type=float, default=0.3, help="share of the budget")
    options = parser.parse_args()
    SIDES["unlabelled slices first"]["pretrain"] = options.pretrain
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
    stack = cropped(open_stack(folder / "raw.ome.tif"), options.crop)
    base = load_model(options.base) if options.base else membranes(stack, folder, options)
    truth = labels(folder / "mitochondria.ome.tif", stack)
    image = annotated(stack, truth, SLICE)
    rows = []
    for seed in range(options.seeds):
        for most in options.steps or options.seconds:
            for side in options.sides.split(","):
                training = TrainingConfig(
                    steps=most if options.steps else None,
                    max_time_s=None if options.steps else most,
                    seed=seed,
                    patch_px=options.patch,
                    **SIDES[side],
                )
                row = {"side": side, "budget": most, "seed": seed}
                rows.append(row | measured(image, training, base, truth.codes))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    table(rows)


def numbers(text: str) -> list[int]:
    """Read ``20,60``."""
    return [int(n) for n in text.split(",")]


def cropped(stack: Stack, side: int) -> Stack:
    """Keep the upper left of every slice."""
    if not side:
        return stack
    pixels = np.stack([plane[0, :side, :side] for plane in stack.planes()])
    return Stack(pixels, "ZYX", stack.pixel_size_um)


def labels(path: Path, stack: Stack) -> Labels:
    """Read masks, cut as the stack is."""
    height, width = stack.plane_shape
    whole = read_labels(path, "masks", like=open_stack(path.with_name("raw.ome.tif")))
    return replace(whole, codes=whole.codes[:, :height, :width])


def annotated(stack: Stack, labels: Labels, slices: str) -> TrainingImage:
    """Keep the labels of some slices, and hold some of their blocks out."""
    chosen = parse_slices(slices, stack.n_planes)
    codes = np.zeros_like(labels.codes)
    codes[chosen] = labels.codes[chosen]
    blocks = new_blocks(codes.shape)
    assign_blocks(codes, blocks, stack, chosen)
    return TrainingImage(stack, codes, blocks)


def membranes(stack: Stack, folder: Path, options: argparse.Namespace) -> Model:
    """Train the model that is at hand."""
    image = annotated(stack, labels(folder / "membranes.ome.tif", stack), BASE_SLICES)
    training = TrainingConfig(steps=options.base_steps, max_time_s=None, patch_px=options.patch)
    classes = (LabelClass(name="membrane", color="#56b4e9"),)
    trainer = Trainer([image], Recipe(training=training), classes, name="membranes")
    for _ in trainer.run():
        pass
    model = trainer.current_model()
    if options.save_base:
        model.save(options.save_base)
    return model


def measured(
    image: TrainingImage, training: TrainingConfig, base: Model, codes: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Train and score one side."""
    began, began_cpu = time.time(), time.process_time()
    trainer = Trainer(
        [image],
        Recipe(training=training),
        (default_class(1).replace(name="mitochondrion"),),
        base=base if "transfer" in training.model_fields_set else None,
        started_at=began,
    )
    for _ in trainer.run():
        pass
    seconds, cpu = time.time() - began, time.process_time() - began_cpu
    model = trainer.current_model()
    stack = image.stack
    answer = [
        predict(Stack(stack.plane(n), "CYX", stack.pixel_size_um), model, device="cpu")
        for n in SCORED
    ]
    scored = evaluate(np.stack(answer), codes[list(SCORED)] - np.uint8(1), kind="masks")
    return {
        "steps": model.info.history["steps"],
        "looking": model.info.history["pretraining_steps"],
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu, 1),
        "mean_iou": round(scored.mean_iou, 4),
        "iou": round(scored.classes[-1].iou, 4),
    }


def table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table in Markdown, means over the seeds."""
    print("| budget | side | steps | CPU s | mean IoU | IoU of mitochondria |")
    print("|---|---|---|---|---|---|")
    for budget, side in dict.fromkeys((row["budget"], row["side"]) for row in rows):
        same = [row for row in rows if (row["budget"], row["side"]) == (budget, side)]
        steps, cpu, mean, iou = (
            sum(row[name] for row in same) / len(same)
            for name in ("steps", "cpu_s", "mean_iou", "iou")
        )
        print(f"| {budget} | {side} | {steps:.0f} | {cpu:.0f} | {mean:.3f} | {iou:.3f} |")


if __name__ == "__main__":
    main()

"""What becomes of a pretrained model on a few annotations: by how much better, and ever worse.

A base is trained on some strokes or whole slices and scored on images it has not seen, beside what
it answered before and, if asked, beside a network that starts from nothing::

    UNETSEG_DATA=../shared/data python benchmarks/fine_tuning.py --base membranes
    UNETSEG_DATA=../shared/data python benchmarks/fine_tuning.py --base nuclei --task nuclei
    UNETSEG_DATA=../shared/data python benchmarks/fine_tuning.py --base mitochondria

Annotations are named ``3s`` (three strokes) or ``1d`` (one image painted completely). Strokes go to
three images in turn, of structure and background in turn, the first of the structure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from few_shot import BRUSH_PX, LENGTH_PX, SLICES

from napari_unetseg import evaluate, load_model, open_stack
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import Recipe, TrainingConfig
from napari_unetseg.images import Stack, codes_to_masks, read_labels
from napari_unetseg.learning import Model, Predictor, Trainer, TrainingImage, objects_found
from napari_unetseg.learning.transfer import copy_weights, known_classes
from napari_unetseg.measure import ObjectMatcher
from napari_unetseg.networks import Network, build_network
from napari_unetseg.samples.strokes import Annotator
from napari_unetseg.synthesis.nuclei_images import split_names

Codes = npt.NDArray[np.uint8]

#: Slices of `vnc` that are scored, and images of nuclei.
SCORED, N_SCORED = (2, 4, 10, 12, 17, 19), 30


@dataclass(frozen=True, slots=True)
class Material:
    """Images to annotate and images to score, with the truth.

    Attributes
    ----------
    stacks : list of Stack
        Each of one slice.
    codes : list of ndarray, shape (1, Y, X), uint8
    ids : list of ndarray or None
        Of objects; None where classes alone are known.
    scored : list of (Stack, ndarray, ndarray or None)
        With codes and ids.
    """

    stacks: list[Stack]
    codes: list[Codes]
    ids: list[npt.NDArray[Any] | None]
    scored: list[tuple[Stack, Codes, npt.NDArray[Any] | None]]


def main() -> None:
    """Run every amount of annotation with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, help="name or folder of a model")
    parser.add_argument("--task", choices=["vnc", "nuclei"], default="vnc")
    parser.add_argument("--structure", default="", help="of vnc; as the base is called by default")
    parser.add_argument("--amounts", default="1s,3s,10s,30s,100s,1d,3d")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="of training")
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--scratch", action="store_true", help="start from nothing as well")
    options = parser.parse_args()
    base = load_model(options.base)
    rows = []
    for seed in range(options.seeds):
        material = _MATERIAL[options.task](options, seed)
        for amount in options.amounts.split(","):
            images = annotated(material, amount, seed)
            for side in (base, None) if options.scratch else (base,):
                row = measured(images, material, base, side, options, seed)
                rows.append({"annotated": amount, "seed": seed} | row)
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    table(rows)


def _vnc(options: argparse.Namespace, seed: int) -> Material:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
    stack = open_stack(folder / "raw.ome.tif")
    structure = options.structure or load_model(options.base).info.name
    truth = read_labels(folder / f"{structure}.ome.tif", "masks", like=stack).codes
    slices = {n: replace(stack, data=stack.plane(n), axes="CYX") for n in (*SLICES, *SCORED)}
    return Material(
        [slices[n] for n in SLICES],
        [truth[n : n + 1] for n in SLICES],
        [None] * len(SLICES),
        [(slices[n], truth[n : n + 1], None) for n in SCORED],
    )


def _nuclei(options: argparse.Namespace, seed: int) -> Material:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "nuclei"
    _, kept_out = split_names([path.name for path in (folder / "images").glob("*.png")])
    order = np.random.default_rng([seed, 5]).permutation(len(kept_out))
    read = []
    for index in order[: len(SLICES) + N_SCORED]:
        stack = open_stack(folder / "images" / kept_out[index])
        labels = read_labels(folder / "masks" / kept_out[index], "objects", like=stack)
        read.append((stack, labels.codes, labels.ids))
    few, others = read[: len(SLICES)], read[len(SLICES) :]
    return Material(
        [stack for stack, _, _ in few],
        [codes for _, codes, _ in few],
        [ids for _, _, ids in few],
        others,
    )


_MATERIAL: dict[str, Any] = {"vnc": _vnc, "nuclei": _nuclei}


def annotated(material: Material, amount: str, seed: int) -> list[TrainingImage]:
    """Paint so much, and decide what is held out."""
    n, dense = int(amount[:-1]), amount.endswith("d")
    painted = [np.zeros_like(codes) for codes in material.codes]
    if dense:
        for i in range(n):
            painted[i][...] = material.codes[i]
    else:
        painters = [
            Annotator(codes, seed + 7 * i, BRUSH_PX) for i, codes in enumerate(material.codes)
        ]
        for stroke in range(n):
            i, code = stroke % len(painters), 2 - stroke // len(painters) % 2
            painters[i].annotate(painted[i], 0, [code], LENGTH_PX)
    images = []
    for stack, codes, ids in zip(material.stacks, painted, material.ids, strict=True):
        if codes.any():
            blocks = new_blocks(codes.shape)
            assign_blocks(codes, blocks, stack)
            images.append(TrainingImage(stack, codes, blocks, ids if dense else None))
    return images


def measured(
    images: list[TrainingImage],
    material: Material,
    base: Model,
    start: Model | None,
    options: argparse.Namespace,
    seed: int,
) -> dict[str, Any]:
    """Train and score one side; the base's own score is that of a training of no steps."""
    training = TrainingConfig(
        steps=options.steps, max_time_s=None if options.steps else options.seconds, seed=seed
    )
    began, began_cpu = time.time(), time.process_time()
    trainer = Trainer(
        images, Recipe(training=training), base.info.classes, base=start, started_at=began
    )
    for _ in trainer.run():
        pass
    model = trainer.current_model()
    spent = {
        "seconds": round(time.time() - began, 1),
        "cpu_s": round(time.process_time() - began_cpu, 1),
    }
    row = {
        "side": "from the base" if start else "from nothing",
        "painted px": sum(int(np.count_nonzero(image.codes[:])) for image in images),
        "steps": model.info.history["steps"],
        **spent,
    }
    sides = {"before": replace(model, network=_as_it_began(model, base))} if start else {}
    for when, scored in (sides | {"after": model}).items():
        row[when], row[f"SEG {when}"] = score(scored, material)
    return row


def _as_it_began(model: Model, base: Model) -> Network:
    """Return what training of a model started from: it may see images reduced."""
    info = model.info
    network = build_network(info.recipe.network, len(info.channels), len(info.outputs))
    copy_weights(base, network, info.classes, known_classes(base, new_head=False))
    return network.eval().requires_grad_(False)


def score(model: Model, material: Material) -> tuple[float, float | None]:
    """Return the mean IoU on the images that are scored, and SEG where objects are known."""
    matcher, found, truth = ObjectMatcher(), [], []
    for n, (stack, codes, ids) in enumerate(material.scored):
        answer = Predictor(model, stack, device="cpu").answer(0, distances=ids is not None)
        found.append(answer.codes.ravel())
        truth.append(codes.ravel())
        if ids is not None:
            depth = None if answer.distances is None else answer.distances[None]
            matcher.add(ids[0], objects_found(model.info, answer.codes[None], depth)[0], n)
    masks = (codes_to_masks(np.concatenate(several))[None] for several in (found, truth))
    seg = round(matcher.scores().seg, 4) if matcher.scores().n_true else None
    return round(evaluate(*masks, kind="masks").mean_iou, 4), seg


def table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table in Markdown: means over the seeds, and the worst change."""
    print("| annotated | side | painted px | steps | before | after | worst change | SEG |")
    print("|---|---|---|---|---|---|---|---|")
    for amount, side in dict.fromkeys((row["annotated"], row["side"]) for row in rows):
        same = [row for row in rows if (row["annotated"], row["side"]) == (amount, side)]
        px, steps, after = (
            float(np.mean([row[name] for row in same])) for name in ("painted px", "steps", "after")
        )
        start = [row for row in same if "before" in row]
        before = f"{np.mean([row['before'] for row in start]):.3f}" if start else ""
        worst = f"{min(row['after'] - row['before'] for row in start):+.3f}" if start else ""
        seg = [
            f"{np.mean([row[name] for row in same]):.3f}"
            for name in ("SEG before", "SEG after")
            if same[0].get(name) is not None
        ]
        print(
            f"| {amount} | {side} | {px:,.0f} | {steps:.0f} | {before} | {after:.3f} | {worst} | "
            f"{' → '.join(seg)} |"
        )


if __name__ == "__main__":
    main()

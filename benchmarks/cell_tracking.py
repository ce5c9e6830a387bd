"""The results table of the U-Net paper: two sets of the Cell Tracking Challenge, both directions.

Learns from the completely annotated frames of one sequence and is scored on those of the other,
by SEG: the mean over true objects of the IoU with the object that covers more than half of it, 0
where none does (0.9203 for PhC-C2DH-U373 and 0.7756 for DIC-C2DH-HeLa in O. Ronneberger et al.,
MICCAI 2015, on the challenge's own test sequences)::

    UNETSEG_DATA=../shared/data python benchmarks/cell_tracking.py --max-time 30m

The challenge leaves out cells that lie within 50 px of the edges alone (every annotated one reaches
54 px or farther), so background there counts as unlabelled. Nothing else of the annotated frames
is held out. Reading, training and making the network ready are within the time; starting Python
and predicting are not.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_unetseg import open_stack
from napari_unetseg.cli.train import parse_duration
from napari_unetseg.config import Recipe, load_recipe
from napari_unetseg.events import TrainingStep
from napari_unetseg.images import Stack, read_labels
from napari_unetseg.learning import (
    Model,
    Predictor,
    Trainer,
    TrainingImage,
    objects_found,
)
from napari_unetseg.measure import ObjectMatcher, ObjectScores

SETS = ("PhC-C2DH-U373", "DIC-C2DH-HeLa")
OTHER = {"01": "02", "02": "01"}

#: Between the edges of a frame and the field of interest, of both sets.
MARGIN_PX = 50


def main() -> None:
    """Train and score every direction, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=SETS, action="append", help="both by default")
    parser.add_argument("--train", choices=tuple(OTHER), action="append", help="both by default")
    parser.add_argument("--max-time", default="30m", help="per direction")
    parser.add_argument("--steps", type=int, help="instead of a time")
    parser.add_argument("--config", default="default", help="a recipe, or the name of a preset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="folder for the models and predicted ids")
    parser.add_argument("--plain", action="store_true", help="do not flip and turn as well")
    options = parser.parse_args()
    views = (False,) if options.plain else (False, True)
    rows = [
        _direction(name, sequence, _recipe(options), views, options.save)
        for name in options.set or SETS
        for sequence in options.train or OTHER
    ]
    print(
        "| set | trained on | tested on | reduction | seconds | steps | objects | SEG | SEG, tta |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def _recipe(options: argparse.Namespace) -> Recipe:
    recipe = load_recipe(options.config)
    seconds = None if options.steps else parse_duration(options.max_time)
    budget = {"steps": options.steps, "max_time_s": seconds, "seed": options.seed}
    return recipe.replace(training=recipe.training.replace(**budget).model_dump())


def _direction(
    name: str, sequence: str, recipe: Recipe, views: tuple[bool, ...], folder: Path | None
) -> list[str]:
    began = time.time()
    trainer = Trainer(
        [annotated_frames(name, sequence)],
        recipe,
        read_labels(_file(name, sequence, "masks"), "objects").classes,
        name=f"{name}-{sequence}",
        device="cpu",
        started_at=began,
    )
    for event in trainer.run():
        if isinstance(event, TrainingStep) and event.step % 50 == 0:
            print(f"{name} {sequence} step {event.step} loss {event.loss:.3f}", flush=True)
    model, seconds = trainer.current_model(), time.time() - began
    image = annotated_frames(name, OTHER[sequence])
    scores = [_scored(model, image, tta, folder) for tta in views]
    row = [name, sequence, OTHER[sequence], str(model.info.recipe.network.reduction)]
    row += [f"{seconds:.0f}", str(model.info.history["steps"])]
    row += [str(scores[0].n_true), *(f"{score.seg:.4f}" for score in scores)]
    if folder is not None:
        model.save(folder / f"{name}-{sequence}.unet", overwrite=True)
    print(" ".join(row), flush=True)
    return row


def _scored(model: Model, image: TrainingImage, tta: bool, folder: Path | None) -> ObjectScores:
    matcher, found = ObjectMatcher(), {}
    predictor = Predictor(model, image.stack, device="cpu", tta=tta)
    for frame, answer in predictor.answers(image.annotated_planes(), distances=True):
        distances = None if answer.distances is None else answer.distances[None]
        found[str(frame)] = objects_found(model.info, answer.codes[None], distances)[0]
        matcher.add(_ids(image)[frame], found[str(frame)], frame)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / f"{model.info.name}{'-tta' * tta}.npz", **found)
    return matcher.scores()


def annotated_frames(name: str, sequence: str) -> TrainingImage:
    """Read a sequence; what nobody annotated is unlabelled."""
    stack: Stack = open_stack(_file(name, sequence, "images"))
    labels = read_labels(_file(name, sequence, "masks"), "objects", like=stack)
    lines = _file(name, sequence, "frames").read_text(encoding="utf-8").splitlines()[1:]
    complete = np.array([line.split()[4] == "yes" for line in lines])
    edges = np.ones(labels.codes.shape[1:], bool)
    edges[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = False
    unknown = ~complete[:, None, None] | (edges & (labels.ids == 0))
    return TrainingImage(stack, np.where(unknown, 0, labels.codes), None, labels.ids)


def _ids(image: TrainingImage) -> npt.NDArray[np.uint32]:
    if image.ids is None:
        raise ValueError(f"{image.stack.name} has no objects")
    return image.ids[:]


def _file(name: str, sequence: str, kind: str) -> Path:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "ctc"
    suffix = "txt" if kind == "frames" else "ome.tif"
    return folder / f"{name}_{sequence}_{kind}.{suffix}"


if __name__ == "__main__":
    main()

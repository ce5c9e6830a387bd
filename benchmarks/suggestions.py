"""What suggested regions are worth beside random ones.

In rounds, regions of 256 × 256 px are painted completely, a network is trained from the start (or
from a base) on all that is painted, and scored on images that are never painted on. Strategies
differ in which regions are painted next; the first one is random, and the same for all. Short
trainings differ by luck more than by what is painted: ``--trainings`` takes the mean of several::

    UNETSEG_DATA=../shared/data python benchmarks/suggestions.py --task vnc --json rows.jsonl
    UNETSEG_DATA=../shared/data python benchmarks/suggestions.py --task nuclei --json rows.jsonl
    python benchmarks/suggestions.py --json rows.jsonl --table

Each row is written when it is known; runs that are complete in the file are not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fine_tuning import N_SCORED, SCORED
from suggestion_curves import Row, print_tables
from suggestion_strategies import STRATEGIES, Painting, Pool, random_region

from napari_unetseg import evaluate, load_model, open_stack
from napari_unetseg.config import LabelClass, Recipe, TrainingConfig, default_class
from napari_unetseg.images import codes_to_masks, read_labels
from napari_unetseg.learning import Model, Predictor, Trainer, TrainingImage
from napari_unetseg.learning.candidates import Region
from napari_unetseg.synthesis.nuclei_images import split_names

Codes = npt.NDArray[np.uint8]

#: Regions painted after each round.
ROUNDS = (1, 2, 4, 7, 11, 16)

#: Width of the network: that which trainings of a minute have on a processor.
FILTERS = 8


def main() -> None:
    """Run what is not in the file yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=["vnc", "nuclei"], default="vnc")
    parser.add_argument("--base", default="", help="name or folder of a model to start from")
    parser.add_argument("--strategies", default="random,even,suggested", help=", ".join(STRATEGIES))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument(
        "--trainings", type=int, default=1, help="of a round: scores are their mean"
    )
    parser.add_argument("--json", type=Path, required=True, help="file of rows")
    parser.add_argument("--score", choices=["score", "by image"], default="score", help="in tables")
    parser.add_argument("--table", action="store_true", help="print what is in the file alone")
    options = parser.parse_args()
    if not options.table:
        for seed in map(int, options.seeds.split(",")):
            _run_seed(options, seed)
    print_tables(_rows(options.json), options.score)


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _run_seed(options: argparse.Namespace, seed: int) -> None:
    pool = _POOLS[options.task](seed)
    base = load_model(options.base) if options.base else None
    experiment = Experiment(pool, base, options.steps, seed, options.trainings)
    known = {name: getattr(options, name) for name in ("task", "base", "steps", "trainings")}
    known["seed"] = seed
    for strategy in options.strategies.split(","):
        this: Row = {**known, "strategy": strategy}
        same = [row for row in _rows(options.json) if this.items() <= row.items()]
        if any(row["regions"] == ROUNDS[-1] for row in same):
            continue
        for row in experiment.rounds(strategy):
            with options.json.open("a") as file:
                file.write(json.dumps(this | row) + "\n")
            print(this | row, flush=True)


def _vnc(seed: int) -> Pool:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "vnc"
    stack = open_stack(folder / "raw.ome.tif")
    truth = read_labels(folder / "mitochondria.ome.tif", "masks", like=stack).codes
    pool = [n for n in range(stack.n_planes) if n not in SCORED]
    pixels = np.concatenate([stack.plane(n) for n in pool])
    scored = [(replace(stack, data=stack.plane(n)[0], axes="YX"), truth[n : n + 1]) for n in SCORED]
    return Pool("mitochondria", [replace(stack, data=pixels, axes="ZYX")], [truth[pool]], scored)


def _nuclei(seed: int) -> Pool:
    folder = Path(os.environ.get("UNETSEG_DATA", "../shared/data")) / "nuclei"
    _, kept_out = split_names([path.name for path in (folder / "images").glob("*.png")])
    read = []
    for index in np.random.default_rng([seed, 5]).permutation(len(kept_out)):
        stack = open_stack(folder / "images" / kept_out[index])
        labels = read_labels(folder / "masks" / kept_out[index], "objects", like=stack)
        read.append((stack, labels.codes))
    others = read[N_SCORED:]
    return Pool("nuclei", [s for s, _ in others], [c for _, c in others], read[:N_SCORED])


_POOLS: dict[str, Callable[[int], Pool]] = {"vnc": _vnc, "nuclei": _nuclei}


class Experiment:
    """One seed of one task: all strategies have the same first region, and the network it makes."""

    def __init__(
        self, pool: Pool, base: Model | None, steps: int, seed: int, trainings: int = 1
    ) -> None:
        self._pool, self._base, self._steps, self._seed = pool, base, steps, seed
        self._trainings = trainings
        self._classes: tuple[LabelClass, ...] = (default_class(1).replace(name=pool.name),)
        self._first: tuple[Model, Row] | None = None

    def rounds(self, strategy: str) -> Iterator[Row]:
        """Paint, train and score, round after round."""
        painting, region = self._beginning()
        rng = np.random.default_rng([self._seed, 13])
        chosen, model, chose_s = [region], None, 0.0
        for total, following in zip(ROUNDS, (*ROUNDS[1:], None), strict=True):
            model, row = self._trained(painting, total)
            where = [[r.image, r.plane, r.y, r.x] for r in chosen]
            yield {"regions": total, **painting.counts, **row, "chose_s": chose_s, "new": where}
            if following is None:
                return
            began = time.time()
            chosen = STRATEGIES[strategy](painting, model, following - total, rng)
            chose_s = round(time.time() - began, 1)

    def _beginning(self) -> tuple[Painting, Region]:
        rng = np.random.default_rng([self._seed, 11])
        while True:
            painting = Painting(self._pool)
            region = random_region(painting, rng)
            if painting.begin(region):
                return painting, region

    def _trained(self, painting: Painting, total: int) -> tuple[Model, Row]:
        if total == ROUNDS[0] and self._first is not None:
            return self._first
        began = time.time()
        images = [image for image in painting.images if image.codes[:].any()]
        seeds = [self._seed + 1000 * n for n in range(self._trainings)]
        models = [self._train(images, seed) for seed in seeds]
        seconds = round(time.time() - began, 1)
        scores = [self._scores(model) for model in models]
        row: Row = {by: round(float(np.mean([s[by] for s in scores])), 4) for by in scores[0]}
        row["luck"] = round(float(np.std([s["score"] for s in scores])), 4)
        trained = models[0], {**row, "train_s": seconds}
        if total == ROUNDS[0]:
            self._first = trained
        return trained

    def _train(self, images: list[TrainingImage], seed: int) -> Model:
        training = TrainingConfig(steps=self._steps, max_time_s=None, seed=seed)
        recipe = Recipe(training=training)
        if self._base is None:
            network = recipe.network.replace(filters=FILTERS)
            recipe = recipe.replace(network=network.model_dump())
        trainer = Trainer(images, recipe, self._classes, base=self._base)
        for _ in trainer.run():
            pass
        return trainer.current_model()

    def _scores(self, model: Model) -> Row:
        """Return mean IoU over classes, of all pixels alike and of all images alike."""
        found, truth = [], []
        for stack, codes in self._pool.scored:
            found.append(codes_to_masks(Predictor(model, stack, device="cpu").codes(0)[None]))
            truth.append(codes_to_masks(codes))
        single = [_mean_iou(f, t) for f, t in zip(found, truth, strict=True)]
        pooled = _mean_iou(*(np.concatenate([m.ravel() for m in s])[None] for s in (found, truth)))
        return {"score": round(pooled, 4), "by image": round(float(np.mean(single)), 4)}


def _mean_iou(found: Codes, truth: Codes) -> float:
    return evaluate(found, truth, kind="masks").mean_iou


if __name__ == "__main__":
    main()

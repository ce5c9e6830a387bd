"""What suggested regions are worth beside random ones.

In rounds, regions of 256 × 256 px are painted completely, a network is trained from the start (or
from a base) on all that is painted, and scored on images that are never painted on. Strategies
differ in which regions are painted next; the first one is random, and the same for all::

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fine_tuning import N_SCORED, SCORED
from suggestion_curves import Row, print_tables

from napari_unetseg import evaluate, load_model, open_stack
from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass, Recipe, TrainingConfig, default_class
from napari_unetseg.images import Stack, codes_to_masks, read_labels
from napari_unetseg.learning import Model, Predictor, Suggester, Trainer, TrainingImage
from napari_unetseg.learning.candidates import (
    Nearness,
    Region,
    regions_of_slice,
    touched_share,
    touched_squares,
)
from napari_unetseg.learning.coverage import SAME_AGAIN, Coverage
from napari_unetseg.learning.region_features import standardised
from napari_unetseg.learning.suggestions import SIDE_PX
from napari_unetseg.synthesis.nuclei_images import split_names

Codes = npt.NDArray[np.uint8]

#: Regions painted after each round.
ROUNDS = (1, 2, 4, 7, 11, 16)

#: Px of each class that the first region needs in squares that train.
LEAST_PX = 1000

#: Width of the network: that which trainings of a minute have on a processor.
FILTERS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Images to paint on and images to score, with the truth."""

    name: str
    stacks: list[Stack]
    truth: list[Codes]
    scored: list[tuple[Stack, Codes]]


def main() -> None:
    """Run what is not in the file yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=["vnc", "nuclei"], default="vnc")
    parser.add_argument("--base", default="", help="name or folder of a model to start from")
    parser.add_argument("--strategies", default="random,even,suggested", help=", ".join(STRATEGIES))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, required=True, help="file of rows")
    parser.add_argument("--table", action="store_true", help="print what is in the file alone")
    options = parser.parse_args()
    if not options.table:
        for seed in map(int, options.seeds.split(",")):
            _run_seed(options, seed)
    print_tables(_rows(options.json))


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _run_seed(options: argparse.Namespace, seed: int) -> None:
    pool = _POOLS[options.task](seed)
    base = load_model(options.base) if options.base else None
    experiment = Experiment(pool, base, options.steps, seed)
    known = {"task": options.task, "base": options.base, "steps": options.steps, "seed": seed}
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


class Painting:
    """What has been painted so far."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.images = [
            TrainingImage(stack, np.zeros_like(truth), new_blocks(truth.shape))
            for stack, truth in zip(pool.stacks, pool.truth, strict=True)
        ]

    def paint(self, region: Region) -> None:
        """Copy a region of the truth; what is held out of it is decided as in the window."""
        image = self.images[region.image]
        where = region.plane, *region.cells(1)
        image.codes[where] = self._pool.truth[region.image][where]
        assert image.blocks is not None
        assign_blocks(image.codes, image.blocks, image.stack, [region.plane])

    def is_free(self, region: Region) -> bool:
        """Tell whether hardly anything of a region is painted, as suggestions have to be."""
        squares = touched_squares(self.images[region.image], region.plane)
        return touched_share(region, squares) < SAME_AGAIN

    def begin(self, region: Region) -> bool:
        """Paint the first region; return whether a network can learn from it alone."""
        self.paint(region)
        image = self.images[region.image]
        trains = image.codes[region.plane][~image.held_out(region.plane, boxes=False)]
        return all(np.count_nonzero(trains == code) >= LEAST_PX for code in (1, 2))

    @property
    def counts(self) -> Row:
        """How much is painted, and of it the share of the structure."""
        px = sum(int(np.count_nonzero(image.codes)) for image in self.images)
        inside = sum(int(np.count_nonzero(image.codes > 1)) for image in self.images)
        return {"px": px, "structure": round(inside / px, 4)}


class Experiment:
    """One seed of one task: all strategies have the same first region, and the network it makes."""

    def __init__(self, pool: Pool, base: Model | None, steps: int, seed: int) -> None:
        self._pool, self._base, self._steps, self._seed = pool, base, steps, seed
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
        model = self._train([image for image in painting.images if image.codes.any()])
        seconds = round(time.time() - began, 1)
        trained = model, {"score": self._score(model), "train_s": seconds}
        if total == ROUNDS[0]:
            self._first = trained
        return trained

    def _train(self, images: list[TrainingImage]) -> Model:
        training = TrainingConfig(steps=self._steps, max_time_s=None, seed=self._seed)
        recipe = Recipe(training=training)
        if self._base is None:
            network = recipe.network.replace(filters=FILTERS)
            recipe = recipe.replace(network=network.model_dump())
        trainer = Trainer(images, recipe, self._classes, base=self._base)
        for _ in trainer.run():
            pass
        return trainer.current_model()

    def _score(self, model: Model) -> float:
        found, truth = [], []
        for stack, codes in self._pool.scored:
            found.append(Predictor(model, stack, device="cpu").codes(0).ravel())
            truth.append(codes.ravel())
        masks = (codes_to_masks(np.concatenate(several))[None] for several in (found, truth))
        return round(evaluate(*masks, kind="masks").mean_iou, 4)


def random_region(painting: Painting, rng: np.random.Generator) -> Region:
    """Draw a region that is free; larger images have their share of them."""
    areas = np.array([image.codes.size for image in painting.images], float)
    while True:
        i = int(rng.choice(len(areas), p=areas / areas.sum()))
        stack = painting.images[i].stack
        regions = regions_of_slice(i, stack, int(rng.integers(stack.n_planes)), SIDE_PX)
        region = regions[int(rng.integers(len(regions)))]
        if painting.is_free(region):
            return region


def at_random(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint any regions."""
    chosen = []
    for _ in range(n):
        chosen.append(random_region(painting, rng))
        painting.paint(chosen[-1])
    return chosen


def evenly(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint regions far apart: along all slices in turn by the golden ratio."""
    tiles = [
        region
        for i, image in enumerate(painting.images)
        for plane in range(image.stack.n_planes)
        for region in regions_of_slice(i, image.stack, plane, SIDE_PX)
        if not (region.y % SIDE_PX or region.x % SIDE_PX)
    ]
    chosen: list[Region] = []
    at = float(rng.random())
    while len(chosen) < n:
        at = (at + (5**0.5 - 1) / 2) % 1
        region = tiles[int(at * len(tiles))]
        if painting.is_free(region):
            painting.paint(region)
            chosen.append(region)
    return chosen


def suggested(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint what the program suggests."""
    suggester = _looked(painting, model)
    chosen = [Region(s.image, s.plane, s.y, s.x, s.height, s.width) for s in suggester.ranked(n)]
    for region in chosen:
        painting.paint(region)
    return chosen


def by_texture(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint what the program suggests as long as there is no model."""
    return suggested(painting, None, n, rng)  # type: ignore[arg-type]


def by_coverage(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint as suggested, with all regions worth the same."""
    return _ranked_by(painting, model, n, lambda seen: 1.0)


def by_entropy(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint where pixels are uncertain, whatever it is like."""
    return _ranked_by(painting, model, n, lambda seen: seen.entropy, coverage=False)


def by_variety(painting: Painting, model: Model, n: int, rng: np.random.Generator) -> list[Region]:
    """Paint where the model finds all classes, whatever it is like."""
    return _ranked_by(painting, model, n, lambda seen: seen.worth, coverage=False)


def _looked(painting: Painting, model: Model | None) -> Suggester:
    suggester = Suggester(painting.images, model)
    for _ in suggester.look():
        pass
    return suggester


def _ranked_by(
    painting: Painting,
    model: Model,
    n: int,
    worth_of: Callable[[Any], float],
    *,
    coverage: bool = True,
) -> list[Region]:
    """Paint regions by another measure; without coverage each stands for itself alone."""
    suggester = _looked(painting, model)
    worth = np.array([worth_of(seen) for seen in suggester.seen])
    annotated = np.array([seen.annotated for seen in suggester.seen])
    descriptions = standardised(suggester.descriptions)
    if not coverage:
        descriptions = 1e6 * np.eye(len(worth))
    nearness = Nearness([image.stack for image in painting.images])
    ranking = Coverage(suggester.regions, descriptions, annotated, worth, nearness)
    chosen = []
    for index, _ in ranking.choose(annotated < SAME_AGAIN):
        chosen.append(suggester.regions[index])
        painting.paint(chosen[-1])
        if len(chosen) == n:
            break
    return chosen


STRATEGIES: dict[str, Callable[..., list[Region]]] = {
    "random": at_random,
    "even": evenly,
    "suggested": suggested,
    "texture": by_texture,
    "coverage": by_coverage,
    "entropy": by_entropy,
    "variety": by_variety,
}

if __name__ == "__main__":
    main()

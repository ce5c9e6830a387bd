"""What an annotator in an experiment has painted, and which regions come next by which strategy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from suggestion_curves import Row

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.images import Stack
from napari_unetseg.learning import Model, Suggester, TrainingImage
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

Codes = npt.NDArray[np.uint8]

#: Px of each class that the first region needs in squares that train.
LEAST_PX = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Images to paint on and images to score, with the truth."""

    name: str
    stacks: list[Stack]
    truth: list[Codes]
    scored: list[tuple[Stack, Codes]]


class Painting:
    """What has been painted so far."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._codes = [np.zeros_like(truth) for truth in pool.truth]
        self.images = [
            TrainingImage(stack, codes, new_blocks(codes.shape))
            for stack, codes in zip(pool.stacks, self._codes, strict=True)
        ]

    def paint(self, region: Region) -> None:
        """Copy a region of the truth; what is held out of it is decided as in the window."""
        image = self.images[region.image]
        where = region.plane, *region.cells(1)
        codes = self._codes[region.image]
        codes[where] = self._pool.truth[region.image][where]
        assert image.blocks is not None
        assign_blocks(codes, image.blocks, image.stack, [region.plane])

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
        px = sum(int(np.count_nonzero(codes)) for codes in self._codes)
        inside = sum(int(np.count_nonzero(codes > 1)) for codes in self._codes)
        return {"px": px, "structure": round(inside / px, 4)}


def random_region(painting: Painting, rng: np.random.Generator) -> Region:
    """Draw a region that is free; larger images have their share of them."""
    areas = np.array([math.prod(image.codes.shape) for image in painting.images], float)
    while True:
        i = int(rng.choice(len(areas), p=areas / areas.sum()))
        stack = painting.images[i].stack
        regions = regions_of_slice(i, stack, int(rng.integers(stack.n_planes)), SIDE_PX)
        region = regions[int(rng.integers(len(regions)))]
        if painting.is_free(region):
            return region


def at_random(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint any regions."""
    chosen = []
    for _ in range(n):
        chosen.append(random_region(painting, rng))
        painting.paint(chosen[-1])
    return chosen


def evenly(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
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


def suggested(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint what the program suggests."""
    suggester = _looked(painting, model)
    chosen = [Region(s.image, s.plane, s.y, s.x, s.height, s.width) for s in suggester.ranked(n)]
    for region in chosen:
        painting.paint(region)
    return chosen


def by_texture(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint what the program suggests as long as there is no model."""
    return suggested(painting, None, n, rng)


def by_coverage(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint as suggested, with all regions worth the same."""
    return _ranked_by(painting, model, n, lambda seen: 1.0)


def by_entropy(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint where pixels are uncertain, whatever it is like."""
    return _ranked_by(painting, model, n, lambda seen: seen.entropy, coverage=False)


def by_variety(
    painting: Painting, model: Model | None, n: int, rng: np.random.Generator
) -> list[Region]:
    """Paint where the model finds all classes, whatever it is like."""
    return _ranked_by(painting, model, n, lambda seen: seen.worth, coverage=False)


def _looked(painting: Painting, model: Model | None) -> Suggester:
    suggester = Suggester(painting.images, model)
    for _ in suggester.look():
        pass
    return suggester


def _ranked_by(
    painting: Painting,
    model: Model | None,
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

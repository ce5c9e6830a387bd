"""Where annotating is worth most next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import NormalisationConfig
from napari_unetseg.images import fit_normalisation, is_scale_open

from .bundle import Model
from .candidates import Nearness, Region, regions_of_slice, touched_share, touched_squares
from .coverage import SAME_AGAIN, Coverage
from .data import TrainingImage
from .placement import Device, choose_device
from .predictor import Predictor
from .reasons import Reasons, Seen
from .region_features import SliceMaps, described, maps_of, standardised

#: Side of a region.
SIDE_PX = 256

#: Slices that are looked at, evenly spread, and those in which something is annotated.
MOST_SLICES = 128


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A part of a slice that is worth annotating.

    Attributes
    ----------
    image : int
        Which of the images.
    plane : int
        Along the flattened T · Z axis.
    y, x, height, width : int
        In px.
    score : float
        What is gained by it, ÷ by the first suggestion: 1 and less.
    reason : str
        For a person, in a few words.
    """

    image: int
    plane: int
    y: int
    x: int
    height: int
    width: int
    score: float
    reason: str


class Suggester:
    """Ranks the regions of some images by what annotating them would gain.

    Those come first that are like most of what nothing annotated is like yet, in texture and in
    what the model finds there (`Coverage`). What the model is uncertain of, and where it finds
    several classes, counts most (`Seen.worth`). None of them is nearly the same as another, in the
    same slice or in those beside it, and none is annotated already. Without a model texture alone
    counts.

    ::

        suggester = Suggester(images, model)
        for done in suggester.look():
            ...  # of `n_slices`; closing the generator cancels
        suggester.ranked(10)

    Parameters
    ----------
    images : sequence of TrainingImage
        With the same number of channels; annotated or not.
    model : Model, optional
        What was learned so far, or a base.
    side_px : int
        Of a region; a smaller slice is a region itself.
    device : str or Device
    resample : bool
        As of `Predictor`: for a model that was made of other images.

    Attributes
    ----------
    regions : list of Region
        Of the slices that have been looked at, half overlapping.
    descriptions : list of ndarray, shape (numbers,)
        Of the regions.
    seen : list of Seen
        What else is known of them.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        model: Model | None = None,
        *,
        side_px: int = SIDE_PX,
        device: str | Device = "auto",
        resample: bool = False,
    ) -> None:
        self._images = images
        self._model = model
        self._side = side_px
        self._device = choose_device(device) if isinstance(device, str) else device
        self._resample = resample
        self._scale: float | None = None
        self._planes = _planes_to_look_at(images)
        self.regions: list[Region] = []
        self.descriptions: list[npt.NDArray[np.float32]] = []
        self.seen: list[Seen] = []

    @property
    def n_slices(self) -> int:
        """How many slices are looked at."""
        return sum(len(planes) for planes in self._planes)

    def look(self) -> Iterator[int]:
        """Look at the slices.

        Yields
        ------
        int
            How many have been looked at.

        Raises
        ------
        UserError
            If an image does not fit the model.
        """
        self.regions, self.descriptions, self.seen = [], [], []
        done = 0
        for index, planes in enumerate(self._planes):
            for plane, maps in self._slices(self._images[index], planes):
                self._add(index, plane, maps)
                done += 1
                yield done

    def ranked(self, n: int = 10) -> list[Suggestion]:
        """Return at most `n` regions of what has been looked at, the most worthwhile first."""
        if not self.regions:
            return []
        annotated = np.array([seen.annotated for seen in self.seen])
        nearness = Nearness([image.stack for image in self._images])
        worth = np.array([seen.worth for seen in self.seen])
        descriptions = standardised(self.descriptions)
        coverage = Coverage(self.regions, descriptions, annotated, worth, nearness)
        chosen = list(islice(coverage.choose(annotated < SAME_AGAIN), n))
        names = () if self._model is None else tuple(c.name for c in self._model.info.classes)
        reasons = Reasons(self.seen, coverage.by_annotated, names)
        most = max((gain for _, gain in chosen), default=0.0) or 1.0
        return [self._suggestion(i, gain / most, reasons.of(i)) for i, gain in chosen]

    def _suggestion(self, index: int, score: float, reason: str) -> Suggestion:
        r = self.regions[index]
        return Suggestion(r.image, r.plane, r.y, r.x, r.height, r.width, round(score, 4), reason)

    def _slices(
        self, image: TrainingImage, planes: Sequence[int]
    ) -> Iterator[tuple[int, SliceMaps]]:
        """Measure slices one after the other."""
        model, stack = self._model, image.stack
        config = NormalisationConfig() if model is None else model.info.recipe.normalisation
        normalisation = fit_normalisation(stack, config)
        if model is None:
            for plane in planes:
                yield plane, maps_of(normalisation.apply(stack.plane(plane)), None)
            return
        is_open = self._resample and is_scale_open(model.info, stack)
        predictor = Predictor(
            model,
            stack,
            device=self._device,
            resample=self._resample,
            scale=self._scale if is_open else None,
            normalisation=normalisation,
        )
        if is_open:  # images of one experiment are alike, and looking for it takes a second
            self._scale = predictor.scale
        for plane, answer in predictor.answers(planes, probabilities=True):
            pixels = normalisation.apply(stack.plane(plane))
            yield plane, maps_of(pixels, answer.probabilities)

    def _add(self, index: int, plane: int, maps: SliceMaps) -> None:
        image = self._images[index]
        squares = touched_squares(image, plane)
        codes = frozenset(np.unique(image.codes[plane]).tolist()) if squares.any() else frozenset()
        for region in regions_of_slice(index, image.stack, plane, self._side):
            self.regions.append(region)
            self.descriptions.append(described(maps, region))
            self.seen.append(Seen.of(region, maps, touched_share(region, squares), codes))


def suggest_regions(
    images: Sequence[TrainingImage],
    model: Model | None = None,
    n: int = 10,
    *,
    side_px: int = SIDE_PX,
    device: str | Device = "auto",
) -> list[Suggestion]:
    """Suggest what to annotate next; `Suggester` tells how far it is and can be cancelled."""
    suggester = Suggester(images, model, side_px=side_px, device=device)
    for _ in suggester.look():
        pass
    return suggester.ranked(n)


def _planes_to_look_at(images: Sequence[TrainingImage]) -> list[list[int]]:
    """List slices by image: evenly spread over all, and those in which something is annotated."""
    every = [(i, plane) for i, image in enumerate(images) for plane in range(len(image.codes))]
    n = min(len(every), MOST_SLICES)
    spread = {every[(2 * j + 1) * len(every) // (2 * n)] for j in range(n)}
    chosen = spread | {(i, p) for i, image in enumerate(images) for p in _begun_planes(image)}
    return [sorted(p for i, p in chosen if i == index) for index in range(len(images))]


def _begun_planes(image: TrainingImage) -> list[int]:
    """List slices in which something is or was annotated, without reading what."""
    if image.blocks is None:
        return image.annotated_planes()
    found: list[int] = np.flatnonzero(image.blocks.any(axis=(1, 2))).tolist()
    return found

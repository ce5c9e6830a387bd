"""Networks in a comparison: models as they are, and one trained for it. Imports torch."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np

from napari_unetseg.classical.mapping import N_CODES, best_mapping, contingency, lookup
from napari_unetseg.config import BACKGROUND, UNLABELLED, LabelClass, Recipe, find_model
from napari_unetseg.errors import UserError
from napari_unetseg.events import TrainingStep
from napari_unetseg.images import fingerprint
from napari_unetseg.learning import (
    Device,
    Model,
    Predictor,
    Trainer,
    TrainingImage,
    load_model,
)
from napari_unetseg.learning.model_previews import agreement_counted
from napari_unetseg.measure import ConfusionMatrix
from napari_unetseg.wording import counted

from .contestant import Clock, Contestant, Fitted, Kind, OutOfTime
from .split import Codes, Part, Where, evenly

#: Training for less time than this teaches a network nothing.
LEAST_TRAINING_S = 6.0

#: Slices that are segmented to see what a model's classes are called here.
_NAMED_ON = 3

#: A base model that agrees less than this with what is annotated is none to start from: about what
#: calling everything one class comes to.
_LEAST_AGREEMENT = 0.5

#: Name of the network that is trained.
TRAINED = "network"


class ModelAtHand(Contestant):
    """A model as it is.

    Where its classes have other names than those annotated, annotations decide which is which:
    those that may be seen.

    Parameters
    ----------
    model : str or Path
        A folder, or the name of a model that comes with the package.
    classes : sequence of LabelClass
        Of the annotations.
    device : Device

    Attributes
    ----------
    fits : float
        As `agreement` was when it was looked at; 0 where it could not be.
    """

    kind: ClassVar[Kind] = "model"

    def __init__(self, model: str | Path, classes: Sequence[LabelClass], device: Device) -> None:
        folder = find_model(model)
        super().__init__(f"model:{folder.stem}", f"Model {folder.stem}", needs_labels=False)
        self.folder = folder
        self.fits = 0.0
        self._classes = classes
        self._device = device
        self._model: Model | None = None
        self._predictors: dict[int, Predictor] = {}
        self._answered: dict[Where, Codes] = {}

    @property
    def prepare_s(self) -> float:
        """Seconds until it can segment; it is loaded once, whatever it is tried on."""
        return self.preparing.seconds

    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Load the model, and find out what its classes are called here."""
        yield from ()
        codes, _ = self._understood(part, clock)
        meant = np.array([UNLABELLED, *codes], np.uint8)

        def segment(image: int, planes: Sequence[int]) -> Iterator[Codes]:
            for plane in planes:
                yield meant[self._answer(part, (image, plane))]

        same = codes == list(range(BACKGROUND, BACKGROUND + len(codes)))
        said = [self._note(part), _swapped(self.loaded().class_names, codes)]
        note = " ".join(sentence for sentence in said if sentence)
        return Fitted(segment, None, str(self.folder), None if same else codes, note)

    def _note(self, part: Part) -> str:
        """Say what it may have seen of what it is scored on.

        Raises
        ------
        UserError
            If it has learned from all of it.
        """
        known = {data.get("fingerprint") for data in self.loaded().info.data}
        if not known & {fingerprint(image.stack) for image in part.images}:
            return ""
        if part.split.kind != "held out":
            raise UserError("it has learned from these annotations, and none of them are held out")
        network = self.loaded().network
        if network.spatial_dims == 3 or network.neighbours:
            return "It has learned from these images, and may have seen what it is scored on."
        return (
            "It has learned from these images; what it is scored on was held out then, too, "
            "unless the annotations have been replaced since."
        )

    def loaded(self) -> Model:
        """Return the model."""
        if self._model is None:
            with self.preparing.running():
                self._model = load_model(self.folder)
        return self._model

    def look(self, part: Part, clock: Clock) -> None:
        """Segment a few slices, to know early how well it fits; one that does not fit is let be."""
        with suppress(UserError, OutOfTime):
            self.fits = self.agreement(part, clock)

    def agreement(self, part: Part, clock: Clock) -> float:
        """Return how well it agrees with what may be seen, in [0, 1].

        As `learning.model_previews` has it: classes may have other names.
        """
        return self._understood(part, clock)[1]

    def _understood(self, part: Part, clock: Clock) -> tuple[list[int], float]:
        """Return which codes of the annotations the model's codes 1, 2, … mean, and `agreement`."""
        names = self.loaded().class_names
        table = np.zeros((N_CODES, N_CODES), np.int64)
        for where in evenly(list(part.split.folds), _NAMED_ON):
            clock.require()
            table += contingency(self._answer(part, where), part.training(where))
        table[:, UNLABELLED] = 0
        ours = {c.name: k for k, c in enumerate(self._classes, start=BACKGROUND + 1)}
        mapping = {c: ours.get(name, BACKGROUND) for c, name in enumerate(names, start=BACKGROUND)}
        if not ours.keys() <= set(names):
            mapping = best_mapping(table)[0]
        matrix = ConfusionMatrix(N_CODES - 1)
        matrix.counts += table.T
        meant = lookup(mapping)[BACKGROUND : BACKGROUND + len(names)]
        return [int(code) for code in meant], agreement_counted(matrix) or 0.0

    def _answer(self, part: Part, where: Where) -> Codes:
        if where not in self._answered:
            image, plane = where
            if image not in self._predictors:
                with self.preparing.running():
                    self._predictors[image] = Predictor(
                        self.loaded(), part.images[image].stack, device=self._device, resample=True
                    )
            with self.segmenting.running():
                self._answered[where] = self._predictors[image].codes(plane)
        return self._answered[where]


def _swapped(names: Sequence[str], codes: Sequence[int]) -> str:
    """Say so where background is what a model finds, and what it finds is background."""
    if codes != [BACKGROUND + 1, BACKGROUND]:
        return ""
    return (
        f"Its classes are swapped: what it calls {names[1]} is background here, which fits the "
        "annotations that it may see better; used as it is, it answers the wrong way round."
    )


class TrainedHere(Contestant):
    """A network trained on what may be seen.

    Parameters
    ----------
    bases : sequence of ModelAtHand
        To start from; that which agrees best with what may be seen, if any does.
    classes : tuple of LabelClass
    recipe : Recipe
        Where it names no steps, the network is trained as long as there is time.
    device : Device
    path : Path or None
        Where to keep the model.
    """

    kind: ClassVar[Kind] = "network"

    def __init__(
        self,
        bases: Sequence[ModelAtHand],
        classes: tuple[LabelClass, ...],
        recipe: Recipe,
        device: Device,
        path: Path | None,
    ) -> None:
        super().__init__(TRAINED, "U-Net trained here", needs_labels=True)
        self._bases = bases
        self._classes = classes
        self._recipe = recipe
        self._device = device
        self._path = path

    def fit(self, part: Part, clock: Clock) -> Generator[float, None, Fitted]:
        """Train."""
        base = self._base(part, clock)
        with self.preparing.running():
            trainer = Trainer(
                [
                    # Nothing is held out of this: what is held out is not even in it.
                    TrainingImage(image.stack, part.training_codes(i))
                    for i, image in enumerate(part.images)
                ],
                self._fitting_recipe(self._for_training(part, clock, base)),
                self._classes,
                name=TRAINED if self._path is None else self._path.stem,
                base=None if base is None else base.loaded(),
                device=self._device,
                started_at=time.time(),
            )
            for event in trainer.run():
                clock.left_s()  # where somebody may have stopped it
                if isinstance(event, TrainingStep):
                    yield event.fraction
            model = trainer.current_model()
        if self._path is not None:
            model.save(self._path, overwrite=True)
        kept = None if self._path is None else str(self._path)
        started = "from nothing" if base is None else f"from the model {base.folder.stem}"
        steps = int(model.info.history["steps"])
        note = f"Trained {started} for {counted(steps, 'step')}."
        predictors: dict[int, Predictor] = {}

        def segment(image: int, planes: Sequence[int]) -> Iterable[Codes]:
            if image not in predictors:
                stack = part.images[image].stack
                predictors[image] = Predictor(model, stack, device=self._device)
            answers = (predictors[image].codes(plane) for plane in planes)
            return self.segmenting.each(answers)

        return Fitted(segment, None, kept, None, note)

    def _base(self, part: Part, clock: Clock) -> ModelAtHand | None:
        fits = {base: base.agreement(part, clock) for base in self._bases if base.fits}
        best = max(fits, key=lambda base: fits[base], default=None)
        return None if best is None or fits[best] < _LEAST_AGREEMENT else best

    def _for_training(self, part: Part, clock: Clock, base: ModelAtHand | None) -> float:
        """Return the seconds left once the slices have been segmented, too."""
        px = sum(np.prod(part.images[i].stack.plane_shape) for i, _ in part.scored_slices)
        # As a network of this size takes on two cores, where no other has shown how long.
        slice_s = 0.4e-6 * px / max(1, len(part.scored_slices))
        if base is not None and base.segmenting.n:
            slice_s = base.segmenting.mean_s
        left = 0.95 * clock.left_s() - 1.5 * slice_s * len(part.scored_slices)
        if left < LEAST_TRAINING_S and self._recipe.training.steps is None:
            raise OutOfTime
        return left

    def _fitting_recipe(self, seconds: float) -> Recipe:
        training = self._recipe.training
        if training.steps is not None:
            return self._recipe
        return self._recipe.replace(training=training.replace(max_time_s=seconds).model_dump())


def models_at_hand(
    models: Iterable[str | Path], classes: Sequence[LabelClass], device: Device
) -> list[ModelAtHand]:
    """Return models, each once.

    Raises
    ------
    UserError
        If one is not there.
    """
    found: dict[Path, ModelAtHand] = {}
    names: dict[str, Path] = {}
    for model in models:
        one = ModelAtHand(model, classes, device)
        if names.setdefault(one.name, one.folder) != one.folder:
            raise UserError(
                f"Two models are called {one.folder.stem}: {names[one.name]} and {one.folder}; "
                "rename one of them, or compare them one after the other."
            )
        found.setdefault(one.folder, one)
    return list(found.values())

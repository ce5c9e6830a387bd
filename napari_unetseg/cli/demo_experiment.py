"""The experiment of ``napari-unetseg demo``: the whole loop, with a simulated annotator."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.classical import METHODS, fit_baseline
from napari_unetseg.config import Recipe
from napari_unetseg.measure import ConfusionMatrix, Scores, scores
from napari_unetseg.samples import Annotator, Stroke, em_stack
from napari_unetseg.wording import counted

from .demo_result import BEFORE, CONTROL, CORRECTED, Codes, DemoResult, DemoSettings, Stage
from .threads import wait_briefly

if TYPE_CHECKING:
    from napari_unetseg.learning import Model

#: Classical methods that are fitted beside the networks: some of every kind that takes seconds.
BASELINES = ("otsu", "threshold", "canny", "sobel", "kmeans")


def run_demo(settings: DemoSettings) -> Generator[Stage, None, DemoResult]:
    """Annotate a generated stack, fit baselines, train, correct, train again, and score it all.

    Every method gets the same three annotated slices. The baselines are fitted on the complete
    truth of them, the network sees only strokes.

    Yields
    ------
    Stage
        How far it is.

    Returns
    -------
    DemoResult
    """
    experiment = _Experiment(settings)
    yield from experiment.generate()
    yield from experiment.fit_baselines()
    yield from experiment.load()
    before = yield from experiment.train("Training on the strokes", BEFORE)
    yield from experiment.correct(before)
    yield from experiment.train("Training on without corrections", CONTROL, base=before)
    experiment.accept_corrections()
    after = yield from experiment.train("Training on with corrections", CORRECTED, base=before)
    return experiment.result(after)


class _Experiment:
    """The state between the stages."""

    def __init__(self, settings: DemoSettings) -> None:
        self._settings = settings
        self._segmentations: dict[str, dict[int, Codes]] = {}
        self._parameters: dict[str, dict[str, Any]] = {}
        self._seconds: dict[str, float] = {}
        self._corrections: list[Stroke] = []

    def generate(self) -> Generator[Stage, None, None]:
        """Make the stack and the first strokes."""
        settings, title = self._settings, "Generating the stack and painting strokes"
        start = time.monotonic()
        yield Stage(title, 0.0)
        self._sample = em_stack(settings.seed, settings.shape)
        self._annotator = Annotator(self._sample.codes, settings.seed)
        self._annotations = np.zeros_like(self._sample.codes)
        self._strokes = [
            stroke
            for plane in settings.annotated
            for stroke in self._annotator.annotate(
                self._annotations, plane, settings.strokes, settings.stroke_px
            )
        ]
        self._codes = self._annotations
        self._blocks = new_blocks(settings.shape)
        assign_blocks(self._codes, self._blocks, self._sample.image)
        self._seconds["generating"] = time.monotonic() - start
        painted = np.count_nonzero(self._annotations) / self._annotations.size
        yield Stage(title, 1.0, f"{len(self._strokes)} strokes, {painted:.2%} of the stack")

    def fit_baselines(self) -> Generator[Stage, None, None]:
        """Fit some classical methods on the annotated slices and apply them to the others."""
        stack, settings = self._sample.image, self._settings
        start = time.monotonic()
        for i, name in enumerate(BASELINES):
            title = METHODS[name].title
            yield Stage("Fitting baselines", i / len(BASELINES), title)
            fitted = fit_baseline(
                name,
                [stack.plane(plane) for plane in settings.annotated],
                [self._sample.codes[plane] for plane in settings.annotated],
            )
            self._parameters[title] = fitted.params.model_dump()
            self._segmentations[title] = {
                plane: fitted.apply(stack.plane(plane)) for plane in settings.held_out
            }
        self._seconds["baselines"] = time.monotonic() - start
        yield Stage("Fitting baselines", 1.0, f"{len(BASELINES)} methods")

    def load(self) -> Generator[Stage, None, None]:
        """Import what trains, which takes seconds."""
        start = time.monotonic()
        yield Stage("Loading PyTorch", 0.0)
        if self._settings.steps is not None:
            wait_briefly()
        import napari_unetseg.learning  # noqa: F401

        self._seconds["loading"] = time.monotonic() - start
        yield Stage("Loading PyTorch", 1.0)

    def train(
        self, title: str, method: str, *, base: Model | None = None
    ) -> Generator[Stage, None, Model]:
        """Train a network on the annotations as they are, and segment the stack with it."""
        from napari_unetseg.events import HeldOutScored, TrainingStep, Warned
        from napari_unetseg.learning import Trainer, TrainingImage

        start = time.monotonic()
        trainer = Trainer(
            [TrainingImage(self._sample.image, self._codes, self._blocks)],
            self._recipe(second=base is not None),
            self._sample.classes,
            name="demo",
            base=base,
        )
        score = ""
        yield Stage(title, 0.0)
        for event in trainer.run():
            if isinstance(event, HeldOutScored):
                score = f", IoU {event.mean_iou:.2f} on {event.n_px:,} held-out px"
            elif isinstance(event, TrainingStep):
                note = f"step {event.step}, loss {event.loss:.2f}{score}"
                yield Stage(title, 0.97 * event.fraction, note)
            elif isinstance(event, Warned):
                score = f"{score}. {event.sentence}"
        model = trainer.current_model()
        self._segmentations[method] = dict(self._segment(model))
        self._seconds[method] = time.monotonic() - start
        yield Stage(title, 1.0, f"{counted(model.info.history['steps'], 'step')}{score}")
        return model

    def correct(self, model: Model) -> Generator[Stage, None, None]:
        """Paint over the largest mistakes on the annotated slices; no other slice is looked at."""
        title, settings = "Painting corrections", self._settings
        yield Stage(title, 0.0)
        seen = np.zeros_like(self._sample.codes)
        for plane in settings.annotated:
            seen[plane] = self._segmentations[BEFORE][plane]
        self._corrected = self._annotations.copy()
        self._corrections = self._annotator.correct(
            self._corrected, seen, settings.annotated, settings.n_corrections, settings.stroke_px
        )
        yield Stage(title, 1.0, f"{len(self._corrections)} strokes on the largest mistakes")

    def accept_corrections(self) -> None:
        """Let the corrections train from here on."""
        self._codes = self._corrected
        assign_blocks(self._codes, self._blocks, self._sample.image)

    def result(self, model: Model) -> DemoResult:
        """Return everything, scored."""
        return DemoResult(
            settings=self._settings,
            sample=self._sample,
            annotations=self._annotations,
            corrected=self._corrected,
            model=model,
            segmentations=self._segmentations,
            scores={name: self._score(found) for name, found in self._segmentations.items()},
            parameters=self._parameters,
            strokes=self._strokes,
            corrections=self._corrections,
            seconds=self._seconds,
        )

    def _recipe(self, *, second: bool) -> Recipe:
        settings, recipe = self._settings, Recipe()
        budget: dict[str, Any] = {"max_time_s": settings.second_s if second else settings.first_s}
        if settings.steps is not None:
            budget = {"max_time_s": None, "steps": settings.steps[int(second)]}
        training = recipe.training.replace(seed=settings.seed + int(second), **budget)
        return recipe.replace(training=training.model_dump())

    def _segment(self, model: Model) -> Iterable[tuple[int, Codes]]:
        from napari_unetseg.learning import codes_from_probabilities, iter_predict

        for plane, probabilities in iter_predict(model, self._sample.image):
            yield plane, codes_from_probabilities(probabilities)

    def _score(self, segmentation: dict[int, Codes]) -> Scores:
        names = ["background", *(c.name for c in self._sample.classes)]
        matrix = ConfusionMatrix(len(names))
        for plane in self._settings.held_out:
            matrix.add(self._sample.codes[plane], segmentation[plane])
        return scores(matrix, names)

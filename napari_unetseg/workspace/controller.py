"""Runs training, prediction and baselines for a workspace, in the child process.

Nothing here waits: pixels are written for the child on a thread, and `poll`, called from a timer,
hands the child's events on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from psygnal import Signal

from napari_unetseg.classical import Chain, ChainRecipe, Learned, read_recipe
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.config import ModelInfo, Recipe, read_model_info
from napari_unetseg.errors import UserError
from napari_unetseg.events import (
    AnnotationsTaken,
    Event,
    Finished,
    FinishReason,
    HeldOutScored,
    ModelSaved,
    PlanePredicted,
    Preparing,
    Progress,
    RegionsSuggested,
    Rested,
    TrainingStarted,
    TrainingStep,
    Warned,
)
from napari_unetseg.jobs import JobState, Worker
from napari_unetseg.jobs.commands import Command

from .before import BeforeTraining
from .compared import ComparedMethods
from .job_files import JobFiles
from .job_orders import N_SUGGESTED, JobOrder, JobOrders
from .live import LiveSettings, LiveTraining
from .model_previews import ModelPreviews
from .open_model import OpenModel
from .painted import Painted
from .readiness import why_not_predict, why_not_train
from .rounds import JobRecord, Round
from .slots import Codes
from .suggestions import Suggestions
from .told import ToldProbabilities
from .workspace import Workspace

_TRAINING = "Training. Painting can go on meanwhile."
_LIVE = "Live: paint where it is wrong, and it follows."
_FROZEN = "Live is frozen: it learns nothing for now, and shows slices as it sees them so far."
_UP_TO_DATE = "Live: it has learned what is painted. Paint where it is still wrong."
_CLASSES_CHANGED = "The classes changed while the images were being prepared; start again."


class JobController:
    """What runs for a window.

    Attributes
    ----------
    status : Signal(str)
        One sentence on what is going on.
    remarked : Signal(str)
        The same, where it matters less than what somebody has just been told.
    progressed : Signal(object, object)
        Fraction in [0, 1] or None, seconds left or None.
    state_changed : Signal(JobState)
    started : Signal(TrainingStarted)
    annotations_taken : Signal(AnnotationsTaken)
    stepped : Signal(TrainingStep)
    scored : Signal(HeldOutScored)
    previews : ModelPreviews
        Of models on the slice in view, drawn while nothing else runs.
    told : ToldProbabilities
        How probable the network finds the segmentation shown, where it was asked.
    live : LiveTraining
        Training that follows a person, if it is on.
    segmented_by : OpenModel or None
        The model that has answered what is shown.
    model_changed : Signal()
        Another model is at hand.
    rounds_changed : Signal()
    baseline_ready : Signal(str, ChainRecipe, object)
        Image id, the steps with what they learned or grew from, and ndarray (planes, Y, X): uint8
        codes or uint32 ids of objects.
    uncertainty_ready : Signal(str, object)
        Image id, and ndarray (planes, Y, X) of uint8: 0 certain, 255 as uncertain as can be.
    objects_ready : Signal(str, object)
        Image id, and ndarray (planes, Y, X) of uint32: 0 background, ids.
    probabilities_ready : Signal(str, object, object)
        Image id, names of classes, and ndarray (classes, planes, Y, X) of uint8: 255 certain.
    before : BeforeTraining
        What was segmented before the last training.
    compared : ComparedMethods
        Every method on what is annotated, beside each other.
    suggestions : Suggestions
        Where painting is worth most next.
    renewing : Signal()
        A job begins that answers anew what is segmented.
    finished : Signal(Finished)
    """

    status = Signal(str)
    remarked = Signal(str)
    progressed = Signal(object, object)
    state_changed = Signal(JobState)
    started = Signal(TrainingStarted)
    annotations_taken = Signal(AnnotationsTaken)
    stepped = Signal(TrainingStep)
    scored = Signal(HeldOutScored)
    model_changed = Signal()
    rounds_changed = Signal()
    baseline_ready = Signal(str, object, object)
    uncertainty_ready = Signal(str, object)
    objects_ready = Signal(str, object)
    probabilities_ready = Signal(str, object, object)
    renewing = Signal()
    finished = Signal(Finished)

    def __init__(self, workspace: Workspace, worker: Worker) -> None:
        self.workspace = workspace
        self.model: OpenModel | None = None
        self.segmented_by: OpenModel | None = None
        self.rounds: list[Round] = []
        self._worker = worker
        self._files = JobFiles(workspace.session)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="pixels")
        self.previews = ModelPreviews(workspace.session, worker, self._writer)
        self.live = LiveTraining(workspace, worker, self._files)
        self.live.frozen.connect(self._on_frozen)
        self.suggestions = Suggestions()
        self.compared = ComparedMethods(workspace.results.moment())
        self.before = BeforeTraining(workspace)
        self._live_again: LiveSettings | None = None
        self._pending: Future[Command] | None = None
        self._classes_changed = False
        self._state = JobState.IDLE
        self._job: JobRecord | None = None
        self._looked_at: tuple[str, int, list[int] | None] | None = None
        self._events: deque[Event] = deque()
        self._probabilities = ""
        self.told = ToldProbabilities(workspace)
        self._orders = JobOrders(workspace, self._files, self.told)
        self.renewing.connect(self.told.forget)
        workspace.images_changed.connect(self._warm_up)
        workspace.classes_changed.connect(self._on_classes_changed)

    @property
    def state(self) -> JobState:
        """What the child is doing; preparing also while pixels are written for it."""
        return self._state

    @property
    def child_pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._worker.pid

    @property
    def is_training(self) -> bool:
        """Whether the job in progress is a training that can be stopped and kept."""
        return self._job is not None and self._job.started is not None and not self._job.saved

    # ----------------------------------------------------------- what to run

    def why_not_train(self, base: ModelInfo | None = None) -> str | None:
        """Return the sentence that explains why training cannot start; None when it can.

        Parameters
        ----------
        base : ModelInfo, optional
            Of the model that it would start from.
        """
        return self._why_busy() or why_not_train(self.workspace, base)

    def why_not_predict(self) -> str | None:
        """Return the sentence that explains why a model cannot be applied; None when it can."""
        info = None if self.model is None else self.model.info
        return self._why_busy() or why_not_predict(self.workspace, info)

    def _why_busy(self) -> str | None:
        idle = self._state is JobState.IDLE
        return None if idle else "Wait for what is running, or cancel it."

    def train(
        self,
        recipe: Recipe,
        *,
        base: Path | None = None,
        device: str = "auto",
        uncertainty: bool = False,
        probabilities: bool = False,
    ) -> None:
        """Train on what is annotated, then predict every image.

        Parameters
        ----------
        uncertainty, probabilities : bool
            As for `predict`.
        """
        why_not = self.why_not_train_from(base)
        if why_not is not None:
            self.status.emit(why_not)
            return
        order = self._orders.train(
            recipe, base, device=device, uncertainty=uncertainty, probabilities=probabilities
        )
        self.renewing.emit()
        self.before.begin()
        self._begin(order)

    def go_live(self, settings: LiveSettings, *, goes_on: bool = False) -> None:
        """Train on what is annotated and on what is painted from now on, until `stop`.

        The slice in view is segmented again and again meanwhile, and every image at the end. Where
        the classes change, it begins again with what was learned.

        Parameters
        ----------
        goes_on : bool
            As of `BeforeTraining.begin`.
        """
        why_not = self.why_not_train_from(settings.base)
        if why_not is not None:
            self.status.emit(why_not)
            return
        order = self._orders.live(settings)
        self.renewing.emit()
        self.before.begin(goes_on=goes_on)
        self.live.begin(settings)
        self._live_again = None
        self._begin(order)

    def _on_frozen(self, on: bool) -> None:
        self.status.emit(_FROZEN if on else _LIVE)

    def _follow_classes(self) -> None:
        """Begin live training again where the classes have changed, unless it is frozen."""
        learning = self._state is JobState.RUNNING and not self.live.is_frozen
        if learning and self.live.is_outdated and self._live_again is None:
            self._live_again = self.live.settings
            self.status.emit("The classes have changed, so training begins again with them.")
            self._worker.stop()

    def why_not_train_from(self, base: Path | None) -> str | None:
        """Return what `why_not_train` does, or why the model to start from cannot be read.

        Parameters
        ----------
        base : Path or None
            Its folder; None from scratch.
        """
        try:
            return self.why_not_train(None if base is None else read_model_info(base))
        except UserError as error:
            return str(error)

    def predict(
        self,
        *,
        device: str = "auto",
        resample: bool = False,
        tta: bool = False,
        uncertainty: bool = False,
        objects: bool = False,
        probabilities: bool = False,
    ) -> None:
        """Apply the model at hand to every image.

        Parameters
        ----------
        tta : bool
            Average over flips and turns.
        uncertainty : bool
            Emit `uncertainty_ready` for each image at the end.
        objects : bool
            Emit `objects_ready` for each image at the end.
        probabilities : bool
            Emit `probabilities_ready` for each image at the end.
        """
        why_not = self.why_not_predict()
        if why_not is not None or self.model is None:
            self.status.emit(why_not or "")
            return
        order = self._orders.predict(
            self.model,
            device=device,
            resample=resample,
            tta=tta,
            uncertainty=uncertainty,
            objects=objects,
            probabilities=probabilities,
        )
        self.renewing.emit()
        self._begin(order)

    def predict_files(
        self,
        paths: Sequence[str | Path],
        out_dir: str | Path,
        *,
        device: str = "auto",
        resample: bool = False,
        tta: bool = False,
        objects: bool = False,
    ) -> None:
        """Apply the model at hand to files; nothing is overwritten.

        Each image gets one file of masks, and with `objects` one of ids.
        """
        if self._state is not JobState.IDLE or self.model is None:
            self.status.emit(self.why_not_predict() or "")
            return
        order = self._orders.predict_files(
            self.model,
            paths,
            out_dir,
            device=device,
            resample=resample,
            tta=tta,
            objects=objects,
        )
        self._begin(order)

    def baseline(
        self,
        chain: Chain,
        strokes: Mapping[str, Painted | Codes] | None = None,
        learned: Learned | None = None,
        begun: Mapping[str, AnyLabels] | None = None,
        *,
        left_out: Collection[str] = (),
    ) -> None:
        """Apply classical steps to the images; each result arrives as `baseline_ready`.

        Parameters
        ----------
        strokes : mapping of str to array-like (planes, Y, X), uint8, optional
            By image: what a method grows from, where that is not what is painted.
        learned : dict, optional
            What a recipe keeps of what the method has learned; it learns from strokes if None.
        begun : mapping of str to ndarray (planes, Y, X), uint8 or uint32, optional
            By image: codes or ids that refinements without a method begin with, where that is not
            the segmentation shown.
        left_out : collection of str
            Images that they are not applied to.
        """
        if self._state is not JobState.IDLE or not self.workspace.images:
            self.status.emit("Choose an image in the Data step first.")
            return
        order = self._orders.baseline(chain, strokes or {}, learned, begun or {}, left_out)
        self._begin(order)

    def why_not_compare(self) -> str | None:
        """Return why methods cannot be compared now; None where they can."""
        return self._why_busy() or why_not_train(self.workspace)

    def compare(self, models: Sequence[Path], max_time_s: float, *, device: str = "auto") -> None:
        """Try every method on what is annotated; rows arrive in `compared`.

        Parameters
        ----------
        models : sequence of Path
            That are tried beside the one at hand.
        """
        if (why_not := self.why_not_compare()) is not None:
            self.status.emit(why_not)
            return
        folder = self._files.folder("compared")
        at_hand = [] if self.model is None else [self.model.path]
        self.compared.begin(folder, self.workspace.results.moment())
        self._begin(self._orders.compare([*at_hand, *models], folder, max_time_s, device))

    def why_not_suggest(self) -> str | None:
        """Return why nothing can be suggested now; None when it can."""
        if not self.workspace.images:
            return "Choose an image in the Data step first."
        return None if self.live.is_on else self._why_busy()

    def suggest(self, *, device: str = "auto") -> None:
        """Ask where painting is worth most next; see `suggestions`.

        While training follows a person, what it has learned so far counts; else the model at hand.
        """
        if self.live.is_on:
            self.suggestions.ask()
            self._worker.suggest(N_SUGGESTED)
            return
        if (why_not := self.why_not_suggest()) is not None:
            self.status.emit(why_not)
            return
        at_hand = self.model
        fits = at_hand is not None and why_not_predict(self.workspace, at_hand.info) is None
        self.suggestions.ask()
        self._begin(self._orders.suggest(at_hand if fits else None, device))

    def look_at(self, image_id: str, plane: int, box: list[int] | None = None) -> None:
        """Say which slice is in view: it is predicted first, and again while training.

        Parameters
        ----------
        box : list of int, optional
            What is in sight of it: first row and column, and the row and column after the last.
        """
        self._looked_at = (image_id, plane, box)
        if self._state is JobState.RUNNING:
            self._worker.look_at(image_id, plane, box)

    @property
    def is_comparing(self) -> bool:
        """Whether methods are being compared, which can be stopped."""
        return self._job is not None and self._job.is_comparison

    def stop(self) -> None:
        """End training, or a comparison, now and keep what there is; none that has not begun."""
        if self._pending is not None:
            self.cancel()
            return
        self._live_again = None
        self._worker.stop()
        comparing = self.is_comparing
        self.status.emit("Finishing the table …" if comparing else "Finishing the model …")

    def cancel(self) -> None:
        """End what is running and keep nothing of it; annotations and the last model stay."""
        self._live_again = None
        if self._pending is not None:
            self._pending.cancel()
            self._files.stop()
            self._pending = None
            self._end(Finished(FinishReason.CANCELLED, "Cancelled before it began."))
        elif self._state is not JobState.IDLE:
            self._worker.cancel()
            self._set_state(JobState.CANCELLING)
            self.status.emit("Cancelling …")

    # ---------------------------------------------------------------- models

    def open_model(self, path: str | Path) -> None:
        """Take a model from disk as the one at hand.

        Raises
        ------
        UserError
            If the folder is no model.
        """
        self.model = OpenModel.read(path)
        if not self.workspace.in_use:
            self.workspace.set_classes(self.model.info.classes)
        self.model_changed.emit()

    # ---------------------------------------------------------------- events

    def poll(self) -> None:
        """Hand on what has happened since the last call; never waits."""
        ready = self._pending is not None and self._pending.done()
        if ready and self._pending is not None and self.previews.give_way():
            self._submit(self._pending)
        if self._pending is not None and self._files.copying is not None:
            done, total = self._files.copying
            self.status.emit(f"Copying the image for the job: slice {done:,} of {total:,} …")
            self.progressed.emit(done / total, None)
        if self._pending is None:
            self.live.hand_on()
            self._follow_classes()
        self._events.extend(self._worker.poll())
        # One by one: if showing one fails, those after it are not lost.
        while self._events:
            heard = self.previews.hear if self.previews.under_way else self._on_event
            heard(self._events.popleft())
        if self._state is JobState.IDLE:
            self.previews.go_on()

    def close(self) -> None:
        """End the child and give its files back."""
        self.workspace.images_changed.disconnect(self._warm_up)
        self.workspace.classes_changed.disconnect(self._on_classes_changed)
        self.live.close()
        self._files.stop()
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._worker.close()

    def _on_classes_changed(self) -> None:
        self._classes_changed = True

    def _warm_up(self) -> None:
        """Start the child with the first image: by the first click it has loaded torch."""
        if self.workspace.images:
            self._worker.start()

    def _begin(self, order: JobOrder) -> None:
        self._job = order.record
        self._set_state(JobState.PREPARING)
        self.progressed.emit(None, None)
        self.status.emit("Preparing the images …")
        self._classes_changed = False
        self._pending = self._writer.submit(self._written, order)

    def _written(self, order: JobOrder) -> Command:
        self._files.begin()
        return order.command()

    def _submit(self, pending: Future[Command]) -> None:
        self._pending = None
        error = pending.exception()
        if error is not None:
            self._end(Finished(FinishReason.FAILED, _why_not_written(error), repr(error)))
            return
        if self._classes_changed:
            # What was written may be half of the old classes and half of the new.
            self._end(Finished(FinishReason.CANCELLED, _CLASSES_CHANGED))
            return
        self._worker.submit(pending.result())
        if self._looked_at is not None:
            self._worker.look_at(*self._looked_at)

    def _on_event(self, event: Event) -> None:
        if self._job is None:
            return
        if self._state is JobState.PREPARING and not isinstance(event, Preparing | Finished):
            self._set_state(JobState.RUNNING)
            if self._looked_at is not None:
                self._worker.look_at(*self._looked_at)
        match event:
            case Preparing(sentence) | Warned(sentence):
                self.status.emit(sentence)
            case Progress(stage, done, total, left):
                self.status.emit(f"{stage} {done} of {total}")
                self.progressed.emit(done / max(1, total), left)
            case PlanePredicted(image, plane):
                self._show(image, plane)
            case ModelSaved(path):
                self._job.saved = True
                self.model = OpenModel.read(path)
                self.model_changed.emit()
                if self._live_again is not None:
                    self._worker.cancel()  # it need not segment everything now
            case Finished():
                self._end(event)
            case _:
                self.live.hear(event)
                self.compared.hear(event)
                self._on_progress(self._job, event)

    def _on_progress(self, job: JobRecord, event: Event) -> None:
        match event:
            case TrainingStarted():
                job.started = event
                self.started.emit(event)
                self.status.emit(_LIVE if self.live.is_on else _TRAINING)
            case TrainingStep():
                job.last_step = event
                self.stepped.emit(event)
                self.progressed.emit(event.fraction, event.seconds_left)
            case HeldOutScored():
                job.score(event)
                self.scored.emit(event)
            case RegionsSuggested(regions):
                self.suggestions.take(regions)
            case AnnotationsTaken():
                job.take(event)
                self.annotations_taken.emit(event)
                if not self.live.is_frozen:
                    self.remarked.emit(_LIVE)
            case Rested():
                self.progressed.emit(1.0, None)
                if not self.live.is_frozen:
                    self.remarked.emit(_UP_TO_DATE)

    def _show(self, image_id: str, plane: int) -> None:
        if self._job is None or self._job.baseline or image_id not in self.workspace.images:
            return
        self.before.keep(image_id, plane)
        if self._job.saved or not self._job.is_training:
            self.segmented_by = self.model
        codes: Codes = self._files.predicted(image_id)[plane]
        self.workspace.set_prediction(image_id, plane, self._job.slots[codes])

    def _end(self, finished: Finished) -> None:
        job, self._job = self._job, None
        self.suggestions.give_up()
        if self.live.is_on:
            self.live.end()
        self._set_state(JobState.IDLE)
        kept = finished.reason in (FinishReason.COMPLETED, FinishReason.STOPPED_EARLY)
        if job is not None:
            self.before.end(saved=job.saved)
        if job is not None and kept:
            if job.is_training:
                self.rounds.append(job.as_round(len(self.rounds) + 1))
                self.rounds_changed.emit()
            self._hand_out(job)
        elif job is not None and job.probabilities:
            self._files.drop(self.workspace.images, job.probabilities[0])
        self.status.emit(finished.sentence)
        self.finished.emit(finished)
        again, self._live_again = self._live_again, None
        if again is not None and finished.reason is not FinishReason.FAILED:
            saved = job is not None and job.saved and self.model is not None
            if saved and self.model is not None:
                self.go_live(replace(again, base=self.model.path), goes_on=True)
            else:
                self.go_live(again)

    def _hand_out(self, job: JobRecord) -> None:
        """Hand on what a job has answered that becomes a layer of its own."""
        images, files = self.workspace.images, self._files
        if job.baseline:
            chain, role, kept = job.baseline
            recipe = read_recipe(kept) if kept.is_file() else ChainRecipe(chain=chain)
            for image_id, labels in files.answered(images, role):
                self.baseline_ready.emit(image_id, recipe, labels)
        if job.uncertainty:
            for image_id, uncertainty in files.answered(images, job.uncertainty):
                self.uncertainty_ready.emit(image_id, uncertainty)
        if job.objects:
            for image_id, ids in files.answered(images, job.objects):
                self.objects_ready.emit(image_id, ids)
        if job.probabilities:
            role, names = job.probabilities
            for image_id, values in files.answered(images, role):
                self.probabilities_ready.emit(image_id, names, values)
            if self._probabilities:
                files.drop(images, self._probabilities)
            self._probabilities = role
            self.told.take(role, names)

    def _set_state(self, state: JobState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)


def _why_not_written(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"The images could not be written for the job ({error}); is the disk full?"
    return f"The images could not be read ({error}); open them again."

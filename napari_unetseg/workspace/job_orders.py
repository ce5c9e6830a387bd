"""What the child is asked to do, job by job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unetseg.classical import Chain, Learned
from napari_unetseg.classical.step import Labels as AnyLabels
from napari_unetseg.config import Recipe
from napari_unetseg.jobs.commands import (
    BaselineCommand,
    Command,
    CompareCommand,
    LiveCommand,
    PredictCommand,
    PredictFilesCommand,
    SuggestCommand,
    TrainCommand,
)

from .image_entry import ImageEntry
from .job_files import JobFiles
from .live import LiveSettings
from .model_classes import slots_for
from .open_model import OpenModel
from .painted import Painted
from .rounds import JobRecord
from .slots import Codes
from .told import ToldProbabilities
from .workspace import Workspace

#: Regions that are suggested at a time.
N_SUGGESTED = 10


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job that can begin.

    Attributes
    ----------
    record : JobRecord
        What is remembered of it meanwhile.
    command : callable
        Writes what the child reads, which may take a while, and says what it is to do.
    """

    record: JobRecord
    command: Callable[[], Command]


class JobOrders:
    """Says of a workspace as it is now what a job needs.

    Parameters
    ----------
    workspace : Workspace
    files : JobFiles
    told : ToldProbabilities
    """

    def __init__(self, workspace: Workspace, files: JobFiles, told: ToldProbabilities) -> None:
        self._workspace = workspace
        self._files = files
        self._told = told
        self._n_models = 0

    def train(
        self,
        recipe: Recipe,
        base: Path | None,
        *,
        device: str,
        uncertainty: bool,
        probabilities: bool,
    ) -> JobOrder:
        """Train on what is annotated, then segment every image."""
        model_path = self._new_model_path()
        classes, entries = self._classes(), self._entries()
        unsure = self._role("uncertainty", uncertainty)
        probable = self._role("probabilities", probabilities)

        def command() -> Command:
            return TrainCommand(
                images=[self._files.training_image(entry, unsure, probable) for entry in entries],
                recipe=recipe.model_dump(mode="json"),
                classes=classes,
                base=None if base is None else str(base),
                device=device,
                model_path=str(model_path),
                predict_after=True,
            )

        record = self._record(is_training=True, has_base=base is not None, uncertainty=unsure)
        if probable:
            record.probabilities = probable, tuple(c.name for c in self._workspace.classes)
        return JobOrder(record, command)

    def live(self, settings: LiveSettings) -> JobOrder:
        """Train on what is annotated, and on what is painted from then on."""
        model_path = self._new_model_path()
        checkpoints = self._files.folder(f"checkpoints-{self._n_models}")
        classes, entries = self._classes(), self._entries()

        def command() -> Command:
            return LiveCommand(
                images=[self._files.training_image(entry, None) for entry in entries],
                recipe=settings.recipe.model_dump(mode="json"),
                classes=classes,
                base=None if settings.base is None else str(settings.base),
                device=settings.device,
                model_path=str(model_path),
                checkpoints=str(checkpoints),
            )

        has_base = settings.base is not None
        return JobOrder(self._record(is_training=True, has_base=has_base), command)

    def predict(
        self,
        model: OpenModel,
        *,
        device: str,
        resample: bool,
        tta: bool,
        uncertainty: bool,
        objects: bool,
        probabilities: bool,
    ) -> JobOrder:
        """Apply a model to every image."""
        entries = self._entries()
        unsure = self._role("uncertainty", uncertainty)
        ids = self._role("objects", objects)
        probable = self._role("probabilities", probabilities)

        def command() -> Command:
            return PredictCommand(
                images=[self._files.image_to_predict(e, unsure, ids, probable) for e in entries],
                model=str(model.path),
                device=device,
                resample=resample,
                tta=tta,
            )

        slots = slots_for(self._workspace, model.info)
        record = JobRecord(slots, uncertainty=unsure, objects=ids)
        if probable:
            record.probabilities = probable, tuple(c.name for c in model.info.classes)
        return JobOrder(record, command)

    def predict_files(
        self,
        model: OpenModel,
        paths: Sequence[str | Path],
        out_dir: str | Path,
        *,
        device: str,
        resample: bool,
        tta: bool,
        objects: bool,
    ) -> JobOrder:
        """Apply a model to files; nothing is overwritten."""
        command = PredictFilesCommand(
            paths=[str(path) for path in paths],
            model=str(model.path),
            out_dir=str(out_dir),
            device=device,
            resample=resample,
            tta=tta,
            objects=objects,
            overwrite=False,
        )
        return JobOrder(self._record(), lambda: command)

    def baseline(
        self,
        chain: Chain,
        strokes: Mapping[str, Painted | Codes],
        learned: Learned | None,
        begun: Mapping[str, AnyLabels],
        left_out: Collection[str],
    ) -> JobOrder:
        """Apply classical steps to images.

        Parameters
        ----------
        strokes, begun : mapping of str to ndarray
            By image: strokes where others than painted, and what refinements begin with where that
            is not the segmentation shown.
        left_out : collection of str
            Images that they are not applied to.
        """
        entries = [entry for entry in self._entries() if entry.id not in left_out]
        role = self._files.new_role("baseline")

        def image(entry: ImageEntry) -> Any:
            return self._files.image_to_segment(
                entry, role, chain, strokes.get(entry.id), begun.get(entry.id), told=self._told
            )

        kept = self._files.folder("recipes") / f"{role}.json"

        def command() -> Command:
            before = None if learned is None else {k: a.model_dump() for k, a in learned.items()}
            asked = chain.model_dump(mode="json")
            return BaselineCommand([image(e) for e in entries], asked, before, str(kept))

        return JobOrder(self._record(baseline=(chain, role, kept)), command)

    def compare(
        self, models: Sequence[Path], folder: Path, max_time_s: float, device: str
    ) -> JobOrder:
        """Try every method, and these models, on what is annotated."""
        classes, entries = self._classes(), self._entries()
        tried = list(dict.fromkeys(str(path) for path in models))

        def command() -> Command:
            images = [self._files.annotated_image(entry) for entry in entries]
            return CompareCommand(images, classes, str(folder), tried, max_time_s, device)

        return JobOrder(self._record(is_comparison=True), command)

    def suggest(self, model: OpenModel | None, device: str) -> JobOrder:
        """Say where painting is worth most next."""
        entries = self._entries()
        path = None if model is None else str(model.path)

        def command() -> Command:
            images = [self._files.annotated_image(entry) for entry in entries]
            return SuggestCommand(images=images, model=path, n=N_SUGGESTED, device=device)

        return JobOrder(self._record(), command)

    def _record(self, **known: Any) -> JobRecord:
        return JobRecord(self._workspace.prediction_slots(), **known)

    def _classes(self) -> list[dict[str, Any]]:
        return [c.model_dump() for c in self._workspace.classes]

    def _entries(self) -> list[ImageEntry]:
        return list(self._workspace.images.values())

    def _role(self, what: str, wanted: bool) -> str | None:
        return self._files.new_role(what) if wanted else None

    def _new_model_path(self) -> Path:
        name = self._entries()[0].stack.name
        models = self._files.folder("models")
        while True:
            self._n_models += 1
            path = models / f"{name}-{self._n_models}.unet"
            if not path.exists():  # a person may have given this name to a model
                return path

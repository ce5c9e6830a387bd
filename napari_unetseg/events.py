"""What a job reports while it runs: small frozen messages of builtins, sent as JSON lines."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias


class FinishReason(StrEnum):
    """Why a job ended."""

    COMPLETED = "completed"
    STOPPED_EARLY = "stopped early"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something that takes seconds before work can begin: loading torch, reading images."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Work counted in items: slices of a stack, files of a folder.

    Attributes
    ----------
    stage : str
        What is being done, as a person would say it: ``"Segmenting"``.
    done, total : int
        Items finished and items in all.
    seconds_left : float or None
        Estimated time to the end; None while it is unknown.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """The first event of a training run.

    Attributes
    ----------
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    precision : str
        ``"float32"`` or ``"bfloat16"``.
    n_labelled_px, n_held_out_px : int
        Annotated pixels that train, and annotated pixels kept to score with.
    """

    device: str
    precision: str
    n_labelled_px: int
    n_held_out_px: int


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One optimiser step (not every step is reported).

    Attributes
    ----------
    fraction : float
        How much of the budget, in steps or in seconds, is used up, in [0, 1].
    """

    step: int
    loss: float
    learning_rate: float
    elapsed_s: float
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class HeldOutScored:
    """Scores on the annotated pixels that never enter a loss.

    Attributes
    ----------
    mean_iou : float
        Mean intersection over union over the classes present, in [0, 1].
    iou : dict of str to float
        By class name, ``"background"`` included.
    """

    step: int
    elapsed_s: float
    mean_iou: float
    iou: dict[str, float]
    n_px: int


@dataclass(frozen=True, slots=True)
class AnnotationsTaken:
    """What was painted while training went on is part of it from the next step on.

    Attributes
    ----------
    step : int
        Steps done before.
    n_labelled_px, n_held_out_px : int
        As of `TrainingStarted`.
    revision : int
        Which change of the annotations was the last of them.
    """

    step: int
    n_labelled_px: int
    n_held_out_px: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Rested:
    """Training that follows a person has learned what there is, and waits for more.

    Attributes
    ----------
    step : int
        Steps done.
    everywhere : bool
        Whether every slice has been segmented with what was learned.
    """

    step: int
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A training that goes on has saved what it has learned so far, to return to.

    Attributes
    ----------
    path : str
        A model's folder.
    mean_iou : float or None
        On held-out annotations; None where nothing is held out.
    """

    path: str
    step: int
    mean_iou: float | None = None


@dataclass(frozen=True, slots=True)
class RegionsSuggested:
    """Where annotating is worth most next.

    Attributes
    ----------
    regions : list of dict
        The most worthwhile first: ``"image"`` (its id), ``"plane"``, ``"y"``, ``"x"``,
        ``"height"``, ``"width"`` in px, and ``"reason"``, a few words for a person.
    """

    regions: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SourceScored:
    """Scores on what the base model learned from, of the base and of what became of it.

    Attributes
    ----------
    mean_before, mean_after : float
        Mean intersection over union over the classes that both know, in [0, 1].
    before, after : dict of str to float
        By class name, ``"background"`` included.
    """

    mean_before: float
    mean_after: float
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True, slots=True)
class PlanePredicted:
    """A slice of the shared segmentation has been written and may be shown.

    Attributes
    ----------
    image : str
        The id of the image within the job.
    plane : int
        Index along the flattened T · Z axis.
    step : int
        Training step of the network that wrote it; −1 for a finished model.
    """

    image: str
    plane: int
    step: int = -1


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know and need not act on."""

    sentence: str


@dataclass(frozen=True, slots=True)
class ModelSaved:
    """A model is complete on disk."""

    path: str


@dataclass(frozen=True, slots=True)
class ModelPreviewed:
    """What a model would make of a part of a slice.

    Attributes
    ----------
    model : str
        Its folder.
    picture : str
        Path of a PNG; empty where the model does not fit the image.
    score : float or None
        Agreement with what is painted there, in [0, 1]: mean IoU of the class that fits best and
        of all else; None where nothing is painted.
    sentence : str
        Why there is no picture.
    """

    model: str
    picture: str = ""
    score: float | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonStarted:
    """Methods are about to be compared on annotations.

    Attributes
    ----------
    n_methods : int
        That are to be tried.
    sentence : str
        What they are scored on.
    """

    n_methods: int
    sentence: str


@dataclass(frozen=True, slots=True)
class MethodCompared:
    """A row of the table that says which method to use.

    Attributes
    ----------
    name : str
        No two rows have the same.
    title : str
        For a person.
    kind : str
        ``"classical"``; ``"model"``, used as it is; ``"network"``, trained for this table.
    needs_labels : bool
        Whether it can do nothing without annotations.
    on_each_slice : bool
        Whether it needs some on every slice that it segments, rather than learning from a few.
    mean_iou, dice, f1 : float
        Means over the classes, background included, on pixels that it had not seen; in [0, 1].
    spread : float or None
        Standard error of the mean IoU; None where it is scored in too few spots.
    boundary_f1 : float or None
        None where no boundary is annotated.
    iou : dict of str to float
        By class name, ``"background"`` included.
    n_px : int
        Pixels scored on.
    prepare_s, slice_s : float
        Seconds until it can segment, and for a slice then.
    recipe : dict or None
        A `classical.ChainRecipe` as builtins, that gives its answers again.
    model : str or None
        The folder of its model, if that is on disk.
    codes : list of int or None
        Codes of the annotations for the model's codes 1, 2, …; None where these are the same.
    note : str
        What to know of its scores, in a sentence.
    answers : dict of str to str
        Id of an image → ``.npy`` of uint8 codes, shape (planes, Y, X), filled on slices that are
        scored on; empty where answers are not kept.
    """

    name: str
    title: str
    kind: str
    needs_labels: bool
    mean_iou: float
    spread: float | None
    dice: float
    f1: float
    boundary_f1: float | None
    iou: dict[str, float]
    n_px: int
    prepare_s: float
    slice_s: float
    recipe: dict[str, Any] | None = None
    model: str | None = None
    codes: list[int] | None = None
    note: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    on_each_slice: bool = False

    @property
    def is_swapped(self) -> bool:
        """Whether it is a model whose background is a class here: not to be used as it is."""
        return self.codes is not None and self.codes[0] != 1


@dataclass(frozen=True, slots=True)
class MethodNotRun:
    """A method that is not in the table, and why, in a few words."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recommended:
    """Which row of the table to use.

    Attributes
    ----------
    name : str or None
        Of the row; None where there is none.
    sentence : str
        With the reason.
    """

    name: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every job.

    Attributes
    ----------
    sentence : str
        What happened, for a person; for a failure also what to do.
    details : str
        For a report: a traceback where there is one.
    """

    reason: FinishReason
    sentence: str
    details: str = ""
    results: dict[str, Any] = field(default_factory=dict)


Event: TypeAlias = (
    Preparing
    | Progress
    | TrainingStarted
    | TrainingStep
    | HeldOutScored
    | AnnotationsTaken
    | Rested
    | CheckpointSaved
    | RegionsSuggested
    | SourceScored
    | PlanePredicted
    | Warned
    | ModelSaved
    | ModelPreviewed
    | ComparisonStarted
    | MethodCompared
    | MethodNotRun
    | Recommended
    | Finished
)

_KINDS: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        Preparing,
        Progress,
        TrainingStarted,
        TrainingStep,
        HeldOutScored,
        AnnotationsTaken,
        Rested,
        CheckpointSaved,
        RegionsSuggested,
        SourceScored,
        PlanePredicted,
        Warned,
        ModelSaved,
        ModelPreviewed,
        ComparisonStarted,
        MethodCompared,
        MethodNotRun,
        Recommended,
        Finished,
    )
}


def event_to_fields(event: Event) -> dict[str, Any]:
    """Turn an event into builtins that JSON knows."""
    return {"event": type(event).__name__, **dataclasses.asdict(event)}


def event_from_fields(fields: dict[str, Any]) -> Event:
    """Turn builtins back into an event.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they are not an event.
    """
    rest = dict(fields)
    kind = rest.pop("event")
    if kind == "Finished":
        rest["reason"] = FinishReason(rest["reason"])
    return _KINDS[kind](**rest)

"""What a window asks of its child process: small frozen messages of builtins, sent as JSON lines.

Pixels travel by path: images as ``.npy`` files or anything `images.open_stack` reads, annotations
and answers as ``.npy`` files of uint8 codes, shape (planes, Y, X).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from napari_unetseg.errors import UserError

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image that another process can open.

    Attributes
    ----------
    id : str
        By which events name it.
    path : str
        A ``.npy`` file with the stack's pixels, or any path that `images.open_stack` reads.
    axes : str
        Of the pixels: some of ``"TCZYX"`` in that order.
    pixel_size_um : dict of str to float
        As in `images.Stack`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: str
    path: str
    axes: str
    pixel_size_um: dict[str, float] = field(default_factory=dict)
    name: str = "image"
    channels: list[str] = field(default_factory=lambda: [""])


@dataclass(frozen=True, slots=True)
class TrainingImageRef:
    """An image with its annotations.

    Attributes
    ----------
    annotations : str
        ``.npy`` of uint8 codes, shape (planes, Y, X).
    blocks : str or None
        ``.npy`` of what is held out (see `annotations.held_out_mask`); None: nothing.
    prediction : str or None
        An existing ``.npy`` of uint8, shape (planes, Y, X), that is filled with codes; None: the
        image is learned from and not segmented.
    uncertainty, probabilities : str or None
        As of `ImageToPredict`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: ImageRef
    annotations: str
    blocks: str | None = None
    prediction: str | None = None
    uncertainty: str | None = None
    probabilities: str | None = None


@dataclass(frozen=True, slots=True)
class ImageToPredict:
    """An image, and existing ``.npy`` files of uint8, shape (planes, Y, X), to fill.

    Attributes
    ----------
    output : str
        Of codes.
    uncertainty : str or None
        Of how uncertain a model is of each pixel, from 0 to 255; None: that is not asked for.
    objects : str or None
        Not there yet: written at the end, uint32 of the same shape, ids of objects; None: these
        are not asked for.
    probabilities : str or None
        Not there yet: uint8 of shape (classes, planes, Y, X), how probable each class is of each
        pixel, from 0 to 255, background left out; None: that is not asked for.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: ImageRef
    output: str
    uncertainty: str | None = None
    objects: str | None = None
    probabilities: str | None = None


@dataclass(frozen=True, slots=True)
class TrainCommand:
    """Learn from annotations, save the model, then segment the images with it.

    Attributes
    ----------
    recipe : dict
        A `config.Recipe` as builtins.
    classes : list of dict
        ``{"name": …, "color": "#rrggbb"}`` of classes 1, 2, …
    model_path : str
        Folder to write; a model that is there is replaced, anything else is not.
    base : str or None
        Model to continue from.
    predict_after : bool
        Whether to segment every slice once the model is saved.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[TrainingImageRef]
    recipe: dict[str, Any]
    classes: list[dict[str, str]]
    model_path: str
    base: str | None = None
    device: str = "auto"
    predict_after: bool = True


@dataclass(frozen=True, slots=True)
class LiveCommand:
    """Learn from annotations that go on changing, until told to stop; then segment the images.

    The files of annotations and of what is held out are changed by the window meanwhile, which says
    so with `Painted`.

    Attributes
    ----------
    images : list of TrainingImageRef
    recipe, classes, model_path, base
        As of `TrainCommand`.
    checkpoints : str
        An existing folder for models that are saved on the way.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[TrainingImageRef]
    recipe: dict[str, Any]
    classes: list[dict[str, str]]
    model_path: str
    checkpoints: str
    base: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class PredictCommand:
    """Segment images with a model.

    Attributes
    ----------
    resample : bool
        Scale slices to the model's pixel size, and the answer back.
    tta : bool
        Average over flips and turns: slower, better.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[ImageToPredict]
    model: str
    device: str = "auto"
    resample: bool = False
    tta: bool = False


@dataclass(frozen=True, slots=True)
class PredictFilesCommand:
    """Segment files with a model: one OME-TIFF of masks per input in `out_dir`, same stem.

    Attributes
    ----------
    paths : list of str
        Files, folders, globs, as the command line takes them.
    objects : bool
        Write ids of objects as well, in files of the same name in ``OUT_DIR_objects``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    paths: list[str]
    model: str
    out_dir: str
    device: str = "auto"
    resample: bool = False
    tta: bool = False
    objects: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class ImageToSegment:
    """An image for a chain of classical steps; files of shape (planes, Y, X).

    Attributes
    ----------
    output : str
        Not there yet: uint8 codes, or uint32 ids where the chain finds objects.
    strokes : str or None
        uint8: what is annotated, for methods that need that.
    labels : str or None
        uint8 or uint32: what refinements without a method begin with.
    probabilities : str or None
        Shape (K, planes, Y, X), uint8: how probable a network finds the classes of `labels`.
    codes : list of int
        What each of these K is in `labels`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: ImageRef
    output: str
    strokes: str | None = None
    labels: str | None = None
    probabilities: str | None = None
    codes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BaselineCommand:
    """Segment images by classical steps.

    Attributes
    ----------
    chain : dict
        A `classical.Chain` as builtins.
    learned : dict or None
        What its method has learned before, as a `classical.ChainRecipe` keeps it; None: it learns
        from the strokes on these images.
    kept : str or None
        Not there yet: a `classical.ChainRecipe` as JSON, with what was learned, or grown from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[ImageToSegment]
    chain: dict[str, Any]
    learned: dict[str, Any] | None = None
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class SuggestCommand:
    """Rank regions by what annotating them would gain.

    Attributes
    ----------
    images : list of TrainingImageRef
        With what is annotated by now.
    model : str or None
        That is to learn from it; None where there is none yet.
    n : int
        How many at most.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[TrainingImageRef]
    model: str | None = None
    n: int = 10
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class PreviewModelsCommand:
    """Show what models would make of a part of a slice.

    Attributes
    ----------
    part : ImageRef
        The part, of the slice and some beside it.
    plane : int
        Of `part`.
    sample : str
        ``.npy`` of `images.sample_pixels` of the whole image.
    models : list of str
        Their folders.
    folder : str
        An existing one, for the pictures.
    annotations : str or None
        ``.npy`` of uint8 codes, shape (Y, X), of the part; None where nothing is painted.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    part: ImageRef
    plane: int
    sample: str
    models: list[str]
    folder: str
    annotations: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class CompareCommand:
    """Compare every method on the same annotations, and recommend one.

    Each row of the table is an event `MethodCompared`, sent when it is known; `Stop` ends the
    comparison with the rows so far.

    Attributes
    ----------
    images : list of TrainingImageRef
        Of which `prediction`, `uncertainty` and `probabilities` are not looked at.
    classes : list of dict
        As of `TrainCommand`.
    folder : str
        An existing one, for answers to the slices that are scored on, and for ``network.unet``.
    models : list of str or None
        To compare as they are, and to train a network from; folders, or names of those that come
        with the package. None: no network at all.
    max_time_s : float
        Wall clock.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    images: list[TrainingImageRef]
    classes: list[dict[str, str]]
    folder: str
    models: list[str] | None = None
    max_time_s: float = 120.0
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class LookAt:
    """The slice in view: segmented before the others, and again and again during training.

    Attributes
    ----------
    box : list of int or None
        First row, first column, and the row and the column after the last, of what is in sight of
        it; None: all.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: str
    plane: int
    box: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Painted:
    """Annotations of a slice have changed in the files of a `LiveCommand`.

    Attributes
    ----------
    box : list of int
        First row, first column, and the row and the column after the last.
    revision : int
        Counts these messages.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: str
    plane: int
    box: list[int]
    revision: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Learn nothing for the time being, or learn again; segmenting goes on."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    on: bool


@dataclass(frozen=True, slots=True)
class Suggest:
    """Rank regions as `SuggestCommand` does, with what a `LiveCommand` has learned so far."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    n: int


@dataclass(frozen=True, slots=True)
class ReturnTo:
    """Take the weights of a checkpoint of this job again."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End training, or a comparison, and keep what there is; nothing else heeds it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the job now; a model that is not yet saved is lost."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the job and the process."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


#: What begins a job.
Command: TypeAlias = (
    TrainCommand
    | LiveCommand
    | PredictCommand
    | PredictFilesCommand
    | BaselineCommand
    | SuggestCommand
    | PreviewModelsCommand
    | CompareCommand
)

#: What changes a job that is running.
Steering: TypeAlias = LookAt | Painted | Freeze | Suggest | ReturnTo | Stop | Cancel | Shutdown

_KINDS: dict[str, type[Command | Steering]] = {
    cls.__name__: cls
    for cls in (
        TrainCommand,
        LiveCommand,
        PredictCommand,
        PredictFilesCommand,
        BaselineCommand,
        SuggestCommand,
        PreviewModelsCommand,
        CompareCommand,
        LookAt,
        Painted,
        Freeze,
        Suggest,
        ReturnTo,
        Stop,
        Cancel,
        Shutdown,
    )
}


def to_fields(message: Command | Steering) -> dict[str, Any]:
    """Turn a message into builtins that JSON knows."""
    return {"command": type(message).__name__, **dataclasses.asdict(message)}


def from_fields(fields: dict[str, Any]) -> Command | Steering:
    """Turn builtins back into a message.

    Raises
    ------
    UserError
        If it is no message of ours: an unknown kind or field, a missing one, one of another type.
    """
    name = fields.get("command")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UserError(f"There is no command {name!r}; the commands are {', '.join(_KINDS)}.")
    rest = {key: value for key, value in fields.items() if key != "command"}
    try:
        # As JSON: from Python, a strict adapter takes nothing but instances.
        message: Command | Steering = TypeAdapter(kind).validate_json(json.dumps(rest))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its fields"
        raise UserError(f"{name} is malformed at {where}: {first['msg'].lower()}.") from error
    return message

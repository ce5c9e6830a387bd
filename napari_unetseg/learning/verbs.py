"""`train` and `predict` for scripts and notebooks: the generators, drained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.annotations import assign_blocks, new_blocks
from napari_unetseg.config import LabelClass, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, Progress, Warned
from napari_unetseg.images import LabelsKind, Stack, codes_to_masks, open_stack

from .bundle import Model, load_model
from .data import TrainingImage
from .dataset import TrainingSet, read_training_set
from .objects import objects_found
from .predictor import Predictor
from .trainer import Trainer

#: What stands for files: one, or several.
Paths: TypeAlias = str | Path | Sequence[str | Path]


def train(
    images: Paths | Sequence[TrainingImage],
    labels: Paths | None = None,
    *,
    labels_kind: LabelsKind = "annotations",
    slices: str | None = None,
    recipe: Recipe | None = None,
    classes: Sequence[LabelClass] | None = None,
    base: Model | str | Path | None = None,
    device: str = "auto",
    name: str = "model",
    on_event: Callable[[Event], Any] | None = None,
) -> Model:
    """Train a network on annotated images.

    Parameters
    ----------
    images : path, sequence of paths, or sequence of TrainingImage
        Files, folders (of separate images) or globs; or images with annotations in memory.
    labels : path or sequence of paths, optional
        Of the images, if these are paths; paired by stem or by natural order.
    labels_kind : {"annotations", "masks", "objects"}
    slices : str, optional
        Those whose labels count, as ``"0,7,14"``.
    recipe : Recipe, optional
        60 s with the defaults where left out; its budget counts from this call.
    classes : sequence of LabelClass, optional
        Names and colours; as the labels file has them where left out.
    base : Model or path, optional
        Start from its weights.
    device : str
    name : str
        Of the model.
    on_event : callable, optional
        Called with every event.

    Returns
    -------
    Model
        Not yet on disk: see `Model.save`.

    Raises
    ------
    UserError
        If the images, labels or settings cannot be used.

    Examples
    --------
    >>> model = train("raw.tif", "strokes.tif")  # doctest: +SKIP
    >>> model.save("cells.unet")  # doctest: +SKIP
    """
    started_at = time.time()
    data = _training_set(images, labels, labels_kind, slices)
    named = tuple(classes) if classes is not None else data.classes
    if data.images and not named:
        raise UserError("Images in memory do not name their classes; give them as classes=….")
    trainer = Trainer(
        data.images,
        recipe or Recipe(),
        named,
        name=name,
        base=load_model(base) if isinstance(base, str | Path) else base,
        device=device,
        started_at=started_at,
        label_values=data.label_values,
    )
    for event in chain(map(Warned, data.notes), trainer.run()):
        if on_event is not None:
            on_event(event)
    return trainer.current_model()


def predict(
    image: Stack | str | Path,
    model: Model | str | Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    objects: bool = False,
    device: str = "auto",
    resample: bool | None = None,
    tta: bool = False,
    on_event: Callable[[Event], Any] | None = None,
) -> npt.NDArray[Any]:
    """Segment an image.

    Parameters
    ----------
    image : Stack or path
    model : Model or path
        Or the name of a model that comes with the package.
    probabilities, uncertainty, objects : bool
        Return these instead of masks, one of them; `Predictor` gives all in one pass.
    device : str
    resample : bool, optional
        Scale slices to the pixel size that the model was trained at. By default models that come
        with the package do, and others do not.
    tta : bool
        Average over eight flips and turns: slower, better.
    on_event : callable, optional
        Called with a `Progress` after every slice.

    Returns
    -------
    ndarray
        Masks, uint8: 0 background, k class k; axes of the image without C. Or probabilities,
        float32, of shape (planes, K, Y, X). Or uncertainty, float32 from 0 to 1, with the axes of
        masks; see `Predictor.answer`. Or ids of objects, uint32, 0 background, with these axes.

    Raises
    ------
    UserError
        If the image or the model cannot be used.
    """
    stack = image if isinstance(image, Stack) else open_stack(image)
    loaded = model if isinstance(model, Model) else load_model(model)
    if probabilities + uncertainty + objects > 1:
        raise UserError(
            "More than one of probabilities, uncertainty and objects were asked for; ask for one "
            "at a time."
        )
    kept = "probabilities" if probabilities else "uncertainty" if uncertainty else "codes"
    if resample is None:
        resample = loaded.info.card is not None
    predictor = Predictor(
        loaded, stack, device=device, resample=resample, tta=tta, on_event=on_event
    )
    found: list[npt.NDArray[Any]] = []
    distances: list[npt.NDArray[np.float32]] = []
    for _, answer in predictor.answers(
        range(stack.n_planes),
        probabilities=probabilities,
        uncertainty=uncertainty,
        distances=objects,
    ):
        found.append(getattr(answer, kept))
        if answer.distances is not None:
            distances.append(answer.distances)
        if on_event is not None:
            on_event(Progress("Segmenting", len(found), stack.n_planes))
    values = np.stack(found)
    if probabilities:
        return values
    if objects:
        depth = np.stack(distances) if distances else None
        values = objects_found(loaded.info, values, depth, stack.size("T"), predictor.scale)
    elif not uncertainty:
        values = codes_to_masks(values)
    return values.reshape(stack.labels_shape)


def _training_set(
    images: Paths | Sequence[TrainingImage],
    labels: Paths | None,
    kind: LabelsKind,
    slices: str | None,
) -> TrainingSet:
    several = [images] if isinstance(images, str | Path) else list(images)
    in_memory = [image for image in several if isinstance(image, TrainingImage)]
    if len(in_memory) == len(several):
        return TrainingSet([_with_blocks(image) for image in in_memory], (), {}, [])
    if labels is None or in_memory:
        raise UserError("Images on disk need labels on disk: give both as paths.")
    return read_training_set(
        [image for image in several if isinstance(image, str | Path)],
        [labels] if isinstance(labels, str | Path) else list(labels),
        kind,
        slices=slices,
    )


def _with_blocks(image: TrainingImage) -> TrainingImage:
    """Decide what is held out, where nobody has yet."""
    if image.blocks is not None:
        return image
    blocks = new_blocks(image.codes.shape)
    assign_blocks(image.codes, blocks, image.stack)
    return replace(image, blocks=blocks)

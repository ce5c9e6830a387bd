"""What `predict` writes of an image: slice by slice, and gone on with after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.events import Event, Warned
from napari_unetseg.wording import counted

from .printing import say

if TYPE_CHECKING:
    from napari_unetseg.classical import Chain
    from napari_unetseg.images import Stack, UnfinishedStack
    from napari_unetseg.learning import Answer, Device, Model, Predictor

    from .outputs import Outputs


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for, of every image.

    Attributes
    ----------
    model : Model
    device : Device
    then : Chain or None
        Refinements of what is written.
    objects : bool
        Write ids of objects instead of classes.
    resample, tta : bool
        As `Predictor` has them.
    overwrite : bool
        Replace results that exist.
    """

    model: Model
    device: Device
    then: Chain | None
    objects: bool
    resample: bool
    tta: bool
    overwrite: bool

    def facts(self, image: Stack, planes: list[int], files: Outputs) -> dict[str, Any]:
        """Return what decides the answers for an image, by the words a person knows it by."""
        from napari_unetseg import __version__
        from napari_unetseg.images import fingerprint, stamp

        return {
            "version of this program": __version__,
            "model": self.model.fingerprint(),
            "image": {
                "pixels": fingerprint(image),
                "files": stamp(image),
                "axes": image.axes,
                "shape": image.shape,
                "pixel_size_um": image.pixel_size_um,
            },
            "--slices": planes,
            "--device": [self.device.kind, self.device.precision],
            "--resample": self.resample,
            "--tta": self.tta,
            "--objects": self.objects,
            "--then": None if self.then is None else self.then.model_dump(mode="json"),
            "--probabilities": files.probabilities is not None,
            "--uncertainty": files.uncertainty is not None,
        }


def segment(
    image: Stack,
    planes: list[int],
    files: Outputs,
    asked: Asked,
    facts: Mapping[str, Any],
    begin_naming: Callable[[float], None],
    show: Callable[..., None],
) -> float:
    """Segment an image into its files, or go on with what is left of an earlier time.

    Parameters
    ----------
    image : Stack
    planes : list of int
        Slices to segment; the others stay empty.
    files : Outputs
    asked : Asked
    facts : mapping
        What `Asked.facts` says of the image.
    begin_naming : callable
        Takes the scale, as returned, once everything is done but the results' names.
    show : callable
        Takes ``advance`` and ``description``, as a bar of progress does.

    Returns
    -------
    float
        At which scale the model saw it.
    """
    from napari_unetseg.images import OF_RESULT, check_same, facts_of
    from napari_unetseg.learning import Predictor

    facts = {OF_RESULT: files.labels.name, **facts}
    results: dict[str, UnfinishedStack] = {}
    for place in () if asked.overwrite else (files.labels, *_made_of(files)):
        if facts_of(place).get(OF_RESULT) == files.labels.name:
            check_same(place, facts)  # of options that were given then, and are not now, too
    try:
        with ExitStack() as until_written:
            for name, result in _results(image, planes, files, asked, facts):
                results[name] = until_written.enter_context(result)
            begun = next(iter(results.values()))
            predictor = Predictor(
                asked.model,
                image,
                device=asked.device,
                resample=asked.resample,
                tta=asked.tta,
                tile_px=_tile_in(begun.known, asked.model.network.spatial_dims),
                on_event=_say,
            )
            begun.remember(tile_px=predictor.tile_px)
            _fill(results, predictor, planes, image.name, show)
            if "labels" not in results:
                show(description=f"Refining {image.name}")
                labels = _refined(results, image, planes, files, asked, facts, predictor.scale)
                results["labels"] = until_written.enter_context(labels)
            show(description=f"Writing {image.name}")
            wanted = [result for name, result in results.items() if getattr(files, name, None)]
            for result in wanted:
                result.prepare()
            begin_naming(predictor.scale)
            for result in wanted:
                result.finish()
            for result in results.values():
                result.discard()
            _remove_left(files)
    except KeyboardInterrupt:
        if results and all(result.done for result in results.values()):
            say("What was segmented is kept; the same command goes on from there.", err=True)
        raise
    return predictor.scale


def _tile_in(known: Mapping[str, Any], n_axes: int) -> list[int] | None:
    """Return the size of tiles that was remembered; None where there is no such size."""
    found: Any = known.get("tile_px")
    if not isinstance(found, list) or len(found) != n_axes:
        return None
    return found if all(type(n) is int and n > 0 for n in found) else None


def _fill(
    results: Mapping[str, UnfinishedStack],
    predictor: Predictor,
    planes: list[int],
    name: str,
    show: Callable[..., None],
) -> None:
    """Segment the slices that are in one of the results not yet."""
    done = set.intersection(*(result.done for result in results.values()))
    if done:
        say(
            f"{len(done)} of {counted(len(planes), 'slice')} of {name} were segmented before this "
            "was interrupted; the others follow.",
            err=True,
        )
    elif any(result.was_begun_anew for result in results.values()):
        say(
            f"What was left of {name} cannot be gone on with, so it is segmented from its first "
            "slice.",
            err=True,
        )
    show(advance=len(done))
    answers = predictor.answers(
        [plane for plane in planes if plane not in done],
        probabilities="probabilities" in results,
        uncertainty="uncertainty" in results,
        distances="distances" in results,
    )
    for plane, answer in answers:
        for which, result in results.items():
            result.put(plane, _values(which, answer))
        show(advance=1)


def go_on_naming(files: Outputs) -> None:
    """Give results their names that were prepared when a program ended."""
    from napari_unetseg.images import give_name

    for path in files.paths():
        give_name(Path(path))
    _remove_left(files)


def _remove_left(files: Outputs) -> None:
    """Remove what was begun beside a result, and is needed no more."""
    from napari_unetseg.images import OF_RESULT, remove_unfinished

    for left in _made_of(files):
        remove_unfinished(left, {OF_RESULT: files.labels.name})


def _made_of(files: Outputs) -> list[Path]:
    """Return the places of all that may be written beside labels, or that they are made of."""
    kinds = ("codes", "distances", "probabilities", "uncertainty")
    asides = [files.probabilities, files.uncertainty]
    beside = [files.labels.with_stem(f"{files.labels.stem}_{kind}") for kind in kinds[2:]]
    found = [*(_scratch(files, kind) for kind in kinds), *beside, *(p for p in asides if p)]
    return list(dict.fromkeys(found))


def _scratch(files: Outputs, kind: str) -> Path:
    """Return the place of what a result is made of afterwards."""
    return files.labels.with_name(f"{files.labels.name}.part.{kind}.zarr")


def _results(
    image: Stack, planes: list[int], files: Outputs, asked: Asked, facts: Mapping[str, Any]
) -> Iterator[tuple[str, UnfinishedStack]]:
    """Yield what is written slice by slice: results, and what these are made of afterwards."""
    from napari_unetseg.images import UnfinishedStack, labels_like, maps_like, probabilities_like

    from .refining import wants_probabilities

    classes = asked.model.info.classes

    def result(name: str, path: Path | None, like: Stack) -> tuple[str, UnfinishedStack]:
        path = path or _scratch(files, name)
        return name, UnfinishedStack(path, like, facts=facts, overwrite=asked.overwrite)

    if asked.then is None and not asked.objects:
        yield result("labels", files.labels, labels_like(image, "masks", classes, planes))
    else:
        yield result("codes", None, labels_like(image, "annotations", classes))
    if asked.objects and asked.model.info.object_diameter_px is not None:
        yield result("distances", None, maps_like(image))
    if files.probabilities is not None or wants_probabilities(asked.then):
        like = probabilities_like(image, classes)
        yield result("probabilities", files.probabilities, like)
    if files.uncertainty is not None:
        yield result("uncertainty", files.uncertainty, maps_like(image))


def _values(name: str, answer: Answer) -> Any:
    """Return what of an answer is written."""
    from napari_unetseg.images import codes_to_masks

    return codes_to_masks(answer.codes) if name == "labels" else getattr(answer, name)


def _refined(
    results: Mapping[str, UnfinishedStack],
    image: Stack,
    planes: list[int],
    files: Outputs,
    asked: Asked,
    facts: Mapping[str, Any],
    scale: float,
) -> UnfinishedStack:
    """Tell objects apart and take the steps that were asked for; return what comes out."""
    from napari_unetseg.annotations import pieces_of
    from napari_unetseg.classical import Source, answers, run_stack
    from napari_unetseg.images import LazyPlanes, UnfinishedStack, codes_to_masks, labels_like
    from napari_unetseg.learning import objects_found

    from .segmenting import Into

    read = {name: LazyPlanes.of(result.stack()) for name, result in results.items()}
    info, codes = asked.model.info, read["codes"]
    begun: Any = codes
    if "distances" in read:
        begun = objects_found(info, codes[:], read["distances"][:], image.size("T"), scale)
    elif asked.objects:
        pieces = pieces_of(codes, image.size("T"), planes)
        begun = LazyPlanes(codes.shape, np.uint32, pieces.ids)
    are_objects = asked.objects or (asked.then and answers(asked.then) == "objects")
    like = labels_like(image, "objects" if are_objects else "masks", info.classes, planes)
    result = UnfinishedStack(files.labels, like, facts=facts, overwrite=asked.overwrite)

    def put(plane: int, labels: Any) -> None:
        result.put(plane, labels if are_objects else codes_to_masks(labels))

    try:
        if asked.then is None:
            for plane in planes:
                put(plane, begun[plane])
        else:
            source = Source(image, planes, labels=begun, probabilities=read.get("probabilities"))
            for _ in run_stack(asked.then, source, out=Into(put, planes)):
                pass
    except BaseException:
        result.discard()
        raise
    return result


def _say(event: Event) -> None:
    if isinstance(event, Warned):
        say(event.sentence, err=True)

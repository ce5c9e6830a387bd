"""Images segmented by a recipe of classical steps: what `baseline` and `run` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unetseg.errors import UserError

if TYPE_CHECKING:
    from napari_unetseg.classical import ChainRecipe, Source
    from napari_unetseg.images import Stack


@dataclass(frozen=True, slots=True)
class Files:
    """What is segmented, and where it goes.

    Attributes
    ----------
    images : sequence of str
        Files, folders or globs.
    labels : sequence of str
        Annotations of the images, for methods that grow or learn from them; without a method,
        masks to refine.
    points : Path or None
        A table of points to grow from, of a single image.
    slices : str or None
        Slices to segment, as ``"0,7,14"`` or ``"0-4"``; all if None.
    stack : bool
        Read a folder as one Z stack.
    quantised : bool
        Also write the images in the colours of their clusters.
    """

    images: Sequence[str]
    output: Path
    labels: Sequence[str] = ()
    points: Path | None = None
    slices: str | None = None
    stack: bool = False
    overwrite: bool = False
    quantised: bool = False


def segment_files(recipe: ChainRecipe, files: Files) -> None:
    """Segment and write every image, and beside the result how it was made."""
    from napari_unetseg.classical import prepare
    from napari_unetseg.images import find_inputs

    from .outputs import check_outputs, plan_outputs, write_record
    from .progress import bar

    paths: list[Path] = []
    for image in files.images:
        as_one = files.stack and Path(image).is_dir()
        paths += [Path(image)] if as_one else find_inputs([image])
    plan = plan_outputs(paths, files.output, quantised=files.quantised)
    check_outputs(plan, overwrite=files.overwrite)
    sources = _open(paths, files, starts=recipe.chain.method() is None)
    prepared = prepare(recipe.chain, sources)
    facts = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(s.chosen()) for s in sources))
        for source, shared, target in zip(sources, prepared, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {source.stack.name}")
            answered = _answer(recipe, source, shared, lambda: progress.advance(task))
            _write(answered, recipe, source, target.labels, overwrite=files.overwrite)
            if target.quantised is not None:
                _write_quantised(answered, source, target.quantised, overwrite=files.overwrite)
            facts.append(_facts(source, target.labels))
    record = _record(recipe, facts)
    write_record(plan.record, record, overwrite=files.overwrite)
    print(f"Segmentation: {files.output}, and how it was made: {plan.record}")


def _open(paths: Sequence[Path], files: Files, *, starts: bool) -> list[Source]:
    """Open every image and check it before the first is segmented.

    Parameters
    ----------
    starts : bool
        Whether there is no method, so that refinements begin with the labels, or where there are
        none with the images themselves.
    """
    from napari_unetseg.classical import Source, read_points, strokes_at
    from napari_unetseg.images import check_pixels, open_stack, parse_slices, read_labels

    strokes = _labels(paths, files, "masks" if starts else "annotations")
    if files.points is not None and len(paths) > 1:
        raise UserError(f"Points belong to one image; {len(paths)} were given.")
    sources = []
    for path in paths:
        stack = open_stack(path)
        planes = parse_slices(files.slices, stack.n_planes)
        if starts and path not in strokes:
            begun = read_labels(path, "masks").codes
            sources.append(Source(stack, planes, labels=begun))
            continue
        check_pixels(stack, planes)
        if starts:
            sources.append(Source(stack, planes, labels=strokes[path]))
            continue
        if files.points is not None:
            seeds = strokes_at(*read_points(files.points), stack.labels_shape)
            sources.append(Source(stack, planes, seeds))
        else:
            sources.append(Source(stack, planes, strokes.get(path)))
    return sources


def _labels(
    paths: Sequence[Path], files: Files, kind: Literal["annotations", "masks"]
) -> dict[Path, Any]:
    from napari_unetseg.images import find_inputs, open_stack, pair_inputs, read_label_files

    if not files.labels:
        return {}
    if files.points is not None:
        raise UserError("Give labels or points to grow from, not both.")
    pairs = pair_inputs(paths, find_inputs(files.labels))
    likes = [open_stack(image) for image, _ in pairs]
    read = read_label_files([path for _, path in pairs], kind, likes=likes)
    return {image: labels.codes for (image, _), labels in zip(pairs, read, strict=True)}


def _answer(recipe: ChainRecipe, source: Source, prepared: Any, advance: Any) -> Any:
    """Return codes or ids, shape (n_planes, Y, X); 0 in slices that were not chosen."""
    import numpy as np

    from napari_unetseg.classical import answers, run_stack

    stack, planes = source.stack, source.chosen()
    is_objects = answers(recipe.chain) == "objects"
    dtype = np.uint32 if is_objects else np.uint8
    found = np.zeros((len(planes), *stack.plane_shape), dtype)
    for _ in run_stack(recipe.chain, source, out=found, prepared=prepared):
        advance()
    found = recipe.meant(found)
    if len(planes) == stack.n_planes:
        return found
    whole = np.zeros((stack.n_planes, *stack.plane_shape), dtype)
    whole[planes] = found
    return whole


def _write(
    answered: Any, recipe: ChainRecipe, source: Source, path: Path, *, overwrite: bool
) -> None:
    import numpy as np

    from napari_unetseg.images import write_labels

    write_labels(
        path,
        answered,
        like=source.stack,
        kind="masks" if answered.dtype == np.uint8 else "objects",
        classes=recipe.classes,
        slices=source.chosen(),
        overwrite=overwrite,
    )


def _write_quantised(answered: Any, source: Source, path: Path, *, overwrite: bool) -> None:
    """Write the image, each pixel painted with the mean of its group; empty slices stay empty."""
    import numpy as np

    from napari_unetseg.classical.quantising import quantised
    from napari_unetseg.images import write_image

    stack = source.stack
    planes = np.zeros((stack.n_planes, stack.size("C"), *stack.plane_shape), stack.dtype)
    for plane in source.chosen():
        planes[plane] = quantised(answered[plane], stack.plane(plane))
    axes = planes.reshape(stack.size("T"), stack.size("Z"), *planes.shape[1:])
    write_image(path, axes.swapaxes(1, 2).reshape(stack.shape), like=stack, overwrite=overwrite)


def _facts(source: Source, output: Path) -> dict[str, Any]:
    from napari_unetseg.images import fingerprint

    stack: Stack = source.stack
    return {
        "image": str(stack.path),
        "output": str(output),
        "slices": source.chosen(),
        "fingerprint": fingerprint(stack),
    }


def _record(recipe: ChainRecipe, facts: list[dict[str, Any]]) -> dict[str, Any]:
    from napari_unetseg import __version__
    from napari_unetseg.classical import in_words

    return {
        "recipe": recipe.model_dump(mode="json"),
        "in words": in_words(recipe.chain),
        "images": facts,
        "version": __version__,
    }

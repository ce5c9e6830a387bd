"""Images segmented by a recipe of classical steps: what `baseline` and `run` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import UserError

from .printing import say

if TYPE_CHECKING:
    from napari_unetseg.classical import ChainRecipe, Source
    from napari_unetseg.config import LabelClass
    from napari_unetseg.images import LabelPlanes, Stack

    from .outputs import Outputs


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
    table : Path or None
        Where the blobs of a single image are written as points.
    quantised : bool
        Also write the images in the colours of their clusters.
    recipe : Path or None
        Where the recipe was read from.
    option_for_3d : str
        Of `steps.option_for_3d`; empty where it is not to be told.
    """

    images: Sequence[str]
    output: Path
    labels: Sequence[str] = ()
    points: Path | None = None
    slices: str | None = None
    stack: bool = False
    overwrite: bool = False
    table: Path | None = None
    quantised: bool = False
    recipe: Path | None = None
    option_for_3d: str = ""


def segment_files(recipe: ChainRecipe, files: Files) -> None:
    """Segment and write every image, and beside the result how it was made."""
    from napari_unetseg.classical import image_facts, record_of
    from napari_unetseg.images import find_inputs

    from .outputs import check_outputs, plan_outputs, write_record
    from .progress import bar
    from .steps import note_on_numbers

    _check_used(recipe, files)
    paths: list[Path] = []
    for image in files.images:
        as_one = files.stack and Path(image).is_dir()
        paths += [Path(image)] if as_one else find_inputs([image])
    read = {
        "labels file": find_inputs(files.labels),
        "table of points": [] if files.points is None else [files.points],
        "recipe": [] if files.recipe is None else [files.recipe],
    }
    plan = plan_outputs(
        paths, files.output, quantised=files.quantised, table=files.table, read=read
    )
    check_outputs(plan, overwrite=files.overwrite)
    if recipe.chain.method() is None:
        sources, classes = _open_begun(paths, files)
        recipe = recipe.replace(classes=recipe.classes or classes)
    else:
        labels = _annotations(paths, files)
        sources = _open(recipe, paths, files, labels)
        if labels or files.points is not None:
            recipe = _named(recipe, sources, labels.values()).replace(learned=None)
    chosen = ((source.stack, source.chosen()) for source in sources)
    if note := note_on_numbers(files.option_for_3d, chosen):
        say(note, err=True)
    if files.table is not None:
        _write_table(recipe, sources, files)
    prepared = recipe.prepared_for(sources)
    facts = []
    with bar() as progress:
        task = progress.add_task("Segmenting", total=sum(len(s.chosen()) for s in sources))
        for source, shared, target in zip(sources, prepared, plan.files, strict=True):
            progress.update(task, description=f"Segmenting {source.stack.name}")
            _segment(recipe, source, shared, target, files, lambda: progress.advance(task))
            facts.append(image_facts(source.stack, target.labels, source.chosen()))
    recipe = recipe.keeping(sources, prepared)
    write_record(plan.record, record_of(recipe, facts), overwrite=files.overwrite)
    if recipe.needs_strokes():
        say(f"What is painted is too much to be kept: run {plan.record} needs -l LABELS.")
    if said := _said_of_channels(recipe, sources):
        say(said)
    say(f"Segmentation: {files.output}, and how it was made: {plan.record}")
    few_colours = [file.quantised for file in plan.files if file.quantised is not None]
    if few_colours:
        more = f" and {len(few_colours) - 1} more" if few_colours[1:] else ""
        say(f"In few colours: {few_colours[0]}{more}")


def _said_of_channels(recipe: ChainRecipe, sources: Sequence[Source]) -> str:
    """Say that several channels were segmented as one; nothing where there was one or a choice."""
    found = recipe.chain.method()
    if found is None or not found[0].mixes_channels:
        return ""
    if any(settings.step == "channel" for settings in recipe.chain.steps):
        return ""
    for source in sources:
        if source.stack.n_channels > 1:
            names = ", ".join(name for name in source.stack.channels if name)
            of_names = f" ({names})" if names else ""
            return (
                f"{source.stack.name} has {source.stack.n_channels} channels{of_names}: their mean "
                "was segmented; --before channel:channel=1 takes the first alone."
            )
    return ""


def _open_begun(paths: Sequence[Path], files: Files) -> tuple[list[Source], tuple[LabelClass, ...]]:
    """Open masks or objects to refine, and the classes of them.

    These are the labels given with the images, or else the images themselves.
    """
    from napari_unetseg.classical import Source
    from napari_unetseg.images import (
        check_numbers,
        find_inputs,
        notes_on,
        open_stack,
        pair_inputs,
        parse_slices,
    )

    pairs = pair_inputs(paths, find_inputs(files.labels) if files.labels else paths)
    stacks = [open_stack(image) for image, _ in pairs]
    read = _masks_or_objects([path for _, path in pairs], stacks)
    for note in notes_on(read):
        say(note)
    sources = []
    for stack, labels in zip(stacks, read, strict=True):
        planes = _begun_planes(labels, parse_slices(files.slices, stack.n_planes), files.slices)
        check_numbers(stack, planes)
        found = labels.codes if labels.ids is None else labels.ids
        sources.append(Source(stack, planes, labels=found))
    return sources, max((labels.classes for labels in read), key=len)


def _begun_planes(labels: LabelPlanes, planes: list[int], asked: str | None) -> list[int]:
    """Return the slices to refine: of those that were segmented all, or those that are asked for.

    Raises
    ------
    UserError
        If one is asked for that was not segmented.
    """
    from napari_unetseg.wording import ranges

    if labels.slices is None:
        return planes
    if asked is None:
        return sorted(labels.slices)
    if left_out := sorted(set(planes) - set(labels.slices)):
        raise UserError(
            f"--slices asks for {ranges(left_out)}, but of {labels.name} only "
            f"{ranges(sorted(labels.slices))} were segmented; ask for some of these, or leave "
            "--slices out."
        )
    return planes


def _masks_or_objects(paths: Sequence[Path], stacks: Sequence[Stack]) -> list[LabelPlanes]:
    """Read what each file says that it holds, else masks, a value being the same class in all."""
    from napari_unetseg.images import LabelsKind, kind_of_file, scan_label_files

    found: dict[int, LabelPlanes] = {}
    saved = [kind_of_file(path, stack) for path, stack in zip(paths, stacks, strict=True)]
    ids = [kind == "objects" for kind in saved]
    kinds: tuple[LabelsKind, ...] = ("masks", "objects")
    for kind in kinds:
        chosen = [i for i, is_ids in enumerate(ids) if is_ids == (kind == "objects")]
        if chosen:
            likes = [stacks[i] for i in chosen]
            read = scan_label_files([paths[i] for i in chosen], kind, likes, keep=True)
            found.update(zip(chosen, read, strict=True))
    return [found[i] for i in range(len(paths))]


def _check_used(recipe: ChainRecipe, files: Files) -> None:
    """Raise `UserError` where something is given that would not be looked at."""
    found = recipe.chain.method()
    if found is None and files.points is not None:
        raise UserError(
            "A refinement changes masks and grows from nothing; leave --points out, or name a "
            "method such as grow first."
        )
    if found is None or found[0].use_of_strokes(found[1]) != "unused":
        return
    given = "--points" if files.points is not None else "--labels" if files.labels else ""
    if given:
        raise UserError(
            f"{found[0].title} looks at no annotations; leave {given} out, or choose a method "
            "that grows or learns, such as grow or forest."
        )


def _open(
    recipe: ChainRecipe,
    paths: Sequence[Path],
    files: Files,
    annotations: Mapping[Path, LabelPlanes],
) -> list[Source]:
    """Open every image and check it before the first is segmented.

    Strokes are those given, or else those that the recipe keeps.
    """
    from napari_unetseg.classical import LARGEST_GREY, Source, read_points, strokes_at
    from napari_unetseg.images import check_pixels, open_stack, parse_slices

    if files.points is not None and len(paths) > 1:
        raise UserError(f"Points belong to one image; {len(paths)} were given.")
    sources = []
    for path in paths:
        stack = recipe.calibrated(open_stack(path))
        for sentence in stack.notes:
            say(f"{stack.name}: {sentence}", err=True)
        planes = parse_slices(files.slices, stack.n_planes)
        check_pixels(stack, planes, largest=LARGEST_GREY)
        strokes: Any = None
        if files.points is not None:
            strokes = strokes_at(*read_points(files.points), stack.labels_shape)
        elif annotations:
            strokes = annotations[path].codes
        else:
            strokes = recipe.strokes_on(stack)
        sources.append(Source(stack, planes, strokes))
    return sources


def _annotations(paths: Sequence[Path], files: Files) -> dict[Path, LabelPlanes]:
    from napari_unetseg.images import find_inputs, open_stack, pair_inputs, scan_label_files

    if not files.labels:
        return {}
    if files.points is not None:
        raise UserError("Give labels or points to grow from, not both.")
    pairs = pair_inputs(paths, find_inputs(files.labels))
    likes = [open_stack(image) for image, _ in pairs]
    read = scan_label_files([path for _, path in pairs], "annotations", likes, keep=True)
    return {image: labels for (image, _), labels in zip(pairs, read, strict=True)}


def _named(
    recipe: ChainRecipe, sources: Sequence[Source], annotations: Iterable[LabelPlanes]
) -> ChainRecipe:
    """Name classes as the annotations do, where the method answers in their codes."""
    from napari_unetseg.config import BACKGROUND, default_class

    found = recipe.chain.method()
    unused = found is None or found[0].use_of_strokes(found[1]) == "unused"
    highest = max((code for source in sources for code in source.codes()), default=0)
    if unused or recipe.mapping is not None or highest <= BACKGROUND:
        return recipe
    named = max((labels.classes for labels in annotations), key=len, default=())
    others = (default_class(k) for k in range(len(named) + 1, highest - BACKGROUND + 1))
    return recipe.replace(classes=(*named, *others))


def _write_table(recipe: ChainRecipe, sources: Sequence[Source], files: Files) -> None:
    from napari_unetseg.classical import points_of, write_points

    if len(sources) > 1:
        raise UserError(f"A table is of one image; {len(sources)} were given.")
    if files.table is not None:
        found = points_of(recipe.chain, sources[0])
        write_points(files.table, found, overwrite=files.overwrite)
        say(f"Points: {files.table}, {len(found)} of them")


def _segment(
    recipe: ChainRecipe,
    source: Source,
    prepared: Any,
    target: Outputs,
    files: Files,
    advance: Callable[[], Any],
) -> None:
    """Segment an image into its files; slices that were not chosen stay empty."""
    import numpy as np

    from napari_unetseg.classical import answers, run_stack
    from napari_unetseg.classical.quantising import quantised
    from napari_unetseg.images import UnfinishedStack, codes_to_masks, labels_like

    stack, planes = source.stack, source.chosen()
    begun = np.uint8 if source.labels is None else source.labels.dtype
    are_objects = answers(recipe.chain) == "objects" or begun != np.uint8
    like = labels_like(stack, "objects" if are_objects else "masks", recipe.classes, planes)
    with ExitStack() as until_written:
        result = UnfinishedStack(target.labels, like, overwrite=files.overwrite)
        until_written.enter_context(result)
        few_colours = None
        if target.quantised is not None:
            image = replace(stack, metadata={})
            few_colours = UnfinishedStack(target.quantised, image, overwrite=files.overwrite)
            until_written.enter_context(few_colours)

        def put(plane: int, answered: Any) -> None:
            codes: Any = recipe.meant(answered)
            result.put(plane, codes if are_objects else codes_to_masks(codes))
            if few_colours is not None:
                pixels = stack.plane(plane)
                painted = quantised(codes, pixels)
                few_colours.put(plane, painted if "C" in stack.axes else painted[0])

        for _ in run_stack(recipe.chain, source, out=Into(put, planes), prepared=prepared):
            advance()
        result.finish()
        if few_colours is not None:
            few_colours.finish()


class Into:
    """What a chain answers for the slices chosen, handed on slice by slice instead of kept.

    Parameters
    ----------
    put : callable
        Takes the number of a slice of the stack, and its labels.
    planes : sequence of int
        The slices, in the order in which they are answered.
    """

    def __init__(self, put: Callable[[int, Any], Any], planes: Sequence[int]) -> None:
        self._put = put
        self._planes = planes

    def __setitem__(self, n: int, labels: Any) -> None:
        """Take the answer for one of the slices."""
        self._put(self._planes[n], labels)

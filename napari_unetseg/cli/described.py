"""What is known of a path: an image, labels, a model, or a folder of these."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

if TYPE_CHECKING:
    from napari_unetseg.config import ModelInfo
    from napari_unetseg.images import Outlines, Stack

#: Stacks of more pixels than this are not read through to list their values.
_READ_UP_TO_PX = 1 << 28

#: More values than this are summed up by their range: these are no classes.
_LISTED_VALUES = 16

#: Of the images in a folder, no more different sizes than this are listed.
_SIZES = 5

#: Of the folders in a folder, no more than this are named.
_NAMED_FOLDERS = 5


def describe(path: Path) -> dict[str, Any]:
    """Return what is known of a path, by name and for JSON.

    Raises
    ------
    UserError
        If nothing is there, or it cannot be read.
    """
    from napari_unetseg.config import find_model, is_unfinished, read_model_info
    from napari_unetseg.images import container_of, is_chunk_store, split_place

    if split_place(path) is None and not path.suffix and container_of(path) is None:
        path = find_model(path)
    if (path / "model.json").is_file() or is_unfinished(path):
        return _describe_model(path, read_model_info(path))
    if path.is_dir() and not is_chunk_store(path):
        return _describe_folder(path)
    return _describe_file(path)


def _describe_file(path: Path) -> dict[str, Any]:
    from napari_unetseg.images import Outlines, read_label_file, slices_done

    found = read_label_file(path)
    if isinstance(found, Outlines):
        return _describe_outlines(found)
    facts, done = _describe_stack(found), slices_done(path)
    return facts if done is None else facts | _unfinished(path, found, done)


def _unfinished(path: Path, found: Stack, done: list[int]) -> dict[str, Any]:
    """Return what is said otherwise of a result that has not all of its slices yet."""
    from napari_unetseg.images import can_go_on, segmented_slices
    from napari_unetseg.wording import counted

    wanted = segmented_slices(found) or range(found.n_planes)
    then = "goes on with it" if can_go_on(path) else "makes it anew"
    sentence = (
        f"This result is unfinished: {len(done)} of {counted(len(wanted), 'slice')} are in it, the "
        f"others are empty; the command that was to write it, given again, {then}."
    )
    return {"segmented slices": done, "notes": [sentence, *found.notes]}


def _describe_outlines(found: Outlines) -> dict[str, Any]:
    """Describe outlines, which are not drawn for it."""
    facts: dict[str, Any] = {"path": str(found.path), "outlines": len(found.outlines)}
    facts |= found.summary()
    frame = found.known_frame
    if frame is None:
        notes = ["The size of their image is not in the file; give the image with it."]
    else:
        facts |= {"axes": frame.axes, "shape": list(frame.shape)}
        facts |= {"pixel_size_um": frame.pixel_size_um, "slices": frame.n_planes}
        notes = []
    if found.slices is not None:
        facts["segmented slices"] = list(found.slices)
    return facts | {"notes": [*notes, *found.notes]}


def _describe_folder(folder: Path) -> dict[str, Any]:
    """Describe a folder as one stack, or where its files are none, as separate images."""
    from napari_unetseg.images import find_inputs, images_in, open_stack

    pictures = images_in(folder)
    if not pictures:
        raise _no_images(folder)
    try:
        facts = _describe_file(folder)
    except UserError as error:
        opened = [open_stack(path) for path in pictures]
        sizes = Counter(" × ".join(map(str, stack.shape)) for stack in opened)
        listed, n_others = sizes.most_common(_SIZES), max(0, len(sizes) - _SIZES)
        n_left = len(opened) - sum(n for _, n in listed)
        return {
            "path": str(folder),
            "images": len(opened),
            "sizes": {size: f"({n} of them)" for size, n in listed},
            "other sizes": f"{n_others}, of {counted(n_left, 'image')}" if n_others else None,
            "dtype": sorted({stack.dtype.name for stack in opened}),
            "no stack because": str(error).partition(";")[0],
        }
    if len(pictures) > 1 and find_inputs([folder]) == pictures:
        facts["notes"].append(
            f"Commands take this folder for {len(pictures)} separate images, and with --stack for "
            "this one stack."
        )
    return facts


def _no_images(folder: Path) -> UserError:
    """Return the sentence about a folder without images: what else is in it."""
    from napari_unetseg.images import images_in, is_chunk_store

    if (folder / "session.json").is_file():
        return UserError(
            f"{folder} is what a window keeps of its work; open the image in a window, which "
            "offers to go on with it."
        )
    folders = (path for path in sorted(folder.iterdir()) if path.is_dir())
    inside = [path.name for path in folders if is_chunk_store(path) or images_in(path)]
    if inside:
        listed = ", ".join(inside[:_NAMED_FOLDERS]) + (" …" if inside[_NAMED_FOLDERS:] else "")
        return UserError(
            f"{folder} holds no images itself, but folders of them ({listed}); give one of these."
        )
    return UserError(
        f"{folder} holds no images"
        + (", labels or model; check the path." if any(folder.iterdir()) else ": it is empty.")
    )


def _describe_stack(stack: Stack) -> dict[str, Any]:
    from napari_unetseg.images import named_classes, saved_kind, segmented_slices

    facts: dict[str, Any] = {
        "path": str(stack.path),
        "axes": stack.axes,
        "shape": list(stack.shape),
        "dtype": stack.dtype.name,
        "pixel_size_um": stack.pixel_size_um,
        "channels": [name for name in stack.channels if name],
        "slices": stack.n_planes,
    }
    kind = saved_kind(stack)
    if kind is not None:
        facts["kind"] = kind
        facts["classes"] = [label_class.model_dump() for label_class in named_classes(stack)]
    segmented = segmented_slices(stack)
    if segmented is not None:
        facts["segmented slices"] = list(segmented)
    facts["values"] = _values(stack)
    facts["other images in it"] = list(stack.parts)
    facts["notes"] = list(stack.notes)
    return facts


def _values(stack: Stack) -> list[int] | dict[str, Any] | None:
    """List the values of labels, or say where those of an image lie; None where that takes long."""
    import numpy as np

    from napari_unetseg.images import values_in

    n_px = stack.n_planes * stack.n_channels * stack.size("Y") * stack.size("X")
    if n_px > _READ_UP_TO_PX:
        return None
    if stack.dtype.kind not in "iub":
        limits: list[float] = []
        for plane in stack.planes():
            finite = plane[np.isfinite(plane)]
            limits += [float(finite.min()), float(finite.max())] if finite.size else []
        return {"from": min(limits), "to": max(limits)} if limits else None
    found: set[int] = set()
    for plane in stack.planes():
        found |= values_in(plane)
    if len(found) <= _LISTED_VALUES:
        return sorted(found)
    return {"different": len(found), "from": min(found), "to": max(found)}


def _describe_model(path: Path, model: ModelInfo) -> dict[str, Any]:
    return {
        "path": str(path),
        "model": model.name,
        "created": model.created,
        "network": model.recipe.network.model_dump(),
        "classes": [label_class.model_dump() for label_class in model.classes],
        "channels": list(model.channels),
        "axes": model.axes,
        "pixel_size_um": model.pixel_size_um,
        "label_values": model.label_values,
        "scores": model.scores,
        "history": model.history,
        "data": model.data,
        "versions": model.versions,
        **({} if model.card is None else model.card.model_dump()),
    }

"""COCO's annotations: polygons and run lengths of objects with categories, of several images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import LabelClass, default_color
from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .geojson import ring_of
from .label_meaning import described
from .names import natural_key, stem_of
from .outlined_labels import Outlines
from .outlines import Outline, Polygon, trace
from .stack import Stack

#: Images beyond this many pixels are no pictures.
_LARGEST_PX = 1 << 31

#: A number that takes more bits is no length.
_LONGEST_BITS = 60


def is_coco(content: Any) -> bool:
    """Tell whether JSON lists images and annotations of them."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


def read_coco(path: Path, content: dict[str, Any], like: Stack | None = None) -> Outlines:
    """Read the objects of an image, or of several that are the slices of a stack.

    Parameters
    ----------
    path : Path
        For messages.
    content : dict
        With ``"images"``, ``"annotations"`` and, where objects have them, ``"categories"``.
    like : Stack, optional
        The image, found by its file name; or the stack whose slices the images are, in natural
        order of their names. Needed where the images are not all of one size.

    Raises
    ------
    UserError
        If the image is not among those of the file.
    """
    images = sorted(content["images"], key=lambda image: natural_key(Path(_name(image))))
    chosen = _chosen(path, images, like)
    height, width = (like.plane_shape if like else _size(chosen[0])) if chosen else (0, 0)
    for image in chosen:
        if (height, width) != _size(image):
            raise UserError(
                f"{path} says that {_name(image)} has {_size(image)[0]} × {_size(image)[1]} px, "
                f"and not {height} × {width}; give the image that was labelled."
            )
    categories = content.get("categories") or []
    names = {c["id"]: str(c["name"])[:80] or "unnamed" for c in categories}
    planes = {image["id"]: index for index, image in enumerate(chosen)}
    depth = like.size("Z") if like else len(chosen)
    outlines = []
    for annotation in content["annotations"]:
        index = planes.get(annotation["image_id"])
        segmentation = annotation.get("segmentation")
        if index is None or not segmentation:
            continue
        t, z = divmod(index, max(1, depth))
        polygons = tuple(_polygons(segmentation, (height, width)))
        name = names.get(annotation.get("category_id"), "")
        outlines.append(Outline(polygons, None, name, None, t, z))
    classes = tuple(
        LabelClass(name=name, color=default_color(k))
        for k, name in enumerate(dict.fromkeys(names.values()), 1)
    )
    about = described("objects", classes)
    n_left = len(images) - len(chosen)
    notes = (f"Labels of {counted(n_left, 'other image')} left out.",) if n_left else ()
    return Outlines(path, tuple(outlines), _frame(path, chosen), about, notes)


def decode_runs(counts: str) -> list[int]:
    """Unpack run lengths: 5 bits of a number per character, from the third number on differences.

    >>> decode_runs("52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    number, shift = 0, 0
    for character in counts.encode("ascii"):
        bits = character - 48
        if not 0 <= bits < 64 or shift > _LONGEST_BITS:
            raise ValueError("run lengths that are none")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, shift = 0, 0
    return runs


def _chosen(path: Path, images: Sequence[dict[str, Any]], like: Stack | None) -> Sequence[Any]:
    if like is None:
        if len({_size(image) for image in images}) > 1:
            raise UserError(
                f"{path} holds {len(images)} images of several sizes; say which is meant "
                "(convert --like IMAGE)."
            )
        return images
    own = like.path.name if like.path else like.name
    by_name = [image for image in images if Path(_name(image)).name == own]
    by_name = by_name or [image for image in images if stem_of(Path(_name(image))) == like.name]
    if like.n_planes == 1 and len(by_name) == 1:
        return by_name
    if len(images) == like.n_planes:
        return images
    named = ", ".join(_name(image) for image in images[:5])
    raise UserError(
        f"{path} holds labels of {counted(len(images), 'image')} ({named}), none of them {own}, "
        f"which has {counted(like.n_planes, 'slice')}; name the image as it was when it was "
        "labelled."
    )


def _frame(path: Path, images: Sequence[Any]) -> Stack | None:
    if not images:
        return None
    shape, name = _size(images[0]), stem_of(path)
    if len(images) == 1:
        return Stack(np.broadcast_to(np.uint8(0), shape), "YX", {}, stem_of(Path(_name(images[0]))))
    return Stack(np.broadcast_to(np.uint8(0), (len(images), *shape)), "ZYX", {}, name)


def _name(image: dict[str, Any]) -> str:
    return str(image.get("file_name", ""))


def _size(image: dict[str, Any]) -> tuple[int, int]:
    height, width = int(image["height"]), int(image["width"])
    if not (height > 0 and width > 0 and height * width <= _LARGEST_PX):
        raise ValueError(f"an image of {height} × {width} px")
    return height, width


def _polygons(segmentation: Any, shape: tuple[int, int]) -> list[Polygon]:
    if isinstance(segmentation, dict):
        mask = _mask(segmentation, shape)
        return trace(mask)[1] if mask.any() else []
    return [(ring_of(np.asarray(flat, np.float64).reshape(-1, 2)),) for flat in segmentation]


def _mask(runs: dict[str, Any], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Turn run lengths, down the columns, into a mask."""
    if tuple(runs["size"]) != shape:
        raise ValueError(f"run lengths of {runs['size']} px in an image of {list(shape)}")
    counts = runs["counts"]
    lengths = decode_runs(counts) if isinstance(counts, str) else [int(n) for n in counts]
    if min(lengths, default=0) < 0 or sum(lengths) != shape[0] * shape[1]:
        raise ValueError("run lengths that do not add up to their image")
    odd = np.arange(len(lengths)) % 2 == 1
    return np.repeat(odd, lengths).reshape(shape[1], shape[0]).T

"""Labels as a folder of PNG pictures, one per slice, and a file that says what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .atomic import atomic_file, atomic_folder
from .label_meaning import framed, with_frame
from .stack import Stack

#: Beside the pictures. A folder without it is never replaced.
ABOUT_JSON = "labels.json"

_LARGEST = (1 << 16) - 1


def write_pictures(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write a PNG per slice, of 8 or 16 bits, whose names sort as the slices follow each other.

    Parameters
    ----------
    path : Path
        The folder; or, where there is a single slice, a file that ends in ``.png``.

    Raises
    ------
    UserError
        If a number does not fit 16 bits, or several slices are to go into one file.
    """
    if path.suffix.lower() == ".png":
        if labels.n_planes > 1:
            raise UserError(
                f"{path} would be one picture and there are {labels.n_planes} slices; give a name "
                "without an ending, of a folder for them."
            )
        with atomic_file(path, overwrite=overwrite) as partial:
            _write(partial, labels.plane(0)[0], path)
        return
    with atomic_folder(path, overwrite=overwrite, marker=ABOUT_JSON) as folder:
        for index, name in enumerate(_names(labels)):
            _write(folder / name, labels.plane(index)[0], path)
        about = json.dumps(with_frame(labels), indent=2, ensure_ascii=False)
        (folder / ABOUT_JSON).write_text(about + "\n", encoding="utf-8")


def with_what_is_beside(folder: Path, labels: Stack) -> Stack:
    """Return the slices of a folder with axes, pixel size and meaning as it says."""
    try:
        about = json.loads((folder / ABOUT_JSON).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return labels
    return framed(labels, about)


def _names(labels: Stack) -> Iterator[str]:
    depth, digits = labels.size("Z"), max(4, len(str(labels.n_planes - 1)))
    for index in range(labels.n_planes):
        t, z = divmod(index, depth)
        time = f"t{t:0{digits}d}_" if "T" in labels.axes else ""
        yield f"{time}z{z:0{digits}d}.png"


def _write(path: Path, plane: npt.NDArray[Any], result: Path) -> None:
    from PIL import Image

    if plane.size and int(plane.max()) > _LARGEST:
        raise UserError(
            f"{result} cannot hold the number {int(plane.max())}: PNG has 16 bits, up to "
            f"{_LARGEST}; write .tif or .zarr instead."
        )
    small = plane.dtype.itemsize == 1
    pixels = np.ascontiguousarray(plane, np.uint8 if small else np.uint16)
    Image.fromarray(pixels).save(path, format="PNG")

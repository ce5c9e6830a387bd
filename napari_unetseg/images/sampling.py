"""A regular sample of a stack's pixels, the same however the stack is stored."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .names import is_of_system
from .places import split_place
from .stack import Stack

_MAX_PLANES = 16
_PX_PER_PLANE = 1 << 16


def sample_pixels(stack: Stack) -> npt.NDArray[Any]:
    """Read up to 16 slices, spread evenly, and of each a grid of about 65 000 pixels.

    Returns
    -------
    ndarray, shape (C, n)
        In the stack's own type.
    """
    count = min(stack.n_planes, _MAX_PLANES)
    indices = np.linspace(0, stack.n_planes - 1, count).round().astype(int)
    height, width = stack.plane_shape
    step = max(1, int(np.ceil(np.sqrt(height * width / _PX_PER_PLANE))))
    planes = [stack.plane(int(index))[:, ::step, ::step] for index in indices]
    return np.concatenate([plane.reshape(plane.shape[0], -1) for plane in planes], axis=1)


def stamp(path: Path) -> list[int]:
    """Return how many files an image has, their bytes, and when one of them was written last.

    Where a fingerprint, which samples, is the same, this tells that some other pixel was changed.
    """
    place = split_place(path)
    if place is None:
        return []
    files = [place[0]] if place[0].is_file() else _files_in(place[0])
    facts = [file.stat() for file in files]
    newest = max((fact.st_mtime_ns for fact in facts), default=0)
    return [len(facts), sum(fact.st_size for fact in facts), newest]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not is_of_system(path)]


def fingerprint(stack: Stack) -> str:
    """Identify an image by its shape, type and a sample of its pixels.

    The same pixels give the same fingerprint from any file format and byte order.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.sha256(f"{stack.n_planes} {stack.n_channels} {stack.plane_shape}".encode())
    digest.update(stack.dtype.name.encode())
    sample = sample_pixels(stack)
    digest.update(np.ascontiguousarray(sample, sample.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:32]

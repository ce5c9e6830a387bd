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


def stamp(stack: Stack) -> str:
    """Identify the files of an image by their bytes and when they were written.

    Where a fingerprint, which samples, is the same, this tells that some other pixel was changed.

    Returns
    -------
    str
        As of `stamp_of`; empty where it is of no file.
    """
    place = None if stack.path is None else split_place(stack.path)
    return "" if place is None else stamp_of(place[0], *stack.files)


def stamp_of(*files: Path) -> str:
    """Identify files, and those in folders, by their bytes and when they were written.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    found = [path for held in files for path in (held, *_files_in(held))]
    facts = sorted((s.st_size, s.st_mtime_ns) for p in found if p.is_file() and (s := p.stat()))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


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

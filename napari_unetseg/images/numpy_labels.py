"""Labels in NumPy's own files: bare arrays, and the ``_seg.npy`` of Cellpose without unpickling."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError

from .axes import resolve_axes
from .inert_pickle import Described, Named, NotUnderstoodError, described
from .label_meaning import described as facts
from .names import stem_of
from .npy import map_npy
from .stack import Stack

_INTEGERS = re.compile(r"[<>|=]?([ui][1248]|b1|\?)")

#: What arrays are made by, in versions of NumPy.
_RECONSTRUCT = re.compile(r"numpy\.(_core|core)\.multiarray\._reconstruct")
_FROM_BUFFER = re.compile(r"numpy\.(_core|core)\.numeric\._frombuffer")

#: Versions of the format, and how its header is read.
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(path: Path) -> Stack:
    """Open an array of labels, or what Cellpose found.

    Parameters
    ----------
    path : Path
        An ``.npy`` of numbers is mapped into memory. What Cellpose saves is pickled: it is looked
        at, and not unpickled; whatever is not described in it as plain numbers is refused.

    Raises
    ------
    UserError
        If it holds something else, or cannot be read.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format")
        _, _, dtype = _HEADERS[version](file)
        pickled = file.read() if dtype.hasobject else None
    if pickled is None:
        data = map_npy(path)
        about: dict[str, Any] = {}
    else:
        try:
            data = _masks(described(pickled))
        except NotUnderstoodError as error:
            raise UserError(
                f"{path} is not what Cellpose saves ({error}); it is pickled, and reading it in "
                "full could run what somebody put into it, so only its masks are taken; save these "
                "as TIFF or PNG."
            ) from error
        about = facts("objects", ())
    axes, kept = resolve_axes("Q" * (data.ndim - 2) + "YX", data.shape, str(path))
    name = re.sub(r"_seg$", "", stem_of(path))
    return Stack(data.reshape([data.shape[i] for i in kept]), axes, {}, name, path, metadata=about)


def _masks(content: Any) -> npt.NDArray[Any]:
    """Return what is called masks in a dictionary that is pickled as an array of one object."""
    for _ in range(4):
        if isinstance(content, Described) and isinstance(content.state, tuple):
            content = content.state[-1]
        elif isinstance(content, list) and len(content) == 1:
            content = content[0]
    if not isinstance(content, dict) or not isinstance(content.get("masks"), Described):
        raise NotUnderstoodError("it holds no masks")
    return _array(content["masks"])


def _array(found: Described) -> npt.NDArray[Any]:
    made_by = found.made_by.name if isinstance(found.made_by, Named) else ""
    try:
        if _RECONSTRUCT.fullmatch(made_by):
            _, shape, dtype, is_fortran, content = found.state
            order = "F" if is_fortran else "C"
        elif _FROM_BUFFER.fullmatch(made_by):
            content, dtype, shape, order = found.arguments
        else:
            raise NotUnderstoodError(f"its masks are made by {made_by or 'something else'}")
        sizes = tuple(int(n) for n in shape)
        flat = np.frombuffer(_bytes(content), _dtype(dtype))
    except (TypeError, ValueError) as error:
        raise NotUnderstoodError(f"its masks are no array: {error}") from error
    if min(sizes, default=0) < 1 or len(sizes) < 2 or math.prod(sizes) != flat.size:
        raise NotUnderstoodError(f"its masks of shape {sizes} hold {flat.size} numbers")
    if order not in ("C", "F"):
        raise NotUnderstoodError("its masks lie in an unknown order")
    return flat.reshape(sizes, order="F" if order == "F" else "C")


def _bytes(content: Any) -> bytes:
    if isinstance(content, Described):  # how bytes were pickled before there was an opcode for them
        if content.made_by != Named("_codecs.encode"):
            raise NotUnderstoodError("its masks are no bytes")
        text, encoding = content.arguments
        if not isinstance(text, str) or encoding != "latin1":
            raise NotUnderstoodError("its masks are no bytes")
        return text.encode("latin1")
    if not isinstance(content, bytes | bytearray):
        raise NotUnderstoodError("its masks are no bytes")
    return bytes(content)


def _dtype(found: Any) -> np.dtype[Any]:
    if not isinstance(found, Described) or found.made_by != Named("numpy.dtype"):
        raise NotUnderstoodError("its masks are of no known type")
    name = found.arguments[0]
    state = found.state if isinstance(found.state, tuple) else ()
    order: Any = state[1] if len(state) > 1 else "="
    if (
        not isinstance(name, str)
        or not _INTEGERS.fullmatch(name)
        or order not in ("<", ">", "|", "=")
    ):
        raise NotUnderstoodError("its masks are no whole numbers")
    dtype = np.dtype(name)
    return dtype.newbyteorder(order)

"""NRRD, with its pixels in the same file or in another: raw ones are mapped into memory.

https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from napari_unetseg.errors import UserError

from .assemble import assemble
from .calibration import length_um
from .damage import no_parts
from .mapped import inflate_pixels, map_pixels
from .stack import Stack

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_ENCODINGS = {"raw": "", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_COLOURS = ("rgb-color", "rgba-color", "list", "vector", "point", "covariant-vector")
_MOST_COLOURS = 4

#: A header is a few lines of text: what goes on for longer is none.
_MOST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    """Fields of the header, by name in lower case, and the bytes before what follows it."""

    fields: dict[str, str]
    end: int

    def words(self, name: str) -> list[str]:
        """Return the words of a field; quoted ones without their quotes."""
        found = re.findall(r'"([^"]*)"|(\([^)]*\))|(\S+)', self.fields.get(name, ""))
        return [quoted or vector or word for quoted, vector, word in found]


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open an array of up to five axes.

    Parameters
    ----------
    path : Path
        A ``.nrrd``, or a ``.nhdr`` that names the file of its pixels.
    part : str
        Must be empty: it is one image.
    axes : str, optional
        One letter per axis, the fastest last.

    Raises
    ------
    UserError
        If it is no NRRD file, is truncated, or its pixels are written as text or in many files.
    """
    if part:
        raise no_parts(path, part)
    header = _parse(path)
    shape = tuple(_whole(path, size) for size in header.words("sizes"))[::-1]
    if len(shape) != _whole(path, header.fields.get("dimension", "")):
        raise _unusable(path, "its sizes are not as many as its dimensions")
    found = _axes(header, shape[::-1])[::-1]
    colours = ("red", "green", "blue") if _is_rgb(header) else ()
    file, offset = _where(path, header)
    pixels = _pixels(path, header, shape, file, offset)
    if "rgba-color" in [kind.lower() for kind in header.words("kinds")] and found.endswith("S"):
        pixels = pixels[..., :3]
    return assemble(
        path,
        pixels,
        axes or found,
        _sizes(header, found),
        channels=colours,
        files=[] if file == path else [file],
    )


def _parse(path: Path) -> _Header:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if not file.readline(64).startswith(b"NRRD000"):
            raise _unusable(path, "it does not begin as one")
        while file.tell() < _MOST_HEADER_BYTES:
            line = file.readline(_MOST_HEADER_BYTES)
            text = line.decode("utf-8", "replace").strip()
            if not text:
                break
            name, colon, value = text.partition(":")
            if not text.startswith("#") and colon and not value.startswith("="):
                fields[name.strip().lower()] = value.strip()
        return _Header(fields, file.tell())


def _pixels(
    path: Path, header: _Header, shape: tuple[int, ...], file: Path, offset: int
) -> npt.NDArray[Any]:
    written = header.fields.get("type", "").lower()
    kind = next((kind for kind, names in _TYPES.items() if written in names), None)
    encoding = _ENCODINGS.get(header.fields.get("encoding", "").lower())
    if kind is None or encoding is None:
        how = f"type {written[:20]!r}, encoding {header.fields.get('encoding', '')[:20]!r}"
        raise UserError(
            f"{path} holds pixels that cannot be read ({how}); save it with encoding raw or gzip, "
            "as integers or floats."
        )
    dtype = (">" if header.fields.get("endian", "").lower() == "big" else "<") + kind
    skip = _whole(path, header.fields.get("byte skip", header.fields.get("byteskip", "0")))
    if encoding:
        return inflate_pixels(file, dtype, offset, shape, skip=max(0, skip), kind=encoding)
    if skip < 0:
        offset, skip = file.stat().st_size - math.prod(shape) * int(kind[1]), 0
    return map_pixels(file, dtype, offset + skip, shape)


def _where(path: Path, header: _Header) -> tuple[Path, int]:
    """Return the file of the pixels, and the bytes before them, or what they are packed in."""
    name = header.fields.get("data file", header.fields.get("datafile"))
    file, offset = path, header.end
    if name is not None:
        if name.startswith("LIST") or "%" in name:
            raise UserError(
                f"{path} spreads its pixels over many files ({name[:40]}); save it as one "
                ".nrrd file."
            )
        file, offset = path.parent / name, 0
        if not file.is_file():
            raise UserError(
                f"{path} names {name[:200]!r} as the file of its pixels; put it beside it."
            )
    lines = _whole(path, header.fields.get("line skip", header.fields.get("lineskip", "0")))
    with file.open("rb") as opened:
        opened.seek(offset)
        for _ in range(min(lines, _MOST_HEADER_BYTES)):
            opened.readline(_MOST_HEADER_BYTES)
        return file, opened.tell()


def _axes(header: _Header, sizes: tuple[int, ...]) -> str:
    """Return a letter per axis, the fastest first."""
    labels = "".join(header.words("labels")).upper()
    if len(labels) == len(set(labels)) == len(sizes) and {"X", "Y"} <= set(labels) <= set("XYZTC"):
        return labels
    kinds = [kind.lower() for kind in header.words("kinds")]
    if len(kinds) != len(sizes):
        colours = len(sizes) == 4 and sizes[0] <= _MOST_COLOURS
        kinds = ["list" if colours and i == 0 else "" for i in range(len(sizes))]
    spatial, letters = iter("XYZTC"), ""
    for kind in kinds:
        is_colour = kind in _COLOURS or kind.endswith(("-vector", "-color"))
        letters += "S" if is_colour else "T" if kind == "time" else next(spatial, "Q")
    return letters


def _is_rgb(header: _Header) -> bool:
    return any(kind.lower() in ("rgb-color", "rgba-color") for kind in header.words("kinds"))


def _sizes(header: _Header, axes: str) -> dict[str, float]:
    """Return the distance between voxels in µm, where a unit is known."""
    letters = axes[::-1]
    if directions := header.words("space directions"):
        units = header.words("space units") or [_usual_unit(header)]
        lengths: list[Any] = [_length(vector) for vector in directions]
        named = [units[0]] * len(lengths)
    else:
        lengths, named = list(header.words("spacings")), header.words("units")
    found = {
        axis: length_um(length, unit)
        for axis, length, unit in zip(letters, lengths, named, strict=False)
        if axis in "XYZ"
    }
    return {axis: size for axis, size in found.items() if size is not None}


def _usual_unit(header: _Header) -> str:
    """Return mm in the patient's space, where nothing else is meant; no unit elsewhere."""
    space = header.fields.get("space", "").lower()
    return "mm" if re.match(r"(left|right)-|[lr][ap]s", space) else ""


def _length(vector: str) -> float | None:
    try:
        return math.hypot(*(float(part) for part in vector.strip("()").split(",")))
    except ValueError:
        return None  # "none", of axes that are not spatial


def _whole(path: Path, text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text.strip()):
        raise _unusable(path, f"{text[:20]!r} stands where a number should")
    return int(text)


def _unusable(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be read as NRRD ({why}); it may be damaged or incomplete, or another kind "
        "of file under that name."
    )

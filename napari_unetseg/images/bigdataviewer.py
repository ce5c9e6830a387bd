"""BigDataViewer's HDF5: ``t00000/s00/0/cells``, with voxel sizes in an XML file beside it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .assemble import assemble
from .calibration import length_um
from .hdf5_chunks import check_chunks
from .hdf5_files import files_behind
from .lazy import chunk_to_read, lazy_array
from .stack import Stack

_TIME, _SETUP = re.compile(r"t\d{5,}"), re.compile(r"s\d{2,}")
_PART = re.compile(r"(?P<setup>s\d{2,})?/?(?P<level>\d+)?")


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the XML says of a setup: its name, and the voxel size at full resolution."""

    name: str = ""
    sizes: dict[str, float] = field(default_factory=dict)


def is_bigdataviewer(file: Any) -> bool:
    """Tell whether an open HDF5 file has this layout."""
    return "s00/resolutions" in file and any(_TIME.fullmatch(name) for name in file)


def read_bigdataviewer(path: Path, part: str, file: Any, axes: str | None) -> Stack:
    """Open all time points without reading them; setups of one shape are channels.

    Parameters
    ----------
    path : Path
    part : str
        A setup, a level, or both: ``"s01"``, ``"2"``, ``"s01/2"``.
    file : h5py.File
        Open.
    axes : str, optional
        In place of those of the layout.

    Raises
    ------
    UserError
        If there is no such part.
    """
    times = sorted(name for name in file if _TIME.fullmatch(name))
    setups = sorted(name for name in file if _SETUP.fullmatch(name))
    chosen = _PART.fullmatch(part)
    level = int(chosen["level"] or 0) if chosen else 0
    wanted = chosen["setup"] if chosen else None
    first = f"{times[0]}/{wanted or setups[0]}/{level}/cells"
    if chosen is None or first not in file:
        named = ", ".join(setups)
        raise UserError(
            f"{path} holds no image {part!r}; it holds the setups {named}, and levels behind them, "
            f"as {path}/{setups[0]}/1."
        )
    shape, dtype = file[first].shape, file[first].dtype
    together = [
        setup
        for setup in ([wanted] if wanted else setups)
        if (name := f"{times[0]}/{setup}/{level}/cells") in file and file[name].shape == shape
    ]
    names = [[f"{time}/{setup}/{level}/cells" for setup in together] for time in times]
    missing = [name for row in names for name in row if name not in file]
    known = _described(path)
    about = [known.get(int(setup[1:]), _Setup()) for setup in together]
    factors = _factors(file, together[0], level)
    sizes = {axis: size * factors[axis] for axis, size in about[0].sizes.items()}
    notes = []
    if missing:
        notes.append(
            f"{counted(len(missing), 'view')} missing and shown as 0, such as {missing[0]}."
        )
    if len(together) < len(setups) and not wanted:
        notes.append(f"The setups {', '.join(together)} are its channels; others differ in size.")
    return assemble(
        path,
        _lazy(path, names, shape, dtype, file[first].chunks),
        axes or "TCZYX",
        sizes,
        channels=[setup.name for setup in about],
        notes=notes,
        parts=[*setups, *(f"{setups[0]}/{n}" for n in range(1, _n_levels(file, setups[0])))],
        files=files_behind(path, file, itertools.chain(*names)),
    )


def sizes_of_cells(path: Path, file: Any, name: str) -> dict[str, float]:
    """Return the voxel size, in µm, of one array of this layout; empty of any other."""
    _, setup, level, last = ["", "", "", "", *name.split("/")][-4:]
    if last != "cells" or not _SETUP.fullmatch(setup) or not level.isdecimal():
        return {}
    factors = _factors(file, setup, int(level))
    found = _described(path).get(int(setup[1:]), _Setup())
    return {axis: size * factors[axis] for axis, size in found.sizes.items()}


def _lazy(
    path: Path, names: list[list[str]], shape: tuple[int, ...], dtype: Any, stored: Any
) -> Any:
    # Java knows no unsigned numbers: 16 bits are written as signed and meant as unsigned.
    meant = np.dtype(np.uint16) if dtype == np.int16 else dtype
    looked: set[str] = set()

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        import h5py

        name = names[where[0].start][where[1].start]
        with h5py.File(path, "r") as file:
            if name not in file:
                return np.zeros([s.stop - s.start for s in where], meant)
            if name not in looked:
                check_chunks(path, file[name])
                looked.add(name)
            pixels: npt.NDArray[Any] = file[name][where[2:]].view(meant)
        return pixels[np.newaxis, np.newaxis]

    chunk = (1, 1, *chunk_to_read(shape, stored, meant.itemsize))
    return lazy_array(path, block, (len(names), len(names[0]), *shape), chunk, meant)


def _n_levels(file: Any, setup: str) -> int:
    return len(file[f"{setup}/resolutions"])


def _factors(file: Any, setup: str, level: int) -> dict[str, float]:
    """Return how many pixels of full resolution one of a level stands for."""
    rows = np.asarray(file[f"{setup}/resolutions"], float)
    return dict(zip("XYZ", rows[level].tolist(), strict=True))


def _described(path: Path) -> dict[int, _Setup]:
    """Read names and voxel sizes of the setups, by number; empty where there is no XML."""
    try:
        root = ElementTree.parse(path.with_suffix(".xml")).getroot()
    except (OSError, ElementTree.ParseError):
        return {}
    found: dict[int, _Setup] = {}
    for setup in root.iter("ViewSetup"):
        number = setup.findtext("id", "").strip()
        unit = setup.findtext("voxelSize/unit", "").strip()
        lengths = setup.findtext("voxelSize/size", "").split()
        sizes = {axis: length_um(n, unit) for axis, n in zip("XYZ", lengths, strict=False)}
        if number.isdecimal():
            known = {axis: size for axis, size in sizes.items() if size is not None}
            found[int(number)] = _Setup(setup.findtext("name", "").strip(), known)
    return found

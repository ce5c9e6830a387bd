"""Olympus OIB and OIF, read slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .assemble import assemble
from .calibration import length_um
from .damage import no_parts
from .extras import needed
from .lazy import lazy_array
from .stack import Stack

_Settings = Mapping[str, Mapping[str, Any]]


def read(path: Path, part: str, axes: str | None = None) -> Stack:
    """Open the images of an acquisition; its previews are left out.

    Parameters
    ----------
    path : Path
        An ``.oib``, or an ``.oif`` with the folder of its files beside it.
    part : str
        Must be empty: it is one image.
    axes : str, optional
        One letter per axis as the file has them.

    Raises
    ------
    UserError
        If it is no such file, or oiffile is not installed.
    """
    library = needed("oiffile", "oib", path)
    if part:
        raise no_parts(path, part)
    with library.OifFile(str(path)) as file:
        settings: _Settings = dict(file.mainfile)
        if not file.series:
            raise ValueError("it holds no image")
        series = file.series[0]
        found, shape = series.axes, tuple(series.shape)
        names = dict(zip(series.indices, series, strict=True))
        first = file.asarray(series[0])
    letters = "YXS"[: first.ndim]

    def block(where: tuple[slice, ...]) -> npt.NDArray[Any]:
        name = names[tuple(span.start for span in where[: len(shape)])]
        with library.OifFile(str(path)) as file:
            pixels = file.asarray(name)
        return np.asarray(pixels, first.dtype).reshape((1,) * len(shape) + first.shape)

    whole, chunk = (*shape, *first.shape), (*(1 for _ in shape), *first.shape)
    data = lazy_array(path, block, whole, chunk, first.dtype)
    single = tuple(i for i, axis in enumerate(found) if axis in "TZ" and shape[i] == 1)
    kept = "".join(axis for i, axis in enumerate(found) if i not in single)
    return assemble(
        path,
        data.squeeze(single),
        axes or kept + letters,
        _sizes(settings),
        channels=_channel_names(settings),
        files=[path.with_name(f"{path.name}.files")] if path.suffix.lower() == ".oif" else [],
    )


def _sizes(settings: _Settings) -> dict[str, float]:
    """Return the size of a pixel, and the distance between slices, in µm."""
    about = settings.get("Reference Image Parameter", {})
    found = {
        "Y": length_um(about.get("HeightConvertValue"), str(about.get("HeightUnit", "um"))),
        "X": length_um(about.get("WidthConvertValue"), str(about.get("WidthUnit", "um"))),
    }
    for number in range(8):
        axis = settings.get(f"Axis {number} Parameters Common", {})
        steps = int(axis.get("MaxSize", 0)) - 1
        if axis.get("AxisCode") == "Z" and steps > 0:
            way = float(axis.get("EndPosition", 0)) - float(axis.get("StartPosition", 0))
            found["Z"] = length_um(way / steps, str(axis.get("UnitName", "")))
    return {axis: size for axis, size in found.items() if size is not None}


def _channel_names(settings: _Settings) -> list[str]:
    channels = [settings.get(f"Channel {n} Parameters", {}) for n in range(1, 17)]
    return [str(c.get("DyeName") or c.get("CH Name") or "") for c in channels if c]

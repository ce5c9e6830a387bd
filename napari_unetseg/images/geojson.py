"""GeoJSON as QuPath writes and reads it: outlines with classes and colours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .atomic import atomic_file
from .label_meaning import with_frame
from .outlined_labels import Outlines, outlines_of
from .outlines import Outline, Polygon, Ring
from .stack import Stack
from .tiff_metadata import NAMESPACE

#: So many outlines are written together.
_AT_ONCE = 4096


def is_geojson(content: Any) -> bool:
    """Tell whether JSON is a feature, or several."""
    if isinstance(content, list):
        return bool(content) and is_geojson(content[0])
    return isinstance(content, dict) and content.get("type") in ("Feature", "FeatureCollection")


def read_geojson(path: Path, content: Any) -> Outlines:
    """Read areas; points and lines are left out, and said to be.

    Parameters
    ----------
    path : Path
        For messages.
    content : list or dict
        Features: an array of them, a collection, or a single one.

    Raises
    ------
    UserError
        If it holds no area.
    """
    features = content if isinstance(content, list) else content.get("features", [content])
    about = content.get(NAMESPACE, {}) if isinstance(content, dict) else {}
    outlines, n_other = [], 0
    for feature in features:
        outline = _outline(feature)
        if outline.polygons:
            outlines.append(outline)
        else:
            n_other += 1
    about = about if isinstance(about, dict) else {}
    if not outlines and (n_other or not about):
        raise UserError(f"{path} holds no areas; draw polygons, or export annotations as GeoJSON.")
    notes = (f"{counted(n_other, 'point or line', 'points and lines')} left out.",)
    return Outlines(path, tuple(outlines), None, about, notes if n_other else ())


def write_geojson(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write labels as a collection that QuPath opens by dropping it on the image.

    Objects become detections with their number as name, classes annotations.
    """
    with (
        atomic_file(path, overwrite=overwrite) as partial,
        partial.open("w", encoding="utf-8") as file,
    ):
        file.write('{"type": "FeatureCollection", ')
        file.write(f"{json.dumps(NAMESPACE)}: {json.dumps(with_frame(labels))}, ")
        file.write('"features": [')
        between = "\n"
        for feature in _features(labels):
            file.write(between + feature)
            between = ",\n"
        file.write("\n]}\n")


def _features(labels: Stack) -> Iterator[str]:
    """Write outlines as JSON; what many of them share is written once."""
    outlines = outlines_of(labels)
    numbers = np.arange(max(labels.plane_shape) + 1).astype(np.bytes_)
    around = lru_cache(partial(_around, labels))
    while some := list(islice(outlines, _AT_ONCE)):
        rings = [ring for outline in some for polygon in outline.polygons for ring in polygon]
        written = iter(_written(rings, numbers))
        for outline in some:
            n = len(outline.polygons)
            polygons = "],[".join(",".join(islice(written, len(p))) for p in outline.polygons)
            key = (outline.label, outline.class_name, outline.color, outline.t, outline.z)
            before, after = around(n == 1, *key)
            yield f"{before}{polygons}{after}"


def _around(
    labels: Stack,
    single: bool,
    label: int | None,
    class_name: str,
    color: str | None,
    t: int | None,
    z: int | None,
) -> tuple[str, str]:
    """Return what stands before and after the rings of a feature."""
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": [0] if single else [[0]],
    }
    if labels.n_planes > 1:
        geometry["plane"] = {"c": -1, "z": z, "t": t}
    is_object = labels.metadata.get("kind") == "objects"
    properties: dict[str, Any] = {"objectType": "detection" if is_object else "annotation"}
    if is_object:
        properties["name"] = str(label)
    properties["label"] = label
    if class_name and color:
        rgb = list(bytes.fromhex(color[1:]))
        properties["classification"] = {"name": class_name, "color": rgb}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    text = json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
    before, _, after = text.partition("0")
    return before, after


def _written(rings: Sequence[Ring], numbers: npt.NDArray[np.bytes_]) -> list[str]:
    """Write rings, closed, as JSON: all at once, since there may be 100 000 on a slice.

    Parameters
    ----------
    rings : sequence of Ring
        Of whole numbers.
    numbers : ndarray of bytes
        0, 1, 2, … as they are written.
    """
    corners = np.concatenate(rings).astype(np.intp)
    parts = np.empty((len(corners), 5), f"S{max(3, numbers.itemsize)}")
    parts[:, 0], parts[:, 2], parts[:, 4] = b"[", b",", b"],"
    parts[:, 1], parts[:, 3] = numbers[corners[:, 0]], numbers[corners[:, 1]]
    parts[np.cumsum([len(ring) for ring in rings]) - 1, 4] = b"],\n"
    texts = parts.tobytes().translate(None, b"\0").decode().split("\n")[:-1]
    return [f"[{text}{text[: text.index(']') + 1]}]" for text in texts]


def _outline(feature: dict[str, Any]) -> Outline:
    properties = feature.get("properties") or {}
    geometry = feature.get("geometry") or {}
    plane = geometry.get("plane") or properties.get("plane") or {}
    name, color = _classification(properties.get("classification"))
    label = properties.get("label")
    return Outline(
        tuple(_polygons(geometry)),
        label if isinstance(label, int) and not isinstance(label, bool) and label > 0 else None,
        name,
        color,
        int(plane.get("t", 0)),
        int(plane.get("z", 0)),
    )


def _polygons(geometry: dict[str, Any]) -> Iterator[Polygon]:
    kind = geometry.get("type")
    if kind == "Polygon":
        yield _polygon(geometry["coordinates"])
    elif kind == "MultiPolygon":
        for rings in geometry["coordinates"]:
            yield _polygon(rings)
    elif kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _polygons(part)


def _polygon(rings: Iterable[Any]) -> Polygon:
    found = tuple(ring_of(np.asarray(ring, np.float64)[:, :2]) for ring in rings)
    if not found:
        raise ValueError("a polygon without corners")
    return found


def ring_of(corners: Any) -> Ring:
    """Check the corners of a ring: at least three, of finite numbers.

    Raises
    ------
    ValueError
        If they are not.
    """
    ring = np.asarray(corners, np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("a polygon has fewer than three corners, or some that are no numbers")
    return ring


def _classification(found: Any) -> tuple[str, str | None]:
    """Return name and colour of a class, as versions of QuPath have written them."""
    if isinstance(found, str):
        return found, None
    if not isinstance(found, dict):
        return "", None
    names = found.get("names")
    name = found.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else "")
    rgb = found.get("color")
    if isinstance(found.get("colorRGB"), int):
        rgb = list((found["colorRGB"] & 0xFFFFFF).to_bytes(3, "big"))
    if isinstance(rgb, list) and len(rgb) == 3 and all(c in range(256) for c in rgb):
        return str(name), f"#{bytes(rgb).hex()}"
    return str(name), None

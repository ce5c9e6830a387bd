"""ImageJ's regions of interest: single ones, and zips of them as its ROI Manager saves."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.errors import UserError
from napari_unetseg.wording import counted

from .atomic import atomic_file
from .damage import complaints_of
from .extras import needed
from .geojson import ring_of
from .label_meaning import Meaning, classes_in, frame_in, with_frame
from .outlined_labels import Outlines, bounds, outlines_of
from .outlines import Outline, Polygon, oval
from .stack import Stack

#: A region that takes more than this when unpacked is none, nor are all of a zip together.
_LARGEST_BYTES, _MOST_BYTES = 1 << 26, 1 << 29

#: Corners beyond this do not fit what ImageJ writes.
_FARTHEST_PX = 60_000

#: A zip's comment is no longer.
_LONGEST_COMMENT = (1 << 16) - 1


def read_rois(path: Path, like: Stack | None = None) -> Outlines:
    """Read areas; lines and points are left out, and said to be.

    Parameters
    ----------
    path : Path
        A ``.roi``, or a ``.zip`` of them.
    like : Stack, optional
        The image: which of its slices a position means depends on its axes.

    Raises
    ------
    UserError
        If it holds no area.
    """
    roifile = needed("roifile", "rois", path)
    about: dict[str, Any] = {}
    with complaints_of("roifile") as complaints:
        if zipfile.is_zipfile(path):
            _check_end(path)
            with zipfile.ZipFile(path) as archive:
                about = _about(archive.comment)
                rois = [_region(roifile, content) for content in _contents(archive)]
        else:
            rois = [_region(roifile, path.read_bytes())]
    if any("exceeds data size" in line for line in complaints):
        raise ValueError("its end is missing")
    frame = frame_in(about) or like  # what we wrote counts slices, whatever channels an image has
    found = [_outline(roi, frame, about) for roi in rois]
    outlines = tuple(outline for outline in found if outline.polygons)
    if not outlines and (rois or not about):
        raise UserError(f"{path} holds no areas of ImageJ; save polygons, ovals or traced regions.")
    n_other = len(found) - len(outlines)
    notes = (f"{counted(n_other, 'line or point', 'lines and points')} left out.",)
    return Outlines(path, outlines, None, about, notes if n_other else ())


def write_rois(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write labels as a zip for ImageJ's ROI Manager; holes and several parts are composites.

    Classes are groups, in their colours. What ImageJ has no place for is in the zip's comment.
    """
    needed("roifile", "rois", path, "written")
    if max(labels.plane_shape) > _FARTHEST_PX:
        raise UserError(
            f"{labels.name} is wider than the {_FARTHEST_PX} px that regions of ImageJ reach; "
            "write .geojson instead."
        )
    meaning = Meaning.of(labels)
    with (
        atomic_file(path, overwrite=overwrite) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        facts = with_frame(labels)
        facts.pop("class_of", None)  # groups say it
        comment = json.dumps(facts).encode()
        archive.comment = comment if len(comment) <= _LONGEST_COMMENT else b""
        for number, outline in enumerate(outlines_of(labels), 1):
            # Names in a zip are the names of regions: no two are the same.
            name = f"{meaning.name_of(outline.label or 0)}-{number:05d}"
            name = re.sub(r'[/\\:*?"<>|]', "_", name)
            archive.writestr(f"{name}.roi", _bytes_of(outline, name, labels, meaning))


def _region(roifile: Any, content: bytes) -> Any:
    """Read a region; ValueError where its second header, near the end, is not in the file."""
    second = int.from_bytes(content[60:64], "big", signed=True)
    if len(content) < 64 or second + 52 >= len(content):
        raise ValueError("its end is missing")
    return roifile.ImagejRoi.frombytes(content)


def _check_end(path: Path) -> None:
    """Raise ValueError where the comment, which stands last, is shorter than the zip says."""
    tail = path.read_bytes()[-_LONGEST_COMMENT - 22 :]
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") > len(tail):
        raise ValueError("its end is missing")


def _contents(archive: zipfile.ZipFile) -> Iterator[bytes]:
    room = _MOST_BYTES
    for entry in archive.infolist():
        if entry.filename.lower().endswith(".roi"):
            with archive.open(entry) as file:
                content = file.read(_LARGEST_BYTES + 1)
            if len(content) > _LARGEST_BYTES:
                raise ValueError(f"{entry.filename} is larger than any region")
            room -= len(content)
            if room < 0:
                raise ValueError(f"its regions are larger than {_MOST_BYTES} bytes")
            yield content


def _about(comment: bytes) -> dict[str, Any]:
    try:
        about = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _outline(roi: Any, frame: Stack | None, about: dict[str, Any]) -> Outline:
    t, z = _place(roi, frame)
    classes = classes_in(about)
    facts = dict(line.partition(": ")[::2] for line in roi.props.splitlines())
    label = facts.get("label", "")
    name, group = facts.get("class", ""), int(roi.group)
    color = f"#{roi.stroke_color[1:].hex()}" if roi.stroke_color[:1] != b"\x00" else None
    if 0 < group <= len(classes):
        name = classes[group - 1].name
    elif group and not name:
        name = f"group {group}"
    number = int(label) if label.isdecimal() and int(label) > 0 else None
    return Outline(_polygons(roi), number, name, color, t, z)


def _place(roi: Any, frame: Stack | None) -> tuple[int | None, int | None]:
    """Return time point and level, counted from 0; None where it lies on all."""
    if roi.t_position > 0 or roi.z_position > 0:
        t, z = roi.t_position - 1, roi.z_position - 1
        return (t if t >= 0 else None), (z if z >= 0 else None)
    if roi.position <= 0:
        return None, None
    if frame is None:
        return 0, roi.position - 1
    t, z = divmod(int(roi.position - 1) // frame.n_channels, frame.size("Z"))
    return t, z


def _polygons(roi: Any) -> tuple[Polygon, ...]:
    import roifile

    kinds = roifile.ROI_TYPE
    if roi.subtype in (roifile.ROI_SUBTYPE.TEXT, roifile.ROI_SUBTYPE.IMAGE):
        return ()
    if roi.roitype == kinds.OVAL:
        left, top, width, height = roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top
        if roi.subpixelrect:
            left, top, width, height = roi.xd, roi.yd, roi.widthd, roi.heightd
        if not (0 < width <= _FARTHEST_PX and 0 < height <= _FARTHEST_PX):
            raise ValueError("an oval without area, or larger than any image")
        return ((ring_of(oval(left, top, width, height)),),)
    if roi.roitype == kinds.RECT and roi.subpixelrect and roi.multi_coordinates is None:
        corner, size = np.array([roi.xd, roi.yd]), np.array([roi.widthd, roi.heightd])
        return ((ring_of(corner + size * [[0, 0], [1, 0], [1, 1], [0, 1]]),),)
    if roi.roitype in (kinds.RECT, kinds.POLYGON, kinds.FREEHAND, kinds.TRACED):
        # An odd number of rings surrounds what lies within a composite, too.
        return (tuple(ring_of(ring) for ring in roi.coordinates(multi=True)),)
    return ()


def _bytes_of(outline: Outline, name: str, labels: Stack, meaning: Meaning) -> bytes:
    import roifile

    left, top, right, bottom = bounds(outline.polygons)
    roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.TRACED)
    roi.left, roi.top, roi.right, roi.bottom = int(left), int(top), int(right), int(bottom)
    rings = [ring for polygon in outline.polygons for ring in polygon]
    if len(rings) == 1:
        roi.integer_coordinates = (rings[0] - [left, top]).astype(np.int32)
        roi.n_coordinates = len(rings[0])
    else:
        roi.roitype = roifile.ROI_TYPE.RECT
        path = np.concatenate([_path(ring) for ring in rings])
        roi.multi_coordinates = path.astype(np.float32)
        roi.shape_roi_size = len(path)
    # Its length is counted in 16-bit units.
    roi.name = name.encode("ascii", "replace").decode()
    facts = [f"label: {outline.label}"]
    if outline.class_name and outline.color:
        facts.append(f"class: {outline.class_name.encode('ascii', 'replace').decode()}")
        roi.stroke_color = bytes([255]) + bytes.fromhex(outline.color[1:])
        roi.group = _group(outline.label or 0, meaning)
    roi.props = "\n".join(facts)
    if "T" in labels.axes:
        roi.t_position, roi.z_position = (outline.t or 0) + 1, (outline.z or 0) + 1
    elif "Z" in labels.axes:
        roi.position = (outline.z or 0) + 1
    content: bytes = roi.tobytes()
    return content


def _group(value: int, meaning: Meaning) -> int:
    """Return the class as ImageJ's groups have it; 0, none, for background."""
    if meaning.kind == "objects":
        return meaning.class_of.get(value, 0)
    return value - 1 if meaning.kind == "annotations" else value


def _path(ring: Any) -> Any:
    """Write a ring as Java does: 0 is move, 1 is line, 4 is close."""
    steps = np.column_stack([np.ones(len(ring)), ring])
    steps[0, 0] = 0
    return np.append(steps.ravel(), 4)

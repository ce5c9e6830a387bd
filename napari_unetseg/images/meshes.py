"""Surfaces of objects in µm, for programs that show, measure or print them: STL, PLY and glTF."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import BACKGROUND
from napari_unetseg.errors import UserError

from .atomic import atomic_file
from .label_meaning import Meaning
from .stack import Stack

#: Ids that an STL's 16 bits beside a triangle hold.
_LARGEST_IN_STL = (1 << 16) - 1

#: What numbers and arrays are called in glTF.
_FLOAT32, _UINT32, _VERTICES, _INDICES = 5126, 5125, 34962, 34963


@dataclass(frozen=True, slots=True)
class Surface:
    """The closed surface of one object.

    Attributes
    ----------
    name : str
        Its number, or the name of its class; with the time point where there are several.
    value : int
        Its label.
    color : str or None
        Of its class, ``"#e69f00"``.
    corners : ndarray, shape (N, 3), float32
        x, y, z in µm, or in pixels where their size is not known; pixel (0, 0, 0) covers [0, 1)³.
    triangles : ndarray, shape (M, 3), uint32
        Counter-clockwise where seen from outside.
    """

    name: str
    value: int
    color: str | None
    corners: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.uint32]


def surfaces_of(labels: Stack) -> Iterator[Surface]:
    """Find the surface of each object, or of each class, one time point after the other.

    Marching cubes on the object alone, so that touching ones have surfaces of their own; what
    touches the border of the image is closed there.

    Raises
    ------
    UserError
        If there is a single slice.
    """
    from scipy.ndimage import find_objects

    depth = labels.size("Z")
    if depth < 2:
        raise UserError(f"{labels.name} has no slices along Z; surfaces are of volumes.")
    meaning = Meaning.of(labels)
    known = all(axis in labels.pixel_size_um for axis in "ZYX")
    spacing = tuple(labels.pixel_size_um[axis] if known else 1.0 for axis in "ZYX")
    n_times = labels.size("T")
    for t in range(n_times):
        volume = np.stack([labels.plane(t * depth + z)[0] for z in range(depth)])
        values, numbers = np.unique(volume, return_inverse=True)
        places = find_objects(numbers.reshape(volume.shape) + 1)
        for value, place in zip(values.tolist(), places, strict=True):
            if value == 0 or (meaning.kind == "annotations" and value == BACKGROUND):
                continue
            corners, triangles = _surface(volume[place] == value, place, spacing)
            found = meaning.class_at(value)
            name = meaning.name_of(value) + (f" t{t}" if n_times > 1 else "")
            yield Surface(name, value, found.color if found else None, corners, triangles)


def write_stl(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write all surfaces as one binary STL, each triangle with 16 bits of its object's number."""
    with atomic_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        file.write(b"napari-unetseg, lengths in micrometres".ljust(80))
        file.write(struct.pack("<I", 0))
        n_triangles = 0
        for surface in surfaces_of(labels):
            of_triangles = surface.corners[surface.triangles]
            facets = np.zeros(
                len(of_triangles),
                [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("number", "<u2")],
            )
            facets["normal"] = _normals(of_triangles)
            facets["corners"] = of_triangles
            facets["number"] = surface.value if surface.value <= _LARGEST_IN_STL else 0
            file.write(facets.tobytes())
            n_triangles += len(facets)
        file.seek(80)
        file.write(struct.pack("<I", n_triangles))


def write_ply(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write all surfaces as one binary PLY, each face with its object's number and a colour."""
    surfaces = list(surfaces_of(labels))
    n_corners = sum(len(surface.corners) for surface in surfaces)
    n_faces = sum(len(surface.triangles) for surface in surfaces)
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment lengths in micrometres\n"
        f"element vertex {n_corners}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {n_faces}\nproperty list uchar uint vertex_indices\n"
        "property uint object\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
        "end_header\n"
    )
    with atomic_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        file.write(header.encode("ascii"))
        for surface in surfaces:
            file.write(surface.corners.astype("<f4").tobytes())
        before = 0
        for surface in surfaces:
            faces = np.zeros(
                len(surface.triangles),
                [("n", "u1"), ("corners", "<u4", 3), ("object", "<u4"), ("color", "u1", 3)],
            )
            faces["n"], faces["corners"] = 3, surface.triangles + np.uint32(before)
            faces["object"], faces["color"] = surface.value, _rgb(surface)
            file.write(faces.tobytes())
            before += len(surface.corners)


def write_glb(path: Path, labels: Stack, *, overwrite: bool = False) -> None:
    """Write binary glTF: a node for each object, named by its number, in its class's colour."""
    surfaces = list(surfaces_of(labels))
    with atomic_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        _write_glb(file, surfaces)


def _write_glb(file: BinaryIO, surfaces: Sequence[Surface]) -> None:
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    at = 0

    def add(values: npt.NDArray[Any], kind: str, component: int, target: int) -> int:
        nonlocal at
        views.append({"buffer": 0, "byteOffset": at, "byteLength": values.nbytes, "target": target})
        facts: dict[str, Any] = {"bufferView": len(views) - 1, "componentType": component}
        facts |= {"count": values.size if kind == "SCALAR" else len(values), "type": kind}
        if kind == "VEC3":
            facts |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        accessors.append(facts)
        at += values.nbytes
        return len(accessors) - 1

    meshes, nodes, materials = [], [], []
    for i, surface in enumerate(surfaces):
        position = add(surface.corners, "VEC3", _FLOAT32, _VERTICES)
        indices = add(surface.triangles, "SCALAR", _UINT32, _INDICES)
        part = {"attributes": {"POSITION": position}, "indices": indices, "material": i}
        meshes.append({"name": surface.name, "primitives": [part]})
        nodes.append({"name": surface.name, "mesh": i, "extras": {"label": surface.value}})
        linear = ((np.array(_rgb(surface)) / 255) ** 2.2).round(4).tolist()
        look = {"baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0}
        materials.append({"name": surface.name, "pbrMetallicRoughness": look})
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "napari-unetseg", "extras": {"unit": "µm"}},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))} if nodes else {}],
    }
    if nodes:
        content |= {"nodes": nodes, "meshes": meshes, "materials": materials}
        content |= {"accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": at}]}
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    chunks = 8 + at if nodes else 0
    file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + chunks))
    file.write(struct.pack("<I4s", len(text), b"JSON") + text)
    if nodes:
        file.write(struct.pack("<I4s", at, b"BIN\0"))
        for surface in surfaces:
            file.write(surface.corners.astype("<f4").tobytes())
            file.write(surface.triangles.astype("<u4").tobytes())


def _surface(
    mask: npt.NDArray[np.bool_], place: Sequence[slice], spacing: Sequence[float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    from skimage.measure import marching_cubes

    padded = np.pad(mask, 1).astype(np.float32)
    corners, triangles, _, _ = marching_cubes(padded, 0.5)  # type: ignore[no-untyped-call]
    # The middle of a voxel is half a step from its border, and one was added around.
    starts = [where.start for where in place]
    moved = (corners + np.array(starts) - 0.5) * np.array(spacing)
    # Triangles go round clockwise in z, y, x, and so the other way in x, y, z.
    return moved[:, ::-1].astype(np.float32), triangles.astype(np.uint32)


def _normals(of_triangles: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    first, second = of_triangles[:, 1] - of_triangles[:, 0], of_triangles[:, 2] - of_triangles[:, 0]
    normals = np.cross(first, second)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _rgb(surface: Surface) -> tuple[int, ...]:
    """Return the colour of its class, else one of its own by its number."""
    if surface.color:
        return tuple(bytes.fromhex(surface.color[1:]))
    turned = (surface.value * 0.618034) % 1  # neighbours in number are far apart in hue
    hue = np.abs((turned * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return tuple(int(part) for part in 80 + 150 * np.clip(hue, 0, 1))

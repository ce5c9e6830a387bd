"""Surfaces of objects: closed, in µm, and named; read by another program."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, write_label_stack
from napari_unetseg.images.label_meaning import described
from napari_unetseg.images.meshes import surfaces_of

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="nucleus", color="#0000ff"))
SIZES = {"Z": 0.5, "Y": 0.2, "X": 0.1}


def stack_of(values, kind="objects", class_of=None, sizes=SIZES):
    axes = "TZYX"[4 - values.ndim :]
    return Stack(values, axes, sizes, "cells", metadata=described(kind, CLASSES, class_of))


@pytest.fixture
def spheres():
    """Two touching boxes at the border, and a sphere of a radius of 3 µm around (8, 6, 6) µm."""
    shape, steps = (32, 60, 120), SIZES.values()
    middles = [(np.arange(n) + 0.5) * step for n, step in zip(shape, steps, strict=True)]
    z, y, x = np.meshgrid(*middles, indexing="ij")
    values = np.zeros(z.shape, np.uint32)
    values[:4, :10, :10], values[:4, :10, 10:20] = 4, 5
    values[(z - 8) ** 2 + (y - 6) ** 2 + (x - 6) ** 2 < 9] = 70_000
    return stack_of(values, class_of={70_000: 2})


@given(npst.arrays(np.uint8, st.tuples(*[st.integers(2, 5)] * 3), elements=st.integers(0, 2)))
@settings(deadline=None, max_examples=50)
def test_every_surface_is_closed_and_turned_outwards(values):
    for surface in surfaces_of(stack_of(values)):
        edges = np.concatenate([surface.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
        there, back = np.unique(edges, axis=0), np.unique(edges[:, ::-1], axis=0)
        np.testing.assert_array_equal(there, back)
        corners = surface.corners[surface.triangles].astype(float)
        volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        assert 0 < volume < np.count_nonzero(values == surface.value) * 0.01
        assert (surface.corners >= 0).all()
        assert (surface.corners <= np.array(values.shape)[::-1] * [0.1, 0.2, 0.5] + 1e-6).all()


def test_glb_has_a_part_for_each_object(tmp_path, spheres):
    write_label_stack(tmp_path / "cells.glb", spheres)
    scene = trimesh.load_scene(tmp_path / "cells.glb")
    assert sorted(scene.geometry) == ["4", "5", "70000"]
    sphere = scene.geometry["70000"]
    assert all(part.is_watertight for part in scene.geometry.values())
    assert sphere.volume == pytest.approx(4 / 3 * np.pi * 27, rel=0.02)
    np.testing.assert_allclose(sphere.center_mass, (6, 6, 8), atol=0.02)
    np.testing.assert_allclose(sphere.bounds, [[3, 3, 5], [9, 9, 11]], atol=0.3)
    assert sphere.visual.material.baseColorFactor[:3].tolist() == [0, 0, 255]
    # The edges of a box are cut off by half a voxel.
    assert scene.geometry["4"].volume == pytest.approx(2 * 2 * 1, rel=0.1)
    np.testing.assert_allclose(scene.geometry["4"].bounds, [[0, 0, 0], [1, 2, 2]], atol=1e-6)
    np.testing.assert_allclose(scene.geometry["5"].bounds[0], [1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["cells.stl", "cells.ply"])
def test_stl_and_ply_hold_the_same_surfaces(tmp_path, spheres, name):
    apart = stack_of(np.where(spheres.data == 5, 0, spheres.data), class_of={70_000: 2})
    write_label_stack(tmp_path / name, apart)
    mesh = trimesh.load_mesh(tmp_path / name)
    expected = list(surfaces_of(apart))
    assert len(mesh.faces) == sum(len(surface.triangles) for surface in expected)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 27 + 4, rel=0.02)
    content = (tmp_path / name).read_bytes()
    if name == "cells.stl":
        facets = np.frombuffer(content[84:], [("rest", "<f4", 12), ("number", "<u2")])
        assert np.unique(facets["number"]).tolist() == [0, 4]
    else:
        parsed = mesh.metadata["_ply_raw"]["face"]["data"]
        assert np.unique(parsed["object"]).tolist() == [4, 70_000]


def test_masks_have_a_surface_per_class_and_time_point(tmp_path):
    values = np.zeros((2, 4, 6, 6), np.uint8)
    values[0, 1:3, 1:4, 1:4], values[1, 1:3, 2:5, 2:5] = 1, 2
    found = list(surfaces_of(stack_of(values, "masks")))
    assert [(s.name, s.color) for s in found] == [("cell t0", "#e69f00"), ("nucleus t1", "#0000ff")]
    painted = np.where(values[0], values[0] + 1, 1).astype(np.uint8)
    assert [s.name for s in surfaces_of(stack_of(painted, "annotations"))] == ["cell"]


def test_without_a_pixel_size_lengths_are_in_pixels():
    values = np.zeros((4, 6, 6), np.uint8)
    values[1:3, 1:5, 1:5] = 1
    (surface,) = surfaces_of(stack_of(values, sizes={"Y": 0.2, "X": 0.2}))
    np.testing.assert_allclose(surface.corners.max(axis=0), [5, 5, 3])


@pytest.mark.parametrize("ending", ["stl", "ply", "glb"])
def test_nothing_is_an_empty_file_and_a_single_slice_is_refused(tmp_path, ending):
    write_label_stack(tmp_path / f"a.{ending}", stack_of(np.zeros((3, 5, 5), np.uint8)))
    assert (tmp_path / f"a.{ending}").stat().st_size > 20
    flat = stack_of(np.ones((5, 5), np.uint8), sizes={})
    with pytest.raises(UserError, match="surfaces are of volumes"):
        write_label_stack(tmp_path / f"b.{ending}", flat)
    assert not (tmp_path / f"b.{ending}").exists()

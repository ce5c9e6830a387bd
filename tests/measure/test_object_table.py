"""Objects are measured in physical units: phantoms with known answers, and regionprops."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.measure import ObjectTable, measure_objects

#: Z, Y, X in µm: slices are far apart.
SPACING = (0.5, 0.2, 0.1)
SIZES = dict(zip("ZYX", SPACING, strict=True))


def ellipsoid(shape, centre_um, radii_um):
    """Return where an ellipsoid lies; the centre of the first voxel is at 0."""
    places = np.meshgrid(
        *(np.arange(n) * step for n, step in zip(shape, SPACING, strict=True)), indexing="ij"
    )
    inside = sum(
        ((place - centre) / radius) ** 2
        for place, centre, radius in zip(places, centre_um, radii_um, strict=True)
    )
    return inside <= 1


def test_an_anisotropic_phantom_has_the_sizes_and_distances_it_was_made_with():
    shape = (48, 90, 180)
    ids = np.zeros(shape, np.uint32)
    ids[ellipsoid(shape, (8.0, 6.0, 6.0), (5.0, 3.0, 2.0))] = 4
    ids[ellipsoid(shape, (16.0, 12.0, 14.0), (3.0, 3.0, 3.0))] = 70_000
    first, second = measure_objects(Stack(ids, "ZYX", SIZES))
    assert (first["object"], second["object"]) == (4, 70_000)
    for row, (a, b, c), centre in (
        (first, (5.0, 3.0, 2.0), (8.0, 6.0, 6.0)),
        (second, (3.0, 3.0, 3.0), (16.0, 12.0, 14.0)),
    ):
        volume = 4 / 3 * np.pi * a * b * c
        assert row["volume_um3"] == pytest.approx(volume, rel=0.02)
        assert row["volume_um3"] == pytest.approx(row["n_px"] * np.prod(SPACING))
        assert row["equivalent_diameter_um"] == pytest.approx(2 * (a * b * c) ** (1 / 3), rel=0.01)
        assert row["major_axis_um"] == pytest.approx(2 * max(a, b, c), rel=0.02)
        assert row["minor_axis_um"] == pytest.approx(2 * min(a, b, c), rel=0.02)
        found = [row[f"{axis}_um"] for axis in "zyx"]
        np.testing.assert_allclose(found, centre, atol=0.05)
        assert not row["touches_border"]
    apart = np.linalg.norm(np.subtract((8, 6, 6), (16, 12, 14)))
    assert first["nearest_um"] == pytest.approx(apart, rel=0.01)


@pytest.mark.parametrize("in_3d", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_regionprops(in_3d, seed):
    rng = np.random.default_rng(seed)
    shape = (6, 30, 40) if in_3d else (30, 40)
    ids = rng.integers(0, 6, shape).astype(np.uint32) * 1000
    pixels = rng.normal(100, 30, shape).astype(np.float32)
    axes, spacing = ("ZYX", SPACING) if in_3d else ("YX", SPACING[1:])
    sizes = {axis: SIZES[axis] for axis in axes}
    table = measure_objects(Stack(ids, axes, sizes), Stack(pixels, axes, sizes))
    expected = regionprops(ids.astype(np.int32), pixels, spacing=spacing)
    rows = list(table)
    assert len(rows) == len(expected)
    for row, props in zip(rows, expected, strict=True):
        assert row["object"] == props.label
        assert row["volume_um3" if in_3d else "area_um2"] == pytest.approx(props.area)
        assert row["equivalent_diameter_um"] == pytest.approx(props.equivalent_diameter_area)
        np.testing.assert_allclose([row[f"{a.lower()}_um"] for a in axes], props.centroid)
        assert row["mean"] == pytest.approx(props.intensity_mean, rel=1e-5)
        assert row["std"] == pytest.approx(props.intensity_std, rel=1e-4)
        assert (row["min"], row["max"]) == (props.intensity_min, props.intensity_max)
        if not in_3d:
            # Its 3D lengths leave out that a voxel is no point.
            assert row["major_axis_um"] == pytest.approx(props.axis_major_length, rel=1e-3)
            assert row["minor_axis_um"] == pytest.approx(props.axis_minor_length, rel=1e-3)


def test_time_points_have_objects_of_their_own_and_channels_columns():
    ids = np.zeros((2, 3, 8, 8), np.uint16)
    ids[0, :, 1:3, 1:3] = 1
    ids[1, 1, 0:4, 0:4] = 1
    ids[1, 1, 6, 6] = 2
    image = np.zeros((2, 2, 3, 8, 8), np.uint8)
    image[0, 1] = 50
    stack = Stack(image, "TCZYX", SIZES, channels=("DAPI", "green protein"))
    one, two, three = measure_objects(Stack(ids, "TZYX"), stack)
    assert [(row["t"], row["object"], row["n_px"]) for row in (one, two, three)] == [
        (0, 1, 12),
        (1, 1, 16),
        (1, 2, 1),
    ]
    assert (one["mean_DAPI"], one["mean_green_protein"]) == (0, 50)
    assert one["nearest_um"] is None
    assert two["nearest_um"] == three["nearest_um"] > 0
    assert (one["touches_border"], two["touches_border"], three["touches_border"]) == (
        True,
        True,
        False,
    )


def test_without_a_pixel_size_everything_is_in_pixels():
    ids = np.zeros((3, 9, 9), np.uint8)
    ids[1, 2:5, 2:5] = 3
    for sizes in ({}, {"Y": 0.1, "X": 0.1}):  # how far apart slices are is not known
        (row,) = measure_objects(Stack(ids, "ZYX", sizes))
        assert not any("um" in name for name in row)
        assert row["n_px"] == 9


def test_nothing_has_no_rows_and_another_image_is_refused():
    ids = Stack(np.zeros((3, 9, 9), np.uint8), "ZYX")
    assert list(measure_objects(ids)) == []
    with pytest.raises(UserError, match=r"\(4, 9, 9\).*\(3, 9, 9\)"):
        list(measure_objects(ids, Stack(np.zeros((4, 9, 9)), "ZYX")))


def test_it_holds_sums_alone():
    table = ObjectTable(Stack(np.broadcast_to(np.uint8(0), (500, 64, 64)), "ZYX", SIZES))
    ids = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((16, 16))).astype(np.uint32)
    for plane in range(500):
        table.add(plane, ids)
    rows = list(table.rows())
    assert [row["n_px"] for row in rows] == [500 * 256] * 16

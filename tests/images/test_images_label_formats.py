"""Labels in other programs' formats: written, read by others, and read back as they were."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import roifile
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    open_label_stack,
    open_stack,
    read_labels,
    write_image,
    write_label_stack,
)
from napari_unetseg.images.label_meaning import described

CLASSES = (
    LabelClass(name="cell", color="#e69f00"),
    LabelClass(name="Zellkern µ 🔬", color="#56b4e9"),
    LabelClass(name="never painted", color="#009e73"),
)
SIZES = {"Z": 0.5, "Y": 0.2, "X": 0.1}

#: Where they go, by format.
NAMES = ["labels.ome.tif", "labels.zarr", "labels.geojson", "labels.zip", "pictures"]

SLOW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def stack_of(data, kind, class_of=None, sizes=SIZES):
    axes = {2: "YX", 3: "ZYX", 4: "TZYX"}[data.ndim]
    sizes = {axis: size for axis, size in sizes.items() if axis in axes}
    return Stack(data, axes, sizes, "cells", metadata=described(kind, CLASSES, class_of))


@st.composite
def labels(draw):
    kind = draw(st.sampled_from(["objects", "masks", "annotations"]))
    leading = draw(st.lists(st.integers(2, 4), max_size=2))  # a TIFF leaves out axes of length 1
    shape = (*leading, *draw(npst.array_shapes(min_dims=2, max_dims=2, max_side=6)))
    small = draw(npst.arrays(np.uint32, shape, elements=st.integers(0, 4)))
    if kind != "objects":
        return stack_of(small.clip(0, 3).astype(np.uint8), kind)
    ids = np.array([0, 1, 7, 300, 65_535], np.uint32)[small]
    return stack_of(ids, kind, draw(st.sampled_from([None, {7: 2, 300: 1}])))


@pytest.mark.parametrize("name", NAMES)
@given(written=labels())
@SLOW
def test_labels_come_back_with_all_that_is_known_of_them(tmp_path, name, written):
    path = tmp_path / name
    write_label_stack(path, written, overwrite=path.exists())
    found = open_label_stack(path)
    np.testing.assert_array_equal(np.asarray(found.data), written.data)
    assert found.axes == written.axes
    assert found.pixel_size_um == pytest.approx(written.pixel_size_um)
    for fact in ("kind", "classes"):
        assert found.metadata[fact] == written.metadata[fact]
    present = set(np.unique(written.data).tolist())
    kept = {
        value: k
        for value, k in written.metadata.get("class_of", {}).items()
        if int(value) in present
    }
    again = found.metadata.get("class_of", {})
    assert {value: k for value, k in again.items() if int(value) in present} == kept


@pytest.fixture
def ids():
    found = np.zeros((3, 12, 14), np.uint32)
    found[0, 2:7, 2:7], found[0, 4, 4] = 5, 0
    found[1, 2:7, 2:7], found[1, 2:7, 9:12] = 5, 5
    found[2, 0, 0], found[2, 11, 13] = 70_000, 8
    return stack_of(found, "objects", {5: 2})


def test_geojson_is_as_qupath_has_it(tmp_path, ids):
    path = tmp_path / "cells.geojson"
    write_label_stack(path, ids)
    content = json.loads(path.read_text("utf-8"))
    assert content["type"] == "FeatureCollection"
    shapes = [shapely.from_geojson(json.dumps(f["geometry"])) for f in content["features"]]
    assert [(s.geom_type, s.area) for s in shapes] == [
        ("Polygon", 24),
        ("MultiPolygon", 40),
        ("Polygon", 1),
        ("Polygon", 1),
    ]
    first, second, _, last = content["features"]
    assert first["geometry"]["plane"] == {"c": -1, "z": 0, "t": 0}
    assert (second["geometry"]["plane"]["z"], last["geometry"]["plane"]["z"]) == (1, 2)
    assert first["properties"]["objectType"] == "detection"
    assert first["properties"]["name"] == "5"
    assert first["properties"]["classification"] == {
        "name": "Zellkern µ 🔬",
        "color": [0x56, 0xB4, 0xE9],
    }
    assert "classification" not in last["properties"]
    assert first["geometry"]["coordinates"][0][0] == first["geometry"]["coordinates"][0][-1]


def test_regions_whose_meaning_was_cut_off_are_refused(tmp_path, ids):
    path = tmp_path / "cells.zip"
    write_label_stack(path, ids)
    whole = path.read_bytes()
    n_comment = len(zipfile.ZipFile(path).comment)
    for length in (1, n_comment // 2, n_comment):
        path.write_bytes(whole[:-length])
        with pytest.raises(UserError, match="its end is missing"):
            open_label_stack(path, like=Stack(ids.data, "ZYX"))


def test_regions_are_as_imagej_has_them(tmp_path, ids):
    path = tmp_path / "cells.zip"
    write_label_stack(path, ids)
    holed, parted, last, corner = roifile.roiread(path)
    assert [roi.position for roi in (holed, parted, last, corner)] == [1, 2, 3, 3]
    assert (holed.group, last.group) == (2, 0)
    assert holed.stroke_color == bytes([255, 0x56, 0xB4, 0xE9])
    assert corner.roitype == roifile.ROI_TYPE.TRACED
    assert corner.coordinates().tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert holed.composite
    areas = [shapely.Polygon(ring).area for ring in holed.coordinates(multi=True)]
    assert sorted(areas) == [1, 25]
    assert sorted(shapely.Polygon(ring).area for ring in parted.coordinates(multi=True)) == [15, 25]
    names = [roi.name for roi in (holed, parted, last, corner)]
    assert len(set(names)) == 4
    assert names[3].startswith("70000-")


def test_positions_in_time_are_those_of_a_hyperstack(tmp_path):
    data = np.zeros((2, 3, 5, 5), np.uint32)
    data[1, 2, 1:3, 1:3] = 4
    write_label_stack(tmp_path / "cells.zip", stack_of(data, "objects"))
    (roi,) = roifile.roiread(tmp_path / "cells.zip")
    assert (roi.t_position, roi.z_position) == (2, 3)


@pytest.mark.parametrize("name", ["a.zip", "a.geojson", "a.tif", "a"])
def test_channels_of_the_image_do_not_matter(tmp_path, name, ids):
    ids = replace(ids, data=np.minimum(ids.data, 9))
    write_label_stack(tmp_path / name, ids)
    like = Stack(np.zeros((2, 3, 12, 14), np.uint8), "CZYX", channels=("a", "b"))
    found = open_label_stack(tmp_path / name, like=like)
    np.testing.assert_array_equal(np.asarray(found.data), ids.data)
    assert found.axes == "ZYX"


@pytest.mark.parametrize("shape", [[10**12, 5, 5], [5, 10**12], [], [0, 5], ["a", 5], 7, [-1, -5]])
def test_a_size_that_is_none_is_not_believed(tmp_path, ids, shape):
    write_label_stack(tmp_path / "a.geojson", ids)
    content = json.loads((tmp_path / "a.geojson").read_text("utf-8"))
    content["napari-unetseg"]["shape"] = shape
    (tmp_path / "a.geojson").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match="not the size of their image"):
        open_label_stack(tmp_path / "a.geojson")


def test_pictures_are_one_per_slice_in_order(tmp_path, ids):
    from PIL import Image

    data = np.minimum(ids.data, 9)
    folder = tmp_path / "cells"
    write_label_stack(folder, replace(ids, data=data))
    names = sorted(path.name for path in folder.glob("*.png"))
    assert names == ["z0000.png", "z0001.png", "z0002.png"]
    for index, name in enumerate(names):
        np.testing.assert_array_equal(np.asarray(Image.open(folder / name)), data[index])
    assert open_stack(folder).shape == (3, 12, 14)
    with pytest.raises(UserError, match="16 bits"):
        write_label_stack(tmp_path / "more", ids)
    assert not (tmp_path / "more").exists()
    single = stack_of(data[0], "objects")
    write_label_stack(tmp_path / "one.png", single)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), data[0])
    with pytest.raises(UserError, match="3 slices"):
        write_label_stack(tmp_path / "three.png", ids)


def test_a_folder_of_other_pictures_is_never_replaced(tmp_path, ids):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "mine.png").write_bytes(b"x")
    with pytest.raises(UserError, match="something else"):
        write_label_stack(folder, replace(ids, data=np.minimum(ids.data, 9)), overwrite=True)
    assert (folder / "mine.png").read_bytes() == b"x"


@pytest.mark.parametrize("name", NAMES)
def test_what_exists_is_kept(tmp_path, name, ids):
    ids = replace(ids, data=np.minimum(ids.data, 9))
    write_label_stack(tmp_path / name, ids)
    before = sorted(p.stat().st_mtime_ns for p in tmp_path.rglob("*"))
    with pytest.raises(UserError, match="exists already"):
        write_label_stack(tmp_path / name, ids)
    assert sorted(p.stat().st_mtime_ns for p in tmp_path.rglob("*")) == before


def test_outlines_of_an_image_become_labels_of_it_wherever_labels_are_read(tmp_path, ids):
    image = Stack(np.zeros((3, 2, 12, 14), np.uint8), "TCYX", channels=("a", "b"))
    write_image(tmp_path / "image.tif", image)
    write_label_stack(tmp_path / "cells.geojson", ids)
    content = json.loads((tmp_path / "cells.geojson").read_text("utf-8"))
    del content["napari-unetseg"]
    for feature in content["features"]:
        plane = feature["geometry"]["plane"]
        plane["t"], plane["z"] = plane["z"], 0
    (tmp_path / "other.geojson").write_text(json.dumps(content), encoding="utf-8")
    like = open_stack(tmp_path / "image.tif")
    read = read_labels(tmp_path / "other.geojson", "objects", like=like)
    np.testing.assert_array_equal(read.ids, ids.data)
    read = read_labels(tmp_path / "other.geojson", "masks", like=like)
    assert [label_class.name for label_class in read.classes] == ["Zellkern µ 🔬"]
    np.testing.assert_array_equal(read.codes == 2, ids.data == 5)


@pytest.mark.parametrize("name", ["cells.geojson", "cells.zip"])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_files_say_one_sentence(tmp_path, name, data):
    path, good = tmp_path / name, tmp_path / f"good-{name}"
    if not good.exists():
        ids = np.zeros((2, 6, 6), np.uint32)
        ids[0, 1:4, 1:4], ids[0, 2, 2], ids[1, 2:4, 2:5] = 3, 0, 9
        write_label_stack(good, stack_of(ids, "objects"))
    content = bytearray(good.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    like = Stack(np.zeros((2, 6, 6), np.uint8), "ZYX")
    said = "read"
    try:
        np.asarray(open_label_stack(path, like=like).data)
    except UserError as error:
        said = str(error)
    assert said
    assert "\n" not in said

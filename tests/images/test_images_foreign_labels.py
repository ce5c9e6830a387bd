"""Labels that other programs wrote: QuPath, ImageJ, COCO, Cellpose."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest
import roifile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask

from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, open_label_stack, read_labels

LIKE = Stack(np.zeros((10, 12), np.uint8), "YX", {"Y": 0.2, "X": 0.2}, "cells")
VOLUME = Stack(np.zeros((2, 3, 10, 12), np.uint8), "TZYX", {}, "cells")


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def values_of(path, kind=None, like=LIKE):
    return np.asarray(open_label_stack(path, kind, like).data)


def square(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(geometry, **properties):
    return {"type": "Feature", "id": "1", "geometry": geometry, "properties": properties}


# -------------------------------------------------------------------- QuPath


@pytest.fixture
def qupath(tmp_path):
    hole = {"type": "Polygon", "coordinates": [square(1, 1, 6, 6), square(2, 2, 4, 4)]}
    parts = {"type": "MultiPolygon", "coordinates": [[square(7, 1, 9, 3)], [square(7, 5, 9, 7)]]}
    newer = {"name": "Tumor", "color": [200, 0, 0]}
    older = {"name": "Stroma", "colorRGB": -6895466}
    content = {
        "type": "FeatureCollection",
        "features": [
            feature(hole, objectType="annotation", classification=newer),
            feature(parts, object_type="annotation", classification=older),
            feature({"type": "Point", "coordinates": [3, 3]}),
            feature({"type": "Polygon", "coordinates": [square(0, 8, 2, 10)]}, isLocked=False),
        ],
    }
    return write_json(tmp_path / "export.geojson", content)


def test_outlines_of_qupath_are_objects_with_classes(qupath):
    found = open_label_stack(qupath, like=LIKE)
    values = np.asarray(found.data)
    assert [np.count_nonzero(values == i) for i in (1, 2, 3)] == [21, 8, 4]
    assert values[2, 2] == 0
    assert found.metadata["classes"] == [
        {"name": "Tumor", "color": "#c80000"},
        {"name": "Stroma", "color": "#96c896"},
    ]
    assert found.metadata["class_of"] == {"1": 1, "2": 2}
    assert found.pixel_size_um == LIKE.pixel_size_um
    assert found.notes == ("1 point or line left out.",)


def test_they_are_masks_or_annotations_of_their_classes_where_asked_for(qupath):
    masks = values_of(qupath, "masks")
    assert [np.count_nonzero(masks == k) for k in (1, 2)] == [21, 8]
    assert masks[9, 0] == 0  # has no class
    annotations = values_of(qupath, "annotations")
    np.testing.assert_array_equal(annotations, np.where(masks, masks + 1, 0))


def test_background_is_background_whoever_drew_it(tmp_path):
    polygon = {"type": "Polygon", "coordinates": [square(0, 0, 3, 3)]}
    other = {"type": "Polygon", "coordinates": [square(5, 5, 6, 6)]}
    content = [
        feature(polygon, classification={"name": "Background"}),
        feature(other, classification={"names": ["Cell", "Positive"]}),
    ]
    path = write_json(tmp_path / "export.json", content)
    assert sorted(np.unique(values_of(path, "annotations"))) == [0, 1, 2]
    assert np.unique(values_of(path, "objects")).tolist() == [0, 1]
    (found,) = open_label_stack(path, "masks", LIKE).metadata["classes"]
    assert found["name"] == "Cell: Positive"


def test_planes_are_slices_and_time_points(tmp_path):
    content = [
        feature({"type": "Polygon", "coordinates": [square(0, 0, 2, 2)], "plane": plane})
        for plane in ({"z": 2, "t": 1}, {"z": 0, "t": 0}, {"z": 7, "t": 0})
    ]
    found = open_label_stack(write_json(tmp_path / "a.geojson", content), like=VOLUME)
    assert np.argwhere(np.asarray(found.data).any(axis=(2, 3))).tolist() == [[0, 0], [1, 2]]
    assert found.notes == ("1 outline beyond the last slice left out.",)


# -------------------------------------------------------------------- ImageJ


def roi_of(kind, box=(0, 0, 0, 0), **more):
    roi = roifile.ImagejRoi(roitype=kind, **more)
    roi.left, roi.top, roi.right, roi.bottom = box
    return roi


def test_a_region_that_was_cut_short_is_one_sentence(tmp_path, caplog):
    whole = roifile.ImagejRoi.frompoints([[2.5, 3], [9, 3], [9, 8.5]]).tobytes()
    path = tmp_path / "one.roi"
    path.write_bytes(whole)
    assert values_of(path).any()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"one\.roi"):
            values_of(path)
    assert not caplog.records


def test_every_region_with_an_area_is_read(tmp_path):
    kinds = roifile.ROI_TYPE
    polygon = roifile.ImagejRoi.frompoints([[6, 0], [9, 0], [9, 3], [6, 3]])
    polygon.roitype = kinds.POLYGON
    subpixel = roifile.ImagejRoi.frompoints(
        np.array([[5.6, 5.6], [8.4, 5.6], [8.4, 7.4], [5.6, 7.4]])
    )
    line = roi_of(kinds.LINE, (0, 0, 5, 5))
    regions = [roi_of(kinds.RECT, (0, 0, 3, 2)), roi_of(kinds.OVAL, (0, 4, 4, 8)), polygon]
    with zipfile.ZipFile(tmp_path / "RoiSet.zip", "w") as archive:
        for i, roi in enumerate([*regions, subpixel, line]):
            archive.writestr(f"{i}.roi", roi.tobytes())
        archive.writestr("readme.txt", "not a region")
    found = open_label_stack(tmp_path / "RoiSet.zip", like=LIKE)
    values = np.asarray(found.data)
    assert [np.count_nonzero(values == i) for i in (1, 2, 3)] == [6, 12, 9]
    assert (values[0:2, 0:3] == 1).all()
    assert (values[0:3, 6:9] == 3).all()
    assert np.argwhere(values == 4).tolist() == [[6, 6], [6, 7]]
    assert found.notes == ("1 line or point left out.",)
    polygon.tofile(tmp_path / "one.roi")
    assert np.count_nonzero(values_of(tmp_path / "one.roi")) == 9


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ({"position": 5}, [[1, 1]]),
        ({"t": 2, "z": 3}, [[1, 2]]),
        ({"z": 2}, [[0, 1], [1, 1]]),
        ({}, [[t, z] for t in range(2) for z in range(3)]),
    ],
)
def test_positions_are_those_of_imagej(tmp_path, position, expected):
    roi = roi_of(roifile.ROI_TYPE.RECT, (1, 1, 4, 4))
    roi.position = position.get("position", 0)
    roi.t_position, roi.z_position = position.get("t", 0), position.get("z", 0)
    roi.tofile(tmp_path / "a.roi")
    values = values_of(tmp_path / "a.roi", like=VOLUME)
    assert np.argwhere(values.any(axis=(2, 3))).tolist() == expected


def test_groups_are_classes(tmp_path):
    roi = roi_of(roifile.ROI_TYPE.RECT, (1, 1, 4, 4), group=3, stroke_color=b"\xff\x00\x80\xff")
    roi.tofile(tmp_path / "a.roi")
    found = open_label_stack(tmp_path / "a.roi", "masks", LIKE)
    assert found.metadata["classes"] == [{"name": "group 3", "color": "#0080ff"}]


# ---------------------------------------------------------------------- COCO


def coco(annotations, images=1, **more):
    listed = [{"id": i, "file_name": f"z{i}.png", "height": 10, "width": 12} for i in range(images)]
    categories = [{"id": 7, "name": "cell"}, {"id": 9, "name": "debris"}]
    return {"images": listed, "annotations": annotations, "categories": categories, **more}


masks = npst.arrays(np.bool_, (10, 12))


@given(mask=masks, compressed=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_run_lengths_are_those_of_coco(tmp_path, mask, compressed):
    packed = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    if compressed:
        runs = {"size": packed["size"], "counts": packed["counts"].decode()}
    else:
        flat = np.concatenate([[False], mask.T.ravel(), [False]])
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        counts = np.diff([0, *changes, mask.size]).tolist()
        runs = {"size": [10, 12], "counts": counts}
    annotation = {"id": 1, "image_id": 0, "category_id": 7, "segmentation": runs}
    path = write_json(tmp_path / "instances.json", coco([annotation]))
    found = open_label_stack(path)
    np.testing.assert_array_equal(np.asarray(found.data), mask)
    assert found.name == "z0"


def test_polygons_and_categories_are_read(tmp_path):
    polygon = [1, 1, 4, 1, 4, 4, 1, 4]
    both = [[6, 1, 8, 1, 8, 3, 6, 3], [6, 5, 8, 5, 8, 6, 6, 6]]
    annotations = [
        {"id": 1, "image_id": 0, "category_id": 9, "segmentation": [polygon]},
        {"id": 2, "image_id": 0, "category_id": 7, "segmentation": both},
    ]
    path = write_json(tmp_path / "instances.json", coco(annotations))
    values = values_of(path)
    assert [np.count_nonzero(values == i) for i in (1, 2)] == [9, 6]
    masks = open_label_stack(path, "masks", LIKE)
    assert [c["name"] for c in masks.metadata["classes"]] == ["cell", "debris"]
    assert np.count_nonzero(np.asarray(masks.data) == 2) == 9


def test_several_images_are_told_apart_by_name_or_are_slices(tmp_path):
    annotations = [
        {"image_id": i, "category_id": 7, "segmentation": [[i, 0, i + 1, 0, i + 1, 1, i, 1]]}
        for i in range(11)
    ]
    path = write_json(tmp_path / "instances.json", coco(annotations, images=11))
    named = Stack(np.zeros((10, 12), np.uint8), "YX", {}, "z10")
    assert np.argwhere(values_of(path, like=named)).tolist() == [[0, 10]]
    stack = np.asarray(open_label_stack(path).data)
    assert np.argwhere(stack).tolist() == [[i, 0, i] for i in range(11)]
    with pytest.raises(UserError, match=r"11 images.*none of them cells"):
        open_label_stack(path, like=LIKE)
    wrong = Stack(np.zeros((5, 5), np.uint8), "YX", {}, "z10")
    with pytest.raises(UserError, match="10 × 12 px, and not 5 × 5"):
        open_label_stack(path, like=wrong)


# ------------------------------------------------------------------ Cellpose


def save_seg(path, content, protocol=None):
    array = np.empty((), object)
    array[()] = content
    if protocol is None:
        np.save(path, array, allow_pickle=True)
        return path
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(array, file, protocol=protocol)
    return path


def cellpose(masks):
    rng = np.random.default_rng(0)
    return {
        "outlines": masks,
        "colors": rng.integers(0, 255, (2, 3)),
        "masks": masks,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(2, bool),
        "filename": "/data/cells.tif",
        "flows": [[rng.random((3, 3), np.float32)], None, (1, 2.5, -3)],
        "diameter": np.float64(30.0),
        "est_diam": np.nan,
    }


@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<u2", "<i4", ">u4", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_masks_of_cellpose_are_read_without_unpickling(
    tmp_path, monkeypatch, protocol, dtype, order
):
    masks = np.zeros((2, 4, 5), dtype, order=order)
    masks[0, 1:3, 1:3], masks[1, 3, 4] = 1, 200
    path = save_seg(tmp_path / "cells_seg.npy", cellpose(masks), protocol)
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    found = open_label_stack(path)
    np.testing.assert_array_equal(found.data, masks)
    assert (found.axes, found.name, found.metadata["kind"]) == ("ZYX", "cells", "objects")


def test_numpy_before_2_had_another_name_for_the_same(tmp_path):
    masks = np.arange(20, dtype=np.uint16).reshape(4, 5)
    path = save_seg(tmp_path / "cells_seg.npy", cellpose(masks), 2)
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    np.testing.assert_array_equal(open_label_stack(path).data, masks)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


@pytest.mark.parametrize("protocol", [None, 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("where", ["whole", "masks", "beside"])
def test_what_somebody_put_into_a_pickle_is_not_run(tmp_path, protocol, where):
    target = tmp_path / "owned"
    bad = Malicious(target)
    good = np.ones((3, 4), np.uint16)
    content = {
        "whole": bad,
        "masks": {"masks": bad},
        "beside": {"filename": bad, "masks": good},
    }[where]
    path = save_seg(tmp_path / "cells_seg.npy", content, protocol)
    if where == "beside" and protocol != 0:
        np.testing.assert_array_equal(open_label_stack(path).data, good)
    else:
        with pytest.raises(UserError, match="not what Cellpose saves"):
            open_label_stack(path)
    assert not target.exists()


def test_a_bare_array_is_labels(tmp_path):
    data = np.zeros((2, 3, 10, 12), np.uint16)
    np.save(tmp_path / "a.npy", data)
    found = open_label_stack(tmp_path / "a.npy")
    assert isinstance(found.data, np.memmap)
    assert found.axes == "TZYX"
    np.save(tmp_path / "b.npy", data.reshape(6, 10, 12))
    assert open_label_stack(tmp_path / "b.npy", like=VOLUME).axes == "TZYX"
    labels = read_labels(tmp_path / "b.npy", "masks", like=VOLUME)
    assert labels.codes.shape == (6, 10, 12)


# ------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.geojson", b"{", "cannot be read as GEOJSON"),
        ("a.geojson", b"[" * 100_000, "cannot be read as GEOJSON"),
        ("a.json", b'{"a": 1}', "holds no labels"),
        ("a.json", b'{"images": 1, "annotations": []}', "cannot be read as JSON"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": []}', "holds no areas"),
        ("a.zip", b"PK", "cannot be read as ZIP"),
        ("a.roi", b"Iout", "cannot be read as ROI"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read as NPY"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        open_label_stack(tmp_path / name, like=LIKE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ring", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [None, 2]], [[0, 0], [1, 1], [2]], "abc", [1, 2, 3]]
)
def test_polygons_that_are_none_are_said(tmp_path, ring):
    content = [feature({"type": "Polygon", "coordinates": [ring]})]
    with pytest.raises(UserError, match="cannot be read"):
        open_label_stack(write_json(tmp_path / "a.geojson", content), like=LIKE)


def test_outlines_without_their_image_are_told_what_they_need(qupath):
    with pytest.raises(UserError, match=r"not the size of their image.*--like IMAGE"):
        open_label_stack(qupath)


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    masks = np.zeros((10, 12), np.uint16)
    masks[1:4, 2:6] = 3
    save_seg(folder / "a_seg.npy", cellpose(masks))
    runs = coco_mask.encode(np.asfortranarray(masks > 0, np.uint8))
    runs = {"size": runs["size"], "counts": runs["counts"].decode()}
    annotations = [
        {"image_id": 0, "category_id": 7, "segmentation": runs},
        {"image_id": 0, "category_id": 9, "segmentation": [[1, 1, 4, 1, 4, 4]]},
    ]
    write_json(folder / "a.json", coco(annotations))
    roi_of(roifile.ROI_TYPE.OVAL, (0, 0, 6, 6)).tofile(folder / "oval.roi")
    roifile.ImagejRoi.frompoints([[6, 0], [9, 0], [9, 3]]).tofile(folder / "points.roi")
    return folder


@pytest.mark.parametrize("name", ["a_seg.npy", "a.json", "oval.roi", "points.roi"])
@given(data=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_files_say_one_sentence(tmp_path, good_files, name, data):
    content = bytearray((good_files / name).read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    said = "read"
    try:
        values_of(tmp_path / name)
    except UserError as error:
        said = str(error)
    assert said
    assert "\n" not in said

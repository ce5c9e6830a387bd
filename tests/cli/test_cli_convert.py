"""``convert``: labels of one format as labels of another."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import (
    Stack,
    open_label_stack,
    open_stack,
    write_image,
    write_label_stack,
    write_labels,
)

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="nucleus", color="#56b4e9"))
SIZES = {"Z": 0.5, "Y": 0.2, "X": 0.1}


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture
def image(tmp_path):
    stack = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", SIZES, "cells")
    write_image(tmp_path / "cells.tif", stack)
    return stack


@pytest.fixture
def masks(tmp_path, image):
    codes = np.ones(image.shape, np.uint8)
    codes[0, 2:9, 2:9], codes[0, 4:6, 4:6], codes[2, 10:12, 20:25] = 2, 3, 3
    write_labels(tmp_path / "masks.tif", codes, like=image, kind="masks", classes=CLASSES)
    return codes - 1


def test_labels_go_through_every_format_and_come_back(tmp_path, masks, capsys):
    names = ["a.geojson", "b.zip", "c", "d.zarr", "e.geojson", "f.ome.tif"]
    last = tmp_path / "masks.tif"
    for name in names:
        assert run("convert", last, "-o", tmp_path / name) == 0
        last = tmp_path / name
        assert f"Masks on 3 slices in {last}." in capsys.readouterr().out
    found, first = open_stack(last), open_stack(tmp_path / "masks.tif")
    np.testing.assert_array_equal(found.data, masks)
    assert found.pixel_size_um == pytest.approx(SIZES)
    assert found.metadata == first.metadata


@pytest.mark.parametrize("kind", ["objects", "masks", "annotations"])
def test_which_slices_were_segmented_goes_through_every_format(tmp_path, image, kind, capsys):
    codes = np.zeros(image.shape, np.uint8)
    codes[[0, 2]] = 1 if kind != "objects" else 0
    codes[0, 2:9, 2:9] = 2
    last = tmp_path / "some.tif"
    write_labels(last, codes, like=image, kind=kind, classes=CLASSES, slices=[0, 2])
    for name in ["a.geojson", "b.zip", "c", "d.zarr", "e.h5", "cells.zarr/labels/f", "g.ome.tif"]:
        if name.startswith("cells"):
            write_image(tmp_path / "cells.zarr", image)
        assert run("convert", last, "-o", tmp_path / name) == 0
        last = tmp_path / name
        assert open_label_stack(last).metadata["slices"] == [0, 2]
    np.testing.assert_array_equal(
        open_stack(last).data, codes - (kind == "masks") * (codes > 0).astype(np.uint8)
    )
    capsys.readouterr()
    assert run("info", tmp_path / "a.geojson") == 0
    assert "segmented slices  0, 2" in capsys.readouterr().out
    assert run("convert", last, "-o", tmp_path / "h.stl") == 0
    assert "only slices 0, 2 were segmented" in capsys.readouterr().out


def test_classes_of_objects_keep_which_slices_were_segmented(tmp_path, image):
    ids = np.zeros(image.shape, np.uint32)
    ids[1, 2:9, 2:9] = 7
    about = {"kind": "objects", "class_of": {"7": 2}, "slices": [1]}
    about["classes"] = [c.model_dump() for c in CLASSES]
    write_label_stack(tmp_path / "ids.tif", replace(image, data=ids, metadata=about))
    out = tmp_path / "masks.tif"
    assert run("convert", tmp_path / "ids.tif", "-o", out, "--kind", "masks") == 0
    assert open_stack(out).metadata["slices"] == [1]


def test_outlines_take_size_and_calibration_from_their_image(tmp_path, image, capsys):
    ring = [[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "cells.geojson").write_text(json.dumps(feature))
    arguments = ("convert", tmp_path / "cells.geojson", "-o", tmp_path / "ids.tif")
    assert run(*arguments) == 2
    assert "--like IMAGE" in capsys.readouterr().err
    assert run(*arguments, "--like", tmp_path / "cells.tif") == 0
    found = open_stack(tmp_path / "ids.tif")
    assert (found.shape, found.pixel_size_um) == (image.shape, pytest.approx(SIZES))
    assert np.count_nonzero(found.data) == 12
    assert found.metadata["kind"] == "objects"


def test_pictures_of_other_programs_become_objects_or_masks(tmp_path, capsys):
    ids = np.zeros((20, 30), np.uint8)
    ids[2:5, 2:5], ids[2:5, 10:13] = 100, 255
    Image.fromarray(ids).save(tmp_path / "ids.png")
    assert run("convert", tmp_path / "ids.png", "-o", tmp_path / "ids.geojson") == 0
    np.testing.assert_array_equal(open_label_stack(tmp_path / "ids.geojson").data, ids)
    arguments = ("convert", tmp_path / "ids.png", "-o", tmp_path / "ids.geojson", "--kind", "masks")
    assert run(*arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(*arguments, "--overwrite") == 0
    assert "100 is class 1, 255 is class 2" in capsys.readouterr().out
    found = open_label_stack(tmp_path / "ids.geojson")
    assert np.unique(np.asarray(found.data)).tolist() == [0, 1, 2]
    assert [c["name"] for c in found.metadata["classes"]] == ["class 1", "class 2"]


def test_a_network_is_evaluated_on_outlines(tmp_path, masks, capsys):
    assert run("convert", tmp_path / "masks.tif", "-o", tmp_path / "masks.geojson") == 0
    arguments = ("evaluate", tmp_path / "masks.tif", "-t", tmp_path / "masks.geojson", "--json")
    assert run(*arguments, "--kind", "masks") == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["mean_iou"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["masks.tif", "-o", "a.txt"], "ends in"),
        (["masks.tif", "-o", "masks.tif"], "is the labels file itself"),
        (["masks.tif", "-o", "a.zip", "--like", "other.tif"], "labels need the slices"),
        (["masks.tif", "-o", "a.zip", "--kind", "cells"], "is no kind of labels"),
        (["masks.tif", "-o", "a.zip", "--kind", "annotations"], "saved as masks"),
        (["nothing.geojson", "-o", "a.tif"], "no file"),
        (["other.tif", "-o", "a.png"], "one picture"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path, masks, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    write_image("other.tif", Stack(np.zeros((4, 9, 9), np.uint8), "ZYX"))
    assert run("convert", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("a.*"))


def test_regions_without_their_package_are_said(tmp_path, masks, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "roifile", None)
    assert run("convert", tmp_path / "masks.tif", "-o", tmp_path / "a.zip") == 2
    assert "napari-unetseg[rois]" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


def test_objects_with_classes_become_masks_of_them(tmp_path, masks):
    assert run("convert", tmp_path / "masks.tif", "-o", tmp_path / "masks.geojson") == 0
    outlines = ("convert", tmp_path / "masks.geojson", "--kind", "objects")
    assert run(*outlines, "-o", tmp_path / "objects.tif") == 0
    objects = open_stack(tmp_path / "objects.tif")
    assert objects.metadata["class_of"] == {"1": 1, "2": 2, "3": 2}
    again = ("convert", tmp_path / "objects.tif", "--kind", "masks", "-o", tmp_path / "again.tif")
    assert run(*again) == 0
    np.testing.assert_array_equal(open_stack(tmp_path / "again.tif").data, masks)


def test_outlines_are_measured_on_their_image_and_refined_on_it(tmp_path, image):
    ring = [[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "cells.geojson").write_text(json.dumps({"type": "Feature", "geometry": geometry}))
    outlines, table = tmp_path / "cells.geojson", tmp_path / "table.csv"
    assert run("measure", outlines, "-i", tmp_path / "cells.tif", "-o", table) == 0
    header, row = table.read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["n_px"] == "12"
    write_image(tmp_path / "new.tif", Stack(np.arange(600, dtype=np.uint16).reshape(20, 30), "YX"))
    step = ("baseline", "remove_small", tmp_path / "new.tif", "-l", outlines)
    assert run(*step, "-o", tmp_path / "out.tif", "-p", "min_area_px=4") == 0
    assert np.count_nonzero(open_stack(tmp_path / "out.tif").data) == 12

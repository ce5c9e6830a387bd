"""`run`: what `baseline` did, from the record beside its result, in a process of its own too."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_unetseg.classical import METHODS
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, open_stack, read_labels, write_image, write_labels

SIZE = {"Z": 0.3, "Y": 0.1, "X": 0.1}


def run(*arguments):
    return main([str(argument) for argument in arguments])


def pixels(seed=0, shape=(3, 40, 56)):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[1], : shape[2]]
    planes = random.normal(60, 8, shape)
    planes += 90 * (np.hypot(y - 14, x - 16) < 8) + 50 * (np.hypot(y - 24, x - 42) < 6)
    return ndimage.gaussian_filter(planes, (0, 0.7, 0.7)).clip(0, 255).astype(np.uint16)


def written(path, **kwargs):
    write_image(path, Stack(pixels(**kwargs), "ZYX", SIZE))
    return path


@pytest.fixture
def cells(tmp_path):
    return written(tmp_path / "cells.tif")


@pytest.fixture
def painted(cells, tmp_path):
    codes = np.zeros((3, 40, 56), np.uint8)
    codes[0, 2:5, 4:30], codes[0, 12:16, 14:18] = 1, 2
    codes[2, 36:39, 20:50], codes[2, 22:26, 40:44] = 1, 3
    classes = [LabelClass(name="cell", color="#123456"), LabelClass(name="debris", color="#abcdef")]
    path = tmp_path / "painted.tif"
    write_labels(path, codes, like=open_stack(cells), kind="annotations", classes=classes)
    return path


def assert_same(found, expected):
    """Compare all but the identifier that every OME-TIFF has of its own."""
    one, other = open_stack(found), open_stack(expected)
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one.data, other.data)
    assert (one.axes, one.pixel_size_um) == (other.axes, other.pixel_size_um)
    assert one.metadata == other.metadata


def record(path):
    return json.loads(path.with_name(f"{path.name}.json").read_text())


@pytest.mark.parametrize("name", METHODS)
def test_every_record_replays_to_the_identical_file(name, cells, painted, tmp_path):
    uses = METHODS[name].use_of_strokes(METHODS[name].params()) != "unused"
    steps = ("--before", "median:radius_px=1", "--then", "remove_small:min_area_px=9")
    first, again = tmp_path / "first.tif", tmp_path / "again.tif"
    labels = ("-l", painted) if uses else ()
    assert run("baseline", name, cells, "-o", first, *steps, *labels) == 0
    assert run("run", tmp_path / "first.tif.json", cells, "-o", again) == 0
    assert_same(again, first)
    assert record(again)["recipe"] == record(first)["recipe"]
    assert len(np.unique(open_stack(first).data)) > 1


def test_a_forest_goes_to_other_images_and_learns_anew_where_it_is_told_to(
    cells, painted, tmp_path
):
    first, others = tmp_path / "first.tif", tmp_path / "others"
    others.mkdir()
    one, two = written(others / "one.tif", seed=5), written(others / "two.tif", seed=6)
    assert run("baseline", "forest", cells, "-o", first, "-l", painted) == 0
    recipe = tmp_path / "first.tif.json"
    assert recipe.stat().st_size < 500_000
    assert run("run", recipe, others, "-o", tmp_path / "out") == 0
    together = tmp_path / "together"
    labels = tmp_path / "labels"
    labels.mkdir()
    nothing = np.zeros((3, 40, 56), np.uint8)
    for path, codes in ((cells, None), (one, nothing), (two, nothing)):
        named = labels / path.name
        if codes is None:
            named.write_bytes(painted.read_bytes())
        else:
            tifffile.imwrite(named, codes, photometric="minisblack")
    images = (cells, one, two)
    assert run("baseline", "forest", *images, "-l", labels, "-o", together) == 0
    for path in (one, two):
        found, expected = (open_stack(f / path.name) for f in (tmp_path / "out", together))
        np.testing.assert_array_equal(found.data, expected.data)
        names = [c.name for c in read_labels(tmp_path / "out" / path.name, "masks").classes]
        assert names == ["cell", "debris"]
    codes = np.asarray(open_stack(painted).data)
    tifffile.imwrite(tmp_path / "two.tif", np.where(codes == 3, 1, codes), photometric="minisblack")
    anew = tmp_path / "anew.tif"
    assert run("run", recipe, cells, "-o", anew, "-l", tmp_path / "two.tif") == 0
    assert np.unique(open_stack(anew).data).tolist() == [0, 1]
    assert np.unique(open_stack(first).data).tolist() == [0, 1, 2]
    assert len(record(anew)["recipe"]["classes"]) == 1


def test_the_classes_of_a_forest_are_those_that_were_painted(cells, painted, tmp_path):
    out = tmp_path / "m.tif"
    assert run("baseline", "forest", cells, "-o", out, "-l", painted) == 0
    expected = [("cell", "#123456"), ("debris", "#abcdef")]
    assert [(c.name, c.color) for c in read_labels(out, "masks").classes] == expected
    kept = record(out)["recipe"]["classes"]
    assert [(c["name"], c["color"]) for c in kept] == expected


@pytest.mark.parametrize("name", ["grow", "random_walker", "watershed", "chan_vese"])
def test_seeds_of_another_image_are_one_clear_sentence(name, cells, painted, tmp_path, capsys):
    first = tmp_path / "first.tif"
    other = written(tmp_path / "other.tif", seed=5, shape=(2, 30, 56))
    assert run("baseline", name, cells, "-o", first, "-l", painted) == 0
    capsys.readouterr()
    assert run("run", tmp_path / "first.tif.json", other, "-o", tmp_path / "o.tif") == 2
    said = capsys.readouterr().err.replace("\n", " ")
    assert "3 × 40 × 56 px" in said
    assert "2 × 30 × 56 px" in said
    assert "-l LABELS" in said
    assert "--points" in said
    assert not (tmp_path / "o.tif").exists()
    points = tmp_path / "points.csv"
    points.write_text("index,axis-0,axis-1,axis-2,class\n0,1,14,16,1\n1,1,2,2,0\n")
    options = ("-o", tmp_path / "o.tif", "--points", points)
    assert run("run", tmp_path / "first.tif.json", other, *options) == 0
    assert run("run", tmp_path / "o.tif.json", other, "-o", tmp_path / "p.tif") == 0
    assert_same(tmp_path / "p.tif", tmp_path / "o.tif")


def test_seeds_of_several_images_find_theirs_and_some_may_have_none(cells, painted, tmp_path):
    other = written(tmp_path / "other.tif", seed=5)
    nothing = tmp_path / "nothing.tif"
    tifffile.imwrite(nothing, np.zeros((3, 40, 56), np.uint8), photometric="minisblack")
    first, again = tmp_path / "first", tmp_path / "again"
    labels = ("-l", painted, "-l", nothing)  # in natural order: nothing, painted
    assert run("baseline", "grow", cells, other, "-o", first, *labels) == 0
    assert run("run", tmp_path / "first.json", cells, other, "-o", again) == 0
    for name in ("cells.tif", "other.tif"):
        assert_same(again / name, first / name)
    grown = [(np.asarray(open_stack(first / n).data) > 0).any() for n in ("cells.tif", "other.tif")]
    assert sorted(grown) == [False, True]


@pytest.mark.parametrize("steps", [("otsu", "per_slice=off"), ("kmeans", "seed=3"), ("forest",)])
def test_a_picture_in_colour_replays_in_a_process_of_its_own(steps, tmp_path):
    name, *params = steps
    colours = np.stack([pixels()[0], pixels(seed=2)[0], 255 - pixels()[0]], axis=-1)
    Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(tmp_path / "colours.png")
    codes = np.zeros((40, 56), np.uint8)
    codes[2:5, 4:30], codes[12:16, 14:18] = 1, 2
    tifffile.imwrite(tmp_path / "painted.tif", codes, photometric="minisblack")
    labels = ("-l", tmp_path / "painted.tif") if name == "forest" else ()
    options = [text for pair in params for text in ("-p", pair)]
    first = tmp_path / "first.tif"
    assert run("baseline", name, tmp_path / "colours.png", "-o", first, *options, *labels) == 0
    replay = ("run", "first.tif.json", "colours.png", "-o", "again.tif")
    program = "import sys; from napari_unetseg.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *replay]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "again.tif", first)

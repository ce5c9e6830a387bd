"""What is written can be read by others, and is complete or not there."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    atomic_file,
    atomic_folder,
    check_output,
    open_stack,
    write_image,
    write_labels,
    write_probabilities,
)

RNG = np.random.default_rng(0)
CLASSES = (LabelClass(name='say "<é>" & more', color="#e69f00"),)
SIZE = {"Z": 0.05, "Y": 0.0046, "X": 0.0046}


def stack_of(axes, dtype="uint8"):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    data = RNG.integers(0, 100, [lengths[axis] for axis in axes]).astype(dtype)
    channels = ("DAPI", "GFP", "red") if "C" in axes else ("",)
    size = {axis: um for axis, um in SIZE.items() if axis in axes}
    return Stack(data, axes, size, "cells", None, channels)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "CZYX", "TCZYX", "TZYX"])
def test_an_image_survives_a_round_trip(tmp_path, suffix, axes):
    image = stack_of(axes, "uint16")
    write_image(tmp_path / f"cells{suffix}", image)
    read = open_stack(tmp_path / f"cells{suffix}")
    assert (read.axes, read.channels, read.name) == (axes, image.channels, "cells")
    assert read.pixel_size_um == pytest.approx(image.pixel_size_um)
    np.testing.assert_array_equal(np.asarray(read.data), image.data)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]
)
def test_every_type_keeps_its_values(tmp_path, dtype):
    image = stack_of("ZYX", dtype)
    write_image(tmp_path / "cells.tif", image)
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / "cells.tif").data), image.data)


def test_integers_that_fit_no_ome_type_are_refused(tmp_path):
    with pytest.raises(UserError, match="32-bit integers at most"):
        write_image(tmp_path / "big.tif", Stack(np.array([[-1, 2**40]]), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_an_array_takes_its_axes_from_the_stack_it_is_like(tmp_path):
    image = stack_of("CZYX")
    write_image(tmp_path / "copy.tif", np.asarray(image.data) + 1, like=image)
    read = open_stack(tmp_path / "copy.tif")
    assert (read.axes, read.pixel_size_um) == ("CZYX", pytest.approx(SIZE))


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "CZYX", "TCZYX"])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_probabilities_have_a_channel_for_each_class(tmp_path, axes, suffix):
    image = stack_of(axes)
    probabilities = RNG.random((image.n_planes, 2, 20, 30)).astype(np.float32)
    write_probabilities(tmp_path / f"p{suffix}", probabilities, like=image, classes=CLASSES)
    read = open_stack(tmp_path / f"p{suffix}")
    assert read.channels == ("background", CLASSES[0].name)
    np.testing.assert_array_equal(np.stack(list(read.planes())), probabilities)


def test_labels_of_a_multichannel_movie_have_its_axes_without_channels(tmp_path):
    image = stack_of("TCZYX")
    codes = RNG.integers(0, 3, (8, 20, 30)).astype(np.uint8)
    write_labels(tmp_path / "a.tif", codes, like=image, kind="annotations", classes=CLASSES)
    read = open_stack(tmp_path / "a.tif")
    assert (read.axes, read.shape) == ("TZYX", (2, 4, 20, 30))
    np.testing.assert_array_equal(np.stack([plane[0] for plane in read.planes()]), codes)


def test_ome_xml_holds_sizes_and_classes_where_others_look_for_them(tmp_path):
    image = stack_of("ZYX")
    codes = np.ones((4, 20, 30), np.uint8)
    write_labels(tmp_path / "a.tif", codes, like=image, kind="masks", classes=CLASSES)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_ome
        xml = tif.ome_metadata
        resolution = tif.pages[0].tags["XResolution"].value
        assert tif.pages[0].tags["ResolutionUnit"].value == 3
    assert resolution[0] / resolution[1] == pytest.approx(1e4 / SIZE["X"], rel=1e-6)
    root = ElementTree.fromstring(xml)
    names = {"ome": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels = root.find("ome:Image/ome:Pixels", names)
    assert float(pixels.get("PhysicalSizeX")) == SIZE["X"]
    assert pixels.get("PhysicalSizeZUnit") == "µm"
    (annotation,) = root.findall(".//ome:MapAnnotation[@Namespace='napari-unetseg']", names)
    reference = root.find("ome:Image/ome:AnnotationRef", names)
    assert reference.get("ID") == annotation.get("ID")
    about = json.loads(annotation.find("ome:Value/ome:M", names).text)
    assert (about["kind"], about["classes"]) == ("masks", [c.model_dump() for c in CLASSES])


def test_others_read_the_pixels_of_our_labels(tmp_path):
    import skimage.io
    from PIL import Image

    codes = RNG.integers(1, 3, (1, 20, 30)).astype(np.uint8)
    image = Stack(np.zeros((20, 30), np.uint8), "YX")
    write_labels(tmp_path / "a.tif", codes, like=image, kind="masks", classes=CLASSES)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), codes[0] - 1)
    np.testing.assert_array_equal(skimage.io.imread(tmp_path / "a.tif"), codes[0] - 1)
    with Image.open(tmp_path / "a.tif") as picture:
        np.testing.assert_array_equal(np.asarray(picture), codes[0] - 1)


def test_ome_zarr_holds_colours_by_value(tmp_path):
    codes = np.ones((1, 20, 30), np.uint8)
    image = Stack(np.zeros((20, 30), np.uint8), "YX", {"Y": 0.2, "X": 0.3})
    write_labels(tmp_path / "a.zarr", codes, like=image, kind="annotations", classes=CLASSES)
    ome = zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["ome"]
    assert ome["image-label"]["colors"] == [{"label-value": 2, "rgba": [230, 159, 0, 255]}]
    assert ome["image-label"]["properties"][0]["name"] == CLASSES[0].name
    (scale,) = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [0.2, 0.3]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_what_exists_is_kept_unless_it_may_be_overwritten(tmp_path, name):
    image = stack_of("YX")
    write_image(tmp_path / name, image)
    other = Stack(image.data + 1, "YX")
    with pytest.raises(UserError, match="exists already; choose another name"):
        write_image(tmp_path / name, other)
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / name).data), image.data)
    write_image(tmp_path / name, other, overwrite=True)
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / name).data), other.data)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_zarr_is_never_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="something else"):
        write_image(tmp_path / "a.zarr", stack_of("YX"), overwrite=True)
    assert (tmp_path / "a.zarr" / "thesis.txt").exists()


def test_a_name_that_is_no_image_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"ends in \.tif or \.zarr"):
        write_image(tmp_path / "cells.docx", stack_of("YX"))


def test_a_file_interrupted_while_it_is_written_leaves_nothing(tmp_path):
    (tmp_path / "a.tif").write_text("old")

    def interrupted():
        with atomic_file(tmp_path / "a.tif", overwrite=True) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.tif", "old")]


def test_a_folder_interrupted_while_it_is_written_leaves_the_old_one(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mark").write_text("old")

    def interrupted():
        with atomic_folder(tmp_path / "m", overwrite=True, marker="mark") as partial:
            (partial / "mark").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.rglob("*")] == ["m", "mark"]
    assert (tmp_path / "m" / "mark").read_text() == "old"


KILLED_WHILE_WRITING = """
import os, signal, sys
from napari_unetseg.images import atomic_file, atomic_folder
file, folder = sys.argv[1:]
with atomic_file(file) as one, atomic_folder(folder, marker="mark") as other:
    one.write_text("half")
    (other / "mark").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write_both(folder):
    with atomic_file(folder / "a.tif", overwrite=True) as partial:
        partial.write_text("whole")
    with atomic_folder(folder / "m", overwrite=True, marker="mark") as partial:
        (partial / "mark").write_text("whole")


def left_in(folder):
    return sorted(path.name for path in folder.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_process_left_is_removed_by_the_next_write_once_it_is_old(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.tif", "m")]
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, *paths], check=False)
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    write_both(tmp_path)  # somebody may write it on another machine: it was changed just now
    assert left_in(tmp_path) == sorted(path.name for path in left)
    for path in [*tmp_path.rglob(".*"), *tmp_path.rglob(".*/mark")]:
        os.utime(path, (0, 0))
    (next(tmp_path.glob(".m.*")) / "mark").touch()
    write_both(tmp_path)  # a folder is as new as what is in it
    assert left_in(tmp_path) == [path.name for path in left if path.name.startswith(".m.")]
    os.utime(next(tmp_path.glob(".m.*")) / "mark", (0, 0))
    write_both(tmp_path)
    assert left_in(tmp_path) == []
    assert (tmp_path / "m" / "mark").read_text() == "whole"


def test_what_is_old_stays_where_its_process_lives_or_it_is_of_another_name(tmp_path):
    names = [f".a.tif.{os.getppid()}-12ab.partial", ".b.a.tif.1.partial", ".a.tif.notes.partial"]
    for name in names:
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (0, 0))
    write_both(tmp_path)
    assert left_in(tmp_path) == sorted(names)


def test_missing_folders_are_made(tmp_path):
    write_image(tmp_path / "new" / "folder" / "a.tif", stack_of("YX"))
    assert open_stack(tmp_path / "new" / "folder" / "a.tif").axes == "YX"


@pytest.mark.parametrize("parent", ["a file", "/proc", "/dev/null"])
def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path, parent):
    folder = tmp_path / parent
    if parent == "a file":
        folder.write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        check_output(folder / "out.tif", overwrite=False)
    with pytest.raises(UserError, match="cannot be written"):
        write_image(folder / "out.tif", stack_of("YX"))


def test_checking_an_output_leaves_nothing_behind(tmp_path):
    check_output(tmp_path / "a" / "b.tif", overwrite=False)
    assert list(tmp_path.iterdir()) == []

"""The colours of channels are those that files say, and come back."""

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_unetseg import open_stack
from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, probabilities_like, write_image, write_probabilities

COLORS = ("#ff0000", "#00a0ff", "#ffffff")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("n", [1, 3])
def test_colours_come_back(tmp_path, suffix, n):
    axes, shape = ("CYX", (n, 5, 6)) if n > 1 else ("YX", (5, 6))
    names = tuple("abc")[:n]
    stack = Stack(np.zeros(shape, np.uint8), axes, channels=names, channel_colors=COLORS[:n])
    write_image(tmp_path / f"i{suffix}", stack)
    found = open_stack(tmp_path / f"i{suffix}")
    assert (found.channels, found.channel_colors) == (names, COLORS[:n])


def test_others_read_them_in_an_ome_tiff(tmp_path):
    colors = ("#ff0000", "#00ff00")
    stack = Stack(np.zeros((2, 5, 6), np.uint8), "CYX", channels=("a", "b"), channel_colors=colors)
    write_image(tmp_path / "i.tif", stack)
    with tifffile.TiffFile(tmp_path / "i.tif") as file:
        xml = ElementTree.fromstring(file.ome_metadata)
    channels = [element for element in xml.iter() if element.tag.endswith("}Channel")]
    assert [channel.get("Color") for channel in channels] == ["-16776961", "16711935"]


def test_colours_of_imagej_are_those_of_its_tables(tmp_path):
    ramp, none = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    tables = [np.stack([ramp, none, ramp]), np.stack([none, ramp, none])]
    pixels = np.zeros((2, 5, 6), np.uint8)
    about = {"axes": "CYX", "LUTs": tables, "mode": "composite"}
    tifffile.imwrite(tmp_path / "i.tif", pixels, imagej=True, metadata=about)
    assert open_stack(tmp_path / "i.tif").channel_colors == ("#ff00ff", "#00ff00")


@pytest.mark.parametrize("said", ["", "red", "-3000000000", "1e9"])
def test_what_is_no_colour_is_none(tmp_path, said):
    colors = ("#ff0000", "#00ff00")
    stack = Stack(np.zeros((2, 5, 6), np.uint8), "CYX", channels=("a", "b"), channel_colors=colors)
    write_image(tmp_path / "i.tif", stack)
    tifffile.tiffcomment(
        tmp_path / "i.tif",
        tifffile.tiffcomment(tmp_path / "i.tif").replace("-16776961", said).encode(),
    )
    assert open_stack(tmp_path / "i.tif").channel_colors == ("", "#00ff00")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_probabilities_have_the_colours_of_their_classes(tmp_path, suffix):
    classes = [LabelClass(name="cell", color="#123456")]
    like = Stack(np.zeros((5, 6), np.uint8), "YX")
    write_probabilities(tmp_path / f"p{suffix}", np.zeros((1, 2, 5, 6), np.float32),
                        like=like, classes=classes)  # fmt: skip
    found = open_stack(tmp_path / f"p{suffix}")
    assert found.channels == ("background", "cell")
    assert found.channel_colors == probabilities_like(like, classes).channel_colors
    assert found.channel_colors[1] == "#123456"


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("6001240_v0.5.ome.zarr", ("#0000ff", "#ffff00")),
        ("CH3_Fluorescence_8bit.tif", ("#ff0000", "#00ff00", "#0000ff")),
        ("DAPI_GFP.czi", ("#0000ff", "#00ff00")),
        ("testdata_2channel_xz.lif", ("#00ff00", "#ff0000")),
        ("tubhiswt4D_v0.4.ome.zarr", ("#00ffff",)),
    ],
)
def test_colours_of_files_from_microscopes(data_dir, name, colors):
    assert open_stack(data_dir / "formats" / name).channel_colors == colors


def test_as_many_colours_as_channels_are_needed():
    with pytest.raises(ValueError, match="1 colours for 2 channels"):
        Stack(np.zeros((2, 5, 6)), "CYX", channels=("a", "b"), channel_colors=("#ffffff",))

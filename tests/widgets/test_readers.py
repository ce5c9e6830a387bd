from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels, Layer
from PIL import Image as Picture

from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, write_image, write_labels
from napari_unetseg.widgets.open_images import open_images
from napari_unetseg.widgets.readers import get_reader
from napari_unetseg.widgets.stack_from_layers import guess_axes, stack_from_layers

CLASSES = (LabelClass(name="membrane", color="#123456"), LabelClass(name="b", color="#abcdef"))
SIZE = {"Z": 0.05, "Y": 0.0046, "X": 0.0046}


def layers_of(path):
    return [Layer.create(*data) for data in get_reader(str(path))(str(path))]


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


def test_an_image_keeps_its_axes_and_pixel_size(tmp_path):
    write_image(tmp_path / "a.ome.tif", Stack(pixels(3, 20, 30), "ZYX", SIZE))
    (layer,) = layers_of(tmp_path / "a.ome.tif")
    assert isinstance(layer, Image)
    assert (layer.name, guess_axes(layer)) == ("a", "ZYX")
    assert stack_from_layers([layer], "ZYX").pixel_size_um == pytest.approx(SIZE)
    assert (np.asarray(layer.data) == pixels(3, 20, 30)).all()


def test_an_unknown_pixel_size_stays_unknown(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(5, 20, 30), metadata={"axes": "ZYX"})
    (layer,) = layers_of(tmp_path / "a.tif")
    assert stack_from_layers([layer], "ZYX").pixel_size_um == {}


def test_channels_become_layers_that_are_one_image_again(tmp_path):
    data = pixels(2, 3, 20, 30)
    stack = Stack(data, "CZYX", SIZE, channels=("dapi", "actin"))
    write_image(tmp_path / "a.ome.tif", stack)
    layers = layers_of(tmp_path / "a.ome.tif")
    assert [layer.name for layer in layers] == ["a · dapi", "a · actin"]
    assert [layer.blending for layer in layers] == ["additive", "additive"]
    assert layers[0].colormap.name != layers[1].colormap.name
    (image,) = open_images(layers[::-1])
    assert (image.name, image.axes_choices) == ("a", ("ZYX", "TYX"))
    again = stack_from_layers(image.layers, "ZYX")
    assert (again.axes, again.pixel_size_um) == ("CZYX", pytest.approx(SIZE))
    assert (np.asarray(again.data) == data).all()


def test_a_colour_picture_is_shown_in_colour(tmp_path):
    Picture.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.png")
    (layer,) = layers_of(tmp_path / "a.png")
    assert layer.rgb
    assert (layer.data == pixels(20, 30, 3)).all()


def test_an_imagej_hyperstack_shows_its_values(tmp_path):
    data = pixels(4, 20, 30).astype(np.uint16) * 200
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZYX"})
    (layer,) = layers_of(tmp_path / "a.tif")
    assert (np.asarray(layer.data) == data).all()


@pytest.mark.parametrize("kind", ["annotations", "masks"])
def test_our_labels_come_back_with_names_and_colours(tmp_path, kind):
    codes = pixels(3, 20, 30) % 3 + (1 if kind == "masks" else 0)
    codes = codes.astype(np.uint8)
    like = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", SIZE, name="cells")
    write_labels(tmp_path / "l.ome.tif", codes, like=like, kind=kind, classes=CLASSES)
    (layer,) = layers_of(tmp_path / "l.ome.tif")
    assert isinstance(layer, Labels)
    assert (np.asarray(layer.data) == codes).all()
    for code, cls in enumerate(CLASSES, 2):
        expected = np.array([int(cls.color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert layer.get_color(code)[:3] == pytest.approx(expected, abs=1e-6)
    assert list(layer.features["class"]) == ["unlabelled", "background", "membrane", "b"]
    assert layer.scale == pytest.approx([0.05, 0.0046, 0.0046])


def test_objects_come_back_with_their_ids(tmp_path):
    ids = pixels(3, 20, 30).astype(np.uint32) * 1000
    like = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", name="cells")
    write_labels(tmp_path / "o.ome.tif", ids, like=like, kind="objects", classes=CLASSES[:1])
    (layer,) = layers_of(tmp_path / "o.ome.tif")
    assert isinstance(layer, Labels)
    assert (np.asarray(layer.data) == ids).all()


def test_a_folder_of_slices_is_one_stack(tmp_path):
    for i in (10, 2):
        Picture.fromarray(np.full((20, 30), i, np.uint8)).save(tmp_path / f"z{i}.png")
    (layer,) = layers_of(tmp_path)
    assert [int(plane[0, 0]) for plane in layer.data] == [2, 10]
    assert guess_axes(layer) == "ZYX"


def test_what_is_not_ours_is_left_to_others(tmp_path):
    (tmp_path / "m.unet").mkdir()
    (tmp_path / "m.unet" / "model.json").write_text("{}")
    (tmp_path / "a.csv").write_text("1")
    assert get_reader(str(tmp_path / "m.unet")) is None
    assert get_reader(str(tmp_path / "a.csv")) is None
    assert get_reader(str(tmp_path / "missing.tif")) is None
    assert get_reader("https://example.org/a.tif") is None
    assert get_reader(["a.tif", "b.tif"]) is None


def test_a_damaged_file_is_told_in_one_sentence(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("this is no TIFF")
    with pytest.raises(UserError, match=r"a\.tif cannot be read"):
        get_reader(str(path))(str(path))

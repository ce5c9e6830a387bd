from __future__ import annotations

import json
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import npe2
import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager
from PIL import Image as Picture

import napari_unetseg
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import SUFFIXES, Stack, open_stack, write_image, write_labels
from napari_unetseg.widgets.open_images import Choices, open_images
from napari_unetseg.widgets.readers import get_reader
from napari_unetseg.widgets.stack_from_layers import guess_axes, stack_from_layers

CLASSES = (LabelClass(name="membrane", color="#123456"), LabelClass(name="b", color="#abcdef"))
MANIFEST = Path(napari_unetseg.__file__).with_name("napari.yaml")
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


@pytest.mark.parametrize("name", ["l.ome.tif", "l.h5", "l.zarr", "folder"])
@pytest.mark.parametrize("kind", ["annotations", "masks"])
def test_our_labels_come_back_with_names_and_colours(tmp_path, kind, name):
    codes = pixels(3, 20, 30) % 3 + (1 if kind == "masks" else 0)
    codes = codes.astype(np.uint8)
    like = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", SIZE, name="cells")
    write_labels(tmp_path / name, codes, like=like, kind=kind, classes=CLASSES)
    (layer,) = layers_of(tmp_path / name)
    assert isinstance(layer, Labels)
    assert (np.asarray(layer.data) == codes).all()
    for code, cls in enumerate(CLASSES, 2):
        expected = np.array([int(cls.color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert layer.get_color(code)[:3] == pytest.approx(expected, abs=1e-6)
    assert list(layer.features["class"]) == ["unlabelled", "background", "membrane", "b"]
    assert layer.scale == pytest.approx([0.05, 0.0046, 0.0046])


def test_slices_that_were_not_segmented_are_unlabelled(tmp_path):
    like = Stack(np.zeros((3, 6, 7), np.uint8), "ZYX", name="cells")
    codes = np.ones(like.shape, np.uint8)
    about = {"like": like, "kind": "masks", "classes": CLASSES}
    write_labels(tmp_path / "l.ome.tif", codes, slices=[1], **about)
    (layer,) = layers_of(tmp_path / "l.ome.tif")
    assert [set(np.unique(plane)) for plane in layer.data] == [{0}, {1}, {0}]


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


def write_h5(path):
    import h5py

    with h5py.File(path, "w") as file:
        for name in ("raw", "other/stain"):
            file[name] = pixels(5, 20, 30)
            file[name].attrs["element_size_um"] = [0.5, 0.1, 0.2]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_napari_is_told_of_every_format_that_it_lacks(suffix):
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    (reader,) = manifest.contributions.readers
    known = any(fnmatch(f"a{suffix}", pattern) for pattern in reader.filename_patterns)
    assert known == (suffix not in (".png", ".jpg", ".jpeg", ".bmp"))


def test_pixels_of_other_formats_stay_in_the_file(tmp_path):
    write_h5(tmp_path / "a.h5")
    (layer,) = layers_of(tmp_path / "a.h5")
    assert not isinstance(layer.data, np.ndarray)
    assert layer.scale == pytest.approx([0.5, 0.1, 0.2])
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    np.testing.assert_array_equal(np.asarray(layer.data), pixels(5, 20, 30))


def test_notes_are_shown_and_parts_are_kept(tmp_path):
    write_h5(tmp_path / "a.h5")
    shown = []
    with notification_manager as manager:
        manager.notification_ready.connect(lambda event: shown.append(event.message))
        (layer,) = layers_of(tmp_path / "a.h5")
    assert shown == ["a.h5 holds 2 images; this is raw."]
    assert layer.metadata["napari_unetseg"]["parts"] == ["other/stain"]
    (part,) = layers_of(tmp_path / "a.h5" / "other" / "stain")
    assert part.name == "a_other_stain"


def test_labels_of_an_ome_zarr_become_a_labels_layer(tmp_path):
    import zarr

    write_image(tmp_path / "a.zarr", Stack(pixels(3, 20, 30), "ZYX", SIZE))
    write_image(
        tmp_path / "a.zarr" / "labels" / "cells.zarr", Stack(pixels(3, 20, 30) % 4, "ZYX", SIZE)
    )
    zarr.open_group(tmp_path / "a.zarr" / "labels").attrs["ome"] = {"labels": ["cells.zarr"]}
    (layer,) = layers_of(tmp_path / "a.zarr" / "labels" / "cells.zarr")
    assert isinstance(layer, Labels)
    assert layer.scale == pytest.approx([0.05, 0.0046, 0.0046])


def test_colours_of_a_lazy_file_are_shown_without_being_read(tmp_path):
    import h5py

    data = pixels(4, 20, 30, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = data
    stack = open_stack(tmp_path / "a.h5")
    layers = layers_of(tmp_path / "a.h5")
    assert [guess_axes(layer) for layer in layers] == ["ZYX"] * stack.n_channels
    np.testing.assert_array_equal(np.asarray(layers[1].data), data[..., 1])


def agreeing(path, capsys):
    """Return what `info` and the window say of a file."""
    assert main(["info", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    if (
        "C" in said["axes"] and said["shape"][said["axes"].index("C")] == 1
    ):  # a layer needs no slider for it
        said["shape"].pop(said["axes"].index("C"))
        said |= {"axes": said["axes"].replace("C", ""), "channels": []}
    (image,) = open_images(layers_of(path))
    stack = image.as_stack(Choices()[image])
    shown = {
        "axes": stack.axes,
        "shape": list(stack.shape),
        "dtype": stack.dtype.name,
        "pixel_size_um": pytest.approx(stack.pixel_size_um),
        "channels": [name for name in stack.channels if name] if stack.n_channels > 1 else [],
    }
    return {key: said[key] for key in shown}, shown


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "CYX", "TCZYX"])
@pytest.mark.parametrize("suffix", [".ome.tif", ".zarr"])
def test_info_and_the_window_agree_on_what_we_write(tmp_path, capsys, axes, suffix):
    lengths = {"T": 2, "C": 2, "Z": 3, "Y": 20, "X": 30}
    names = ("dapi", "actin") if "C" in axes else ("",)
    size = {axis: SIZE[axis] for axis in axes if axis in SIZE}
    stack = Stack(pixels(*(lengths[axis] for axis in axes)), axes, size, channels=names)
    write_image(tmp_path / f"a{suffix}", stack)
    said, shown = agreeing(tmp_path / f"a{suffix}", capsys)
    assert said == shown


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "1135_mini.h5",
        "CH3_Fluorescence_8bit.tif",
        "CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi",
        "DAPI_GFP.czi",
        "DIC-C2DH-HeLa_lzw.tif",
        "FOV7_HV110_P0500510000.ome.tiff",
        "6001240_v0.5.ome.zarr",
        "tubhiswt4D_v0.4.ome.zarr",
        "testdata_2channel_xz.lif",
        "testdata_2channel_xz.lif/xzy",
    ],
)
def test_info_and_the_window_agree_on_files_from_microscopes(data_dir, capsys, name):
    said, shown = agreeing(data_dir / "formats" / name, capsys)
    assert said == shown


@pytest.mark.parametrize("kind", ["dask", "zarr", "multiscale", "zarr multiscale"])
def test_layers_that_other_readers_opened_are_images_like_ours(tmp_path, kind):
    import dask.array
    import zarr

    data = pixels(3, 40, 60)
    levels = [data, data[:, ::2, ::2]]
    if "zarr" in kind:
        levels = [
            zarr.create_array(tmp_path / f"{i}.zarr", data=level) for i, level in enumerate(levels)
        ]
    elif kind == "dask":
        levels = [dask.array.from_array(level, (1, 20, 20)) for level in levels]
    multiscale = "multiscale" in kind
    layer = Image(levels if multiscale else levels[0], multiscale=multiscale,
                  scale=(0.5, 0.1, 0.1), units="um")  # fmt: skip
    (image,) = open_images([layer])
    stack = image.as_stack(Choices()[image])
    assert (stack.axes, stack.shape) == ("ZYX", (3, 40, 60))
    assert stack.pixel_size_um == pytest.approx({"Z": 0.5, "Y": 0.1, "X": 0.1})
    np.testing.assert_array_equal(stack.plane(2)[0], data[2])
    np.testing.assert_array_equal(stack.cropped(slice(4, 9), slice(7, 30)).plane(1)[0],
                                  data[1, 4:9, 7:30])  # fmt: skip


@pytest.mark.parametrize(
    ("colors", "shown"),
    [
        (("#ffff00", "#00ffff"), ("#ffff00", "#00ffff")),
        (("#ffffff", "#ffffff"), ("#00ff00", "#ff00ff")),
        (("#000000", "#00ffff"), ("#00ff00", "#ff00ff")),
        ((), ("#ff0000", "#00ff00")),  # those that an OME-Zarr is written with
    ],
)
def test_channels_have_the_colours_of_the_file_if_they_differ(tmp_path, colors, shown):
    data = np.zeros((2, 5, 6), np.uint8)
    stack = Stack(data, "CYX", channels=("a", "b"), channel_colors=colors)
    write_image(tmp_path / "i.zarr", stack)
    brightest = [layer.colormap.map(1.0)[0, :3] for layer in layers_of(tmp_path / "i.zarr")]
    assert [
        f"#{(color * 255).round().astype(np.uint8).tobytes().hex()}" for color in brightest
    ] == list(shown)


@pytest.mark.parametrize("within", ["labels/0", "labels/0/1"])
def test_labels_of_another_programs_zarr_become_a_labels_layer(data_dir, within):
    (layer,) = layers_of(data_dir / "formats" / "6001240_v0.5.ome.zarr" / within)
    assert isinstance(layer, Labels)
    assert np.asarray(layer.data).max() > 1


def outlines(path):
    """Write labels as outlines of a program that does not say how large their image is."""
    codes = np.zeros((3, 20, 30), np.uint32)
    codes[1, 4:9, 5:15], codes[2, 10:16, 3:9] = 1, 2
    like = Stack(np.zeros((3, 20, 30), np.uint8), "ZYX", SIZE)
    write_labels(path, codes, like=like, kind="objects", classes=CLASSES)
    return codes


def without_a_frame(path):
    """Take what this package says of outlines out of their file."""
    if path.suffix == ".geojson":
        content = json.loads(path.read_text())
        kept = {key: content[key] for key in ("type", "features")}
        path.write_text(json.dumps(kept))
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b""


@pytest.mark.parametrize("name", ["a.geojson", "a.zip"])
def test_outlines_of_ours_open_at_the_size_that_they_know(tmp_path, name):
    codes = outlines(tmp_path / name)
    (layer,) = layers_of(tmp_path / name)
    assert isinstance(layer, Labels)
    assert (np.asarray(layer.data) == codes).all()


@pytest.mark.parametrize("name", ["a.geojson", "a.zip"])
def test_outlines_without_a_size_are_drawn_on_the_image_that_is_chosen(
    tmp_path, name, make_napari_viewer
):
    codes = outlines(tmp_path / name)
    without_a_frame(tmp_path / name)
    with pytest.raises(UserError, match=r"open that image first, or .* --like IMAGE"):
        layers_of(tmp_path / name)
    viewer = make_napari_viewer()
    with pytest.raises(UserError, match="open that image first"):
        layers_of(tmp_path / name)
    chosen = viewer.add_image(np.zeros((3, 20, 30), np.uint8), scale=(0.05, 0.0046, 0.0046))
    viewer.add_image(np.zeros((7, 8), np.uint8))
    viewer.layers.selection.active = chosen
    viewer.open(str(tmp_path / name), plugin="napari-unetseg")
    shown = viewer.layers[-1]
    assert isinstance(shown, Labels)
    assert (np.asarray(shown.data) == codes).all()


def test_a_zip_of_something_else_is_left_to_others(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "no region")
    assert get_reader(str(tmp_path / "a.zip")) is None


def lazily(folder, data, axes, **more):
    """Return the layers of an OME-Zarr, which is read as it is looked at."""
    write_image(folder / "a.ome.zarr", Stack(data, axes, SIZE, **more))
    layers = layers_of(folder / "a.ome.zarr")
    assert not any(isinstance(layer.data, np.ndarray) for layer in layers)
    return layers


def test_contrast_is_that_of_first_middle_and_last_slice_for_each_channel(tmp_path):
    data = np.full((2, 5, 20, 30), 7, np.uint16)
    data[0, :, 3, 4] = 100, 30_000, 2_600, 30_000, 200
    data[1, :, 3, 4] = 10, 0, 9, 0, 4_000
    layers = lazily(tmp_path, data, "CZYX", channels=("dapi", "actin"))
    assert [layer.contrast_limits for layer in layers] == [[7, 2600], [7, 4000]]
    (tmp_path / "one").mkdir()
    (layer,) = lazily(tmp_path / "one", data[0], "ZYX")
    assert layer.contrast_limits == [7, 2600]


def test_contrast_leaves_out_what_is_no_number(tmp_path):
    data = np.zeros((3, 20, 30), np.float32)
    data[0, 0, :3] = np.nan, np.inf, 0.25
    (layer,) = lazily(tmp_path, data, "ZYX")
    assert layer.contrast_limits == [0, 0.25]


@pytest.mark.parametrize("value", [0, 9, np.nan])
def test_an_image_without_contrast_is_shown(tmp_path, value):
    (layer,) = lazily(tmp_path, np.full((3, 20, 30), value, np.float32), "ZYX")
    low, high = layer.contrast_limits
    assert low < high


def test_an_image_with_a_damaged_slice_still_opens(tmp_path):
    data = np.arange(40 * 600, dtype=np.uint16).reshape(40, 20, 30)
    write_image(tmp_path / "a.ome.zarr", Stack(data, "ZYX", SIZE))
    (tmp_path / "a.ome.zarr" / "0" / "c" / "1" / "0" / "0").write_bytes(b"damaged")
    (layer,) = layers_of(tmp_path / "a.ome.zarr")
    assert (np.asarray(layer.data[39]) == data[39]).all()

"""What we write, as other packages read it: pixels, axes, lengths, names and colours."""

import warnings

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models import open_ome_zarr, v04

from napari_unetseg.config import LabelClass
from napari_unetseg.images import Stack, write_image, write_labels, write_probabilities

SIZE = {"Z": 0.5, "Y": 0.2, "X": 0.1}
CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="edge", color="#56b4e9"))
LENGTHS = {"T": 2, "C": 3, "Z": 4, "Y": 40, "X": 70}
AXES = ["YX", "ZYX", "CYX", "TYX", "CZYX", "TZYX", "TCZYX"]
KINDS = ["image", "annotations", "masks", "objects", "probabilities"]

# What others raise or warn of is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def write(path, axes, kind="image", compress=False):
    """Write something of a kind; return the stack that it should be."""
    lengths = [LENGTHS[axis] for axis in axes]
    data = np.random.default_rng(0).integers(0, 3, lengths).astype(np.uint16)
    sizes = {axis: um for axis, um in SIZE.items() if axis in axes}
    channels = ("DAPI", "GFP", "é µ") if "C" in axes else ("",)
    image = Stack(data, axes, sizes, "cells", None, channels)
    if kind == "image":
        write_image(path, image, compress=compress)
        return image
    if kind == "probabilities":
        shape = (image.n_planes, 3, *image.plane_shape)
        values = np.random.default_rng(1).random(shape).astype(np.float32)
        write_probabilities(path, values, like=image, classes=CLASSES)
        bare = axes.replace("C", "")
        at = bare.index("Z" if "Z" in bare else "Y")
        wanted = f"{bare[:at]}C{bare[at:]}"
        grid = values.reshape(image.size("T"), image.size("Z"), 3, *image.plane_shape)
        grid = grid.transpose(0, 2, 1, 3, 4)
        single = tuple(i for i, axis in enumerate("TCZ") if axis not in wanted)
        names = ("background", *(c.name for c in CLASSES))
        return Stack(grid.squeeze(single), wanted, sizes, "cells", None, names)
    codes = data.max(axis=axes.index("C")) if "C" in axes else data
    codes = codes.reshape(image.n_planes, *image.plane_shape)
    codes = codes if kind == "objects" else codes.astype(np.uint8) + 1
    write_labels(path, codes, like=image, kind=kind, classes=CLASSES)
    values = codes - 1 if kind == "masks" else codes
    bare = axes.replace("C", "")
    return Stack(values.reshape(image.labels_shape), bare, sizes, "cells")


def in_tczyx(stack):
    """Return pixels with all five axes."""
    shape = [stack.size(axis) for axis in "TCZYX"]
    return np.asarray(stack.data).reshape(shape)


# ------------------------------------------------------------------ OME-TIFF


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", KINDS)
def test_tifffile_reads_our_ome_tiff(tmp_path, axes, kind):
    wanted = write(tmp_path / "a.ome.tif", axes, kind)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome
        (series,) = tif.series
        assert series.axes == wanted.axes
        np.testing.assert_array_equal(series.asarray(), wanted.data)
        about = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
    lengths = about["Pixels"]
    assert {a: lengths[f"PhysicalSize{a}"] for a in SIZE if f"PhysicalSize{a}" in lengths} == (
        wanted.pixel_size_um
    )
    assert about["Name"] == "cells"


@pytest.mark.parametrize("package", ["bioio_tifffile", "bioio_ome_tiff"])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", ["image", "masks", "probabilities"])
def test_bioio_reads_our_ome_tiff(tmp_path, package, axes, kind):
    reader = pytest.importorskip(package, reason=f"{package} is not installed").Reader
    bioio = pytest.importorskip("bioio", reason="bioio is not installed")
    wanted = write(tmp_path / "a.ome.tif", axes, kind)
    found = bioio.BioImage(tmp_path / "a.ome.tif", reader=reader)
    np.testing.assert_array_equal(found.get_image_data("TCZYX"), in_tczyx(wanted))
    if package == "bioio_ome_tiff":  # the other one does not look at OME-XML
        sizes = found.physical_pixel_sizes._asdict()
        assert {a: um for a, um in sizes.items() if a in wanted.axes} == wanted.pixel_size_um
        if "C" in wanted.axes:
            assert tuple(found.channel_names) == wanted.channels


@pytest.mark.parametrize("compress", [False, True])
def test_bigtiff_has_all_that_ome_tiff_has(tmp_path, monkeypatch, compress):
    from napari_unetseg.images import ome_tiff_writer

    monkeypatch.setattr(ome_tiff_writer, "_CLASSIC_BYTES", 1000)
    wanted = write(tmp_path / "a.ome.tif", "TCZYX", compress=compress)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
        np.testing.assert_array_equal(tif.series[0].asarray(), wanted.data)
    bioio_ome_tiff = pytest.importorskip("bioio_ome_tiff", reason="bioio-ome-tiff is not installed")
    found = bioio_ome_tiff.Reader(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(found.get_image_data("TCZYX"), in_tczyx(wanted))


# ------------------------------------------------------------------ OME-Zarr


def inside(folder, version, axes="CZYX"):
    """Write an image of a version, with labels inside; return the image and its labels."""
    source = folder / f"cells_{version}.zarr"
    if version == "0.5":
        image = write(source, axes)
    else:
        image = write(folder / "first.zarr", axes)
        group = zarr.open_group(source, mode="w", zarr_format=2)
        group.create_array(
            "0", data=image.data, chunk_key_encoding={"name": "v2", "separator": "/"}
        )
        about = dict(zarr.open_group(folder / "first.zarr", mode="r").attrs["ome"])
        about = {"multiscales": about["multiscales"]}
        about["multiscales"][0] |= {"version": "0.4"}
        del about["multiscales"][0]["datasets"][1:]
        group.attrs.update(about)
    codes = np.random.default_rng(2).integers(1, 4, (image.n_planes, *image.plane_shape))
    write_labels(source / "labels" / "cells", codes.astype(np.uint8), like=image, kind="masks",
                 classes=CLASSES)  # fmt: skip
    return image, (codes - 1).reshape(image.labels_shape), source


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_validator_accepts_our_ome_zarr(tmp_path, axes, kind):
    wanted = write(tmp_path / "a.zarr", axes, kind)
    found = open_ome_zarr(zarr.open_group(tmp_path / "a.zarr", mode="r"))
    (multiscale,) = found.ome_attributes.multiscales
    assert "".join(axis.name for axis in multiscale.axes).upper() == wanted.axes
    scale = multiscale.datasets[0].coordinateTransformations[0].scale
    known = dict(zip(wanted.axes, scale, strict=True))
    assert {axis: known[axis] for axis in wanted.pixel_size_um} == wanted.pixel_size_um
    units = {axis.name.upper(): axis.unit for axis in multiscale.axes if axis.type == "space"}
    assert set(units.values()) == {"micrometer"}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_inside_an_ome_zarr_are_labels_to_the_validator(tmp_path, version):
    _, labels, source = inside(tmp_path, version)
    group = zarr.open_group(source / "labels" / "cells", mode="r")
    if version == "0.5":
        image = open_ome_zarr(zarr.open_group(source, mode="r"))
        assert image.labels.label_paths == ["cells"]
        about = open_ome_zarr(group).ome_attributes
    else:  # its model of groups of this version needs a pydantic older than ours
        assert dict(zarr.open_group(source / "labels", mode="r").attrs) == {"labels": ["cells"]}
        about = v04.image_label.ImageLabelAttrs.model_validate(dict(group.attrs))
    colours = {c.label_value: tuple(c.rgba) for c in about.image_label.colors}
    assert colours == {1: (230, 159, 0, 255), 2: (86, 180, 233, 255)}
    np.testing.assert_array_equal(group["0"][...], labels)


def layers_of(reader, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(str(path))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", KINDS)
def test_naparis_own_reader_opens_our_ome_zarr(tmp_path, axes, kind):
    from napari_builtins.io import napari_get_reader

    wanted = write(tmp_path / "a.zarr", axes, kind)
    reader = napari_get_reader(str(tmp_path / "a.zarr"))
    assert reader is not None
    data = layers_of(reader, tmp_path / "a.zarr")[0][0]
    finest = data[0] if isinstance(data, list) else data
    np.testing.assert_array_equal(np.asarray(finest), wanted.data)


@pytest.mark.parametrize("axes", AXES)
def test_napari_ome_zarr_opens_our_images(tmp_path, axes):
    reading = pytest.importorskip("napari_ome_zarr", reason="napari-ome-zarr is not installed")
    wanted = write(tmp_path / "a.zarr", axes)
    (layer,) = reading.napari_get_reader(str(tmp_path / "a.zarr"))(str(tmp_path / "a.zarr"))
    data, about, kind = layer
    assert kind == "image"
    finest = data[0] if isinstance(data, list) else data
    np.testing.assert_array_equal(np.asarray(finest), wanted.data)
    bare = wanted.axes.replace("C", "")
    scale = dict(zip(bare, about["scale"], strict="C" not in wanted.axes))
    if "C" not in wanted.axes:
        assert {a: scale[a] for a in wanted.pixel_size_um} == wanted.pixel_size_um
    else:
        assert [name.removeprefix("cells: ") for name in about["name"]] == list(wanted.channels)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_napari_ome_zarr_and_ome_zarr_find_labels_inside(tmp_path, version):
    image, labels, source = inside(tmp_path, version)
    reading = pytest.importorskip("napari_ome_zarr", reason="napari-ome-zarr is not installed")
    layers = reading.napari_get_reader(str(source))(str(source))
    assert [kind for _, _, kind in layers] == ["image", "labels"]
    shown = layers[1][0]
    shown = shown[0] if isinstance(shown, list) else shown
    np.testing.assert_array_equal(np.asarray(shown), labels)
    np.testing.assert_array_equal(np.asarray(layers[0][0][0]), image.data)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarrs_own_reader_finds_image_and_labels(tmp_path, version):
    pytest.importorskip("ome_zarr", reason="ome-zarr is not installed")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    image, labels, source = inside(tmp_path, version)
    nodes = list(Reader(parse_url(str(source)))())
    found = {"/labels/" in str(node.zarr).replace("\\", "/"): node for node in nodes if node.data}
    np.testing.assert_array_equal(np.asarray(found[False].data[0]), image.data)
    np.testing.assert_array_equal(np.asarray(found[True].data[0]), labels)
    axes = [axis["name"] for axis in found[False].metadata["axes"]]
    assert "".join(axes).upper() == image.axes
    (scale,) = found[False].metadata["coordinateTransformations"][0]
    assert dict(zip(image.axes, scale["scale"], strict=True)) == {"C": 1.0, **image.pixel_size_um}

"""Every common kind of TIFF, decoded when it is looked at where it is large."""

import gc
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from napari_unetseg.errors import UserError
from napari_unetseg.images import lazy_pages, open_stack, sequence, tiff

RNG = np.random.default_rng(0)


def pixels(*shape, dtype="uint8"):
    return RNG.integers(0, 100, shape).astype(dtype)


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Read compressed pixels at once, or as if they were too many for that."""
    if request.param == "large":
        monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 0)
    return request.param


KINDS = {
    "bigtiff": {"bigtiff": True, "compression": "zlib"},
    "tiled lzw": {"tile": (16, 32), "compression": "lzw"},
    "lzw with predictor": {"compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd", "rowsperstrip": 7},
    "deflate, big-endian": {"compression": "zlib", "byteorder": ">"},
    "packbits": {"compression": "packbits"},
    "lossless jpeg 2000": {"compression": "jpeg2000", "tile": (16, 32)},
    "lzma": {"compression": "lzma"},
    "tiled, not compressed": {"tile": (16, 32)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_store_slices_gives_the_same_pixels(tmp_path, size, kind):
    image = pixels(5, 50, 70, dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", **KINDS[kind])
    stack = open_stack(tmp_path / "a.tif")
    assert (stack.axes, stack.dtype) == ("ZYX", np.uint16)
    assert isinstance(stack.data, np.ndarray) == (size == "small")
    assert stack.plane(3).dtype.isnative
    np.testing.assert_array_equal(np.asarray(stack.data), image)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float16", "float32", "float64"])
def test_signed_and_float_values_keep_their_range(tmp_path, size, dtype):
    image = (pixels(3, 50, 70).astype(dtype) - np.asarray(50, dtype)) * np.asarray(1.25, dtype)
    image = image.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="zlib", photometric="minisblack")
    stack = open_stack(tmp_path / "a.tif")
    assert stack.dtype == np.dtype(dtype)
    assert stack.plane(0).min() < 0
    np.testing.assert_array_equal(np.asarray(stack.data), image)


@pytest.mark.parametrize("bits", [10, 12])
def test_bits_that_were_packed_are_whole_numbers_again(tmp_path, size, bits):
    image = RNG.integers(0, 2**bits, (3, 50, 70)).astype(np.uint16)
    options = {"bitspersample": bits, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", image, rowsperstrip=1, **options)
    stack = open_stack(tmp_path / "a.tif")
    assert (stack.axes, stack.dtype) == ("ZYX", np.uint16)
    np.testing.assert_array_equal(np.asarray(stack.data), image)


def test_jpeg_in_tiff_is_colour(tmp_path, size):
    image = np.repeat(np.arange(64, dtype=np.uint8), 48).reshape(64, 48)[..., None] * [1, 2, 3]
    image = image.astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="jpeg", photometric="rgb")
    stack = open_stack(tmp_path / "a.tif")
    assert (stack.axes, stack.channels) == ("CYX", ("red", "green", "blue"))
    assert np.abs(stack.plane(0).astype(int) - np.moveaxis(image, -1, 0)).mean() < 3


def test_a_large_slice_is_read_tile_by_tile(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 0)
    monkeypatch.setattr(lazy_pages, "_LARGEST_PAGE_BYTES", 1000)
    image = pixels(100, 130, dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 32), compression="zlib")
    stack = open_stack(tmp_path / "a.tif")
    np.testing.assert_array_equal(stack.cropped(slice(10, 20), slice(90, 130)).plane(0)[0],
                                  image[10:20, 90:130])  # fmt: skip


def test_pyramids_open_at_full_resolution(tmp_path, size):
    image = pixels(128, 128)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(image, subifds=2, tile=(32, 32), compression="zlib")
        for step in (2, 4):
            writer.write(image[::step, ::step], subfiletype=1, tile=(16, 16), compression="zlib")
    stack = open_stack(tmp_path / "a.ome.tif")
    assert stack.shape == (128, 128)
    np.testing.assert_array_equal(stack.plane(0)[0], image)


def write_multi_file_ome(folder, image):
    """Write each time point of a TZYX image into a file of its own; return the first."""
    n_times, n_slices, height, width = image.shape
    names = [f"t{t}.ome.tif" for t in range(n_times)]
    blocks = "".join(
        f'<TiffData FirstT="{t}" FirstZ="0" FirstC="0" IFD="0" PlaneCount="{n_slices}">'
        f'<UUID FileName="{name}">urn:uuid:{t:08d}-0000-0000-0000-000000000000</UUID></TiffData>'
        for t, name in enumerate(names)
    )
    for t, name in enumerate(names):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{t:08d}-0000-0000-0000-000000000000"><Image ID="Image:0"><Pixels '
            f'ID="Pixels:0" DimensionOrder="XYZTC" Type="uint8" SizeX="{width}" SizeY="{height}" '
            f'SizeZ="{n_slices}" SizeC="1" SizeT="{n_times}" PhysicalSizeX="0.1">'
            f'<Channel ID="Channel:0:0"/>{blocks}</Pixels></Image></OME>'
        )
        options = {"compression": "zlib", "photometric": "minisblack", "metadata": None}
        tifffile.imwrite(folder / name, image[t], description=xml, **options)
    return folder / names[0]


def test_an_ome_tiff_of_several_files_is_one_stack(tmp_path, size):
    image = pixels(3, 4, 50, 70)
    stack = open_stack(write_multi_file_ome(tmp_path, image))
    assert (stack.axes, stack.pixel_size_um) == ("TZYX", {"X": 0.1})
    np.testing.assert_array_equal(np.asarray(stack.data), image)


def test_an_ome_tiff_one_of_whose_files_is_missing_is_one_sentence(tmp_path, size):
    first = write_multi_file_ome(tmp_path, pixels(3, 4, 50, 70))
    (tmp_path / "t1.ome.tif").unlink()
    with pytest.raises(UserError, match="is damaged or incomplete"):
        open_stack(first)


def test_images_in_one_ome_tiff_are_parts(tmp_path, size):
    images = [pixels(3, 50, 70), pixels(4, 20, 30)]
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for i, image in enumerate(images):
            metadata = {"axes": "ZYX", "PhysicalSizeX": 0.1 * (i + 1)}
            writer.write(image, metadata=metadata, compression="zlib", photometric="minisblack")
    first, second = open_stack(tmp_path / "a.ome.tif"), open_stack(tmp_path / "a.ome.tif" / "1")
    assert first.notes == ("a.ome.tif holds 2 images; this is 0.",)
    assert (first.parts, second.parts) == (("1",), ("0",))
    assert (first.pixel_size_um, second.pixel_size_um) == ({"X": 0.1}, {"X": 0.2})
    np.testing.assert_array_equal(np.asarray(second.data), images[1])
    with pytest.raises(UserError, match="holds no image '2'"):
        open_stack(tmp_path / "a.ome.tif" / "2")


@pytest.mark.parametrize("axes", ["TZCYX", "ZCYX", "TYX", "CYX"])
def test_imagejs_big_endian_hyperstacks_have_their_axes(tmp_path, axes):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 50, "X": 70}
    image = pixels(*(lengths[axis] for axis in axes), dtype="uint16")
    metadata = {"axes": axes, "unit": "um", "spacing": 0.5}
    tifffile.imwrite(
        tmp_path / "a.tif", image, imagej=True, byteorder=">", resolution=(5, 10), metadata=metadata
    )
    stack = open_stack(tmp_path / "a.tif")
    expected = "".join(axis for axis in "TCZYX" if axis in axes)
    assert stack.axes == expected
    assert stack.pixel_size_um == {"Y": 0.1, "X": 0.2} | ({"Z": 0.5} if "Z" in axes else {})
    assert stack.plane(0).dtype.isnative
    np.testing.assert_array_equal(np.asarray(stack.data), np.einsum(f"{axes}->{expected}", image))


def test_a_file_is_closed_when_its_stack_is_no_longer_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 0)
    tifffile.imwrite(tmp_path / "a.tif", pixels(5, 50, 70), compression="zlib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack = open_stack(tmp_path / "a.tif")
        stack.plane(1)
        assert "a.tif" in [Path(file.path).name for file in psutil.Process().open_files()]
        del stack
        gc.collect()
    opened = [Path(file.path).name for file in psutil.Process().open_files()]
    assert "a.tif" not in opened


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("is_large", [False, True])
def test_a_sequence_is_in_natural_order_and_large_ones_are_not_read(
    tmp_path, monkeypatch, suffix, is_large
):
    if is_large:
        monkeypatch.setattr(sequence, "READ_AT_ONCE_BYTES", 0)
    for i in (10, 9, 1, 2):
        Image.fromarray(np.full((20, 30), i * 10, np.uint8)).save(tmp_path / f"z{i}{suffix}")
    stack = open_stack(tmp_path)
    assert isinstance(stack.data, np.ndarray) == (not is_large)
    assert (stack.axes, stack.shape) == ("ZYX", (4, 20, 30))
    assert [int(plane[0, 0, 0]) for plane in stack.planes()] == [10, 20, 90, 100]
    if is_large:
        Image.fromarray(np.zeros((20, 31), np.uint8)).save(tmp_path / f"z9{suffix}")
        with pytest.raises(UserError, match=rf"z9\{suffix} is 20 × 31 px .* must agree in size"):
            open_stack(tmp_path).plane(2)

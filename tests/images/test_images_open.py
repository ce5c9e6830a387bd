"""Files as microscopes and programs write them become calibrated stacks."""

import contextlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unetseg.errors import UserError
from napari_unetseg.images import open_stack, tiff

RNG = np.random.default_rng(0)

DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64",
]  # fmt: skip


def pixels(*shape, dtype="uint8"):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    return RNG.integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "compression"),
    [
        (dtype, compression)
        for dtype in DTYPES
        for compression in (None, "lzw", "zlib")
        if (dtype, compression) != ("bool", "lzw")  # tifffile writes no LZW of single bits
    ],
)
def test_every_pixel_type_is_read_as_it_was_written(tmp_path, dtype, compression):
    image = pixels(3, 20, 30, dtype=dtype)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, image, compression=compression, photometric="minisblack")
    stack = open_stack(path)
    assert (stack.axes, stack.shape, stack.dtype) == ("ZYX", (3, 20, 30), np.dtype(dtype))
    np.testing.assert_array_equal(np.stack([p[0] for p in stack.planes()]), image)


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_big_endian_pixels_arrive_in_native_order(tmp_path, compression):
    image = pixels(2, 20, 30, dtype="uint16")
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, image, byteorder=">", compression=compression, photometric="minisblack")
    stack = open_stack(path)
    assert stack.dtype.isnative
    assert stack.plane(1).dtype.isnative
    np.testing.assert_array_equal(stack.plane(1)[0], image[1])


def test_uncompressed_pixels_are_mapped_and_not_read(tmp_path):
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, pixels(4, 20, 30), metadata={"axes": "ZYX"}, photometric="minisblack")
    data = open_stack(path).data
    assert isinstance(data, np.memmap)
    assert not data.flags.writeable


def test_large_compressed_pixels_are_read_slice_by_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 100)
    image = pixels(2, 4, 3, 20, 30)
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(
        path, image, compression="zlib", photometric="minisblack", metadata={"axes": "TZCYX"}
    )
    stack = open_stack(path)
    assert not isinstance(stack.data, np.ndarray)
    assert (stack.axes, stack.shape) == ("TCZYX", (2, 3, 4, 20, 30))
    np.testing.assert_array_equal(stack.plane(6), image[1, 2])


def test_large_compressed_colour_is_read_slice_by_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 100)
    image = pixels(20, 30, 3)
    tifffile.imwrite(tmp_path / "cells.tif", image, compression="zlib", photometric="rgb")
    stack = open_stack(tmp_path / "cells.tif")
    assert not isinstance(stack.data, np.ndarray)
    np.testing.assert_array_equal(stack.plane(0), image.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [("TCZYX", "TCZYX"), ("ZCYX", "CZYX"), ("CTYX", "TCYX"), ("TZYX", "TZYX"), ("CYX", "CYX")],
)
def test_axes_of_ome_tiff_are_put_in_order(tmp_path, axes, expected):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    image = pixels(*(lengths[axis] for axis in axes))
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, image, metadata={"axes": axes}, photometric="minisblack")
    stack = open_stack(path)
    assert stack.axes == expected
    reordered = np.einsum(f"{axes}->{expected}", image)
    np.testing.assert_array_equal(np.asarray(stack.data), reordered)


@pytest.mark.parametrize(
    ("unit", "size", "expected"),
    [("nm", 4.6, 0.0046), ("µm", 0.2, 0.2), ("mm", 0.001, 1.0), ("Å", 100, 0.01)],
)
def test_pixel_sizes_of_ome_tiff_are_read_in_um(tmp_path, unit, size, expected):
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "ZYX"}
    for axis in "XYZ":
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    tifffile.imwrite(path, pixels(2, 20, 30), metadata=metadata, photometric="minisblack")
    assert open_stack(path).pixel_size_um == pytest.approx(dict.fromkeys("ZYX", expected))


def test_pixels_of_ome_tiff_that_are_counted_in_pixels_have_no_size(tmp_path):
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}
    tifffile.imwrite(path, pixels(20, 30), metadata=metadata)
    assert open_stack(path).pixel_size_um == {}


def test_channel_names_of_ome_tiff_are_kept(tmp_path):
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, pixels(2, 20, 30), metadata=metadata, photometric="minisblack")
    assert open_stack(path).channels == ("DAPI", "GFP")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("um", 0.5), ("micron", 0.5), ("\\u00B5m", 0.5), ("nm", 0.0005), ("mm", 500.0)],
)
def test_imagej_units_and_spacing_are_read_in_um(tmp_path, unit, expected):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(
        path,
        pixels(5, 20, 30, dtype="uint16"),
        imagej=True,
        resolution=(2, 4),
        metadata={"axes": "ZYX", "unit": unit, "spacing": -3},
    )
    size = open_stack(path).pixel_size_um
    assert size == pytest.approx({"X": expected, "Y": expected / 2, "Z": 6 * expected})


@pytest.mark.parametrize("unit", ["pixel", "", "inch"])
def test_imagej_files_without_a_length_have_no_pixel_size(tmp_path, unit):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(
        path, pixels(20, 30), imagej=True, resolution=(72, 72), metadata={"unit": unit}
    )
    assert open_stack(path).pixel_size_um == {}


def test_an_imagej_hyperstack_has_all_its_axes(tmp_path):
    image = pixels(2, 4, 3, 20, 30, dtype="uint16")
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, image, imagej=True, metadata={"axes": "TZCYX"})
    stack = open_stack(path)
    assert (stack.axes, stack.shape, stack.n_planes) == ("TCZYX", (2, 3, 4, 20, 30), 8)
    np.testing.assert_array_equal(stack.plane(5), image[1, 1])


def test_twenty_imagej_channels_without_slices_are_slices(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(20, 20, 30), imagej=True)
    assert open_stack(path).axes == "ZYX"


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [
        (52631.5, "CENTIMETER", 0.19),
        (254000, "INCH", 0.1),
        (72, "INCH", None),
        (300, "INCH", None),
        (28.35, "CENTIMETER", None),
        (118.11, "CENTIMETER", None),
        (1, "CENTIMETER", None),
        (50, "NONE", None),
    ],
)
def test_tiff_resolutions_are_believed_only_where_they_are_a_microscopes(
    tmp_path, per_unit, unit, expected
):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(
        path, pixels(20, 30), resolution=(per_unit, per_unit), resolutionunit=unit, metadata=None
    )
    size = open_stack(path).pixel_size_um
    assert size == ({} if expected is None else pytest.approx({"Y": expected, "X": expected}, 1e-4))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_becomes_three_named_channels(tmp_path, planar):
    image = pixels(20, 30, 3) if planar == "contig" else pixels(3, 20, 30)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, image, photometric="rgb", planarconfig=planar)
    stack = open_stack(path)
    assert (stack.axes, stack.channels) == ("CYX", ("red", "green", "blue"))
    np.testing.assert_array_equal(
        stack.plane(0), image if planar == "separate" else image.transpose(2, 0, 1)
    )


def test_alpha_is_dropped(tmp_path):
    image = pixels(20, 30, 4)
    tifffile.imwrite(tmp_path / "cells.tif", image, photometric="rgb")
    Image.fromarray(image, "RGBA").save(tmp_path / "cells.png")
    for name in ("cells.tif", "cells.png"):
        np.testing.assert_array_equal(
            open_stack(tmp_path / name).plane(0), image[..., :3].transpose(2, 0, 1)
        )


def test_slices_of_rgb_are_a_stack_with_channels(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(5, 20, 30, 3), photometric="rgb")
    stack = open_stack(path)
    assert (stack.axes, stack.shape) == ("CZYX", (3, 5, 20, 30))


def test_unnamed_axes_are_z_then_time(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(2, 5, 20, 30), photometric="minisblack")
    assert open_stack(path).axes == "TZYX"


def test_axes_can_be_given_by_hand(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(2, 5, 20, 30), photometric="minisblack")
    assert open_stack(path, axes="CTYX").axes == "TCYX"
    with pytest.raises(UserError, match="one letter for each"):
        open_stack(path, axes="ZYX")


def test_more_axes_than_a_stack_has_are_explained(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(2, 2, 2, 2, 20, 30), photometric="minisblack")
    with pytest.raises(UserError, match="more than time, channel, Z, Y and X"):
        open_stack(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_png_keeps_its_bits(tmp_path, dtype):
    image = RNG.integers(0, np.iinfo(dtype).max, (20, 30)).astype(dtype)
    Image.fromarray(image).save(tmp_path / "cells.png")
    stack = open_stack(tmp_path / "cells.png")
    assert (stack.axes, stack.dtype) == ("YX", np.dtype(dtype))
    np.testing.assert_array_equal(stack.plane(0)[0], image)


def test_colour_png_of_16_bits_keeps_them(tmp_path):
    import imagecodecs

    image = RNG.integers(0, 65535, (20, 30, 3)).astype(np.uint16)
    (tmp_path / "cells.png").write_bytes(imagecodecs.png_encode(image))
    np.testing.assert_array_equal(
        open_stack(tmp_path / "cells.png").plane(0), image.transpose(2, 0, 1)
    )


def test_png_with_a_palette_keeps_its_indices(tmp_path):
    image = pixels(20, 30)
    picture = Image.fromarray(image).convert("P")
    picture.putdata(image.ravel().tolist())
    picture.putpalette(RNG.integers(0, 255, 768).astype(np.uint8).tobytes())
    picture.save(tmp_path / "labels.png")
    np.testing.assert_array_equal(open_stack(tmp_path / "labels.png").plane(0)[0], image)


@pytest.mark.parametrize(("mode", "axes"), [("L", "YX"), ("RGB", "CYX"), ("CMYK", "CYX")])
def test_jpeg_is_read_without_a_pixel_size(tmp_path, mode, axes):
    Image.fromarray(pixels(20, 30, 3)).convert(mode).save(tmp_path / "cells.jpg", dpi=(300, 300))
    stack = open_stack(tmp_path / "cells.jpg")
    assert (stack.axes, stack.pixel_size_um) == (axes, {})


def test_a_folder_is_a_stack_in_natural_order(tmp_path):
    for index in (10, 2, 1):
        Image.fromarray(np.full((20, 30), index, np.uint8)).save(tmp_path / f"z{index}.png")
    (tmp_path / "notes.txt").write_text("z0 was out of focus")
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / ".hidden.png")
    stack = open_stack(tmp_path)
    assert stack.axes == "ZYX"
    assert [int(plane[0, 0, 0]) for plane in stack.planes()] == [1, 2, 10]


def test_a_folder_of_colour_is_a_stack_with_channels(tmp_path):
    image = pixels(2, 20, 30, 3)
    for index, plane in enumerate(image):
        Image.fromarray(plane).save(tmp_path / f"{index}.png")
    stack = open_stack(tmp_path)
    assert (stack.axes, stack.channels) == ("CZYX", ("red", "green", "blue"))
    np.testing.assert_array_equal(stack.plane(1), image[1].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (np.zeros((20, 31), np.uint8), "agree in size"),
        (np.zeros((20, 30), np.uint16), "agree in type"),
        (np.zeros((20, 30, 3), np.uint8), "agree in size and channels"),
    ],
)
def test_slices_that_do_not_fit_each_other_are_named(tmp_path, other, said):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(other).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=rf"b\.png.*{said}"):
        open_stack(tmp_path)


def test_a_folder_without_images_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        open_stack(tmp_path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UserError, match="no file or folder"):
        open_stack(tmp_path / "cells.tif")


@pytest.mark.parametrize("name", ["cells.tif", "cells.png", "cells.jpg", "cells.ome.tif"])
@pytest.mark.parametrize("content", [b"", b"hello, I am text\n" * 20, b"II*\x00\xff\xff\xff\xff"])
def test_a_file_that_is_not_what_its_name_says_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as|is damaged"):
        open_stack(tmp_path / name)


@pytest.mark.parametrize("suffix", [".vsi", ".dm4", ".npy", ".xyz"])
def test_formats_that_are_not_read_say_what_to_do(tmp_path, suffix):
    (tmp_path / f"cells{suffix}").write_bytes(b"x")
    with pytest.raises(UserError, match="OME-TIFF"):
        open_stack(tmp_path / f"cells{suffix}")


WRITERS = {
    "contiguous": {},
    "pages": {"metadata": None},
    "compressed": {"compression": "zlib"},
    "lzw": {"compression": "lzw", "metadata": None},
    "tiled": {"tile": (16, 16), "compression": "zlib"},
    "imagej": {"imagej": True},
    "ome": {"ome": True, "compression": "zlib"},
    "ome contiguous": {"ome": True},
    "bigtiff": {"bigtiff": True},
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_a_truncated_tiff_is_one_sentence_and_never_zeros(tmp_path, writer, share, caplog):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(
        path,
        RNG.integers(0, 255, (6, 64, 80), np.uint8),
        photometric="minisblack",
        **WRITERS[writer],
    )
    whole = path.read_bytes()
    open_stack(path)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"cells\.tif (is damaged|cannot be read)"):
        open_stack(path)
    assert not caplog.records


def test_a_large_compressed_page_that_is_damaged_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "READ_AT_ONCE_BYTES", 100)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(2, 64, 64), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[1].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[at : at + 200] = bytes(200)
    path.write_bytes(content)
    stack = open_stack(path)
    stack.plane(0)
    with pytest.raises(UserError, match=r"cells\.tif cannot be read as TIF"):
        stack.plane(1)


@pytest.mark.parametrize("name", ["zlib.tif", "plain.ome.tif", "imagej.tif", "a.png", "a.jpg"])
def test_no_damaged_byte_brings_more_than_a_sentence(tmp_path, name):
    path = tmp_path / name
    image = pixels(3, 20, 30)
    if path.suffix == ".tif":
        options = {"zlib": {"compression": "zlib"}, "imagej": {"imagej": True}}
        tifffile.imwrite(
            path, image, photometric="minisblack", **options.get(name.partition(".")[0], {})
        )
    else:
        Image.fromarray(image[0]).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(random.integers(1, 6)):
            content[random.integers(0, min(len(content), 700))] = random.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            open_stack(path).plane(0)


def test_bytes_lost_within_compressed_pixels_are_one_sentence(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels(64, 64), compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[0].dataoffsets[0]
    content[at : at + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as TIF"):
        open_stack(path)

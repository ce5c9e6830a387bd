"""N5 as Fiji and BigDataViewer write it."""

import bz2
import contextlib
import gzip
import json
import lzma
import shutil
import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from napari_unetseg.errors import UserError
from napari_unetseg.images import find_inputs, open_stack

RNG = np.random.default_rng(0)
PACKERS = {
    "raw": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": imagecodecs.zstd_encode,
    "blosc": imagecodecs.blosc_encode,
}


def pixels(*shape, dtype="uint16"):
    return RNG.integers(0, 200, shape).astype(dtype)


def write(folder, image, packing="gzip", block=(8, 16, 16), **attributes):
    """Write an array as the specification says; blocks of zeros are left out."""
    block = block[-image.ndim :]
    folder.mkdir(parents=True)
    described = {"type": "gzip", "useZlib": True} if packing == "zlib" else {"type": packing}
    about = {
        "dimensions": image.shape[::-1], "blockSize": block[::-1], "dataType": image.dtype.name,
        "compression": described,
    }  # fmt: skip
    (folder / "attributes.json").write_text(json.dumps(about | attributes))
    for index in np.ndindex(*(-(-n // b) for n, b in zip(image.shape, block, strict=True))):
        here = image[tuple(slice(i * b, (i + 1) * b) for i, b in zip(index, block, strict=True))]
        if here.any():
            file = folder.joinpath(*map(str, index[::-1]))
            file.parent.mkdir(parents=True, exist_ok=True)
            size = here.shape[::-1]
            head = struct.pack(f">2H{len(size)}I", 0, len(size), *size)
            content = here.astype(here.dtype.newbyteorder(">")).tobytes()
            file.write_bytes(head + bytes(PACKERS[packing](content)))


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float32"])
def test_blocks_of_every_packing_and_type_are_read(tmp_path, packing, dtype):
    image = pixels(20, 40, 50, dtype=dtype)
    image[:8, :16, :16] = 0
    resolution = {"dimensions": [0.1, 0.2, 0.5], "unit": "um"}
    write(tmp_path / "a.n5" / "raw", image, packing, pixelResolution=resolution)
    stack = open_stack(tmp_path / "a.n5" / "raw")
    assert (stack.axes, stack.name, stack.dtype) == ("ZYX", "a_raw", np.dtype(dtype))
    assert stack.pixel_size_um == {"Z": 0.5, "Y": 0.2, "X": 0.1}
    assert not isinstance(stack.data, np.ndarray)
    np.testing.assert_array_equal(np.asarray(stack.data), image)


def test_axes_units_and_levels_are_kept(tmp_path):
    image = pixels(2, 20, 40, 50)
    path = tmp_path / "a.n5"
    named = {"axes": ["x", "y", "z", "c"], "resolution": [4, 4, 40, 1], "units": ["nm"] * 4}
    write(path / "named", image, block=(1, 8, 16, 16), **named)
    stack = open_stack(path / "named")
    assert (stack.axes, stack.shape) == ("CZYX", image.shape)
    assert stack.pixel_size_um == {"Z": 0.04, "Y": 0.004, "X": 0.004}
    resolution = {"dimensions": [0.1, 0.2, 0.5], "unit": "um"}
    write(path / "t" / "s1", image[0], downsamplingFactors=[2, 2, 1])
    (path / "t" / "attributes.json").write_text(json.dumps({"pixelResolution": resolution}))
    assert open_stack(path / "t" / "s1").pixel_size_um == {"Z": 0.5, "Y": 0.4, "X": 0.2}


def test_the_first_array_of_a_container_is_opened_and_the_others_are_named(tmp_path):
    image = pixels(20, 40, 50)
    path = tmp_path / "a.n5"
    for name in ("setup0/timepoint0/s0", "setup0/timepoint0/s1", "setup10/timepoint0/s0"):
        write(path / name, image)
    (path / "attributes.json").write_text('{"n5": "2.5.1"}')
    assert find_inputs([path]) == [path]
    stack = open_stack(path)
    assert stack.path == path / "setup0" / "timepoint0" / "s0"
    assert "holds 3 images; this is setup0/timepoint0/s0" in stack.notes[0]
    np.testing.assert_array_equal(stack.plane(9)[0], image[9])


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    path = tmp_path / "a.n5"
    write(path / "a", pixels(20, 40, 50))
    about = json.loads((path / "a" / "attributes.json").read_text())
    for change in (
        {"compression": {"type": "lz4"}}, {"dataType": "object"}, {"dimensions": [50, 40]},
        {"blockSize": [0, 16, 8]}, {"dimensions": [1 << 60, 40, 20]}, {"blockSize": None},
    ):  # fmt: skip
        (path / "a" / "attributes.json").write_text(json.dumps(about | change))
        with pytest.raises(UserError, match="n5"):
            open_stack(path)
    shutil.rmtree(path / "a")
    with pytest.raises(UserError, match="holds no N5 array"):
        open_stack(path)


@pytest.mark.parametrize("packing", PACKERS)
def test_damaged_and_truncated_blocks_are_one_sentence(tmp_path, packing):
    path = tmp_path / "a.n5"
    write(path, pixels(8, 16, 16), packing)
    block = path / "0" / "0" / "0"
    whole = block.read_bytes()
    for share in (0, 0.001, 0.01, 0.5, 0.9):
        block.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match=r"a\.n5 cannot be read as N5"):
            open_stack(path).plane(0)
    random = np.random.default_rng(7)
    for _ in range(50):
        content = bytearray(whole)
        for at in random.integers(0, min(len(content), 60), random.integers(1, 6)):
            content[at] = random.integers(0, 256)
        block.write_bytes(content)
        with contextlib.suppress(UserError):
            open_stack(path).plane(0)

"""Results that are written slice by slice, and gone on with after an interruption."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unetseg import UserError, open_stack
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import AlreadyThereError
from napari_unetseg.images import (
    LazyPlanes,
    Stack,
    UnfinishedStack,
    labels_like,
    maps_like,
    remove_unfinished,
    unfinished_at,
    write_image,
)

CLASSES = (LabelClass(name="cell", color="#123456"),)
FACTS = {"model": "a", "slices": [0, 1]}


def image(axes: str = "TZYX", shape: tuple[int, ...] = (2, 20, 9, 7)) -> Stack:
    channels = ("",) * (shape[axes.index("C")] if "C" in axes else 1)
    sizes = {"Z": 0.5, "Y": 0.25, "X": 0.125}
    return Stack(np.zeros(shape, np.uint8), axes, sizes, "cells", None, channels)


def values(like: Stack, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (like.n_planes, *like.plane_shape), np.uint8)


def labels(like: Stack) -> Stack:
    return labels_like(like, "masks", CLASSES)


def put(result: UnfinishedStack, wanted: np.ndarray, planes: range | list[int]) -> None:
    for plane in planes:
        result.put(plane, wanted[plane])


def found(path: Path) -> np.ndarray:
    return LazyPlanes.of(open_stack(path))[:]


@pytest.mark.parametrize("name", ["o.zarr", "o.tif"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TZYX", (2, 20, 9, 7)), ("ZYX", (33, 9, 7)), ("YX", (9, 7)), ("TYX", (3, 9, 7)),
     ("CZYX", (2, 5, 9, 7)), ("TCZYX", (2, 3, 17, 9, 7))],
)  # fmt: skip
def test_slices_become_a_result(axes, shape, name, tmp_path) -> None:
    like = labels(image(axes, shape))
    wanted = values(like)
    with UnfinishedStack(tmp_path / name, like) as result:
        put(result, wanted, range(like.n_planes))
        assert not (tmp_path / name).exists()
        result.finish()
    opened = open_stack(tmp_path / name)
    np.testing.assert_array_equal(LazyPlanes.of(opened)[:], wanted)
    assert opened.axes.replace("Z", "") == like.axes.replace("Z", "")
    assert opened.metadata["classes"] == [CLASSES[0].model_dump()]
    assert {axis: opened.pixel_size_um[axis] for axis in "YX"} == {"Y": 0.25, "X": 0.125}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_numbers_of_classes_are_channels(suffix, tmp_path) -> None:
    like = maps_like(image(), ("background", "cell"))
    assert (like.axes, like.shape) == ("TCZYX", (2, 2, 20, 9, 7))
    wanted = np.random.default_rng(0).random((40, 2, 9, 7), np.float32)
    with UnfinishedStack(tmp_path / f"p{suffix}", like) as result:
        put(result, wanted, range(40))
        result.finish()
    opened = open_stack(tmp_path / f"p{suffix}")
    assert opened.channels == ("background", "cell")
    np.testing.assert_array_equal(LazyPlanes.of(opened)[:], wanted)


def test_only_some_slices_in_no_slab(tmp_path) -> None:
    like = labels(image())
    wanted = values(like)
    with UnfinishedStack(tmp_path / "o.zarr", like) as result:
        put(result, wanted, [1, 2, 18, 39])
        put(result, wanted, [17])  # in a slab that was written already
        result.finish()
    empty = [plane for plane in range(40) if plane not in (1, 2, 17, 18, 39)]
    wanted[empty] = 0
    np.testing.assert_array_equal(found(tmp_path / "o.zarr"), wanted)


def test_what_is_left_is_gone_on_with(tmp_path) -> None:
    like = labels(image())
    wanted = values(like)
    path = tmp_path / "o.zarr"
    with UnfinishedStack(path, like, facts=FACTS) as result:
        result.remember(tile_px=(8, 8))
        put(result, wanted, range(21))
    assert not path.exists()
    with UnfinishedStack(path, like, facts=FACTS) as result:
        assert result.done == set(range(21))
        assert result.known == {"tile_px": [8, 8]}
        assert not result.was_begun_anew
        put(result, wanted, range(21, 40))
        result.finish()
    np.testing.assert_array_equal(found(path), wanted)


def test_what_was_made_of_something_else_is_replaced_only_if_a_person_says_so(tmp_path) -> None:
    like = labels(image())
    path = tmp_path / "o.zarr"
    with UnfinishedStack(path, like, facts=FACTS) as result:
        put(result, values(like), range(21))
    for facts, differs in [(FACTS | {"model": "b"}, "model"), (None, "model, slices")]:
        with pytest.raises(AlreadyThereError, match=rf"21 slices of .* from then: {differs}\."):
            UnfinishedStack(path, like, facts=facts)
    with UnfinishedStack(path, like, facts=FACTS) as result:
        assert result.done == set(range(21))
    facts = FACTS | {"model": "b"}
    with UnfinishedStack(path, like, facts=facts, overwrite=True) as result:
        assert (result.done, result.known, result.was_begun_anew) == (set(), {}, True)
        result.finish()
    assert not found(path).any()


def test_a_line_that_was_half_written_is_no_slice(tmp_path) -> None:
    like = labels(image())
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        put(result, values(like), range(16))
    with (unfinished_at(tmp_path / "o.zarr") / ".unfinished.slices").open("a") as file:
        file.write("3")  # of 39
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set(range(16))
        put(result, values(like), range(16, 40))
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set(range(40))


@pytest.mark.parametrize("damage", ["", "[1]", '{"facts": 3}', "\0\0"])
def test_damaged_facts_are_no_facts(damage, tmp_path) -> None:
    like = labels(image())
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        put(result, values(like), range(16))
    (unfinished_at(tmp_path / "o.zarr") / ".unfinished.json").write_text(damage)
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set()
        assert result.was_begun_anew


@pytest.mark.parametrize("facts", [None, FACTS])
def test_nothing_stays_of_nothing_or_of_what_cannot_be_gone_on_with(facts, tmp_path) -> None:
    like = labels(image())
    with UnfinishedStack(tmp_path / "a.zarr", like, facts=facts):
        pass
    with UnfinishedStack(tmp_path / "b.zarr", like) as result:
        put(result, values(like), range(40))
    assert list(tmp_path.iterdir()) == []


def test_two_programs_do_not_write_the_same_result(tmp_path) -> None:
    like = labels(image())
    program = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from napari_unetseg.images import Stack, UnfinishedStack\n"
        "like = Stack(np.zeros((2, 20, 9, 7), np.uint8), 'TZYX')\n"
        "with UnfinishedStack(Path(sys.argv[1]), like, facts={}):\n"
        "    print('begun', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    path = tmp_path / "o.zarr"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"begun\n"
        with pytest.raises(UserError, match="is being written by another program"):
            UnfinishedStack(path, like, facts=FACTS)
        child.kill()
        child.communicate()
    with UnfinishedStack(path, like, facts=FACTS) as result:
        result.finish()
    assert path.is_dir()


def test_a_result_is_replaced_only_once_another_is_there(tmp_path) -> None:
    like = labels(image())
    path = tmp_path / "o.zarr"
    with UnfinishedStack(path, like) as result:
        result.finish()
    with pytest.raises(UserError, match="exists already"):
        UnfinishedStack(path, like)
    with UnfinishedStack(path, like, overwrite=True) as result:
        put(result, values(like), range(40))
        assert not found(path).any()
        result.finish()
    np.testing.assert_array_equal(found(path), values(like))
    (tmp_path / "pictures.zarr").mkdir()
    with pytest.raises(UserError, match="something else"):
        UnfinishedStack(tmp_path / "pictures.zarr", like, overwrite=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_disk_that_is_full_is_told_and_what_was_done_is_kept(tmp_path, monkeypatch) -> None:
    from napari_unetseg.images.ome_zarr_writer import OmeZarrLevels

    write = OmeZarrLevels.write

    def until_full(self, where, pixels):
        if where[1].start >= 16:
            with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
                full.write(b"x")
        write(self, where, pixels)

    monkeypatch.setattr(OmeZarrLevels, "write", until_full)
    like = labels(image())
    result = UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS)
    with pytest.raises(UserError, match="no space left"), result:
        put(result, values(like), range(40))
    monkeypatch.undo()
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set(range(16))


# -------------------------------------------------------------------- levels


def test_levels_of_an_image_are_means_and_of_labels_its_pixels(tmp_path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (3, 1030, 515), np.uint16)
    stack = Stack(pixels, "ZYX", {"Z": 0.5, "Y": 0.25, "X": 0.25})
    write_image(tmp_path / "i.zarr", stack)
    levels = [open_stack(tmp_path / "i.zarr" / str(level)) for level in range(3)]
    assert [level.shape for level in levels] == [(3, 1030, 515), (3, 515, 258), (3, 258, 129)]
    assert [level.pixel_size_um["Y"] for level in levels] == [0.25, 0.5, 1.0]
    assert {level.pixel_size_um["Z"] for level in levels} == {0.5}
    means = pixels[:, :, :514].reshape(3, 515, 2, 257, 2).mean((2, 4))
    np.testing.assert_allclose(LazyPlanes.of(levels[1])[:][..., :257], means, atol=0.5)
    last = pixels[:, :, 514].reshape(3, 515, 2).mean(2)  # alone in its column
    np.testing.assert_allclose(LazyPlanes.of(levels[1])[:][..., 257], last, atol=0.5)
    like = labels(stack)
    with UnfinishedStack(tmp_path / "l.zarr", like) as result:
        put(result, pixels % 2 == 0, range(3))
        result.finish()
    coarse = LazyPlanes.of(open_stack(tmp_path / "l.zarr" / "2"))[:]
    np.testing.assert_array_equal(coarse, (pixels % 2 == 0)[:, ::4, ::4])


def test_levels_lie_where_their_pixels_do(tmp_path) -> None:
    import zarr

    stack = Stack(np.zeros((600, 600), np.uint8), "YX", {"Y": 2.0, "X": 3.0})
    write_image(tmp_path / "i.zarr", stack)
    (described,) = zarr.open_group(tmp_path / "i.zarr", mode="r").attrs["ome"]["multiscales"]
    assert described["datasets"][1]["coordinateTransformations"] == [
        {"type": "scale", "scale": [4.0, 6.0]},
        {"type": "translation", "translation": [1.0, 1.5]},
    ]


# -------------------------------------------------------------------- memory

GROWTH = """
import resource, sys
from pathlib import Path
import numpy as np
from napari_unetseg.images import Stack, UnfinishedStack
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
n = 600
like = Stack(np.broadcast_to(np.uint8(0), (n, 1024, 1024)), "ZYX", metadata={"kind": "masks"})
pattern = np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8)
pattern = np.kron(pattern, np.ones((16, 16), np.uint8))
with UnfinishedStack(Path(sys.argv[1]), like) as result:
    for plane in range(n):
        result.put(plane, np.roll(pattern, plane))
        if plane == 99:
            before = peak()
    result.finish()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of POSIX")
@pytest.mark.parametrize("name", ["o.zarr", "o.tif"])
def test_memory_does_not_grow_with_the_slices(name, tmp_path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path / name)],
        capture_output=True, text=True, check=True, env=os.environ | {"MALLOC_ARENA_MAX": "2"},
    )  # fmt: skip
    assert int(ran.stdout) < 320, "MB, of 500 MB that were written"
    if name == "o.tif":
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert tif.series[0].shape == (600, 1024, 1024)


# -------------------------------------------------------------- found damaged


def left(tmp_path: Path, planes: range = range(40)) -> tuple[Stack, np.ndarray, Path]:
    like = labels_like(image(shape=(2, 20, 700, 7)), "masks", CLASSES)
    wanted = values(like) | 1
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        put(result, wanted, planes)
    return like, wanted, unfinished_at(tmp_path / "o.zarr")


@pytest.mark.parametrize("level", ["0", "1"])
@pytest.mark.parametrize("damage", ["deleted", "cut", "empty"])
def test_slices_whose_chunk_is_damaged_are_not_done(level, damage, tmp_path) -> None:
    like, wanted, folder = left(tmp_path)
    chunk = next(path for path in sorted((folder / level / "c").rglob("*")) if path.is_file())
    if damage == "deleted":
        chunk.unlink()
    else:
        chunk.write_bytes(chunk.read_bytes()[: 9 if damage == "cut" else 0])
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set(range(16, 40))
        put(result, wanted, [3])  # the others of its slab were not asked for
        result.finish()
    wanted[[*range(3), *range(4, 16)]] = 0
    np.testing.assert_array_equal(found(tmp_path / "o.zarr"), wanted)
    coarse = LazyPlanes.of(open_stack(tmp_path / "o.zarr" / "1"))[:]
    np.testing.assert_array_equal(coarse, wanted[:, ::2, ::2])


@pytest.mark.parametrize("text", [b"\0" * 40 + b"\n", b"3\n", b"a b\n", b"999 1\n"])
def test_a_damaged_journal_is_none(text, tmp_path) -> None:
    like, _, folder = left(tmp_path)
    (folder / ".unfinished.slices").write_bytes(text)
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert result.done == set()


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json"])
def test_a_damaged_description_is_none(name, tmp_path) -> None:
    like, wanted, folder = left(tmp_path)
    (folder / name).write_text('{"zarr_format": 3, "node')
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert (result.done, result.was_begun_anew) == (set(), True)
        put(result, wanted, range(40))
        result.finish()
    np.testing.assert_array_equal(found(tmp_path / "o.zarr"), wanted)


def test_axes_and_pixel_size_are_part_of_what_a_result_is(tmp_path) -> None:
    left(tmp_path)
    other = labels_like(
        Stack(np.zeros((40, 700, 7), np.uint8), "ZYX", {"Y": 9.0}), "masks", CLASSES
    )
    with pytest.raises(AlreadyThereError, match="classes"):
        UnfinishedStack(tmp_path / "o.zarr", other, facts=FACTS)
    with UnfinishedStack(tmp_path / "o.zarr", other, facts=FACTS, overwrite=True) as result:
        assert (result.done, result.was_begun_anew) == (set(), True)


def test_a_link_in_the_place_of_what_is_unfinished_empties_no_folder(tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    unfinished_at(tmp_path / "o.zarr").symlink_to(tmp_path / "mine")
    with UnfinishedStack(tmp_path / "o.zarr", labels(image())) as result:
        result.finish()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize("writes", ["folder", "stack"])
def test_what_was_being_replaced_at_the_kill_has_its_name_again(writes, tmp_path) -> None:
    like = labels(image())
    path = tmp_path / "o.zarr"
    write_image(path, image())
    path.rename(tmp_path / ".o.zarr.old")  # as far as it came
    new = unfinished_at(path) if writes == "stack" else tmp_path / ".o.zarr.1-00000000.partial"
    new.mkdir()
    write = UnfinishedStack if writes == "stack" else write_image
    with pytest.raises(UserError, match="exists already"):
        write(path, like)
    assert found(path).shape == (40, 9, 7)


def test_what_was_replaced_and_is_still_there_does_not_come_back(tmp_path) -> None:
    path, left = tmp_path / "o.zarr", tmp_path / ".o.zarr.old"
    write_image(path, image("ZYX", (1, 9, 7)))
    path.rename(left)
    write_image(path, image())
    assert found(path).shape == (40, 9, 7)
    write_image(path, image("ZYX", (3, 9, 7)), overwrite=True)
    assert (found(path).shape, left.exists()) == ((3, 9, 7), False)
    (tmp_path / "other").mkdir()
    left.symlink_to("other")
    write_image(path, image(), overwrite=True)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["o.zarr", "other"]


@pytest.mark.parametrize(
    "line", ["x y", "12", "999 5", "-3 5", "1.5 5", "1 2 3", "\0" * 64, "9" * 5000 + " 5", "٣ ٣"]
)
def test_a_damaged_line_about_finished_slices_costs_no_other_slice(tmp_path, line) -> None:
    like, _, folder = left(tmp_path)
    journal = folder / ".unfinished.slices"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:3], line, *lines[3:], line, "1"]), "utf-8")
    with UnfinishedStack(tmp_path / "o.zarr", like, facts=FACTS) as result:
        assert (len(result.done), result.was_begun_anew) == (len(lines), False)


def test_means_of_the_largest_numbers_are_no_small_ones(tmp_path) -> None:
    for dtype in (np.uint64, np.int64):
        most = np.iinfo(dtype).max
        write_image(tmp_path / f"{dtype.__name__}.zarr", Stack(np.full((600, 4), most), "YX"))
        coarse = open_stack(tmp_path / f"{dtype.__name__}.zarr" / "1").plane(0)
        assert (coarse > most - 4096).all()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_folder_that_is_gone_meanwhile_is_no_result(tmp_path, how) -> None:
    like = labels(image())
    path = tmp_path / "o.zarr"
    with pytest.raises(UserError, match="removed or replaced"):  # noqa: PT012, SIM117
        with UnfinishedStack(path, like, facts=FACTS) as result:
            put(result, values(like), range(21))
            shutil.rmtree(unfinished_at(path))
            if how == "replaced":
                (unfinished_at(path)).mkdir()
                (unfinished_at(path) / ".unfinished.slices").touch()
            put(result, values(like), range(21, 40))
            result.finish()
    assert not path.exists()


def test_what_is_left_is_removed_of_its_own_result_alone_and_while_nobody_writes(tmp_path) -> None:
    like = labels(image())
    path, other = tmp_path / "o.zarr", tmp_path / "p.zarr"
    for place, model in [(path, "a"), (other, "b")]:
        with UnfinishedStack(place, like, facts={"model": model}) as result:
            put(result, values(like), range(40))
    remove_unfinished(other, {"model": "a"})
    assert unfinished_at(other).is_dir()
    with UnfinishedStack(path, like, facts={"model": "a"}):
        remove_unfinished(path, {"model": "a"})
        assert unfinished_at(path).is_dir()
    remove_unfinished(path, {"model": "a"})
    remove_unfinished(path, {"model": "a"})
    assert list(tmp_path.iterdir()) == [unfinished_at(other)]

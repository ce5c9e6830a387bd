"""What people get wrong on the command line, each told in words that help."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unetseg.cli import main
from napari_unetseg.cli.inputs_kept import check_inputs_kept
from napari_unetseg.images import Stack, open_stack, write_image, write_labels


def run(*arguments):
    return main([str(argument) for argument in arguments])


def picture(shape=(2, 40, 48), seed=0):
    pixels = np.random.default_rng(seed).integers(10, 60, shape)
    pixels[..., 10:30, 10:30] += 120
    return pixels.astype(np.uint8)


def write(path, data):
    tifffile.imwrite(path, data, photometric="minisblack")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder, which is where one is, with an image, strokes and points."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "im.tif", picture())
    codes = np.zeros((2, 40, 48), np.uint8)
    codes[:, 12:20, 12:28], codes[:, 32:38, 2:40] = 2, 1
    write(tmp_path / "strokes.tif", codes)
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1,axis-2\n0,0,15,15\n")
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(folder, capsys):
    """Run a command that must fail in one sentence and leave everything as it is."""

    def run_it(command):
        before = contents(folder)
        assert run(*command.split()) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert captured.out == ""
        assert contents(folder) == before
        assert "StepSettings" not in line
        assert "the top level" not in line
        return line

    return run_it


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("gaussian im.tif -o o.tif", "--before gaussian"),
        ("otsu im.tif -o o.tif --then otsu", "otsu is a method, and --then takes refinements"),
        ("otsu im.tif -o o.tif --then sobel:sigma_px=2", "sobel is a method"),
        ("otsu im.tif -o o.tif --before fill_holes", "--then fill_holes"),
        ("otsu im.tif -o o.tif --before li", "li is a method, and --before takes filters"),
        ("fill_holes im.tif -o o.tif --before gaussian", "filters need a method after them"),
        ("canny im.tif -o o.tif -p low_percent=95", "high_percent must not be below low_percent"),
        ("hysteresis im.tif -o o.tif -p lower_percent=100", "upper_percent must not be below"),
        ("Otsu im.tif -o o.tif", "did you mean otsu?"),
        ("otsu im.tif -o o.tif --before gausian", "No filter is called 'gausian'; did you mean"),
        ("otsu im.tif -o o.tif --then fillholes", "did you mean fill_holes?"),
    ],
)
def test_a_step_in_a_wrong_place_or_with_a_wrong_name(refused, command, says):
    assert says in refused(f"baseline {command}")


def test_only_what_fits_is_listed_where_no_name_is_alike(refused):
    line = refused("baseline sorcery im.tif -o o.tif")
    assert "otsu, " in line
    assert "fill_holes" in line
    assert "gaussian" not in line


def test_the_list_keeps_its_indent_and_says_whole_numbers(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run("baseline", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    names = {"otsu", "gaussian", "fill_holes"}
    starts = {line.split(" · ")[0] for line in lines if line and not line.startswith(" ")}
    assert names < starts
    # Whatever begins at the margin is a step, a heading or the last line.
    assert all(
        " · " in line or len(line.split()) < 5 or "NAME" in line
        for line in lines
        if line[:1].strip()
    )
    assert run("baseline", "kmeans", "--help") == 0
    said = capsys.readouterr().out
    assert "0 to 4294967295" in " ".join(said.split())
    assert "e+09" not in said


@pytest.mark.parametrize("mapping", [{"300": 1}, {"1": -1}, {"1": 10**30}])
def test_a_recipe_that_gives_answers_to_codes_that_are_none(refused, folder, mapping):
    recipe = {"chain": {"steps": [{"step": "otsu"}]}, "mapping": mapping}
    (folder / "r.json").write_text(json.dumps(recipe))
    assert "'mapping." in refused("run r.json im.tif -o o.tif")


def test_a_recipe_from_an_editor_that_marks_its_files_is_read(folder):
    recipe = {"chain": {"steps": [{"step": "otsu"}]}}
    (folder / "r.json").write_text(json.dumps(recipe), encoding="utf-8-sig")
    assert run("run", "r.json", "im.tif", "-o", "o.tif") == 0


@pytest.mark.parametrize("kind", ["1e400", "1e30", "-1", "nan"])
def test_points_of_a_class_that_cannot_be(refused, folder, kind):
    (folder / "p.csv").write_text(f"axis-0,axis-1,axis-2,class\n0,5,5,{kind}\n")
    assert refused("baseline grow im.tif -o o.tif --points p.csv")


def test_a_picture_of_many_channels_is_cut_without_a_warning(folder, recwarn):
    write(folder / "five.tif", picture((5, 40, 48)))
    assert run("baseline", "felzenszwalb", "five.tif", "-o", "o.tif") == 0
    assert not recwarn.list


GROWN = "baseline grow im.tif -o o.tif --points points.csv"
BLOBS = "baseline blob_log im.tif -p max_radius_px=9"
COMPARED = "compare im.png -l strokes.png --no-networks --overwrite"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"{BLOBS} -o o.tif --table im.tif --overwrite", "im.tif is the image itself"),
        (f"{BLOBS} -o o.tif --table o.tif", "Two results would be written to o.tif"),
        (f"{BLOBS} -o o.tif --table o.tif.json", "Two results would be written to o.tif.json"),
        (f"{BLOBS} -o o.zarr --table o.zarr/p.csv", "Two results would be written to o.zarr"),
        (f"{BLOBS} -o o.tif --table o_quantised.tif --quantised", "Two results"),
        (f"{BLOBS} -o p.tif --table there.csv", "there.csv exists"),
        (f"{GROWN} --table points.csv --overwrite", "points.csv is the table of points itself"),
        ("baseline grow im.tif -l strokes.tif -o strokes.tif --overwrite", "is the labels file"),
        ("baseline otsu ./im.tif -o sub/../im.tif --overwrite", "is the image itself"),
        ("baseline otsu link.tif -o im.tif --overwrite", "is the image itself"),
        ("run o.tif.json im.tif -o o.tif --overwrite", "o.tif.json is the recipe itself"),
        (f"{COMPARED} -o im", "im.png is the image itself"),
        (f"{COMPARED} -o strokes.csv", "strokes.png is the labels file itself"),
        ("train m.unet/im.tif -l strokes.tif -o m.unet --overwrite", "m.unet holds the image"),
        ("train im.tif -l strokes.tif --base m.unet -o m.unet --overwrite", "is the base model"),
        ("train im.tif -l strokes.tif --config c.json -o c.json --overwrite", "is the config"),
        ("predict im.tif -m m.unet -o m.unet/o.tif", "lies within the model"),
        ("predict im.tif -m m.unet -o . --overwrite", "no name for a result"),
    ],
)
def test_nothing_that_is_read_or_written_is_replaced_by_a_result(refused, folder, command, says):
    for name in ("im", "strokes"):
        Image.fromarray(tifffile.imread(f"{name}.tif")[0]).save(f"{name}.png")
    (folder / "m.unet").mkdir()
    (folder / "m.unet" / "model.json").write_text("{}")
    write(folder / "m.unet" / "im.tif", picture())
    (folder / "link.tif").symlink_to("im.tif")
    (folder / "there.csv").write_text("years of work")
    (folder / "c.json").write_text("{}")
    (folder / "o.tif.json").write_text(json.dumps({"chain": {"steps": [{"step": "otsu"}]}}))
    assert says in refused(command)


WRITING = (
    ("baseline otsu bad.tif", "tif"),
    ("baseline otsu bad.tif", "zarr"),
    ("predict bad.tif -m m.unet", "tif"),
    ("predict bad.tif -m m.unet", "zarr"),
    ("train bad.tif -l bad.tif", "unet"),
    ("convert bad.tif", "tif"),
    ("convert bad.tif", "zarr"),
    ("convert bad.tif", "geojson"),
    ("measure bad.tif", "csv"),
)


@pytest.mark.parametrize(("command", "suffix"), WRITING)
def test_where_nothing_can_be_written_is_told_before_anything_is_read(
    refused, folder, command, suffix
):
    (folder / "bad.tif").write_text("This is no image, as would be told if it were opened.")
    (folder / "m.unet").mkdir()
    (folder / "m.unet" / "model.json").write_text("{}")
    (folder / "there").mkdir()
    (folder / f"link.{suffix}").symlink_to("there")
    (folder / f"nowhere.{suffix}").symlink_to("gone")
    long = f"{'x' * (251 - len(suffix))}.{suffix}"
    assert "is a link to there" in refused(f"{command} -o link.{suffix} --overwrite")
    assert "is a link to gone" in refused(f"{command} -o nowhere.{suffix} --overwrite")
    assert "name is too long" in refused(f"{command} -o {long}")
    if sys.platform == "linux":
        assert "cannot be written" in refused(f"{command} -o /proc/o.{suffix}")
    if suffix not in ("zarr", "unet"):
        (folder / f"folder.{suffix}").mkdir()
        assert "and the result is a file" in refused(f"{command} -o folder.{suffix} --overwrite")


def test_a_name_as_long_as_is_allowed_is_written(folder):
    name = "x" * 206
    assert run("baseline", "otsu", "im.tif", "-o", f"{name}.tif") == 0
    assert open_stack(f"{name}.tif").n_planes == 2


def test_a_table_beside_the_masks_of_a_folder_is_no_stranger_there(folder):
    command = (*BLOBS.split(), "-o", "out", "--table", "out/points.csv")
    assert run(*command) == 0
    assert run(*command, "--overwrite") == 0


def test_names_of_many_files_are_checked_in_no_time():
    images = [Path(f"in/{i}.tif") for i in range(2000)]
    began = time.perf_counter()
    check_inputs_kept({"image": images}, [Path(f"out/{i}.tif") for i in range(2000)])
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fill_holes strokes.tif -o o.tif --points points.csv", "leave --points out"),
        ("otsu im.tif -o o.tif --points points.csv", "leave --points out"),
        ("otsu im.tif -o o.tif -l strokes.tif", "leave --labels out"),
    ],
)
def test_what_no_step_would_look_at_is_not_taken(refused, command, says):
    assert says in refused(f"baseline {command}")


@pytest.mark.parametrize("option", ["--in-3d", "--tolerance 3"])
def test_options_of_contours_want_contours(refused, folder, capsys, option):
    assert "--all" in refused(f"evaluate strokes.tif -t strokes.tif {option}")
    for more in ("--all", "--json"):
        assert run(*f"evaluate strokes.tif -t strokes.tif {option} {more}".split()) == 0


def test_an_empty_mask_among_others_is_refined_to_an_empty_one(folder):
    full = np.zeros((1, 40, 48), np.uint8)
    full[0, 5:30, 5:30], full[0, 1, 1], full[0, 35:39, 3:30] = 2, 1, 1
    only_2 = np.where(full == 2, full, 0)
    for name, mask in (("a", full * 0), ("b", full), ("c", only_2)):
        (folder / "masks").mkdir(exist_ok=True)
        write(folder / "masks" / f"{name}.tif", mask)
    assert run("baseline", "remove_small", "masks", "-o", "out", "-p", "min_area_px=9") == 0
    written = {name: tifffile.imread(folder / "out" / f"{name}.tif") for name in "abc"}
    assert not written["a"].any()
    full[0, 1, 1] = 0
    np.testing.assert_array_equal(written["b"].reshape(full.shape), full)
    np.testing.assert_array_equal(written["c"].reshape(full.shape), only_2)


SLOW_TO_WRITE = """
import sys, time
from napari_unetseg.images import atomic
def sync(path):
    print("writing", flush=True)
    time.sleep(60)
atomic._sync = sync
from napari_unetseg.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_command_that_is_ended_while_it_writes_leaves_nothing(folder, number, status):
    before = contents(folder)
    # A process that a shell started in the background would ignore Ctrl+C, and so its children.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    child = subprocess.Popen(
        [sys.executable, "-c", heed + SLOW_TO_WRITE, "baseline", "otsu", "im.tif", "-o", "o.tif"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "writing\n"
        assert any(folder.rglob(".*.partial"))
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
    assert child.returncode == status
    assert said.split()[-1] == "stopped"
    assert "Traceback" not in said
    assert contents(folder) == before


# Each chunk takes its time, and is written by a thread of zarr.
SLOW_CHUNKS = """
import asyncio, signal, sys
from zarr.storage import LocalStore
put = LocalStore.set
async def slowly(self, key, value):
    if "/c/" in key:
        print("writing", flush=True)
        await asyncio.sleep(0.2)
    await put(self, key, value)
LocalStore.set = slowly
signal.signal(signal.SIGINT, signal.default_int_handler)
from napari_unetseg.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("numbers", [(signal.SIGTERM,) * 2, (signal.SIGINT,)], ids=["TERM", "INT"])
@pytest.mark.parametrize("verb", ["baseline", "run", "predict"])
def test_a_command_that_is_ended_while_it_writes_a_zarr_leaves_no_half(folder, verb, numbers):
    write(folder / "stack.tif", picture((40, 32, 32)))
    assert main(["baseline", "otsu", "im.tif", "-o", "r.tif"]) == 0
    before = sorted(folder.rglob("*"))
    arguments = {
        "baseline": ["baseline", "otsu", "stack.tif"],
        "run": ["run", "r.tif.json", "stack.tif"],
        "predict": ["predict", "stack.tif", "-m", "nuclei", "--no-resample"],
    }[verb]
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW_CHUNKS, *arguments, "-o", "o.zarr"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "writing\n"
        assert (folder / ".o.zarr.unfinished").is_dir()
        for number in numbers:  # some programs send it twice
            child.send_signal(number)
            time.sleep(0.02)
        _, said = child.communicate(timeout=60)
    assert child.returncode == (143 if signal.SIGTERM in numbers else 130)
    assert said.split()[-1] == "stopped"
    assert "Task" not in said
    if verb == "predict":  # what was segmented is gone on with
        assert "the same command goes on" in said
        shutil.rmtree(folder / ".o.zarr.unfinished")
    assert sorted(folder.rglob("*")) == before


def test_labels_inside_their_image_are_written_as_the_sentence_says(folder, refused, capsys):
    write_image(folder / "im.zarr", Stack(picture(), "ZYX"))
    said = refused("baseline otsu im.zarr -o im.zarr/labels/y")
    assert refused("baseline otsu im.tif -o im.zarr/labels/y") == said  # of another image
    assert "im.zarr/labels/y would be labels inside the image im.zarr" in said
    assert run("baseline", "otsu", "im.zarr", "-o", "y.tif") == 0
    assert run(*said.strip().removesuffix(".").partition("napari-unetseg ")[2].split()) == 0
    found = open_stack(folder / "im.zarr" / "labels" / "y")
    np.testing.assert_array_equal(found.data, open_stack(folder / "y.tif").data)


KINDS_GUESSED = {
    "evaluate strokes.tif -t strokes.tif": "read as masks (0 background, 1 class 1, 2 class 2); if "
    "0 is unlabelled and 1 background, give annotations as the kind of labels.",
    "train im.tif -l strokes.tif -o m.unet --steps 1 --device cpu": "read as annotations (0 "
    "unlabelled, 1 background, 2 class 1); if 0 is background and 1 class 1, give masks as",
    "measure strokes.tif -o t.csv": "read as objects (each value the number of one); if values are",
}


@pytest.mark.parametrize("command", KINDS_GUESSED, ids=lambda command: command.split()[0])
def test_how_labels_were_read_that_could_be_of_another_kind_is_said(folder, capsys, command):
    assert run(*command.split()) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "strokes.tif does not say of which kind the labels are: " in said
    assert KINDS_GUESSED[command] in said


@pytest.mark.parametrize(
    "command",
    [
        "evaluate strokes.tif -t strokes.tif --kind annotations",
        "evaluate binary.tif -t binary.tif",  # all of it would be background
        "evaluate ours.tif -t ours.tif",
        "measure strokes.tif -o t.csv --kind annotations",
        "measure ours.tif -o t.csv",
        "measure many.tif -o t.csv",
    ],
)
def test_where_the_kind_is_clear_nothing_is_said_of_it(folder, capsys, command):
    ids = np.arange(2 * 40 * 48, dtype=np.uint16).reshape(2, 40, 48) // 8
    write(folder / "many.tif", ids)
    write(folder / "binary.tif", (ids > 9).astype(np.uint8))
    like = Stack(np.zeros(ids.shape, np.uint8), "ZYX")
    few = (ids % 3 + 1).astype(np.uint8)
    write_labels(folder / "ours.tif", few, like=like, kind="masks", classes=())
    assert run(*command.split()) == 0
    assert "which kind" not in capsys.readouterr().err

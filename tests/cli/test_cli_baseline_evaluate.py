"""`baseline` and `evaluate` from the command line, on files of several kinds."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from sklearn.metrics import jaccard_score

from napari_unetseg.classical import METHODS, parse_params, read_points, segment
from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass
from napari_unetseg.images import (
    Stack,
    open_stack,
    read_labels,
    saved_kind,
    write_image,
    write_labels,
    write_probabilities,
)
from napari_unetseg.measure import evaluate

ALONE = [name for name, m in METHODS.items() if m.answers == "classes" and not m.needs_strokes]


def image(shape=(3, 48, 56), seed=0):
    random = np.random.default_rng(seed)
    planes = random.integers(10, 60, shape)
    planes[:, 10:30, 10:30] += 120
    return planes.astype(np.uint16)


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.ome.tif"
    write_image(path, Stack(image(), "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}))
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("method", ALONE)
@pytest.mark.parametrize("ending", ["masks.tif", "masks.zarr"])
def test_a_stack_becomes_masks_with_its_calibration_and_a_record(cells, tmp_path, method, ending):
    out = tmp_path / ending
    assert run("baseline", method, cells, "-o", out, "-p", "sigma_px=1.5") == 0
    written = open_stack(out)
    assert (written.axes, written.shape) == ("ZYX", (3, 48, 56))
    assert written.pixel_size_um == pytest.approx({"Z": 0.3, "Y": 0.1, "X": 0.1})
    assert saved_kind(written) == "masks"
    params = parse_params(method, ["sigma_px=1.5"])
    expected = [segment(method, plane, params) for plane in open_stack(cells).planes()]
    np.testing.assert_array_equal(read_labels(out, "masks").codes, expected)
    record = json.loads((tmp_path / f"{ending}.json").read_text())
    (step,) = record["recipe"]["chain"]["steps"]
    assert METHODS[method].params.model_validate(step["params"]) == params
    assert step["step"] == method
    assert record["images"][0]["image"] == str(cells)
    names = [c["name"] for c in record["recipe"]["classes"]]
    assert [c.name for c in read_labels(out, "masks").classes] == names


def test_objects_are_written_as_ids_and_blobs_as_points_that_come_back(cells, tmp_path, capsys):
    out, table = tmp_path / "ids.tif", tmp_path / "blobs.csv"
    options = ("-p", "max_radius_px=14", "--table", table)
    assert run("baseline", "blob_log", cells, "-o", out, *options) == 0
    written = open_stack(out)
    assert saved_kind(written) == "objects"
    ids = np.asarray(written.data)
    points, _ = read_points(table)
    assert len(points) == ids.max() >= 3
    for number, point in enumerate(points, start=1):
        assert ids[tuple(np.rint(point).astype(int))] == number
    squares = points[np.abs(points[:, 1:] - 19.5).max(axis=1) < 2]
    assert sorted(squares[:, 0]) == [0, 1, 2]
    capsys.readouterr()
    assert (
        run("baseline", "otsu", cells, "-o", tmp_path / "m.tif", "--table", tmp_path / "t.csv") == 2
    )
    assert "Otsu threshold finds no points" in capsys.readouterr().err
    assert run("baseline", "blob_log", cells, "-o", tmp_path / "n.tif", "--table", table) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_growing_takes_points_or_annotations_and_their_names(cells, tmp_path, capsys):
    points = tmp_path / "points.csv"
    points.write_text("index,axis-0,axis-1,axis-2,class\n0,1,20,20,2\n1,1,40,40,0\n")
    out = tmp_path / "grown.tif"
    assert run("baseline", "grow", cells, "-o", out, "--points", points) == 0
    grown = read_labels(out, "masks")
    assert not (grown.codes[0] > 1).any()
    assert (grown.codes[1, 10:30, 10:30] == 3).mean() > 0.9
    assert (grown.codes[1, 34:, 34:] == 1).all()
    assert [c.name for c in grown.classes] == ["class 1", "class 2"]
    painted, again = tmp_path / "painted.tif", tmp_path / "again.tif"
    tifffile.imwrite(painted, grown.codes, photometric="minisblack")
    options = ("-l", painted, "-p", "answer=objects")
    assert run("baseline", "watershed", cells, "-o", again, *options) == 0
    assert saved_kind(open_stack(again)) == "objects"
    assert np.unique(open_stack(again).data[1]).tolist() == [0, 1]
    points.write_text("index,axis-0,axis-1,axis-2\n0,1,20,200\n")
    assert run("baseline", "grow", cells, "-o", tmp_path / "far.tif", "--points", points) == 2
    assert "outside the image" in capsys.readouterr().err


@pytest.mark.parametrize("axes", ["ZYX", "TCZYX", "CYX"])
def test_the_image_in_the_colours_of_its_clusters_is_written_beside_the_masks(tmp_path, axes):
    shape = {"ZYX": (3, 48, 56), "TCZYX": (2, 3, 2, 24, 28), "CYX": (3, 48, 56)}[axes]
    pixels = np.random.default_rng(0).integers(0, 60, shape).astype(np.uint16)
    pixels[..., 10:20, 10:20] += 900
    n_channels = shape[axes.index("C")] if "C" in axes else 1
    image = Stack(pixels, axes, channels=("",) * n_channels)
    write_image(tmp_path / "image.tif", image)
    arguments = ("kmeans", tmp_path / "image.tif", "-o", tmp_path / "m.tif", "-p", "n_clusters=2")
    assert run("baseline", *arguments, "--quantised") == 0
    painted, masks = open_stack(tmp_path / "m_quantised.tif"), open_stack(tmp_path / "m.tif")
    assert (painted.axes, painted.shape, painted.dtype) == (axes, shape, np.uint16)
    for index, (found, plane) in enumerate(zip(painted.planes(), image.planes(), strict=True)):
        for group in (0, 1):
            inside = masks.plane(index)[0] == group
            for channel, of in zip(found, plane, strict=True):
                assert len(np.unique(channel[inside])) == 1
                assert abs(float(channel[inside][0]) - of[inside].mean()) <= 0.5
    assert run("baseline", *arguments, "--quantised") == 2


def test_a_pixel_classifier_learns_from_annotations_of_some_slices(cells, tmp_path, capsys):
    codes = np.zeros((3, 48, 56), np.uint8)
    codes[1, 2:6, 2:40], codes[1, 14:26, 14:26] = 1, 2
    annotations = tmp_path / "annotations.tif"
    write_image(annotations, Stack(codes, "ZYX"))
    out = tmp_path / "m.tif"
    assert run("baseline", "forest", cells, "-o", out) == 2
    assert "paint some of each class" in capsys.readouterr().err
    assert run("baseline", "forest", cells, "-o", out, "-l", annotations) == 0
    truth = np.zeros(codes.shape, bool)
    truth[:, 10:30, 10:30] = True
    found = np.asarray(open_stack(out).data) == 1
    assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_only_chosen_slices_are_segmented(cells, tmp_path):
    assert run("baseline", "otsu", cells, "-o", tmp_path / "m.tif", "--slices", "0,2") == 0
    masks = np.asarray(open_stack(tmp_path / "m.tif").data)
    assert [plane.any() for plane in masks] == [True, False, True]


def test_slices_that_were_left_out_are_not_scored(cells, tmp_path, capsys):
    truth = (image() > 90).astype(np.uint8)
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    scored = []
    for options in ((), ("--slices", "0,2")):
        out = tmp_path / f"m{len(options)}.zarr"
        assert run("baseline", "otsu", cells, "-o", out, *options) == 0
        capsys.readouterr()
        assert run("evaluate", out, "-t", tmp_path / "truth.tif", *options, "--json") == 0
        scored.append(json.loads(capsys.readouterr().out))
        evaluated = run("evaluate", out, "-t", tmp_path / "truth.tif", "--json")
        assert (evaluated, json.loads(capsys.readouterr().out)) == (0, scored[-1])
    assert [s["n_slices"] for s in scored] == [3, 2]
    assert run("evaluate", out, "-t", tmp_path / "truth.tif", "--slices", "0-2") == 2
    assert "Slice 1 was left out" in capsys.readouterr().err


def test_results_of_one_stem_keep_a_record_each(cells, tmp_path):
    for name in ("m.tif", "m.zarr"):
        assert run("baseline", "otsu", cells, "-o", tmp_path / name) == 0
    found = sorted(p.name for p in tmp_path.iterdir())
    assert [name for name in found if name.startswith("m.")] == [
        "m.tif",
        "m.tif.json",
        "m.zarr",
        "m.zarr.json",
    ]


def test_ids_compared_as_classes_are_pointed_out(tmp_path, capsys):
    ids = np.arange(400, dtype=np.uint8).reshape(20, 20) % 30
    tifffile.imwrite(tmp_path / "ids.tif", ids, photometric="minisblack")
    assert run("evaluate", tmp_path / "ids.tif", "-t", tmp_path / "ids.tif") == 0
    assert "--kind objects" in capsys.readouterr().err


def test_a_folder_of_pictures_gives_one_file_each_or_one_stack(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, plane in enumerate(image()):
        colours = np.stack([plane, plane // 2, plane], axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(folder / f"z{index}.png")
    assert run("baseline", "otsu", folder, "-o", tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["z0.tif", "z1.tif", "z2.tif"]
    assert len(json.loads((tmp_path / "out.json").read_text())["images"]) == 3
    assert run("baseline", "otsu", folder, "-o", tmp_path / "stack.tif", "--stack") == 0
    whole = np.asarray(open_stack(tmp_path / "stack.tif").data)
    apart = [np.asarray(open_stack(tmp_path / "out" / f"z{i}.tif").data) for i in range(3)]
    np.testing.assert_array_equal(whole, apart)


def test_what_exists_is_replaced_only_when_that_is_said(cells, tmp_path, capsys):
    out = tmp_path / "m.tif"
    assert run("baseline", "otsu", cells, "-o", out) == 0
    before = out.read_bytes()
    assert run("baseline", "kmeans", cells, "-o", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run("baseline", "kmeans", cells, "-o", out, "--overwrite") == 0
    record = json.loads((tmp_path / "m.tif.json").read_text())
    assert record["recipe"]["chain"]["steps"][0]["step"] == "kmeans"


def test_a_channel_that_is_not_there_is_refused_with_how_many_there_are(cells, tmp_path, capsys):
    out = tmp_path / "m.tif"
    assert run("baseline", "otsu", cells, "-o", out, "--before", "channel:channel=9") == 2
    assert "The image has one channel; there is no channel 9." in capsys.readouterr().err
    assert not out.exists()


def test_the_mean_of_several_channels_is_told_unless_one_was_chosen(tmp_path, capsys):
    image, out = tmp_path / "two.tif", tmp_path / "m.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (3, 2, 64, 64), dtype=np.uint8)
    tifffile.imwrite(image, pixels, imagej=True, metadata={"axes": "ZCYX"})
    assert run("baseline", "otsu", image, "-o", out) == 0
    assert "two has 2 channels" in capsys.readouterr().out
    for more in (["otsu", "--before", "channel:channel=2"], ["kmeans"]):
        assert run("baseline", *more[:1], image, "-o", out, *more[1:], "--overwrite") == 0
        assert "channels" not in capsys.readouterr().out


def test_the_list_names_every_method_and_parameter(capsys):
    assert run("baseline", "--list") == 0
    said = capsys.readouterr().out
    for name, method in METHODS.items():
        assert f"{name} · {method.title}" in said
        assert run("baseline", name, "--help") == 0
        listed = capsys.readouterr().out
        assert all(f"{key}=" in listed for key in method.params.model_fields)
        assert method.good_for[:20] in listed
        assert ("the mean of them" in listed) == method.mixes_channels


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["baseline"], "--list"),
        (["baseline", "otsu", "CELLS"], "an output"),
        (["baseline", "sorcery", "CELLS", "-o", "m.tif"], "otsu, "),
        (["baseline", "otsu", "CELLS", "-o", "m.tif", "-p", "radius=3"], "sigma_px"),
        (["baseline", "otsu", "CELLS", "-o", "m.tif", "-p", "sigma_px=-3"], "sigma_px"),
        (["baseline", "otsu", "CELLS", "-o", "m.tif", "--slices", "7"], "no slice 7"),
        (["baseline", "otsu", "nothing.tif", "-o", "m.tif"], "nothing.tif"),
        (["baseline", "otsu", "CELLS", "-o", "m.xyz/m.tif", "-p", "sigma_px"], "key=value"),
        (["baseline", "otsu", "NAN", "-o", "m.tif"], "nan.tif"),
        (["baseline", "otsu", "FLAT", "-o", "m.tif"], "flat.tif"),
        (["baseline", "otsu", "CELLS", "FLAT", "-o", "m.tif"], "2 images"),
        (["evaluate", "CELLS", "-t", "nothing.tif"], "nothing.tif"),
        (["evaluate", "MASK", "-t", "CELLS", "--kind", "boxes"], "boxes"),
        (["evaluate", "MASK", "-t", "MASK", "--slices", "0-9"], "no slice 9"),
        (["evaluate", "MASK", "-t", "SMALL"], "SMALL"),
        (["evaluate", "MASK", "-t", "EMPTY", "--kind", "annotations"], "EMPTY"),
        (["evaluate", "MASK", "-t", "NAN"], "nan.tif"),
        (["evaluate", "MASK", "-t", "MASK", "--iou", "2"], "at most 1"),
        (["evaluate", "MASK", "-t", "MASK", "--probabilities", "NAN"], "nan.tif"),
        (["evaluate", "MASK", "-t", "MASK", "--probabilities", "SMALL"], "SMALL"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    cells, tmp_path, capsys, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    mask = (image()[:, :, :] > 90).astype(np.uint8)
    files = {
        "NAN": image().astype(np.float32),
        "FLAT": np.full((3, 20, 20), 9, np.uint8),
        "MASK": mask,
        "SMALL": mask[:, :20],
        "EMPTY": mask * 0,
    }
    files["NAN"][1, 2, 3] = np.nan
    paths = {name: tmp_path / f"{name.lower()}.tif" for name in files}
    for name, path in paths.items():
        tifffile.imwrite(path, files[name], photometric="minisblack")
    paths["CELLS"] = cells
    before = sorted(tmp_path.iterdir())
    assert run(*[paths.get(argument, argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    expected = str(paths[says]) if says in paths else says
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_scores_are_a_table_or_json(cells, tmp_path, capsys):
    truth = np.zeros((3, 48, 56), np.uint8)
    truth[:, 12:30, 10:30] = 255
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    assert run("baseline", "otsu", cells, "-o", tmp_path / "m.tif") == 0
    capsys.readouterr()
    found = ["evaluate", tmp_path / "m.tif", "-t", tmp_path / "truth.tif"]
    assert run(*found, "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    masks = np.asarray(open_stack(tmp_path / "m.tif").data)
    expected = jaccard_score((truth > 0).ravel(), masks.ravel() > 0, average=None)
    assert list(scores["iou"].values()) == pytest.approx(expected.tolist())
    assert scores["mean_iou"] == pytest.approx(expected.mean())
    assert run(*found, "--slices", "0-1") == 0
    shown = capsys.readouterr().out
    for word in ("foreground", "background", "mean", "IoU", "Dice", "precision", "recall", "F1"):
        assert word in shown
    assert f"{2 * 48 * 56:,}" in shown


def test_objects_are_scored_one_by_one(cells, tmp_path, capsys):
    truth = np.zeros((3, 48, 56), np.uint16)
    truth[:, 10:30, 10:30] = 7
    truth[:, 36:44, 36:44] = 8
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    assert run("baseline", "otsu", cells, "-o", tmp_path / "m.tif") == 0
    capsys.readouterr()
    arguments = ["evaluate", tmp_path / "m.tif", "-t", tmp_path / "truth.tif", "--kind", "objects"]
    assert run(*arguments, "--json") == 0
    scored = json.loads(capsys.readouterr().out)["objects"]
    assert (scored["n_true"], scored["n_matched"], scored["recall"]) == (2, 1, 0.5)
    assert run(*arguments) == 0
    assert "1 of 2 found" in capsys.readouterr().out


@pytest.fixture
def scored_files(tmp_path):
    """Return a truth, a prediction with a pixel size, and its probabilities."""
    random = np.random.default_rng(0)
    truth = ndimage.gaussian_filter(random.standard_normal((3, 40, 50)), (0, 4, 4)) > 0
    soft = np.clip(ndimage.gaussian_filter(truth.astype(float), (0, 2, 2)), 0, 1)
    like = Stack(np.zeros(truth.shape, np.uint8), "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1})
    classes = (LabelClass(name="cell", color="#e69f00"),)
    paths = [tmp_path / f"{name}.tif" for name in ("p", "t", "p_probabilities")]
    codes = (soft > 0.6).astype(np.uint8) + 1
    write_labels(paths[0], codes, like=like, kind="masks", classes=classes)
    tifffile.imwrite(paths[1], truth.astype(np.uint8), photometric="minisblack")
    probs = np.stack([1 - soft, soft], axis=1).astype(np.float32)
    write_probabilities(paths[2], probs, like=like, classes=classes)
    return paths


def test_the_main_table_stays_short_and_all_adds_contours(scored_files, capsys):
    predicted, truth, probabilities = scored_files
    assert run("evaluate", predicted, "-t", truth) == 0
    short = capsys.readouterr().out
    assert short.splitlines()[-1].startswith("pixel accuracy")
    assert "AP" not in short
    assert run("evaluate", predicted, "-t", truth, "--all", "--probabilities", probabilities) == 0
    shown = capsys.readouterr().out
    found = evaluate(predicted, truth, contours=True, probabilities=probabilities)
    cell = next(line for line in shown.splitlines() if line.startswith("cell"))
    assert f"{found.probabilities.average_precision['cell']:.4f}" in cell.split()
    contour = [line for line in shown.splitlines() if line.startswith("cell")][1].split()
    of = found.contours.classes[1]
    assert contour[1] == f"{of.boundary_f1:.4f}"
    assert contour[4:] == [f"{v:.3g}" for v in (of.mean_distance, of.hausdorff_95, of.hausdorff)]
    assert "95 % (µm)" in shown
    assert run("evaluate", predicted, "-t", truth, "--all", "--in-3d", "--tolerance", "1") == 0
    assert "surfaces of volumes; for boundary F1, contours agree within 1 px" in (
        capsys.readouterr().out
    )


def test_json_has_all_scores_and_never_a_nan(scored_files, tmp_path, capsys):
    predicted, truth, probabilities = scored_files
    given = ["-t", truth, "--probabilities", probabilities, "--json"]
    assert run("evaluate", predicted, *given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["contours"]["unit"] == "µm"
    assert found["probabilities"]["average_precision"]["cell"] > 0.9
    assert run("evaluate", predicted, *given, "--kind", "objects") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"adapted_rand_error", "voi_split", "voi_merge"} < set(found["regions"])
    assert {"panoptic_quality", "mean_average_precision"} < set(found["objects"])
    empty = tmp_path / "empty.tif"
    tifffile.imwrite(empty, np.zeros((3, 40, 50), np.uint8), photometric="minisblack")
    assert run("evaluate", empty, "-t", empty, "--kind", "objects", "--json") == 0
    said = capsys.readouterr().out
    assert "NaN" not in said
    assert json.loads(said)["objects"]["average_precision"] is None


@pytest.mark.parametrize("values", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_empty_and_full_images_say_what_is_not_defined(tmp_path, capsys, values):
    paths = [tmp_path / "p.tif", tmp_path / "t.tif"]
    for path, value in zip(paths, values, strict=True):
        tifffile.imwrite(path, np.full((2, 9, 9), value, np.uint8), photometric="minisblack")
    for kind in ("masks", "objects"):
        arguments = ["evaluate", paths[0], "-t", paths[1], "--kind", kind, "--all"]
        assert run(*arguments, "--probabilities", paths[0]) == 0
        shown = capsys.readouterr().out
        assert "nan" not in shown.lower()
        assert "not defined" in shown
    assert ("objects: none in the truth" in shown) == (values == (0, 0))


def test_a_comparison_that_takes_long_shows_how_far_it_is(cells, tmp_path, capsys, monkeypatch):
    masks = tmp_path / "masks.tif"
    assert run("baseline", "otsu", cells, "-o", masks) == 0
    capsys.readouterr()
    compare = ["evaluate", masks, "-t", masks]
    assert run(*compare) == 0
    assert "Comparing" not in capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    assert run(*compare) == 0
    assert "Comparing" in capsys.readouterr().err

"""`info` shows a file as every other part of the program understands it."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from napari_unetseg.cli import main
from napari_unetseg.config import LabelClass, ModelInfo, Recipe
from napari_unetseg.images import Stack, UnfinishedStack, labels_like, write_image, write_labels
from napari_unetseg.project import Session

CLASSES = (LabelClass(name="membrane", color="#e69f00"),)
IMAGE = Stack(
    np.zeros((2, 3, 20, 30), np.uint16),
    "CZYX",
    {"Z": 0.05, "Y": 0.0046, "X": 0.0046},
    channels=("DAPI", "GFP"),
)


def info_json(path, capsys):
    assert main(["info", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_image_is_described(tmp_path, capsys):
    write_image(tmp_path / "cells.tif", IMAGE)
    facts = info_json(tmp_path / "cells.tif", capsys)
    assert (facts["axes"], facts["shape"], facts["dtype"]) == ("CZYX", [2, 3, 20, 30], "uint16")
    assert facts["channels"] == ["DAPI", "GFP"]
    assert facts["pixel_size_um"] == pytest.approx({"Z": 0.05, "Y": 0.0046, "X": 0.0046})
    assert facts["slices"] == 3
    assert "classes" not in facts


def test_the_table_says_it_with_units(tmp_path, capsys):
    write_image(tmp_path / "cells.tif", IMAGE)
    assert main(["info", str(tmp_path / "cells.tif")]) == 0
    said = capsys.readouterr().out
    for words in ("CZYX", "C 2 × Z 3 × Y 20 × X 30", "uint16", "Z 50 nm", "X 4.6 nm", "DAPI, GFP"):
        assert words in said


def test_an_unknown_pixel_size_is_said(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "cells.tif", np.zeros((20, 30), np.uint8))
    assert main(["info", str(tmp_path / "cells.tif")]) == 0
    assert "unknown" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_labels_tell_their_kind_classes_and_values(tmp_path, capsys, suffix):
    codes = np.ones((3, 20, 30), np.uint8)
    codes[0, 0] = 2
    path = tmp_path / f"labels{suffix}"
    write_labels(path, codes, like=IMAGE, kind="masks", classes=CLASSES)
    facts = info_json(path, capsys)
    assert (facts["kind"], facts["values"]) == ("masks", [0, 1])
    assert facts["classes"] == [{"name": "membrane", "color": "#e69f00"}]
    assert main(["info", str(path)]) == 0
    assert "1 membrane (#e69f00)" in capsys.readouterr().out


def test_a_model_is_described_without_torch(tmp_path, capsys):
    model = ModelInfo(
        name="membranes",
        recipe=Recipe(),
        classes=CLASSES,
        channels=("EM",),
        pixel_size_um={"Y": 0.0046, "X": 0.0046},
        scores={"mean_iou": 0.8123, "n_px": 1000},
        data=[{"name": "raw", "shape": [20, 1024, 1024]}],
    )
    (tmp_path / "m.unet").mkdir()
    (tmp_path / "m.unet" / "model.json").write_text(model.model_dump_json())
    facts = info_json(tmp_path / "m.unet", capsys)
    assert (facts["model"], facts["channels"]) == ("membranes", ["EM"])
    assert facts["scores"]["mean_iou"] == 0.8123
    assert main(["info", str(tmp_path / "m.unet")]) == 0
    said = capsys.readouterr().out
    for words in ("membranes", "1 membrane", "mean_iou 0.8123", "Y 4.6 nm", "raw"):
        assert words in said


def test_a_damaged_model_is_one_sentence(tmp_path, capsys):
    (tmp_path / "model.json").write_text('{"name": "m", "surprise": 1}')
    assert main(["info", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.json" in line


def test_a_folder_of_slices_is_described_as_a_stack(tmp_path, capsys):
    for index in range(4):
        tifffile.imwrite(tmp_path / f"z{index}.tif", np.zeros((20, 30), np.uint8))
    assert info_json(tmp_path, capsys)["shape"] == [4, 20, 30]


def test_labels_of_other_programs_show_their_values(tmp_path, capsys):
    labels = np.zeros((2, 9, 9), np.uint8)
    labels[0, :3] = 255
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    assert main(["info", str(tmp_path / "labels.tif"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"] == [0, 255]
    ids = np.arange(162, dtype=np.uint16).reshape(2, 9, 9)
    tifffile.imwrite(tmp_path / "ids.tif", ids, photometric="minisblack")
    assert main(["info", str(tmp_path / "ids.tif")]) == 0
    assert "162 from 0 to 161" in capsys.readouterr().out
    grey = np.linspace(0.5, 2, 81, dtype=np.float32).reshape(9, 9)
    grey[0, 1] = np.nan
    tifffile.imwrite(tmp_path / "grey.tif", grey, photometric="minisblack")
    assert info_json(tmp_path / "grey.tif", capsys)["values"] == {"from": 0.5, "to": 2.0}


def test_a_folder_of_separate_images_is_described(tmp_path, capsys):
    for name, size in (("a", 9), ("b", 9), ("c", 12)):
        plane = np.zeros((size, 10), np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", plane, photometric="minisblack")
    assert main(["info", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "9 × 10 (2 of them), 12 × 10 (1 of them)" in said
    assert "c.tif is 12 × 10 px" in " ".join(said.split())


def test_slices_are_written_as_people_do(tmp_path, capsys):
    image = Stack(np.zeros((60, 9, 9), np.uint8), "ZYX")
    slices = [*range(1, 41), 57, 58]
    codes = np.ones(image.shape, np.uint8)
    path = tmp_path / "some.tif"
    write_labels(path, codes, like=image, kind="masks", classes=CLASSES, slices=slices)
    assert main(["info", str(path)]) == 0
    said = capsys.readouterr().out
    assert "1–40, 57, 58" in said
    assert "12, 13" not in said
    assert info_json(path, capsys)["segmented slices"] == slices


def with_levels(path, side=1200):
    """Write an image of some resolution levels."""
    write_image(path, Stack(np.zeros((side, side), np.uint8), "YX"))
    return path


def test_notes_are_sentences_one_after_the_other(tmp_path, capsys):
    zarr.open_group(tmp_path / "two.zarr", mode="w")
    for name in ("a.zarr", "b.zarr"):
        shutil.rmtree(with_levels(tmp_path / "two.zarr" / name) / "0")
    assert main(["info", str(tmp_path / "two.zarr")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "others are b.zarr. Resolution level 0 is missing" in said


@pytest.mark.parametrize("verb", [["info"], ["baseline", "otsu", "-o", "o.tif"]])
def test_what_is_not_in_a_container_is_told_with_what_is(tmp_path, capsys, verb):
    path = with_levels(tmp_path / "a.zarr")
    shutil.rmtree(path / "0")
    for part in ("0", "labels/cells", "0/@YX"):
        assert main([*verb, str(path / part)]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        missing = part.removesuffix("/@YX")
        assert said == f"error: {path} holds no {missing!r}; it holds 1, 2."
    assert main([*verb, str(tmp_path / "b.zarr" / "0.tif")]) == 2
    assert "There is no file or folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.h5", "labels"])
def test_labels_of_all_formats_of_ours_tell_what_they_are(tmp_path, capsys, name):
    codes = np.ones((3, 20, 30), np.uint8)
    codes[0, :9] = 2
    write_labels(tmp_path / name, codes, like=IMAGE, kind="annotations", classes=CLASSES)
    facts = info_json(tmp_path / name, capsys)
    assert (facts["kind"], facts["values"]) == ("annotations", [1, 2])
    assert facts["classes"] == [{"name": "membrane", "color": "#e69f00"}]
    assert facts["pixel_size_um"] == pytest.approx(IMAGE.pixel_size_um)


@pytest.mark.parametrize("name", ["cells.geojson", "cells.zip"])
def test_outlines_of_ours_are_described_without_their_image(tmp_path, capsys, name):
    ids = np.zeros((3, 20, 30), np.uint32)
    ids[0, :4, :4], ids[1, :4, :4], ids[1, 9:, 9:] = 1, 1, 2
    write_labels(tmp_path / name, ids, like=IMAGE, kind="objects", classes=CLASSES)
    facts = info_json(tmp_path / name, capsys)
    assert (facts["kind"], facts["outlines"], facts["objects"]) == ("objects", 3, 2)
    assert (facts["axes"], facts["shape"]) == ("ZYX", [3, 20, 30])


def feature(name):
    ring = [[0, 0], [9, 0], [9, 9], [0, 0]]
    properties = {"classification": {"name": name}} if name else {}
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_outlines_of_others_are_counted_by_class(tmp_path, capsys):
    found = [feature(name) for name in ("tumour", "stroma", "tumour", "")]
    path = tmp_path / "cells.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    assert main(["info", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "outlines 4 objects 4 kind objects classes 1 tumour" in said
    assert "by class 2 tumour, 1 stroma, 1 without a class" in said
    assert "The size of their image is not in the file" in said


def test_labels_of_coco_and_of_numpy_are_described(tmp_path, capsys):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [{"image_id": 1, "category_id": 3, "segmentation": [[0, 0, 9, 0, 9, 9]]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    facts = info_json(tmp_path / "a.json", capsys)
    assert (facts["objects"], facts["by_class"], facts["shape"]) == (1, {"cell": 1}, [20, 30])
    masks = np.zeros((20, 30), np.uint16)
    masks[:9] = 4
    np.save(tmp_path / "a_seg.npy", np.array({"masks": masks}, dtype=object))
    facts = info_json(tmp_path / "a_seg.npy", capsys)
    assert (facts["kind"], facts["values"], facts["shape"]) == ("objects", [0, 4], [20, 30])


def said_of(path, capsys):
    """Return what is said of a path, and that it was said as it should be."""
    status = main(["info", str(path)])
    captured = capsys.readouterr()
    assert (status == 0) == bool(captured.out) != bool(captured.err)
    return " ".join((captured.out or captured.err).split())


def test_every_folder_is_described_as_what_commands_take_it_for(tmp_path, capsys):
    plane = np.zeros((20, 30), np.uint8)
    for folder in ("slices", "labels", "stacks", "several", "empty", "odd"):
        (tmp_path / folder).mkdir()
    for n in range(3):
        tifffile.imwrite(tmp_path / "slices" / f"z{n}.tif", plane)
        tifffile.imwrite(
            tmp_path / "stacks" / f"c{n}.tif", np.stack([plane] * 4), photometric="minisblack"
        )
        write_image(tmp_path / "several" / f"c{n}.zarr", IMAGE)
    (tmp_path / "odd" / "notes.txt").write_text("x")
    said = said_of(tmp_path / "slices", capsys)
    assert "for 3 separate images, and with --stack for this one stack" in said
    codes = np.ones((3, 20, 30), np.uint8)
    shutil.rmtree(tmp_path / "labels")
    write_labels(tmp_path / "labels", codes, like=IMAGE, kind="masks", classes=CLASSES)
    assert "separate images" not in said_of(tmp_path / "labels", capsys)
    said = said_of(tmp_path / "stacks", capsys)
    assert "images 3 sizes 4 × 20 × 30 (3 of them)" in said
    assert said.endswith("c0.tif is a stack itself (4 slices)")
    said = said_of(tmp_path / "several", capsys)
    assert "images 3 sizes 2 × 3 × 20 × 30 (3 of them)" in said
    assert said.endswith("are no slices")
    assert said_of(tmp_path / "empty", capsys).endswith("holds no images: it is empty.")
    assert said_of(tmp_path / "odd", capsys).endswith(
        "holds no images, labels or model; check the path."
    )
    said = said_of(tmp_path, capsys)
    assert said.endswith(
        "but folders of them (labels, several, slices, stacks); give one of these."
    )


def test_the_folder_of_a_session_is_told_as_one(tmp_path, capsys):
    session = Session(tmp_path)
    assert "what a window keeps of its work" in said_of(session.folder, capsys)


@pytest.mark.parametrize("name", ["found.zarr", "found.tif"])
@pytest.mark.parametrize(("asked", "n"), [(None, 3), ([0, 2], 2)])
def test_an_unfinished_result_says_what_is_in_it(tmp_path, capsys, name, asked, n):
    like = labels_like(IMAGE, "masks", CLASSES, asked)
    with UnfinishedStack(tmp_path / name, like, facts={"model": "a"}) as result:
        result.put(2, np.ones((20, 30), np.uint8))
    left = tmp_path / f".{name}.unfinished"
    facts = info_json(left, capsys)
    assert facts["segmented slices"] == [2]
    assert f"unfinished: 1 of {n} slices are in it" in facts["notes"][0]
    assert facts["notes"][0].endswith("given again, goes on with it.")
    # Looking does not change what is gone on with, also where a line is half on disk.
    with (left / ".unfinished.slices").open("ab") as journal:
        journal.write(b"0 12")
    assert info_json(left, capsys)["segmented slices"] == [2]
    with UnfinishedStack(tmp_path / name, like, facts={"model": "a"}) as result:
        assert result.done == {2}
        for plane in {0, 1} & set(asked or [0, 1, 2]):
            result.put(plane, np.ones((20, 30), np.uint8))
        result.finish()
    facts = info_json(tmp_path / name, capsys)
    assert (facts.get("segmented slices"), facts["notes"]) == (asked, [])


def test_an_unfinished_result_without_facts_is_made_anew(tmp_path, capsys):
    result = UnfinishedStack(tmp_path / "found.zarr", labels_like(IMAGE, "masks", CLASSES))
    try:
        said = said_of(tmp_path / ".found.zarr.unfinished", capsys)
        assert "0 of 3 slices are in it" in said
        assert "given again, makes it anew" in said
    finally:
        result.discard()


def labels_that_say(path, **about):
    """Write labels of three slices that say something about themselves."""
    stack = Stack(np.ones((3, 20, 30), np.uint8), "ZYX", metadata={"kind": "masks"})
    write_image(path, stack)
    facts = json.loads((path / "zarr.json").read_text())
    said = next(said for said in facts["attributes"].values() if "kind" in said)
    said.update(about)
    (path / "zarr.json").write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize("classes", [5, {"x": 1}, [5], "abc", [{"name": 5}]])
@pytest.mark.parametrize("as_json", [False, True])
def test_classes_that_are_none_are_not_told(tmp_path, capsys, classes, as_json):
    path = labels_that_say(tmp_path / "labels.zarr", classes=classes)
    assert main(["info", str(path), *(["--json"] if as_json else [])]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert not as_json or json.loads(said.out)["classes"] == []


@pytest.mark.parametrize("classes", [5, {"x": 1}, [5]])
def test_a_model_or_a_json_with_such_classes_is_one_sentence(tmp_path, capsys, classes):
    (tmp_path / "m.unet").mkdir()
    info = ModelInfo(name="m", recipe=Recipe(), classes=CLASSES, channels=("",)).model_dump()
    (tmp_path / "m.unet" / "model.json").write_text(json.dumps(info | {"classes": classes}))
    (tmp_path / "a.json").write_text(json.dumps({"classes": classes, "categories": classes}))
    (tmp_path / "b.json").write_text(json.dumps({"images": classes, "annotations": classes}))
    (tmp_path / "c.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": classes, "classes": classes})
    )
    for name in ("m.unet", "a.json", "b.json", "c.geojson"):
        assert main(["info", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("slices", [[1.0], [True, True], ["0"], [-1], [2**70], [[0]], {"0": 1}])
def test_segmented_slices_that_are_none_mean_all(tmp_path, capsys, slices):
    assert "segmented slices" not in info_json(
        labels_that_say(tmp_path / "labels.zarr", slices=slices), capsys
    )


def test_slices_that_are_named_twice_or_in_another_order_count_once(tmp_path, capsys):
    path = labels_that_say(tmp_path / "labels.zarr", slices=[2, 0, 0, 2, 0])
    assert info_json(path, capsys)["segmented slices"] == [0, 2]
    assert main(["evaluate", str(path), "-t", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_slices"] == 2


@pytest.mark.parametrize(("n", "others"), [(5, None), (6, "1, of 1 image"), (9, "4, of 4 images")])
def test_sizes_that_are_not_listed_are_counted(tmp_path, capsys, n, others):
    for i in range(n):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.zeros((20 + i, 30), np.uint8))
    facts = info_json(tmp_path, capsys)
    assert (len(facts["sizes"]), facts["other sizes"]) == (5, others)
    assert main(["info", str(tmp_path)]) == 0
    assert ("other sizes" in capsys.readouterr().out) == (n > 5)

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_unetseg.annotations import add_class, recolor_class, rename_class
from napari_unetseg.config import PRESETS, ModelInfo, Recipe, UNetConfig
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, open_stack, read_labels
from napari_unetseg.project import Session
from napari_unetseg.workspace import ObjectCorrections, OpenModel, Round, Workspace
from napari_unetseg.workspace.export import (
    Export,
    copy_model,
    names_in_folder,
    with_suffix,
    write_exports,
)
from napari_unetseg.workspace.methods import method_facts, methods_paragraph

SHAPE = (3, 40, 50)
SIZE = {"Z": 0.05, "Y": 0.0046, "X": 0.0046}


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path / "sessions"))
    workspace.change_classes(rename_class, 1, "membrane", label="naming")
    workspace.change_classes(add_class, "mitochondrion", "#112233", label="adding")
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    return add(workspace, "cells", 0)


def add(workspace, name, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, SHAPE, dtype=np.uint8)
    return workspace.add_image(Stack(pixels, "ZYX", dict(SIZE), name=name))


def paint(workspace, entry, plane=1):
    codes = entry.codes.copy()
    codes[plane, :10], codes[plane, 10:12], codes[plane, 20:21] = 1, 2, 3
    workspace.commit_annotations(entry.id, codes, [plane])


def segment(workspace, entry, plane, code):
    slots = workspace.prediction_slots()[np.full(SHAPE[1:], code, np.uint8)]
    workspace.set_prediction(entry.id, plane, slots)


def model_info(**changes):
    facts = {
        "name": "m",
        "recipe": Recipe(network=UNetConfig(filters=16, depth=4)),
        "classes": [{"name": "membrane", "color": "#e69f00"}],
        "channels": ("",),
        "scores": {"mean_iou": 0.8123, "iou": {"background": 0.9, "membrane": 0.72}, "n_px": 250},
        "history": {
            "steps": 412,
            "seconds": 60.2,
            "device": "cpu",
            "precision": "bfloat16",
            "base": None,
            "n_labelled_px": 1000,
        },
        "versions": {"torch": "2.13.0"},
    }
    return ModelInfo(**(facts | changes))


def paragraph(workspace, info=None, rounds=(), path=None, *, was_applied=True, **facts):
    model = None if info is None else OpenModel(path or workspace.session.folder / "m", info)
    by = model if was_applied else None
    controller = SimpleNamespace(model=model, segmented_by=by, rounds=list(rounds))
    known = method_facts(workspace, controller, {"napari": "0.9.2"})
    return methods_paragraph(replace(known, **facts))


def test_a_segmentation_read_again_has_its_classes_colours_and_pixel_size(
    workspace, entry, tmp_path
):
    paint(workspace, entry)
    segment(workspace, entry, 0, 2)
    segment(workspace, entry, 1, 3)
    workspace.change_classes(recolor_class, 1, "#445566", label="colouring")
    path = tmp_path / "cells.ome.tif"
    sentence = write_exports([Export(entry, "masks", path)], workspace)
    assert sentence == f"Saved the segmentation of cells as {path}."
    values = tifffile.imread(path)
    assert set(np.unique(values[0])) == {1}
    assert set(np.unique(values[1, 21:])) == {2}
    assert set(np.unique(values[1, :10])) == {0}
    assert (values[2] == 0).all()
    assert open_stack(path).pixel_size_um == pytest.approx(SIZE)
    labels = read_labels(path, "masks")
    assert [(c.name, c.color) for c in labels.classes] == [
        ("membrane", "#445566"),
        ("mitochondrion", "#112233"),
    ]


def test_annotations_are_written_as_they_are_painted(workspace, entry, tmp_path):
    paint(workspace, entry)
    path = tmp_path / "a.tif"
    write_exports([Export(entry, "annotations", path)], workspace)
    assert (read_labels(path, "annotations").codes == entry.codes).all()


def test_what_is_outside_the_region_is_background(workspace, entry, tmp_path):
    segment(workspace, entry, 0, 2)
    entry.region = np.zeros(SHAPE, np.uint8)
    entry.region[0, :5] = 2
    workspace.update_region(entry.id)
    path = tmp_path / "a.tif"
    write_exports([Export(entry, "masks", path)], workspace)
    values = tifffile.imread(path)
    assert not values[0, :5].any()
    assert values[0, 5:].all()


def test_nothing_is_written_where_one_of_several_files_exists(workspace, entry, tmp_path):
    paint(workspace, entry)
    other = add(workspace, "more", 1)
    paths = names_in_folder(tmp_path, [entry, other], "masks")
    paths[other.id].write_bytes(b"precious")
    exports = [Export(e, "masks", paths[e.id]) for e in (entry, other)]
    with pytest.raises(UserError, match=r"more_masks\.ome\.tif exists already; choose another"):
        write_exports(exports, workspace)
    assert paths[other.id].read_bytes() == b"precious"
    assert not paths[entry.id].exists()


def test_images_of_one_name_get_files_of_their_own(workspace, entry, tmp_path):
    other = add(workspace, "cells", 1)
    odd = add(workspace, "a/b: c", 2)
    paths = names_in_folder(tmp_path, [entry, other, odd], "masks")
    assert [p.name for p in paths.values()] == [
        "cells_masks.ome.tif",
        "cells-2_masks.ome.tif",
        "a_b_ c_masks.ome.tif",
    ]


@pytest.mark.parametrize(
    ("typed", "name", "completed"),
    [("a", "a.ome.tif", True), ("a.v2", "a.v2.ome.tif", True), ("a.tiff", "a.tiff", False)],
)
def test_a_name_without_an_ending_gets_one(tmp_path, typed, name, completed):
    assert with_suffix(tmp_path / typed) == (tmp_path / name, completed)


def test_a_model_is_copied_whole_and_replaces_nothing(tmp_path):
    source = tmp_path / "m.unet"
    source.mkdir()
    (source / "model.json").write_text("{}")
    (source / "weights.safetensors").write_bytes(b"w")
    copy_model(source, tmp_path / "out" / "copy.unet")
    assert sorted(p.name for p in (tmp_path / "out" / "copy.unet").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]
    with pytest.raises(UserError, match="exists already"):
        copy_model(source, tmp_path / "out" / "copy.unet")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["copy.unet"]


def test_the_paragraph_counts_what_is_annotated(workspace, entry):
    paint(workspace, entry)
    text = paragraph(workspace)
    assert "“cells” (3 slices of 40 × 50 px, pixel size 4.6 nm, slice spacing 50 nm)" in text
    assert (
        "On 1 of 3 slices, 650 pixels were annotated as background (500 px), "
        "membrane (100 px) and mitochondrion (50 px)."
    ) in text
    assert "napari 0.9.2" in text
    assert "trained" not in text


def test_the_paragraph_tells_of_the_training_that_made_the_model(workspace, entry):
    paint(workspace, entry)
    segment(workspace, entry, 0, 2)
    info = model_info()
    rounds = [
        Round(1, None, 0.7, 500, 100, 100, 30.0, ""),
        Round(2, 0.75, 0.8123, 750, 250, 410, 60.0, ""),
    ]
    text = paragraph(workspace, info, rounds)
    assert "A 2D U-Net (depth 4, 16 filters at the top level, batch normalisation)" in text
    assert "412 optimiser steps in 60 s on a CPU in bfloat16" in text
    assert (
        "In square blocks of 64 × 64 px, 250 annotated pixels were held out from training (25% of "
        "those annotated then)"
    ) in text
    assert "intersection over union was 0.812, and 0.750 before this training" in text
    assert "(background 0.900 and membrane 0.720)" in text
    assert "applied to 1 of 3 slices" in text
    assert "PyTorch 2.13.0" in text


def test_the_paragraph_says_of_a_model_from_elsewhere_only_what_the_model_says(
    workspace, entry, tmp_path
):
    paint(workspace, entry)
    other_training = Round(1, 0.1, 0.8123, 7, 3, 410, 60.0, "")
    text = paragraph(workspace, model_info(), [other_training], tmp_path / "theirs.unet")
    assert "The model “m”, a 2D U-Net" in text
    assert "with 1 input channel, had been trained before, from scratch." in text
    assert "250 annotated pixels were held out from training (25% of those" in text
    assert "before this training" not in text


def test_the_paragraph_leaves_out_a_model_that_was_never_applied_here(workspace, entry, tmp_path):
    paint(workspace, entry)
    theirs = tmp_path / "theirs.unet"
    text = paragraph(workspace, model_info(), path=theirs, was_applied=False)
    assert text == paragraph(workspace)
    assert "trained" not in text
    assert "was trained from scratch" in paragraph(workspace, model_info(), was_applied=False)


def test_the_paragraph_names_a_model_that_ships_and_does_not_train_it(workspace, entry, tmp_path):
    segment(workspace, entry, 0, 2)
    info = model_info(card={"summary": "Membranes."})
    text = paragraph(workspace, info, path=tmp_path / "membranes.unet")
    assert "The model “m”, which comes with napari-unetseg (2D U-Net (depth 4" in text
    assert "applied to 1 of 3 slices" in text
    for untrue in ("trained", "Training", "minimised", "held out"):
        assert untrue not in text


def test_the_paragraph_says_which_annotations_were_taken_over(workspace, entry):
    paint(workspace, entry)
    assert "taken over" not in paragraph(workspace)
    workspace.use_as_annotations(entry.id, np.full(SHAPE, 2, np.uint8), [0], "Otsu (bright)")
    segment(workspace, entry, 2, 2)
    workspace.accept(entry.id, [2])
    said = (
        "Of these, 2,000 px from the answer of Otsu (bright) and 2,000 px from the answer of the "
        "network were taken over and not painted."
    )
    assert said in paragraph(workspace)
    workspace.undo()
    assert "of the network were" not in paragraph(workspace)


def test_the_paragraph_tells_how_objects_were_found_and_how_many_there_are(workspace, entry):
    ids = np.zeros(SHAPE, np.uint32)
    ids[0, 2:5, 2:5], ids[0, 8:9, 2:5], ids[2, 2:5, 2:5] = 1, 7, 9
    objects = workspace.number_objects(entry.id, ids, "Blobs (sigma 2)")
    text = paragraph(workspace, model_info(), objects=objects)
    assert text.endswith("3 objects on 2 slices were found by Blobs (sigma 2).")
    assert "network" not in text
    paint(workspace, entry)
    pieces = workspace.number_objects(entry.id, ids)
    text = paragraph(workspace, model_info(), objects=pieces)
    assert "650 pixels were annotated" in text
    assert "3 objects on 2 slices were found as connected pieces of this segmentation." in text
    ObjectCorrections(workspace).delete(pieces, 2, (3, 3), everywhere=True)
    text = paragraph(workspace, objects=pieces)
    assert "2 objects on 1 slice were found" in text
    assert text.endswith("of this segmentation, and corrected by hand.")


def test_the_paragraph_says_when_nothing_was_held_out_or_painted(workspace, entry):
    assert paragraph(workspace) == ""
    text = paragraph(workspace, model_info(scores={}))
    assert "No annotations were held out, so the model was not scored." in text
    assert "Nothing was annotated." in text


def test_the_paragraph_tells_of_objects_where_they_were_learned(workspace, entry):
    paint(workspace, entry)
    assert "distance" not in paragraph(workspace, model_info())
    text = paragraph(workspace, model_info(object_diameter_px=112.0))
    assert "the distance to the border of its object" in text


def test_the_paragraph_leaves_out_augmentation_that_is_off(workspace, entry):
    raw = Recipe().model_dump()
    off = dict.fromkeys(raw["training"]["augmentation"], 0) | {"elastic_grid": 2, "flip": True}
    raw["training"] |= {"augmentation": off, "batch": 1, "patch_px": 256}
    raw["training"]["loss"]["dice"] = 0
    text = paragraph(workspace, model_info(recipe=Recipe.model_validate(raw)))
    assert "minimised cross entropy over the annotated pixels of 1 patch of 256 × 256 px" in text
    assert "augmented by random flips, by Muon" in text


@pytest.mark.parametrize(("dims", "depth"), [("2.5", ""), ("3", " and about as deep")])
def test_the_paragraph_says_when_a_network_saw_more_than_a_slice(workspace, entry, dims, depth):
    raw = Recipe().model_dump()
    raw["network"]["dims"] = dims
    raw["training"] |= {"batch": 2, "patch_px": 96}
    text = paragraph(workspace, model_info(recipe=Recipe.model_validate(raw)))
    assert f"A {dims}D U-Net" in text
    assert f"2 patches of 96 × 96 px{depth}, augmented" in text
    assert "blur and missing slices" in text
    assert "In boxes 64 px wide and about as deep, at least 3 sections, 250 annotated" in text
    assert "missing slices" not in paragraph(workspace, model_info())


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({}, "minimised cross entropy and Dice loss over the annotated"),
        (
            {"loss": {"dice": 0, "class_balanced": True, "border_weight": 10}},
            "cross entropy, the pixels of the cross entropy weighted to balance the classes and "
            "to stress borders between objects (w₀ = 10, σ = 5 px), over",
        ),
        (
            {"loss": {"cross_entropy": 0.5, "dice": 0, "focal": 2}},
            "minimised 0.5 × cross entropy and 2 × focal loss (γ = 2) over",
        ),
        (
            {"loss": {"cross_entropy": 0, "dice": 0, "tversky": 1, "class_balanced": True}},
            "minimised Tversky loss (α = 0.3, β = 0.7) over",
        ),
        ({}, "by Muon in the convolutions between the first and the last and by AdamW elsewhere, "),
        ({"optimiser": "adamw"}, ", by AdamW at a learning rate"),
        ({"optimiser": "sgd"}, ", by stochastic gradient descent with momentum 0.99 at a learning"),
    ],
)
def test_the_paragraph_names_the_loss_and_the_optimiser(workspace, entry, training, told):
    recipe = Recipe.model_validate({"training": training})
    assert told in paragraph(workspace, model_info(recipe=recipe))


def test_the_paragraph_tells_the_network_of_the_paper_from_the_plain_one(workspace, entry):
    text = paragraph(workspace, model_info(recipe=PRESETS["unet2015"]))
    assert (
        "A 2D U-Net as published in 2015 (depth 4, 64 filters at the top level, dropout 0.5) with"
    ) in text


def test_one_of_a_thing_is_told_in_the_singular(workspace):
    pixels = np.random.default_rng(0).integers(0, 9, (8, 8), dtype=np.uint8)
    entry = workspace.add_image(Stack(pixels, "YX", name="one"))
    codes = entry.codes.copy()
    codes[0, 0, 0] = 2
    workspace.commit_annotations(entry.id, codes, [0])
    info = model_info(history={"steps": 1, "seconds": 1, "device": "cuda:1"})
    text = paragraph(workspace, info)
    assert "(1 slice of 8 × 8 px)" in text
    assert "On the slice, 1 pixel was annotated as membrane (1 px)." in text
    assert "Training took 1 optimiser step in 1 s on an NVIDIA GPU." in text
    assert "with 1 input channel was" in text


def test_the_class_names_of_a_file_are_json_that_others_can_read(workspace, entry, tmp_path):
    paint(workspace, entry)
    path = tmp_path / "a.ome.tif"
    write_exports([Export(entry, "masks", path)], workspace)
    with tifffile.TiffFile(path) as tif:
        xml = tif.ome_metadata
    start = xml.index('K="labels"')
    text = xml[xml.index(">", start) + 1 : xml.index("</M>", start)].replace("&quot;", '"')
    assert json.loads(text)["classes"][0]["name"] == "membrane"

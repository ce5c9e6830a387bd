from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel
from stage import Stage, cells

from napari_unetseg.annotations import add_class
from napari_unetseg.config import (
    PRESETS,
    LossConfig,
    ModelCard,
    Recipe,
    TrainingConfig,
    UNetConfig,
)
from napari_unetseg.events import HeldOutScored, ModelSaved, TrainingStep
from napari_unetseg.jobs import JobState, PredictCommand, PredictFilesCommand, TrainCommand
from napari_unetseg.widgets import curves, train_settings, train_step
from napari_unetseg.widgets.open_images import open_images
from napari_unetseg.widgets.train_settings import TrainSettings
from napari_unetseg.widgets.train_step import TrainStep

pytestmark = pytest.mark.window

#: Of a step in a window 1280 px wide.
NARROW_PX = 360


@pytest.fixture
def stage(make_napari_viewer, tmp_path):
    calibrated = {"scale": (0.05, 0.01, 0.01), "units": ("µm",) * 3}
    stage = Stage(make_napari_viewer(show=True), tmp_path, cells(), **calibrated)
    yield stage
    stage.close()


@pytest.fixture
def step(stage):
    return stage.show(TrainStep)


def answer_with(monkeypatch, module, *answers):
    """Let a person answer the next questions for paths with these."""
    left = list(answers)
    monkeypatch.setattr(module, "ask_paths", lambda *_, **__: left.pop(0))


def test_train_says_what_to_paint_until_two_classes_are_there(stage, step):
    assert not step.train.isEnabled()
    assert "Paint a few strokes" in step.train.toolTip()
    codes = stage.entry.codes.copy()
    codes[0, :5] = 2
    stage.workspace.commit_annotations(stage.entry.id, codes, [0])
    assert "Only class 1 is painted" in step.train.toolTip()
    codes[0, 5:9] = 1
    stage.workspace.commit_annotations(stage.entry.id, codes, [0])
    assert step.train.isEnabled()
    stage.person.undo()


def test_a_training_is_started_watched_and_stopped(stage, step):
    stage.annotate()
    step.entered()
    step.seconds.setValue(90)
    step.device.setCurrentIndex(step.device.findData("cpu"))
    stage.person.click(step.train)
    command = stage.submitted()
    assert isinstance(command, TrainCommand)
    recipe = Recipe.model_validate(command.recipe)
    assert (recipe.training.max_time_s, recipe.training.steps) == (90, None)
    assert (command.base, command.device) == (None, "cpu")
    assert not step.train.isEnabled()

    stage.train_started()
    assert step.train.text() == "Stop and keep"
    assert step.train.isEnabled()
    assert "scores start at 2,000 px" in step.progress.facts.text()
    for i in range(1, 6):
        stage.say(TrainingStep(i, 1 / i, 1e-3, float(i), i / 6))
    stage.say(HeldOutScored(5, 5.0, 0.625, {}, 10))
    assert step.progress.curves.losses[-1] == (5.0, 0.2)
    assert step.progress.curves.scores == [(5.0, 0.625)]
    for fact in ("CPU", "bfloat16", "step 5", "loss 0.200", "mean IoU 0.625"):
        assert fact in step.progress.facts.text()

    stage.person.click(step.train)
    assert stage.worker.asked == ["stop"]
    assert not step.train.isEnabled()
    stage.say(ModelSaved(str(stage.model())))
    assert step.train.text() == "Train"
    assert not step.train.isEnabled(), "the stack is being segmented"
    stage.finish()
    assert step.train.isEnabled()
    assert step.apply.isEnabled()
    assert step.progress.curves.losses, "the curves stay until the next training"


def test_the_slice_in_view_is_named_to_the_job_when_the_slider_rests(stage, step):
    stage.annotate()
    step.entered()
    stage.viewer.dims.set_current_step(0, 0)
    stage.person.click(step.train)
    stage.submitted()
    stage.train_started()
    assert stage.worker.looked_at[-1] == (stage.entry.id, 0)
    n = len(stage.worker.looked_at)
    for plane in (1, 2, 3):
        stage.viewer.dims.set_current_step(0, plane)
    stage.person.wait(lambda: len(stage.worker.looked_at) > n, 5)
    assert stage.worker.looked_at[n:] == [(stage.entry.id, 3)]


def test_a_model_on_disk_is_opened_and_continued_with_its_own_network(stage, step, monkeypatch):
    network = UNetConfig(filters=24, depth=3)
    folder = stage.model("old", recipe=Recipe(network=network))
    answer_with(monkeypatch, train_step, [stage.folder], [], [folder])
    for outcome in ("no model", "nothing chosen"):
        step.base.setCurrentIndex(step.base.findData("open"))
        step.base.activated.emit(step.base.currentIndex())
        assert step.base.currentText() == "Best match, else from scratch", outcome
    assert "model.json" in stage.said[-1]
    assert stage.controller.model is None

    step.base.setCurrentIndex(step.base.findData("open"))
    step.base.activated.emit(step.base.currentIndex())
    assert step.base.currentText() == "Continue with old"
    settings = step.settings
    assert not settings.filters.isEnabled()
    assert settings.adapt.isEnabled()
    assert settings.forget.isEnabled()
    assert not settings.look.isEnabled()
    assert "from scratch" in settings.look.toolTip()
    settings.adapt.setCurrentIndex(settings.adapt.findData("expanding"))
    stage.annotate()
    step.entered()
    stage.person.click(step.train)
    command = stage.submitted()
    assert command.base == str(folder)
    recipe = Recipe.model_validate(command.recipe)
    assert recipe.network == network
    assert recipe.training.transfer == "expanding"


def test_what_a_base_model_is_needed_for_says_so_where_there_is_none(step):
    settings = step.settings
    for widget in (settings.adapt, settings.forget):
        assert not widget.isEnabled()
        assert "choose one under Start" in widget.toolTip()
    assert settings.look.isEnabled()
    settings.look.setValue(20)
    settings.early.setValue(30)
    training = settings.value(60).training
    assert (training.pretrain, training.early_stop) == (0.2, 0.3)


def test_another_pixel_size_is_said_and_resampling_offered(stage, step):
    stage.controller.open_model(stage.model("same", pixel_size_um={"Y": 0.01, "X": 0.01}))
    assert step.note.isHidden()
    assert "10 nm" in step.resample.text()
    stage.controller.open_model(stage.model("coarse", pixel_size_um={"Y": 0.04, "X": 0.04}))
    assert "40 nm" in step.resample.text()
    assert step.note.isHidden()
    step.resample.setChecked(False)
    assert "10 nm" in step.note.text()
    assert "40 nm" in step.note.text()
    step.resample.setChecked(True)
    assert step.note.isHidden()
    stage.person.click(step.apply)
    command = stage.submitted()
    assert isinstance(command, PredictCommand)
    assert command.resample is True
    stage.controller.open_model(stage.model("uncalibrated", pixel_size_um={}))
    assert step.resample.isHidden()


def test_where_a_model_is_uncertain_is_shown_as_a_layer_that_is_no_image_to_work_on(stage, step):
    stage.controller.open_model(stage.model())
    step.uncertainty.setChecked(True)
    layers = stage.viewer.layers
    before = list(layers)
    for brightness in (40, 200):
        stage.person.click(step.apply)
        (image,) = stage.submitted().images
        np.load(image.uncertainty, mmap_mode="r+")[1] = brightness
        stage.finish()
    (added,) = (layer for layer in layers if layer not in before)
    assert added.name == "cells · uncertainty"
    assert np.unique(added.data[1]) == [200]
    assert not added.data[0].any()
    assert np.allclose(added.scale, stage.image.scale)
    assert layers[-1].name == "cells · annotations"
    assert [image.layers for image in open_images(layers)] == [(stage.image,)]
    step.uncertainty.setChecked(False)
    stage.person.click(step.apply)
    assert stage.submitted().images[0].uncertainty is not None, "the layer is not left behind"
    stage.finish()
    layers.remove(added)
    stage.person.click(step.apply)
    assert stage.submitted().images[0].uncertainty is None


def test_objects_are_numbered_in_a_layer_of_their_own_by_a_model_that_tells_them_apart(stage, step):
    stage.controller.open_model(stage.model())
    assert step.objects.isHidden()
    stage.person.click(step.apply)
    assert stage.submitted().images[0].objects is None
    stage.finish()
    card = ModelCard(summary="Nuclei.")
    folder = stage.model("nuclei", object_diameter_px=22.0, card=card, pixel_size_um={})
    stage.controller.open_model(folder)
    assert not step.objects.isHidden()
    assert step.resample.text() == "Find the scale at which objects are seen best"
    layers, added = stage.viewer.layers, []
    for number in (3, 70_000):
        before = list(layers)
        stage.person.click(step.apply)
        command = stage.submitted()
        assert command.resample is True
        ids = np.full(stage.entry.shape, number, np.uint32)
        np.save(command.images[0].objects, ids)
        stage.finish()
        added += [layer for layer in layers if layer not in before]
    first, second = added
    assert second.name.startswith("cells · objects")
    assert np.unique(second.data).tolist() == [70_000]
    assert np.unique(first.data).tolist() == [3], "what a person may have corrected stays"
    assert [first.visible, second.visible] == [False, True]
    assert np.allclose(second.scale, stage.image.scale)
    assert layers[-1].name == "cells · annotations"
    step.objects.setChecked(False)
    stage.person.click(step.apply)
    assert not second.visible, "the segmentation is renewed, these numbers are not"
    assert stage.submitted().images[0].objects is None


def test_what_is_shown_as_uncertain_is_that_of_the_last_network(stage, step):
    stage.annotate()
    step.entered()
    step.uncertainty.setChecked(True)
    stage.person.click(step.train)
    (image,) = stage.submitted().images
    np.load(image.uncertainty, mmap_mode="r+")[1] = 90
    stage.say(ModelSaved(str(stage.model())))
    stage.finish()
    (layer,) = (la for la in stage.viewer.layers if "uncertainty" in la.name)
    assert np.unique(layer.data[1]) == [90]
    layer.visible = False
    step.uncertainty.setChecked(False)
    stage.person.click(step.train)
    (image,) = stage.submitted().images
    np.load(image.uncertainty, mmap_mode="r+")[1] = 10
    stage.finish()
    assert np.unique(layer.data[1]) == [10]
    assert not layer.visible, "what a person hid stays hidden"


def test_from_scratch_again_is_the_network_that_was_chosen_before_a_model(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    settings.reduction.setValue(3)
    chosen = settings.value(60).network
    settings.set_network_of(UNetConfig(filters=24, depth=2, norm="group", reduction=1))
    assert settings.value(60).network.norm == "group"
    settings.set_network_of(None)
    assert settings.value(60).network == chosen
    assert settings.filters.value() == 0


def test_a_model_is_applied_to_files_on_disk(stage, step, monkeypatch):
    from PIL import Image

    assert not step.apply_files.isEnabled()
    assert step.apply_files.toolTip() == "Train a model or open one first."
    stage.controller.open_model(stage.model())
    images = stage.folder / "images"
    images.mkdir()
    for name in ("b", "a"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(images / f"{name}.png")
    answer_with(monkeypatch, train_step, [images], [stage.folder / "masks"])
    step.apply_files.menu().actions()[1].trigger()
    command = stage.submitted()
    assert isinstance(command, PredictFilesCommand)
    assert command.paths == [str(images / "a.png"), str(images / "b.png")]
    assert command.out_dir == str(stage.folder / "masks")


def test_settings_read_from_a_file_are_kept_where_there_is_no_control(qtbot, tmp_path, monkeypatch):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    recipe = Recipe(
        network=UNetConfig(filters=32, norm="group"),
        training=TrainingConfig(patch_px=128, loss=LossConfig(dice=0.3), steps=50),
    )
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "wrong.json").write_text('{"networks": {}}')
    said = []
    settings.failed.connect(said.append)
    answer_with(monkeypatch, train_settings, [tmp_path / "recipe.json"], [tmp_path / "wrong.json"])
    settings.open.click()
    expected = recipe.training.replace(max_time_s=None)
    assert settings.value(60) == recipe.replace(training=expected)
    settings.open.click()
    assert "'networks' is not a setting" in said[0]
    assert settings.value(60) == recipe.replace(training=expected)


def test_what_the_network_looks_at_is_chosen_in_plain_words_and_kept_with_a_base(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    words = [settings.dims.itemText(i) for i in range(settings.dims.count())]
    assert words == ["single slices", "with neighbouring slices", "whole volume"]
    assert settings.value(60).network == UNetConfig()
    settings.dims.setCurrentText("with neighbouring slices")
    assert settings.value(60).network == UNetConfig(dims="2.5")
    settings.set_value(Recipe(network=UNetConfig(dims="3", anisotropy=5)))
    assert settings.dims.currentText() == "whole volume"
    assert settings.value(60).network == UNetConfig(dims="3", anisotropy=5)
    settings.reduction.setValue(1)
    assert settings.value(60).network == UNetConfig(dims="3", anisotropy=5, reduction=1)
    settings.set_network_of(UNetConfig(dims="2.5", neighbours=2))
    assert not settings.dims.isEnabled()
    assert not settings.reduction.isEnabled()
    assert "model at hand" in settings.dims.toolTip()
    assert settings.value(60).network == UNetConfig(dims="2.5", neighbours=2)
    settings.set_network_of(None)
    assert settings.dims.isEnabled()


def test_without_augmentation_no_slice_is_left_out_either(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    settings.augmentation.setValue(0)
    changes = settings.value(60).training.augmentation.model_dump()
    changes.pop("elastic_grid")
    assert not any(changes.values())


def test_a_network_of_another_kind_is_kept_and_cannot_be_edited(qtbot, tmp_path, monkeypatch):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    paper = PRESETS["unet2015"]
    for name, recipe in (("paper", paper), ("plain", Recipe())):
        (tmp_path / f"{name}.json").write_text(recipe.model_dump_json())
    files = ([tmp_path / "paper.json"], [tmp_path / "plain.json"])
    answer_with(monkeypatch, train_settings, *files)
    settings.open.click()
    asked = settings.value(60)
    assert asked == paper.replace(training=paper.training.replace(max_time_s=60))
    filters = settings.filters
    assert (filters.value(), filters.isEnabled()) == (64, False)
    assert "unet2015" in filters.toolTip()

    # The network of a model goes before it, for as long as that is continued with.
    settings.set_network_of(UNetConfig(filters=24))
    assert settings.value(60).network == UNetConfig(filters=24)
    settings.set_network_of(None)
    assert settings.value(60).network == paper.network

    settings.open.click()
    assert settings.value(60) == Recipe()
    assert filters.isEnabled()
    assert filters.text() == "automatic"
    assert "Channels at the top level" in filters.toolTip()


def test_patches_are_automatic_until_somebody_chooses_them(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    assert (settings.patch.text(), settings.batch.text()) == ("automatic", "automatic")
    settings.patch.setValue(20)
    settings.patch.editingFinished.emit()
    settings.batch.setValue(6)
    training = settings.value(60).training
    assert (training.patch_px, training.batch) == (32, 6)


def test_classes_that_change_while_the_images_are_prepared_end_the_training(stage):
    stage.annotate()
    stage.controller.train(Recipe())
    stage.workspace.change_classes(add_class, label="adding a class")
    stage.person.wait(lambda: stage.controller.state is JobState.IDLE)
    assert not stage.worker.commands
    codes = stage.entry.codes.copy()
    codes[1, 30:34, 2:6] = 3
    stage.workspace.commit_annotations(stage.entry.id, codes, [1])
    stage.controller.train(Recipe())
    assert len(stage.submitted().classes) == 2


def test_the_settings_begin_as_the_default_recipe_and_augmentation_has_a_strength(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    assert settings.value(60) == PRESETS["default"]
    settings.augmentation.setValue(0)
    off = settings.value(60).training.augmentation
    assert not off.flip
    assert (off.elastic, off.brightness, off.rotation_deg) == (0, 0, 0)
    settings.augmentation.setValue(200)
    assert settings.value(60).training.augmentation.elastic == 0.06
    settings.steps.setValue(7)
    assert (settings.value(60).training.steps, settings.value(60).training.max_time_s) == (7, None)


def test_without_pyqtgraph_one_line_says_how_to_get_it(make_napari_viewer, monkeypatch, qtbot):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyqtgraph" else find(name)
    )
    widget = curves.Curves(make_napari_viewer())
    qtbot.addWidget(widget)
    widget.add_step(TrainingStep(1, 0.5, 1e-3, 1.0, 0.1))
    (label,) = widget.findChildren(curves.QLabel)
    assert 'pip install "napari-unetseg[all]"' in label.text()


def test_nothing_of_the_advanced_settings_is_cut_off(stage, step):
    step.setFixedWidth(NARROW_PX)
    step.section.expand(animate=False)
    stage.person.wait(lambda: step.settings.isVisible() and step.settings.width() <= NARROW_PX, 5)
    shown = step.settings.findChildren((QLabel, QCheckBox, QComboBox))
    assert len(shown) > 10
    assert not [w for w in shown if w.isVisible() and w.width() < w.minimumSizeHint().width()]


def test_what_is_said_of_a_training_has_room(stage, step):
    stage.annotate()
    stage.person.click(step.train)
    stage.submitted()
    stage.train_started()
    stage.say(TrainingStep(1, 0.5, 1e-3, 1.0, 0.1))
    facts = step.progress.facts
    assert "Too little is annotated" in facts.text()
    stage.person.wait(facts.isVisible, 5)
    assert facts.height() >= 4 * facts.fontMetrics().lineSpacing()

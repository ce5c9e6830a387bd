"""The interactive loop: paint, Live, suggestions, accept, export."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import CORRECT, EXPORT, TRAIN, Oracle

from napari_unetseg.config.shipped import shipped_models
from napari_unetseg.images import read_labels
from napari_unetseg.samples import em_stack
from napari_unetseg.samples.files import write_sample
from napari_unetseg.widgets import export_step

pytestmark = pytest.mark.window

MEMBRANE = 2


@pytest.fixture
def oracle(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_HOME", str(tmp_path / "home"))
    sample = em_stack(seed=4, shape=(3, 320, 320))
    paths = write_sample(tmp_path, sample)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    _, dock = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net segmentation")
    truth = np.where(sample.codes == MEMBRANE, 2, 1).astype(np.uint8)
    oracle = Oracle(viewer, dock, truth, seed=1)
    oracle.open(paths[0])
    return oracle


def test_live_follows_strokes_and_suggestions_and_nothing_painted_is_lost(
    oracle, tmp_path, monkeypatch
):
    entry, live = oracle.entry, oracle.controller.live
    oracle.first_strokes(0, [2, 1, 2, 1])
    assert set(np.unique(entry.codes)) == {0, 1, 2}
    oracle.go_to(TRAIN)
    oracle.controller.open_model(shipped_models()["membranes"])
    oracle.click(oracle.dock.live.live)
    oracle.wait(lambda: oracle.seen(oracle.in_sight()).all(), 60)
    first = oracle.mean_iou([0])

    correct = oracle.go_to(CORRECT)
    taken: list = []
    live.taken.connect(taken.append)
    painted = np.zeros_like(entry.codes)
    planes = set()
    for _ in range(2):
        at = oracle.next_suggestion()
        planes.add(at.plane)
        assert oracle.layers.current_plane(entry) == at.plane
        oracle.wait(lambda at=at: oracle.seen(at).all(), 60)
        for stroke in oracle.correct(at, 3):
            before, revision = np.array(entry.codes), live.revision
            oracle.paint(stroke)
            new = (entry.codes != before) & (entry.codes == stroke.code)
            assert new.any()
            painted[new] = stroke.code
            oracle.wait(lambda revision=revision: live.revision > revision, 10)
    assert len(planes) == 2, "not the same slice again"
    oracle.wait(lambda: taken and taken[-1] == live.revision, 60)
    assert (entry.codes[painted > 0] == painted[painted > 0]).all()

    before = np.array(entry.codes)
    at = oracle.find_right(at.plane, 48)
    oracle.click(correct.accept_in_sight)
    assert entry.codes[at.plane][at.inside].all()
    assert (entry.codes[before > 0] == before[before > 0]).all()
    oracle.click(oracle.dock.live.live)
    oracle.wait(lambda: not live.is_on, 120)
    assert oracle.controller.model is not None
    assert oracle.mean_iou([0]) > first - 0.05  # what is learned of other slices costs little here

    export, target = oracle.go_to(EXPORT), tmp_path / "masks.ome.tif"
    monkeypatch.setattr(export_step, "ask_paths", lambda *_, **__: [target])
    oracle.click(export.save_segmentation)
    oracle.wait(target.is_file)
    saved = read_labels(target, "masks", like=entry.stack).codes
    shown = np.stack([entry.segmentation(p) for p in range(len(saved))])
    assert (saved == shown).all()
    assert (saved[painted > 0] == painted[painted > 0]).all()

    oracle.go_to(CORRECT)
    for _ in range(oracle.n_strokes + 1):
        oracle.undo()
    assert not entry.codes.any(), "every stroke and the acceptance were taken back"

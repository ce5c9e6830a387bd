"""What is found, kept and thrown away when the process of a session is gone."""

import errno
import json
import os
import platform

import numpy as np
import psutil
import pytest

from napari_unetseg.annotations import new_blocks
from napari_unetseg.config import default_class
from napari_unetseg.project import ResultNotes, Session, write_notes

SHAPE = (2, 70, 80)
NOBODY = [2**22 + 1, 1.0]


def paint(session, n_px=50, fingerprint="abc"):
    """Paint on an image, and leave behind what a training would."""
    codes = session.array("image-1", "annotations", SHAPE)
    codes[0, 0, :n_px] = 2
    session.array("image-1", "blocks", new_blocks(SHAPE).shape)[0, 0] = 1
    session.array("image-1", "pixels", SHAPE)[...] = 7
    facts = {"image-1": {"fingerprint": fingerprint, "name": "cells"}}
    session.describe([default_class(1)], facts)
    return codes


def die(session, **changes):
    """Leave a session as the kill of its process does."""
    session.flush()
    session._arrays.clear()
    path = session.folder / "session.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "process": NOBODY, **changes}))
    return session.folder


def files_in(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_the_next_session_finds_the_strokes_of_a_dead_one_and_drops_its_copies(tmp_path):
    dead = Session(tmp_path)
    codes = paint(dead).copy()
    (dead.folder / "models" / ".cells-1.unet.99.partial").mkdir(parents=True)
    (dead.folder / "session.json.partial").write_text("{")
    folder = die(dead)
    session = Session(tmp_path)
    assert files_in(folder) == {"annotations.npy", "blocks.npy", "session.json"}
    assert not list((folder / "models").iterdir())
    [work] = session.earlier_work("abc")
    assert work.n_labelled_px == 50
    assert (np.load(work.annotations) == codes).all()
    session.close()


def test_nothing_of_a_session_that_may_run_is_touched(tmp_path):
    me = psutil.Process()
    for changes in (
        {"process": [os.getpid(), me.create_time()]},
        {"host": f"not-{platform.node()}"},
    ):
        other = Session(tmp_path)
        paint(other)
        folder = die(other, **changes)
        before = files_in(folder)
        assert "pixels.npy" in before
        session = Session(tmp_path)
        session.close()
        assert files_in(folder) == before


def test_strokes_of_a_killed_window_are_found_on_another_computer_too(tmp_path):
    other = Session(tmp_path)
    paint(other)
    die(other, host=f"not-{platform.node()}")
    session = Session(tmp_path)
    assert [w.n_labelled_px for w in session.earlier_work("abc")] == [50]
    session.close()


def test_dead_sessions_without_a_stroke_do_not_push_out_those_with_some(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unetseg.project.session.MAX_KEPT", 2)
    painted = Session(tmp_path)
    paint(painted)
    painted.close()
    for _ in range(3):
        empty = Session(tmp_path)
        paint(empty, n_px=0)
        die(empty)
    session = Session(tmp_path)
    paint(session, n_px=0)
    session.close()
    assert list(tmp_path.iterdir()) == [painted.folder]


def test_only_work_that_a_later_session_goes_on_from_is_ever_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unetseg.project.session.MAX_KEPT", 1)
    alone = Session(tmp_path)
    paint(alone, n_px=70, fingerprint="another")
    (alone.folder / "models" / "a.unet").mkdir(parents=True)
    alone.close()
    begun = Session(tmp_path)
    paint(begun, n_px=40)
    begun.close()
    other_class = Session(tmp_path)
    paint(other_class, n_px=40)[0, 0, :40] = 3
    other_class.close()
    gone_on = Session(tmp_path)
    paint(gone_on, n_px=60)
    gone_on.close()
    left = set(tmp_path.iterdir())
    assert left == {alone.folder, other_class.folder, gone_on.folder}
    assert not (alone.folder / "models").exists()


def test_a_model_without_annotations_is_kept(tmp_path):
    session = Session(tmp_path)
    (session.folder / "models" / "a.unet").mkdir(parents=True)
    session.close()
    assert (session.folder / "models" / "a.unet").is_dir()


DAMAGE = {
    "images as a list": lambda d: {**d, "images": ["image-1"]},
    "facts as text": lambda d: {**d, "images": {"image-1": "abc"}},
    "a class without a colour": lambda d: {**d, "classes": [{"name": "a"}]},
    "a process that is none": lambda d: {**d, "process": ["x", None]},
    "an impossible process": lambda d: {**d, "process": [-(2**80), 1e300]},
    "a list": lambda d: [d],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_description_hides_no_other_work_and_deletes_none(tmp_path, damage):
    good = Session(tmp_path)
    paint(good, n_px=20)
    good.close()
    damaged = Session(tmp_path)
    paint(damaged, n_px=30)
    path = die(damaged) / "session.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    session = Session(tmp_path)
    assert [w.n_labelled_px for w in session.earlier_work("abc")] in ([20], [30])
    session.close()
    assert (damaged.folder / "image-1" / "annotations.npy").is_file()


@pytest.mark.parametrize("role", ["annotations", "blocks"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_arrays_cut_short_hide_no_other_work_and_are_not_deleted(tmp_path, role, share):
    good = Session(tmp_path)
    paint(good, n_px=20)
    good.close()
    damaged = Session(tmp_path)
    paint(damaged, n_px=30)
    path = die(damaged) / "image-1" / f"{role}.npy"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    session = Session(tmp_path)
    assert [w.n_labelled_px for w in session.earlier_work("abc")] == [20]
    session.close()
    assert path.is_file()


@pytest.mark.parametrize("fails", ["flush", "_write_description"])
def test_a_full_disk_keeps_no_window_from_closing_and_no_stroke_from_being_found(
    tmp_path, monkeypatch, fails
):
    session = Session(tmp_path)
    paint(session)

    def no_room(self, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Session, fails, no_room)
    session.close()
    monkeypatch.undo()
    path = session.folder / "session.json"
    description = json.loads(path.read_text())
    if fails == "_write_description":  # the process that it names is this one; let it be gone
        path.write_text(json.dumps({**description, "process": NOBODY}))
    (found,) = Session(tmp_path).earlier_work("abc")
    assert found.n_labelled_px == 50


def test_a_result_that_was_corrected_outlives_its_session_and_others_do_not(tmp_path):
    dead = Session(tmp_path)
    paint(dead, n_px=0)
    corrected = dead.array("image-1", "baseline-1", SHAPE)
    corrected[1, 2, 3] = 2
    dead.array("image-1", "baseline-2", SHAPE)[...] = 1
    notes = ResultNotes(uid="a", title="Otsu", made_by="Otsu's threshold")
    write_notes(dead.path("image-1", "baseline-1"), notes)
    folder = die(dead)
    session = Session(tmp_path)
    assert {"baseline-1.npy", "baseline-1.json"} < files_in(folder)
    assert "baseline-2.npy" not in files_in(folder)
    [work] = session.earlier_work("abc")
    [kept] = work.results
    assert (work.n_labelled_px, kept.notes, np.load(kept.path)[1, 2, 3]) == (0, notes, 2)
    session.close()
    assert folder.exists()

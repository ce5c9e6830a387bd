"""Results follow the classes; strokes on them are steps of the one history."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_unetseg.annotations import (
    add_class,
    delete_class,
    merge_classes,
    rename_class,
    reorder_classes,
)
from napari_unetseg.classical import Chain, ChainRecipe
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace

SHAPE = (2, 12, 16)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path / "sessions"))
    workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))
    for name in ("b", "c"):
        workspace.change_classes(add_class, name, label="adding")
    yield workspace
    workspace.close()


def answer():
    """Every class, and groups for which there is no class yet."""
    return np.random.default_rng(0).integers(0, 8, SHAPE, dtype=np.uint8)


def on_disk(workspace, codes, name="baseline-1"):
    path = workspace.session.path(entry_of(workspace).id, name)
    np.save(path, codes)
    return np.load(path, mmap_mode="r+")


def entry_of(workspace):
    return next(iter(workspace.images.values()))


def add(workspace, codes, recipe=None, moment=None):
    image_id = entry_of(workspace).id
    return workspace.results.add(
        image_id, "Otsu", on_disk(workspace, codes), "by Otsu", recipe, moment
    )


def shown(result):
    return np.stack([result.codes(plane) for plane in range(SHAPE[0])])


def paint(workspace, result, where, code):
    painted = shown(result)
    painted[where] = code
    workspace.commit_result(result, painted, range(SHAPE[0]), workspace.results.meant_as)


def test_classes_that_are_moved_renamed_or_deleted_are_followed(workspace):
    result, first = add(workspace, answer()), answer()
    workspace.change_classes(rename_class, 1, "other", label="renaming")
    np.testing.assert_array_equal(shown(result), first)
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    expected = first.copy()
    for old, new in ((2, 3), (3, 4), (4, 2)):
        expected[first == old] = new
    np.testing.assert_array_equal(shown(result), expected)
    workspace.change_classes(delete_class, 1, label="deleting")
    assert not shown(result)[first == 4].any()
    np.testing.assert_array_equal(shown(result)[first == 2], 2)
    np.testing.assert_array_equal(shown(result)[first == 1], 1)


def change_something(workspace, results, rng):
    """Change the classes, paint on the image, or on a result, by chance."""
    n = len(workspace.classes)
    changes = [(reorder_classes, [int(k) + 1 for k in rng.permutation(n)]), (add_class,)]
    if n > 1:
        changes += [(delete_class, int(rng.integers(n)) + 1), (merge_classes, n, 1)]
    which = int(rng.integers(len(changes) + 2))
    if which < len(changes):
        workspace.change_classes(*changes[which], label="changing")
    elif which == len(changes):
        codes = np.where(rng.random(SHAPE) < 0.1, rng.integers(1, n + 2), 0).astype(np.uint8)
        workspace.commit_annotations(entry_of(workspace).id, codes, range(SHAPE[0]))
    else:
        result = results[rng.integers(len(results))]
        where, code = rng.random(SHAPE) < 0.2, int(rng.integers(0, n + 2))
        paint(workspace, result, where, code)
        assert (shown(result)[where] == code).all()


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_strokes_and_changes_of_classes_is_undone_exactly(workspace, seed):
    rng = np.random.default_rng(seed)
    results = [add(workspace, answer())]
    workspace.history_changed.connect(lambda: history.append(state()))

    def state():
        return [entry_of(workspace).codes.copy(), *(shown(result) for result in results)]

    history = [state()]
    for n_tried in range(12):
        change_something(workspace, results, rng)
        if n_tried == 5:  # it is there whatever is undone: a result is no step
            codes = np.clip(answer(), 0, len(workspace.classes) + 1)
            results.append(workspace.results.add(entry_of(workspace).id, "Li", codes.copy()))
            np.testing.assert_array_equal(shown(results[-1]), codes)
    done = history.copy()
    for expected in (*reversed(done[:-1]), *done[1:]):
        undoes = workspace.undo if len(history) < 2 * len(done) - 1 else workspace.redo
        assert undoes() is not None
        for now, then in zip(state(), expected, strict=False):
            np.testing.assert_array_equal(now, then)


def test_what_is_painted_in_between_is_taken_back_before_the_classes_are(workspace):
    result = add(workspace, answer())
    workspace.change_classes(delete_class, 1, label="deleting")
    without = shown(result)
    paint(workspace, result, np.s_[0, 0], 3)  # c, which was 4
    assert workspace.undo() == "stroke"
    np.testing.assert_array_equal(shown(result), without)
    assert workspace.undo() == "deleting"
    np.testing.assert_array_equal(shown(result), answer())


def test_a_class_that_is_merged_stays_what_it_was_under_strokes_elsewhere(workspace):
    result = add(workspace, answer())
    workspace.change_classes(merge_classes, 2, 1, label="merging")
    paint(workspace, result, np.s_[0, 0], 2)
    for _ in range(2):
        workspace.undo()
    np.testing.assert_array_equal(shown(result), answer())


def test_classes_that_a_result_brings_along_do_not_change_it(workspace):
    result = add(workspace, answer())
    workspace.use_as_annotations(entry_of(workspace).id, answer(), [0, 1])
    assert len(workspace.classes) == 6
    workspace.undo()
    np.testing.assert_array_equal(shown(result), answer())


def test_what_is_answered_after_a_change_has_the_classes_of_when_it_was_asked(workspace):
    moment = workspace.results.moment()
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    workspace.change_classes(delete_class, 2, label="deleting")  # which was 1
    recipe = ChainRecipe(chain=Chain.of("kmeans"), mapping={1: 1, 2: 2, 3: 4})
    result = add(workspace, np.clip(answer(), 1, 4), recipe, moment)
    expected = np.array([0, 1, 0, 3, 2], np.uint8)[np.clip(answer(), 1, 4)]
    np.testing.assert_array_equal(shown(result), expected)
    assert result.recipe.mapping == {1: 1, 2: 0, 3: 2}
    for _ in range(2):
        workspace.undo()
    np.testing.assert_array_equal(shown(result), np.clip(answer(), 1, 4))
    assert result.recipe == recipe


def test_a_class_that_is_brought_back_can_be_painted_on_a_result_made_without_it(workspace):
    workspace.change_classes(delete_class, 1, label="deleting")
    result = add(workspace, np.ones(SHAPE, np.uint8))
    workspace.undo()
    paint(workspace, result, np.s_[0], 2)
    assert (shown(result)[0] == 2).all()


def test_the_recipe_says_what_answers_stand_for_now(workspace):
    recipe = ChainRecipe(chain=Chain.of("kmeans"))
    result = add(workspace, np.clip(answer(), 1, 4), recipe)
    assert result.recipe == recipe
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    assert result.recipe.mapping == {1: 1, 2: 3, 3: 4, 4: 2}
    workspace.undo()
    assert result.recipe == recipe


def test_a_stroke_that_is_taken_back_corrects_nothing(workspace):
    result = add(workspace, answer())
    assert not result.is_corrected
    paint(workspace, result, np.s_[0, 0], 2)
    assert result.is_corrected
    assert result.made_by == "by Otsu, corrected by hand"
    workspace.undo()
    assert not result.is_corrected
    workspace.redo()
    assert result.is_corrected


def earlier(workspace, tmp_path):
    """Return the work of a workspace, as the next window finds it after a kill."""
    description = workspace.session.folder / "session.json"
    written = json.loads(description.read_text())
    description.write_text(json.dumps({**written, "process": [2**22 + 1, 1.0]}))
    later = Workspace(Session(tmp_path / "sessions"))
    entry = later.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))
    [work] = later.earlier_work(entry.id)
    description.write_text(json.dumps(written))
    return later, entry, work


def test_a_corrected_result_comes_back_with_the_classes_it_had(workspace, tmp_path):
    recipe = ChainRecipe(chain=Chain.of("kmeans"))
    result = add(workspace, np.clip(answer(), 1, 4), recipe)
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    paint(workspace, result, np.s_[0, 0], 3)
    later, entry, work = earlier(workspace, tmp_path)
    later.restore(entry.id, work)
    assert [c.name for c in later.classes] == [c.name for c in workspace.classes]
    [back] = later.results.of(entry.id)
    np.testing.assert_array_equal(shown(back), shown(result))
    assert back.is_corrected
    assert back.recipe == result.recipe
    later.close()


def test_earlier_work_comes_back_by_the_names_of_its_classes(workspace, tmp_path):
    result = add(workspace, np.clip(answer(), 1, 4), ChainRecipe(chain=Chain.of("kmeans")))
    paint(workspace, result, np.s_[0, 0], 3)
    annotations = np.zeros(SHAPE, np.uint8)
    annotations[0, :6], annotations[0, 6:] = 2, 4
    workspace.commit_annotations(entry_of(workspace).id, annotations, [0])
    later, entry, work = earlier(workspace, tmp_path)
    later.change_classes(rename_class, 1, "c", label="renaming")
    own = np.zeros(SHAPE, np.uint8)
    own[1] = 2
    later.commit_annotations(entry.id, own, [1])
    later.restore(entry.id, work)
    assert [c.name for c in later.classes] == ["c", "class 1", "b"]
    table = np.array([0, 1, 3, 4, 2], np.uint8)
    np.testing.assert_array_equal(entry.codes[0], table[annotations[0]])
    assert (entry.codes[1] == 2).all()
    [back] = later.results.of(entry.id)
    np.testing.assert_array_equal(shown(back), table[shown(result)])
    assert back.recipe.mapping == {1: 1, 2: 3, 3: 4, 4: 2}
    later.close()


def test_what_nobody_painted_on_is_forgotten_with_its_layer(workspace):
    first, second = add(workspace, answer()), add(workspace, answer())
    paint(workspace, second, np.s_[0], 2)
    for result in (first, second):
        workspace.results.forget(result)
    assert workspace.results.of(entry_of(workspace).id) == [second]


def test_a_stroke_that_began_before_classes_were_moved_means_what_was_seen(workspace):
    result = add(workspace, np.clip(answer(), 1, 4))
    seen, meant_as = shown(result), workspace.results.meant_as
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    expected = shown(result)
    seen[0, 0] = 2
    workspace.commit_result(result, seen, range(SHAPE[0]), meant_as)
    expected[0, 0] = 3
    np.testing.assert_array_equal(shown(result), expected)


def test_what_two_windows_painted_on_the_same_result_is_offered_twice(workspace, tmp_path):
    result = add(workspace, answer())
    paint(workspace, result, np.s_[0, 0], 2)
    one, entry, work = earlier(workspace, tmp_path)
    other, other_entry, other_work = earlier(workspace, tmp_path)
    for window, at, kept, row in ((one, entry, work, 3), (other, other_entry, other_work, 5)):
        window.restore(at.id, kept)
        (back,) = window.results.of(at.id)
        paint(window, back, np.s_[1, row], 3)
        window.restore(at.id, kept)
        assert len(window.results.of(at.id)) == 1, "it is here already"
    workspace.close()
    one.close()
    other.close()
    last = Workspace(Session(tmp_path / "sessions"))
    entry = last.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))
    works = last.earlier_work(entry.id)
    assert len(works) == 2
    rows = [np.load(kept.path)[1, [3, 5]] for work in works for kept in work.results]
    assert sorted((bool((a == 3).all()), bool((b == 3).all())) for a, b in rows) == [
        (False, True),
        (True, False),
    ]
    last.close()


def test_what_could_not_be_kept_is_tried_again_with_the_next_stroke(workspace, monkeypatch):
    result, said = add(workspace, answer()), []
    workspace.results.not_kept.connect(said.append)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("napari_unetseg.workspace.results.write_notes", full)
        for row in (0, 1):
            paint(workspace, result, np.s_[0, row], 2)
    assert (
        said
        == ["What is painted on Otsu could not be kept for later (No space left on device)."] * 2
    )
    paint(workspace, result, np.s_[0, 2], 2)
    assert len(said) == 2
    assert workspace.results.kept(entry_of(workspace).id)


def test_classes_are_in_use_where_a_result_was_corrected(workspace):
    result = add(workspace, answer())
    assert not workspace.in_use
    paint(workspace, result, np.s_[0, 0], 2)
    workspace.remove_image(entry_of(workspace).id)
    assert workspace.in_use

"""Codes of results follow the classes, and come back with them."""

from __future__ import annotations

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
from napari_unetseg.workspace.result_codes import ResultCodes

SHAPE = (2, 12, 16)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path / "sessions"))
    workspace.add_image(Stack(np.zeros(SHAPE, np.uint8), "ZYX", name="cells"))
    for name in ("b", "c"):
        workspace.change_classes(add_class, name, label="adding")
    yield workspace
    workspace.close()


class Result:
    """Codes that follow a workspace."""

    def __init__(self, workspace, codes):
        self.codes = codes.copy()
        self.follows = ResultCodes(workspace.results.meant_as, lambda: np.zeros(SHAPE, np.uint8))
        workspace.results.meaning_changed.connect(
            lambda: self.follows.follow(self.codes, workspace.results.meant_as)
        )


def answer():
    """Every class, and groups for which there is no class yet."""
    return np.random.default_rng(0).integers(0, 8, SHAPE, dtype=np.uint8)


def test_classes_that_are_moved_renamed_or_deleted_are_followed(workspace):
    result, first = Result(workspace, answer()), answer()
    workspace.change_classes(rename_class, 1, "other", label="renaming")
    np.testing.assert_array_equal(result.codes, first)
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    expected = first.copy()
    for old, new in ((2, 3), (3, 4), (4, 2)):
        expected[first == old] = new
    np.testing.assert_array_equal(result.codes, expected)
    workspace.change_classes(delete_class, 1, label="deleting")
    assert not result.codes[first == 4].any()
    np.testing.assert_array_equal(result.codes[first == 2], 2)
    np.testing.assert_array_equal(result.codes[first == 1], 1)


@pytest.mark.parametrize("seed", range(8))
def test_undo_brings_codes_back_exactly_and_redo_does_it_again(workspace, seed):
    rng = np.random.default_rng(seed)
    result = Result(workspace, answer())
    history = [result.codes.copy()]
    for _ in range(6):
        n = len(workspace.classes)
        changes = [
            lambda n=n: (reorder_classes, [int(k) + 1 for k in rng.permutation(n)]),
            lambda n=n: (add_class,),
        ]
        if n > 1:
            changes += [
                lambda n=n: (delete_class, int(rng.integers(n)) + 1),
                lambda n=n: (merge_classes, n, 1),
            ]
        classes = workspace.classes
        workspace.change_classes(*changes[rng.integers(len(changes))](), label="changing")
        if workspace.classes != classes:
            history.append(result.codes.copy())
    assert len(history) > 1
    for before in reversed(history[:-1]):
        assert workspace.undo() == "changing"
        np.testing.assert_array_equal(result.codes, before)
    for after in history[1:]:
        assert workspace.redo() == "changing"
        np.testing.assert_array_equal(result.codes, after)


def test_what_is_painted_in_between_stays(workspace):
    result = Result(workspace, answer())
    workspace.change_classes(delete_class, 1, label="deleting")
    result.codes[0, 0] = 3  # c, which was 4
    workspace.undo()
    np.testing.assert_array_equal(result.codes[0, 0], 4)
    np.testing.assert_array_equal(result.codes[1], answer()[1])


def test_classes_that_a_result_brings_along_do_not_change_it(workspace):
    entry, first = next(iter(workspace.images.values())), answer()
    result = Result(workspace, first)
    workspace.use_as_annotations(entry.id, first, [0, 1])
    assert len(workspace.classes) == 6
    workspace.undo()
    np.testing.assert_array_equal(result.codes, first)


def test_a_result_made_after_a_change_has_the_classes_of_then(workspace):
    workspace.change_classes(delete_class, 1, label="deleting")
    result = Result(workspace, answer())
    workspace.change_classes(reorder_classes, [2, 1], label="moving")
    np.testing.assert_array_equal(result.codes[answer() == 2], 3)
    np.testing.assert_array_equal(result.codes[answer() == 3], 2)


def test_the_recipe_says_what_answers_stand_for_now(workspace):
    result = Result(workspace, np.clip(answer(), 1, 4))
    recipe = ChainRecipe(chain=Chain.of("kmeans"))
    assert result.follows.recipe(recipe) == recipe
    workspace.change_classes(reorder_classes, [3, 1, 2], label="moving")
    assert result.follows.recipe(recipe).mapping == {1: 1, 2: 3, 3: 4, 4: 2}
    mapped = recipe.model_copy(update={"mapping": {1: 4, 2: 1}})
    assert result.follows.recipe(mapped).mapping == {1: 2, 2: 1}
    workspace.undo()
    assert result.follows.recipe(recipe) == recipe

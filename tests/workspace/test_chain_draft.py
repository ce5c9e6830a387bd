"""Steps that are put together: order, history, and what is remembered."""

import pytest

from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step
from napari_unetseg.errors import UserError
from napari_unetseg.workspace.chain_draft import ChainDraft


@pytest.fixture
def draft():
    return ChainDraft("otsu")


def names(draft):
    return [settings.step for settings in draft.steps]


def test_what_is_added_stands_on_its_side_of_the_method(draft):
    draft.add("fill_holes")
    draft.add("gaussian")
    draft.add("median")
    draft.add("remove_small")
    assert names(draft) == ["gaussian", "median", "otsu", "fill_holes", "remove_small"]
    assert names(draft)[draft.at] == "remove_small"
    assert [s.step for s in draft.chain().steps] == names(draft)


def test_steps_change_places_with_their_own_kind_alone(draft):
    for step in ("gaussian", "median", "fill_holes"):
        draft.add(step)
    assert not draft.can_move(-1)
    assert not draft.can_move(1)
    draft.look_at(1)
    assert draft.can_move(-1)
    assert not draft.can_move(1)
    draft.move(-1)
    assert names(draft) == ["median", "gaussian", "otsu", "fill_holes"]
    assert draft.at == 0
    draft.move(-1)
    assert names(draft)[0] == "median"


def test_every_change_is_undone_and_redone_in_turn(draft):
    seen = [draft.steps]
    draft.add("gaussian")
    seen.append(draft.steps)
    draft.add("fill_holes")
    seen.append(draft.steps)
    draft.remove()
    seen.append(draft.steps)
    draft.choose("sobel")
    seen.append(draft.steps)
    for expected in reversed(seen[:-1]):
        draft.undo()
        assert draft.steps == expected
    assert not draft.can_undo
    for expected in seen[1:]:
        draft.redo()
        assert draft.steps == expected
    assert not draft.can_redo


def test_moves_of_one_slider_are_one_step_of_the_history(draft):
    params = find_step("otsu").params
    for sigma in (2.0, 3.0, 4.0):
        draft.set_params(params(sigma_px=sigma))
    draft.undo()
    assert draft.steps[0].checked() == params()
    assert not draft.can_undo
    draft.redo()
    assert draft.steps[0].checked().sigma_px == 4.0


def test_a_change_after_undo_forgets_what_was_undone(draft):
    draft.add("gaussian")
    draft.undo()
    draft.add("median")
    assert not draft.can_redo
    assert names(draft) == ["median", "otsu"]


def test_settings_of_a_method_are_there_again_when_it_is(draft):
    draft.set_params(find_step("otsu").params(sigma_px=5.0))
    draft.choose("sobel")
    draft.choose("otsu")
    assert draft.steps[0].checked().sigma_px == 5.0


def test_without_a_method_filters_go_and_refinements_stay(draft):
    draft.add("gaussian")
    draft.add("fill_holes")
    draft.choose(None)
    assert names(draft) == ["fill_holes"]
    assert draft.method is None
    draft.remove()
    assert draft.at == -1
    with pytest.raises(UserError, match="Add a step"):
        draft.chain()
    draft.choose("otsu")
    assert names(draft) == ["otsu"]


def test_a_method_cannot_be_removed(draft):
    draft.remove()
    assert names(draft) == ["otsu"]


def test_setting_what_is_set_already_is_no_change(draft):
    draft.set_params(find_step("otsu").params())
    assert not draft.can_undo


def test_every_step_that_is_registered_can_be_added(draft):
    for step in (*FILTERS, *REFINEMENTS):
        draft.add(step)
    assert len(draft.chain().steps) == 1 + len(FILTERS) + len(REFINEMENTS)
    for method in METHODS:
        draft.choose(method)
        assert draft.method == method

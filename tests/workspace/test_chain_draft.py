"""Steps that are put together: order, history, and what is remembered."""

import pytest

from napari_unetseg.classical import FILTERS, METHODS, REFINEMENTS, find_step
from napari_unetseg.errors import UserError
from napari_unetseg.workspace.baseline_fits import Meaning
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


def test_refining_what_is_there_begins_without_the_steps_that_made_it(draft):
    draft.add("gaussian")
    draft.add("fill_holes")
    draft.choose(None)
    assert names(draft) == []
    assert draft.method is None
    assert draft.at == -1
    with pytest.raises(UserError, match="Add a step"):
        draft.chain()
    draft.add("smooth")
    draft.choose("otsu")
    assert names(draft) == ["otsu"]
    draft.undo()
    assert names(draft) == ["smooth"]
    draft.undo()
    draft.undo()
    assert names(draft) == ["gaussian", "otsu", "fill_holes"]


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


def meaning(method="kmeans", mapping=None, **params):
    return Meaning(method, find_step(method).params(**params), mapping or {1: 2, 2: 1})


def test_what_answers_mean_goes_and_comes_with_the_history(draft):
    draft.set_params(find_step("otsu").params(sigma_px=2.0))
    found = meaning("otsu", sigma_px=3.0)
    draft.take_fit(found)
    assert draft.meaning is found
    assert draft.steps[0].checked().sigma_px == 3.0
    draft.undo()
    assert draft.meaning is None
    assert draft.steps[0].checked().sigma_px == 2.0, "the fit alone is taken back"
    draft.redo()
    assert draft.meaning is found
    draft.drop_meaning()
    assert draft.meaning is None
    assert draft.steps[0].checked().sigma_px == 3.0
    draft.undo()
    assert draft.meaning is found


def test_the_same_settings_fitted_again_have_their_meaning(draft):
    found = meaning("otsu")
    draft.take_fit(found)
    assert draft.meaning is found
    draft.undo()
    assert draft.meaning is None


def test_answers_mean_the_same_as_long_as_they_are_as_many_and_of_the_same_polarity(draft):
    found = meaning(n_clusters=3)
    draft.take_fit(found)
    draft.add("gaussian")
    draft.look_at(1)
    assert draft.meaning is found
    for change in ({"n_clusters": 4}, {"foreground": "dark"}):
        draft.set_params(found.params.replace(**change))
        assert draft.meaning is None
        draft.set_params(found.params.replace(sigma_px=3.0))
        assert draft.meaning is found


def test_what_answers_of_a_method_mean_is_there_again_when_the_method_is(draft):
    found = meaning("otsu")
    draft.take_fit(found)
    draft.choose("sobel")
    assert draft.meaning is None
    draft.choose("otsu")
    assert draft.meaning is found
    draft.choose(None)
    assert draft.meaning is None


def test_a_recipe_brings_its_meaning_or_none(draft):
    draft.take_fit(meaning("otsu"))
    steps = draft.steps
    draft.set_steps(steps)
    assert draft.meaning is None
    found = meaning("otsu", {1: 3, 2: 1})
    draft.set_steps(steps, found)
    assert draft.meaning is found
    stays = meaning("otsu", {1: 1, 2: 2})
    draft.set_steps(steps, stays)
    assert draft.meaning is stays, "classes may be moved afterwards"

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.annotations import add_class, delete_class, merge_classes, rename_class
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import SlicesBeside, Workspace

SHAPE = (3, 40, 50)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(Session(tmp_path))
    yield workspace
    workspace.close()


@pytest.fixture
def entry(workspace):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    return workspace.add_image(Stack(pixels, "ZYX", name="cells"))


def paint(workspace, entry, plane, where, code, role="annotations"):
    """Paint as a layer does: on a copy of what is shown."""
    shown = np.stack([_shown(entry, p, role) for p in range(SHAPE[0])])
    painted = shown.copy()
    painted[plane][where] = code
    if role == "annotations":
        workspace.commit_annotations(entry.id, painted, [plane])
    else:
        workspace.commit_segmentation(entry.id, painted, shown, [plane])


def _shown(entry, plane, role):
    return entry.codes[plane] if role == "annotations" else entry.segmentation(plane)


def test_a_stroke_is_taken_back_and_done_again(workspace, entry):
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 2)
    paint(workspace, entry, 1, np.s_[7:12, 7:12], 1)
    after = entry.codes.copy()
    assert workspace.undo() == "stroke"
    assert set(np.unique(entry.codes)) == {0, 2}
    workspace.undo()
    assert not entry.codes.any()
    workspace.redo()
    workspace.redo()
    assert (entry.codes == after).all()


def test_a_prediction_never_shows_over_annotated_pixels(workspace, entry):
    paint(workspace, entry, 0, np.s_[:10], 1)
    workspace.set_prediction(entry.id, 0, np.full(SHAPE[1:], 2, np.uint8))
    assert (entry.segmentation(0)[:10] == 1).all()
    assert (entry.segmentation(0)[10:] == 2).all()


def test_painting_on_the_segmentation_writes_the_same_pixels_into_the_annotations(workspace, entry):
    workspace.set_prediction(entry.id, 2, np.full(SHAPE[1:], 1, np.uint8))
    paint(workspace, entry, 2, np.s_[3:6, 3:6], 2, role="segmentation")
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 3:6, 3:6] = 2
    assert (entry.codes == expected).all()


def test_erasing_on_the_segmentation_means_background_and_in_annotations_unlabelled(
    workspace, entry
):
    workspace.set_prediction(entry.id, 0, np.full(SHAPE[1:], 2, np.uint8))
    paint(workspace, entry, 0, np.s_[:4], 0, role="segmentation")
    assert (entry.codes[0][:4] == 1).all()
    paint(workspace, entry, 0, np.s_[:4], 0)
    assert not entry.codes.any()
    assert (entry.segmentation(0) == 2).all()


def test_a_code_that_has_no_class_gets_one_in_the_same_step(workspace, entry):
    workspace.change_classes(rename_class, 1, "class 2", label="renaming")
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 4)
    assert [c.name for c in workspace.classes] == ["class 2", "class 2 2", "class 3"]
    workspace.set_prediction(entry.id, 0, workspace.prediction_slots()[np.full(SHAPE[1:], 4)])
    assert (entry.segmentation(0) == 4).all()
    workspace.undo()
    assert [c.name for c in workspace.classes] == ["class 2"]
    assert not entry.codes.any()
    assert not entry.segmentation(0).any()


def test_undoing_a_correction_shows_the_newest_prediction_again(workspace, entry):
    workspace.change_classes(add_class, label="adding")
    workspace.set_prediction(entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    paint(workspace, entry, 0, np.s_[:4], 2, role="segmentation")
    workspace.set_prediction(entry.id, 0, np.full(SHAPE[1:], 3, np.uint8))
    workspace.undo()
    assert (entry.segmentation(0) == 3).all()


def test_a_part_of_a_slice_is_accepted_as_one_step(workspace, entry):
    workspace.set_prediction(entry.id, 1, np.full(SHAPE[1:], 1, np.uint8))
    paint(workspace, entry, 1, np.s_[:6, :5], 2)
    painted = entry.codes.copy()
    assert workspace.accept(entry.id, [1], [4, 2, 10, 12]) == 6 * 10 - 2 * 3
    expected = painted[1].copy()
    expected[4:10, 2:12] = np.where(expected[4:10, 2:12] == 0, 1, expected[4:10, 2:12])
    np.testing.assert_array_equal(entry.codes[1], expected)
    assert not entry.codes[[0, 2]].any()
    assert workspace.undo() == "accepting"
    np.testing.assert_array_equal(entry.codes, painted)


def test_accepting_fills_only_what_is_unlabelled_and_can_be_undone(workspace, entry):
    paint(workspace, entry, 1, np.s_[:10], 1)
    before = entry.codes.copy()
    workspace.set_prediction(entry.id, 1, np.full(SHAPE[1:], 2, np.uint8))
    assert workspace.accept(entry.id, [1]) == 30 * 50
    assert (entry.codes[1][:10] == 1).all()
    assert (entry.codes[1][10:] == 2).all()
    workspace.undo()
    assert (entry.codes == before).all()


def test_deleting_a_class_and_undoing_restores_pixels_names_and_the_prediction(workspace, entry):
    workspace.change_classes(add_class, "mitochondrion", label="adding")
    paint(workspace, entry, 0, np.s_[:5], 2)
    paint(workspace, entry, 0, np.s_[5:9], 3)
    prediction = np.full(SHAPE[1:], 2, np.uint8)
    prediction[:, 25:] = 3
    workspace.set_prediction(entry.id, 1, prediction)
    classes = workspace.classes
    workspace.change_classes(delete_class, 1, label="deleting")
    assert [c.name for c in workspace.classes] == ["mitochondrion"]
    assert not entry.codes[0][:5].any()
    assert (entry.codes[0][5:9] == 2).all()
    assert (entry.segmentation(1)[:, :25] == 0).all()
    assert (entry.segmentation(1)[:, 25:] == 2).all()
    workspace.undo()
    assert workspace.classes == classes
    assert (entry.codes[0][:5] == 2).all()
    assert (entry.segmentation(1) == prediction).all()


def test_an_answer_given_in_the_old_classes_is_right_after_they_were_merged(workspace, entry):
    workspace.change_classes(add_class, "b", label="adding")
    workspace.change_classes(add_class, "c", label="adding")
    slots = workspace.prediction_slots()
    workspace.change_classes(merge_classes, 1, 3, label="merging")
    answer = np.zeros(SHAPE[1:], np.uint8)
    answer[0], answer[1], answer[2] = 2, 3, 4
    workspace.set_prediction(entry.id, 0, slots[answer])
    assert [int(entry.segmentation(0)[i, 0]) for i in range(3)] == [3, 2, 3]
    assert [c.name for c in workspace.classes] == ["b", "c"]


def test_outside_the_region_nothing_is_learned_or_segmented(workspace, entry):
    entry.region = workspace.session.array(entry.id, "region", SHAPE)
    entry.region[0, :20] = 1
    workspace.update_region(entry.id)
    paint(workspace, entry, 0, np.s_[:, :10], 2)
    workspace.set_prediction(entry.id, 0, np.full(SHAPE[1:], 1, np.uint8))
    assert not entry.training_codes(0)[20:].any()
    assert (entry.training_codes(0)[:20, :10] == 2).all()
    assert not entry.segmentation(0)[20:, 10:].any()
    entry.region[0, :20] = 2
    workspace.update_region(entry.id)
    assert not entry.training_codes(0)[:20].any()
    assert (entry.segmentation(0)[20:, 10:] == 1).all()


def test_images_of_one_data_set_have_the_same_channels(workspace, entry):
    with pytest.raises(UserError, match="channels"):
        workspace.add_image(Stack(np.zeros((2, 8, 8), np.uint8), "CYX", channels=("a", "b")))


def test_an_image_left_out_and_taken_in_again_has_its_annotations(workspace, entry):
    paint(workspace, entry, 0, np.s_[:5], 2)
    workspace.remove_image(entry.id)
    again = workspace.add_image(entry.stack)
    assert (again.codes[0][:5] == 2).all()
    assert again.id == entry.id


def test_what_was_painted_is_found_after_the_session_and_brought_back(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    first = Workspace(Session(tmp_path))
    entry = first.add_image(Stack(pixels, "ZYX"))
    first.change_classes(rename_class, 1, "membrane", label="renaming")
    paint(first, entry, 1, np.s_[:20], 2)
    painted = entry.codes.copy()
    assert not first.earlier_work(entry.id)
    first.close()
    second = Workspace(Session(tmp_path))
    entry = second.add_image(Stack(pixels, "ZYX"))
    [work] = second.earlier_work(entry.id)
    assert work.n_labelled_px == 20 * 50
    second.restore(entry.id, work)
    assert (entry.codes == painted).all()
    assert second.classes[0].name == "membrane"
    other = second.add_image(Stack(255 - pixels, "ZYX"))
    assert not second.earlier_work(other.id)
    second.close()


def test_what_is_taken_back_of_an_image_that_is_not_ticked_is_named(workspace, entry):
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 2)
    workspace.remove_image(entry.id)
    said = workspace.undo()
    assert said == f"stroke on {entry.stack.name}, which is not ticked"
    assert workspace.redo() == said
    assert entry.codes.any()


@pytest.mark.parametrize("before_boxes", [False, True])
def test_what_is_held_out_stays_after_undo_and_in_the_next_session(tmp_path, before_boxes):
    stack = Stack(np.zeros((6, 256, 320), np.uint8), "ZYX", {"Z": 3.0, "Y": 0.1, "X": 0.1})
    first = Workspace(Session(tmp_path))
    entry = first.add_image(stack)
    painted = np.ones((6, 256, 320), np.uint8)
    first.commit_annotations(entry.id, painted, [0, 4])
    decided = entry.blocks.copy()
    boxes = decided >> 2
    assert (boxes[[0, 4]] == 2).any(axis=(1, 2)).all()
    first.undo()
    first.commit_annotations(entry.id, 2 * painted, [0, 4])
    assert (entry.blocks == decided).all()
    if before_boxes:
        entry.blocks[...] &= 3
    first.close()
    second = Workspace(Session(tmp_path))
    entry = second.add_image(stack)
    second.restore(entry.id, *second.earlier_work(entry.id))
    assert (entry.blocks == decided).all()
    second.commit_annotations(entry.id, painted, [1, 3])
    assert (entry.blocks[[0, 4]] == decided[[0, 4]]).all()
    assert (entry.blocks[[1, 3]] >> 2 == boxes[[0, 4]]).all()
    second.close()


def test_a_session_in_which_nothing_was_painted_leaves_nothing_behind(tmp_path):
    workspace = Workspace(Session(tmp_path))
    workspace.add_image(Stack(np.eye(9, dtype=np.uint8), "YX"))
    workspace.close()
    assert not list(tmp_path.iterdir())


def test_what_was_answered_for_a_class_that_was_taken_back_is_no_other_class(workspace, entry):
    workspace.change_classes(add_class, "b", label="adding")
    answer = workspace.prediction_slots()[np.full(SHAPE[1:], 3, np.uint8)]
    workspace.set_prediction(entry.id, 0, answer)
    workspace.undo()
    assert not entry.segmentation(0).any()
    assert workspace.accept(entry.id, [0]) == 0
    workspace.redo()
    assert (entry.segmentation(0) == 3).all()
    workspace.undo()
    workspace.change_classes(add_class, "c", label="adding")
    assert not entry.segmentation(0).any()


def test_hundreds_of_classes_can_come_and_go(workspace, entry, monkeypatch):
    monkeypatch.setattr(workspace.session, "describe", lambda *_: None)
    for _ in range(300):
        workspace.change_classes(add_class, label="adding")
        workspace.change_classes(delete_class, 1, label="deleting")
    slots = workspace.prediction_slots()
    workspace.set_prediction(entry.id, 0, slots[np.full(SHAPE[1:], 2, np.uint8)])
    assert (entry.segmentation(0) == 2).all()


def test_after_hundreds_of_merges_new_classes_and_predictions_are_still_right(
    workspace, entry, monkeypatch
):
    monkeypatch.setattr(workspace.session, "describe", lambda *_: None)
    slots = workspace.prediction_slots()
    workspace.set_prediction(entry.id, 0, slots[np.full(SHAPE[1:], 2, np.uint8)])
    for _ in range(260):
        workspace.change_classes(add_class, label="adding")
        workspace.change_classes(merge_classes, 2, 1, label="merging")
    workspace.change_classes(add_class, label="adding")
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 3)
    assert (entry.segmentation(0) == 2).all()
    assert (entry.segmentation(1)[5:9, 5:9] == 3).all()


def test_images_that_are_left_out_keep_their_classes(workspace, entry, tmp_path):
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 2)
    workspace.remove_image(entry.id)
    with pytest.raises(UserError, match="in use"):
        workspace.set_classes([workspace.classes[0].replace(name="golgi")])


def test_names_are_on_disk_before_the_codes_that_need_them(workspace, entry, monkeypatch):
    written = []
    describe = workspace.session.describe

    def watched(classes, images, meant_as):
        written.append((len(classes), int(entry.codes.max())))
        describe(classes, images, meant_as)

    monkeypatch.setattr(workspace.session, "describe", watched)
    paint(workspace, entry, 1, np.s_[5:9, 5:9], 5)
    assert written[0] == (4, 0)


def test_codes_brought_back_without_their_classes_get_some(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    first = Workspace(Session(tmp_path))
    entry = first.add_image(Stack(pixels, "ZYX"))
    paint(first, entry, 1, np.s_[:20], 2)
    entry.codes[1, 30:] = 4
    first.close()
    second = Workspace(Session(tmp_path))
    entry = second.add_image(Stack(pixels, "ZYX"))
    second.restore(entry.id, *second.earlier_work(entry.id))
    assert entry.codes.max() == 4
    assert len(second.classes) == 3
    second.close()


def test_one_stroke_in_a_later_session_does_not_hide_earlier_work(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)

    def opened():
        workspace = Workspace(Session(tmp_path))
        return workspace, workspace.add_image(Stack(pixels, "ZYX"))

    first, entry = opened()
    paint(first, entry, 1, np.s_[:20], 2)
    first.close()
    second, entry = opened()
    paint(second, entry, 0, np.s_[:1, :1], 2)
    second.close()
    third, entry = opened()
    works = third.earlier_work(entry.id)
    assert [w.n_labelled_px for w in works] == [1, 1000]
    for work in works:
        third.restore(entry.id, work)
    third.close()
    fourth, entry = opened()
    assert [w.n_labelled_px for w in fourth.earlier_work(entry.id)] == [1001]
    fourth.close()


def test_a_region_comes_back_with_the_annotations(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    first = Workspace(Session(tmp_path))
    entry = first.add_image(Stack(pixels, "ZYX"))
    paint(first, entry, 1, np.s_[:20], 2)
    entry.region = first.session.array(entry.id, "region", SHAPE)
    entry.region[:, :10] = 1
    first.update_region(entry.id)
    first.close()
    second = Workspace(Session(tmp_path))
    entry = second.add_image(Stack(pixels, "ZYX"))
    second.restore(entry.id, *second.earlier_work(entry.id))
    assert entry.allowed(0)[:10].all()
    assert not entry.allowed(0)[10:].any()
    second.clear_region(entry.id)
    assert entry.allowed(0).all()
    second.close()


def test_two_images_of_the_same_pixels_get_their_own_annotations_back(tmp_path):
    workspace = Workspace(Session(tmp_path))
    pixels = np.zeros((2, 8, 8), np.uint8)
    entries = [workspace.add_image(Stack(pixels, "ZYX", name=name)) for name in ("a", "b")]
    for code, entry in enumerate(entries, 1):
        workspace.commit_annotations(entry.id, np.full((2, 8, 8), code, np.uint8), [0])
    for entry in entries:
        workspace.remove_image(entry.id)
    workspace.undo()
    workspace.redo()
    back = {name: workspace.add_image(Stack(pixels, "ZYX", name=name)) for name in ("b", "a")}
    assert (back["a"].codes[0] == 1).all()
    assert (back["b"].codes[0] == 2).all()


def test_slices_between_annotated_ones_are_filled_in_one_step(workspace, entry):
    paint(workspace, entry, 0, np.s_[10:20, 10:20], 2)
    paint(workspace, entry, 2, np.s_[10:20, 16:26], 2)
    paint(workspace, entry, 1, np.s_[12:14, 16:18], 1)  # what is painted stays
    workspace.use_as_annotations(entry.id, np.ones(SHAPE, np.uint8), [0, 2])
    n_before = int(np.count_nonzero(entry.codes))
    n_px = SlicesBeside(workspace).interpolate(entry.id, 1)
    middle = entry.codes[1]
    assert n_px == int(np.count_nonzero(entry.codes)) - n_before > 0
    assert (middle[12:14, 16:18] == 1).all()
    assert (middle[15, 14:22] == 2).all()
    assert (middle[30:] == 1).all()
    assert workspace.undo() == "interpolating"
    assert np.count_nonzero(entry.codes) == n_before


def test_there_is_nothing_to_interpolate_from_on_one_side_alone(workspace, entry):
    with pytest.raises(UserError, match="No slice before this one is annotated"):
        SlicesBeside(workspace).interpolate(entry.id, 1)
    paint(workspace, entry, 0, np.s_[10:20, 10:20], 2)
    with pytest.raises(UserError, match="No slice after this one is annotated"):
        SlicesBeside(workspace).interpolate(entry.id, 1)


def test_time_points_are_not_interpolated_between_where_there_are_sections(workspace):
    pixels = np.zeros((2, 3, 40, 50), np.uint8)
    film = workspace.add_image(Stack(pixels, "TZYX", name="film"))
    for plane in (2, 4):
        painted = film.codes.copy()
        painted[plane, 5:9, 5:9] = 2
        workspace.commit_annotations(film.id, painted, [plane])
    with pytest.raises(UserError, match="No slice before this one"):
        SlicesBeside(workspace).interpolate(film.id, 3)
    painted = film.codes.copy()
    painted[0, 5:9, 5:9] = 2
    workspace.commit_annotations(film.id, painted, [0])
    assert SlicesBeside(workspace).interpolate(film.id, 1) == 16

import numpy as np
import pytest

from napari_unetseg.annotations import held_out_mask
from napari_unetseg.comparison import AnnotatedImage, split_annotations
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack


def test_what_is_scored_on_is_what_training_holds_out(dense):
    split = split_annotations([dense])
    assert split.kind == "held out"
    (part,) = split.parts()
    for plane in range(2):
        held = held_out_mask(dense.blocks, plane, dense.stack.plane_shape)
        assert held.any()
        np.testing.assert_array_equal(part.scored((0, plane)) > 0, held)
        np.testing.assert_array_equal(part.training((0, plane)) > 0, ~held)
    np.testing.assert_array_equal(split.everything().training_codes(0), part.training_codes(0))
    assert "held out" in split.sentence()


def test_few_annotations_take_turns_and_every_pixel_is_scored_on_once(sparse):
    split = split_annotations([sparse])
    assert split.kind == "squares"
    parts = split.parts()
    scored = sum((part.scored((0, 0)) > 0).astype(int) for part in parts)
    np.testing.assert_array_equal(scored, sparse.codes[0] > 0)
    for part in parts:
        seen, asked = part.training((0, 0)), part.scored((0, 0))
        assert part.seen() == {1, 2}
        assert not ((seen > 0) & (asked > 0)).any()
    np.testing.assert_array_equal(split.everything().training((0, 0)), sparse.codes[0])
    assert not split.everything().scored_slices
    assert f"fitted {split.n_folds} times" in split.sentence()


def test_slices_take_turns_where_there_are_enough_of_them(scene):
    stack, truth = scene.discs(n_planes=6)
    codes = np.zeros_like(truth)
    codes[[0, 2, 3, 5], :20, :20] = truth[[0, 2, 3, 5], :20, :20]
    codes[[0, 2, 3, 5], 0, 0], codes[[0, 2, 3, 5], 0, 1] = 1, 2
    split = split_annotations([scene.annotated(stack, codes)])
    assert split.kind == "slices"
    planes = [plane for part in split.parts() for _, plane in part.scored_slices]
    assert sorted(planes) == [0, 2, 3, 5]
    for part in split.parts():
        assert {p for _, p in part.fitted_slices}.isdisjoint(p for _, p in part.scored_slices)


def test_a_class_that_is_nowhere_but_in_held_out_blocks_makes_squares_take_turns(dense):
    codes = np.ones_like(dense.codes)
    held = held_out_mask(dense.blocks, 0, dense.stack.plane_shape)
    assert held.any()
    codes[0, held] = 2
    assert split_annotations([AnnotatedImage(dense.stack, codes, dense.blocks)]).kind != "held out"


def test_a_single_square_that_is_held_out_is_too_little_to_be_sure_of(dense):
    codes = dense.codes.copy()
    held = held_out_mask(dense.blocks, 1, dense.stack.plane_shape)
    codes[1, held] = 0
    kinds = []
    for n_kept in (2, 1):
        kept = codes.copy()
        first = held_out_mask(dense.blocks, 0, dense.stack.plane_shape)
        for y, x in np.argwhere(first[::64, ::64])[n_kept:]:
            kept[0, 64 * y : 64 * y + 64, 64 * x : 64 * x + 64] = 0
        kinds.append(split_annotations([AnnotatedImage(dense.stack, kept, dense.blocks)]).kind)
    assert kinds == ["held out", "squares"]


@pytest.mark.parametrize("codes", [[], [1], [2, 2]])
def test_less_than_two_classes_are_one_sentence(codes):
    annotations = np.zeros((1, 64, 64), np.uint8)
    annotations[0, 0, : len(codes)] = codes
    image = AnnotatedImage(Stack(np.zeros((64, 64), np.uint8), "YX"), annotations)
    with pytest.raises(UserError, match="at least two classes"):
        split_annotations([image])


def test_a_class_in_one_spot_is_one_sentence():
    annotations = np.zeros((1, 64, 64), np.uint8)
    annotations[0, :, :8] = 1
    annotations[0, 40, 40] = 2
    image = AnnotatedImage(Stack(np.zeros((64, 64), np.uint8), "YX"), annotations)
    with pytest.raises(UserError, match="in at least two places"):
        split_annotations([image])


def test_of_many_slices_some_are_scored_on_evenly_spread(scene):
    stack, codes = scene.discs(n_planes=40, side=192)
    (part,) = split_annotations([scene.annotated(stack, codes)]).parts()
    planes = [plane for _, plane in part.scored_slices]
    assert len(planes) == 24
    assert planes[0] < 3
    assert planes[-1] > 36
    assert len(part.fitted_slices) == 12

"""Nothing starts on images and labels that cannot work."""

import numpy as np
import pytest

from napari_unetseg.config import LabelClass, ModelInfo, Recipe
from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    Stack,
    check_channels,
    check_pixels,
    check_training_inputs,
    check_training_set,
    pixel_size_note,
    pixel_size_ratio,
)

RNG = np.random.default_rng(0)


def image(dtype="uint8", n_channels=1, name="cells"):
    data = RNG.integers(0, 100, (n_channels, 3, 20, 30)).astype(dtype)
    return Stack(data, "CZYX", name=name, channels=("",) * n_channels)


def codes(*values):
    return np.resize(np.array(values, np.uint8), (3, 20, 30))


def model(n_channels=1, **pixel_size_um):
    return ModelInfo(
        name="membranes",
        recipe=Recipe(),
        classes=(LabelClass(name="membrane", color="#e69f00"),),
        channels=tuple(f"c{i}" for i in range(n_channels)),
        pixel_size_um=pixel_size_um,
    )


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "float32", "float64"])
def test_ordinary_images_pass(dtype):
    check_pixels(image(dtype))


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "infinite values")])
def test_a_pixel_that_is_no_number_is_named_with_its_slice(value, said):
    stack = image("float32")
    stack.data[0, 2, 3, 3] = value
    with pytest.raises(UserError, match=f"cells contains {said} in slice 2"):
        check_pixels(stack)
    check_pixels(stack, [0, 1])


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 1e38), ("float64", -1e300), ("uint64", 2**63)]
)
def test_values_too_large_to_compute_with_are_named_with_their_slice(dtype, value):
    stack = image(dtype)
    stack.data[0, 2, 3, 3] = value
    with pytest.raises(UserError, match=r"cells has values as large as .* in slice 2; .* divide"):
        check_pixels(stack, largest=2.0**32)
    check_pixels(stack, [0, 1], largest=2.0**32)
    check_pixels(stack)


def test_a_constant_image_is_refused_and_a_constant_slice_is_not():
    stack = image()
    stack.data[:, 1] = 7
    check_pixels(stack)
    stack.data[:] = 7
    with pytest.raises(UserError, match="same value 7 everywhere"):
        check_pixels(stack)


def test_good_training_inputs_pass():
    check_training_inputs(image(), codes(0, 1, 2))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (codes(0), "hold no label"),
        (codes(0, 1), "hold only background; paint some of a class"),
        (codes(0, 2), "hold only class 1; paint some background"),
        (codes(0, 1, 2)[:2], "need the slices"),
    ],
)
def test_labels_that_teach_nothing_are_refused(labels, said):
    with pytest.raises(UserError, match=said):
        check_training_inputs(image(), labels)


def test_two_classes_may_come_from_two_images():
    check_training_set([image(), image()], [codes(0, 1), codes(0, 2)])


def test_images_with_other_channels_are_not_learned_from_together():
    with pytest.raises(UserError, match=r"b has 3 channels and a has 1"):
        check_training_set(
            [image(name="a"), image(n_channels=3, name="b")], [codes(1, 2), codes(1, 2)]
        )


def test_only_annotated_slices_need_to_be_numbers():
    stack, labels = image("float32"), codes(1, 2)
    stack.data[0, 1] = np.nan
    labels[1] = 0
    check_training_inputs(stack, labels)


def test_a_model_for_other_channels_is_explained():
    check_channels(model(2), image(n_channels=2))
    with pytest.raises(UserError, match=r"cells has 3 channel.*'membranes' was made for 1 \(c0\)"):
        check_channels(model(1), image(n_channels=3))
    with pytest.raises(UserError, match=r"predict --channel 1 --channel 2 on .* the Data step"):
        check_channels(model(2), image(n_channels=3))
    with pytest.raises(UserError, match="give it an image with the same channels"):
        check_channels(model(2), image())


@pytest.mark.parametrize(
    ("pixel_um", "said"),
    [(0.004, None), (0.0055, None), (0.008, "1.7 times too small"), (0.002, "2.3 times too large")],
)
def test_a_pixel_size_unlike_the_models_is_said(pixel_um, said):
    stack = Stack(np.zeros((4, 4)), "YX", {"Y": pixel_um, "X": pixel_um})
    info = model(Y=0.0046, X=0.0046)
    note = pixel_size_note(info, stack)
    assert pixel_size_ratio(info, stack) == pytest.approx(pixel_um / 0.0046)
    assert note is None if said is None else said in note


def test_an_unknown_pixel_size_is_not_compared():
    stack = Stack(np.zeros((4, 4)), "YX")
    assert pixel_size_ratio(model(Y=1.0, X=1.0), stack) is None
    assert pixel_size_note(model(Y=1.0, X=1.0), stack) is None

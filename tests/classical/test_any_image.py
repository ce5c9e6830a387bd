"""Every step, on every kind of image: a right answer, or one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetseg.classical import (
    FILTERS,
    METHODS,
    REFINEMENTS,
    Chain,
    PreviewComputer,
    PreviewRequest,
    Source,
    StepSettings,
    View,
    find_step,
    parse_params,
    run_view,
    segment,
)
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack

STEPS = [*FILTERS, *METHODS, *REFINEMENTS]
DTYPES = ["bool", "uint8", "uint16", "int16", "uint32", "int64", "float16", "float32", "float64"]


def picture(shape=(24, 28)):
    image = np.random.default_rng(0).integers(0, 200, shape)
    image[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] += 50
    return image


def around(name, params):
    """A chain with one step: filters and refinements go with Otsu's threshold."""
    settings = StepSettings(step=name, params=params.model_dump(mode="json"))
    otsu = StepSettings(step="otsu")
    if name in FILTERS:
        return Chain(steps=(settings, otsu))
    return Chain(steps=(otsu, settings) if name in REFINEMENTS else (settings,))


def strokes_on(shape):
    """A pixel of background, and two of a class."""
    strokes = np.zeros(shape, np.uint8)
    strokes.flat[[strokes.size // 2, -1]] = 2
    strokes.flat[0] = 1
    return strokes


def answer(name, pixels, **changed):
    """What a step with its defaults answers; the image stays as it was."""
    before = pixels.copy()
    chain = around(name, find_step(name).params(**changed))
    labels = run_view(chain, View(pixels, strokes=strokes_on(pixels.shape[1:])))
    np.testing.assert_array_equal(pixels, before)
    assert labels.shape == pixels.shape[1:]
    assert labels.dtype in (np.uint8, np.uint32)
    return labels


def each_dimension(name, pixels):
    """The answer for a slice, and for a volume where the step can look along Z."""
    found = [answer(name, pixels)]
    if "in_3d" in find_step(name).params.model_fields:
        found.append(answer(name, np.stack([pixels, pixels], axis=1), in_3d=True))
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STEPS)
def test_images_of_every_dtype_have_an_answer(name, dtype):
    image = picture() > 120 if dtype == "bool" else picture().astype(dtype)
    each_dimension(name, image[np.newaxis])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_an_image_without_contrast_has_nothing_in_it(name, dtype):
    for value in (0, 1):
        for found in each_dimension(name, np.full((1, 24, 28), value, dtype)):
            if name in ("grow", "forest", "random_walker", "watershed", "chan_vese"):
                assert set(np.unique(found)) <= {1, 2}  # what is painted spreads
            elif name in ("slic", "compact_watershed", "felzenszwalb"):
                assert found.min() == 1  # a grid of pieces
            else:
                assert len(np.unique(found)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("name", STEPS)
def test_images_of_few_pixels_have_an_answer(name, shape):
    one = name == "forest" and shape == (1, 1)
    for dtype in (np.uint8, np.float32):
        image = np.random.default_rng(0).integers(0, 255, (1, *shape)).astype(dtype)
        if one:
            with pytest.raises(UserError, match="at least two classes"):
                answer(name, image)
        else:
            each_dimension(name, image)


@pytest.mark.parametrize("n_channels", [3, 4, 5])
@pytest.mark.parametrize("name", STEPS)
def test_colours_and_more_channels_have_an_answer(name, n_channels):
    image = np.stack([picture() * (c + 1) for c in range(n_channels)])
    each_dimension(name, image.astype(np.uint16))


@pytest.mark.parametrize("name", STEPS)
def test_arrays_of_any_layout_have_the_same_answer(name):
    for dtype in (np.uint16, np.float32, np.float64):
        image = picture().astype(dtype)[np.newaxis]
        expected = answer(name, image)
        locked = image.copy()
        locked.flags.writeable = False
        swapped = image.astype(image.dtype.newbyteorder())
        sparse = np.repeat(np.repeat(image, 2, axis=1), 2, axis=2)[:, ::2, ::2]
        for other in (locked, np.asfortranarray(image), swapped, sparse):
            np.testing.assert_array_equal(answer(name, other), expected)


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**23])
@pytest.mark.parametrize("name", STEPS)
def test_how_large_values_are_says_nothing(name, scale):
    for dtype in (np.float32, np.float64):
        image = (picture() - 100).astype(dtype)[np.newaxis]
        expected = answer(name, image)
        found = answer(name, image * dtype(scale))
        assert np.mean(found != expected) < 0.02


@pytest.mark.parametrize("name", ["kmeans", "mixture", "multiotsu"])
def test_more_classes_than_values_are_as_many_as_values(name):
    field = "n_classes" if "n_classes" in find_step(name).params.model_fields else "n_clusters"
    two = (picture() > 150).astype(np.uint8)[np.newaxis]
    codes = segment(name, two, parse_params(name, [f"{field}=5", "sigma_px=0"]))
    assert len({(value, code) for value, code in zip(two.ravel(), codes.ravel(), strict=True)}) == 2


@pytest.mark.parametrize("name", METHODS)
def test_without_annotations_it_is_said_what_to_paint_or_they_are_not_needed(name):
    method = METHODS[name]
    stack = Stack(picture().astype(np.uint8)[np.newaxis], "ZYX", {})
    request = PreviewRequest(
        "image",
        Source(stack, strokes=np.zeros((1, 24, 28), np.uint8)),
        0,
        around(name, method.params()),
    )
    if method.use_of_strokes(method.params()) == "needed":
        with pytest.raises(UserError, match="annotations"):
            PreviewComputer().compute(request)
    else:
        assert PreviewComputer().compute(request).labels.shape == (24, 28)


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [
        ("float32", np.nan, "NaN"),
        ("float32", np.inf, "infinite"),
        ("float64", -np.inf, "infinite"),
        ("float32", 1e38, "as large as 1e.38"),
        ("float64", -1e300, "as large as 1e.300"),
        ("uint64", 2**63, "as large as 9.2e.18"),
    ],
)
@pytest.mark.parametrize("name", STEPS)
def test_values_that_cannot_be_computed_with_are_one_sentence(name, dtype, value, says):
    image = picture().astype(dtype)
    image[3, 4] = value
    strokes = strokes_on((1, 24, 28))
    source = Source(Stack(image[np.newaxis], "ZYX", {}, name="cells"), strokes=strokes)
    request = PreviewRequest("image", source, 0, around(name, find_step(name).params()))
    with pytest.raises(UserError, match=says) as caught:
        PreviewComputer().compute(request)
    assert "cells" in str(caught.value)
    assert "\n" not in str(caught.value)

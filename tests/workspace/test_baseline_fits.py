"""Settings fitted to annotations in the window."""

import numpy as np
import pytest

from napari_unetseg.classical import Chain
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack
from napari_unetseg.project import Session
from napari_unetseg.workspace import Workspace
from napari_unetseg.workspace.baseline_fits import fit_chain


@pytest.fixture
def entry(tmp_path):
    """An image with a bright square, all of its first slice annotated."""
    workspace = Workspace(Session(tmp_path))
    pixels = np.random.default_rng(0).normal(50, 5, (2, 64, 64)).astype(np.float32)
    pixels[:, 10:40, 10:40] += 100
    entry = workspace.add_image(Stack(pixels, "ZYX", name="cells"))
    codes = np.ones((2, 64, 64), np.uint8)
    codes[:, 10:40, 10:40] = 2
    codes[1] = 0
    workspace.commit_annotations(entry.id, codes, [0])
    yield entry
    workspace.close()


def test_a_threshold_is_fitted_to_what_is_painted(entry):
    assert fit_chain(Chain.of("threshold"), [entry]).mean_iou > 0.95


@pytest.mark.parametrize(
    ("spoil", "says"), [(np.nan, "NaN in slice 0"), (np.inf, "infinite"), (None, "same value")]
)
def test_pixels_that_are_none_are_one_sentence(entry, spoil, says):
    pixels = np.asarray(entry.stack.data)
    if spoil is None:
        pixels[:] = 3
    else:
        pixels[0, 5, 5] = spoil
    with pytest.raises(UserError, match=says):
        fit_chain(Chain.of("threshold"), [entry])


@pytest.mark.parametrize("method", ["otsu", "kmeans", "chan_vese"])
def test_settings_that_call_everything_alike_are_not_taken(entry, method):
    pixels = np.asarray(entry.stack.data)
    pixels[0, :, :32] = 50  # what is painted on says nothing of classes
    pixels[0, :, 32:] = np.random.default_rng(0).normal(500, 50, (64, 32))
    entry.codes[0, :, 8:] = 0
    entry.codes[0, :, :8] = 1
    entry.codes[0, :8, :8] = 2
    with pytest.raises(UserError, match="tell your classes apart: the best would call all backgr"):
        fit_chain(Chain.of(method), [entry])

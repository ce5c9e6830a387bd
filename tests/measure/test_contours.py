"""Contours against MONAI, MedPy and the definitions, written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from shapes import truth_and_prediction

from napari_unetseg.measure import ContourDistances

#: Of (seed, shape, size of a pixel): Hausdorff distance and its 95 % by MONAI 1.6.1, the average
#: symmetric surface distance by MONAI, and both directions of it by MedPy 0.5.2.
PUBLISHED = [
    (0, (40, 50), (1, 1), 11.18034, 7.218902, 1.184236),
    (1, (40, 50), (0.5, 0.25), 3.288237, 2.692582, 0.442335),
    (2, (8, 30, 30), (1, 1, 1), 7.681146, 2.236068, 0.913057),
    (3, (8, 30, 30), (3, 0.5, 0.5), 3.807887, 2.236068, 0.296382),
]


def compared(truth, predicted, *, spacing=(1.0, 1.0, 1.0), tolerance_px=2.0, ids=None, where=None):
    """Compare codes, shape (Y, X) or, in 3D, (Z, Y, X); scores by code."""
    distances = ContourDistances(tolerance_px=tolerance_px, in_3d=truth.ndim == 3)
    planes = [a.reshape(-1, *truth.shape[-2:]) for a in (truth, predicted, *(ids or ()))]
    shown = None if where is None else where.reshape(planes[0].shape)
    for z in range(len(planes[0])):
        distances.add(
            planes[0][z],
            planes[1][z],
            spacing=spacing,
            ids=(planes[2][z], planes[3][z]) if ids else None,
            where=None if shown is None else shown[z],
        )
    return {scored.k + 1: scored for scored in distances.scores().classes}


@pytest.mark.parametrize(("seed", "shape", "size", "hausdorff", "within_95", "mean"), PUBLISHED)
def test_distances_are_those_of_monai_and_medpy(seed, shape, size, hausdorff, within_95, mean):
    truth, predicted = ((ids > 0) + np.uint8(1) for ids in truth_and_prediction(seed, shape))
    found = compared(truth, predicted, spacing=(1.0, *size)[-3:])[2]
    assert found.hausdorff == pytest.approx(hausdorff, abs=1e-6)
    assert found.hausdorff_95 == pytest.approx(within_95, abs=1e-3)
    assert found.mean_distance == pytest.approx(mean, abs=1e-6)


def contour_points(codes, labels, known, code):
    """Find the contour of a class, pixel by pixel."""
    points = []
    for at in np.argwhere((codes == code) & known):
        for axis in range(codes.ndim):
            for step in (-1, 1):
                beside = at.copy()
                beside[axis] += step
                inside = 0 <= beside[axis] < codes.shape[axis]
                if inside and known[tuple(beside)] and labels[tuple(beside)] != labels[tuple(at)]:
                    points.append(tuple(at))
    return np.array(sorted(set(points)), int).reshape(-1, codes.ndim)


def by_definition(truth, predicted, spacing, tolerance_px, ids=None, where=None):
    """Score contours from the definitions; values by code."""
    known, size = truth > 0, np.array(spacing[-truth.ndim :])
    where = np.ones(truth.shape, bool) if where is None else where
    result = {}
    for code in range(1, 5):
        a, b = (
            contour_points(codes, labels, known, code)
            for codes, labels in zip((truth, predicted), ids or (truth, predicted), strict=True)
        )
        inside_a, inside_b = a[where[tuple(a.T)]], b[where[tuple(b.T)]]
        if not len(inside_a) + len(inside_b):
            continue
        far = np.inf
        from_a = cdist(inside_a * size, b * size).min(1, initial=far)
        from_b = cdist(inside_b * size, a * size).min(1, initial=far)
        limit = tolerance_px * size[-1] + 1e-9
        recall = (from_a <= limit).mean() if len(from_a) else None
        precision = (from_b <= limit).mean() if len(from_b) else None
        both = (recall or 0) + (precision or 0)
        finite = [d for d in (from_a, from_b) if len(d) and np.isfinite(d).all()]
        result[code] = {
            "boundary_precision": precision,
            "boundary_recall": recall,
            "boundary_f1": 2 * (precision or 0) * (recall or 0) / both if both else 0,
            "hausdorff": max((d.max() for d in finite), default=None),
            "hausdorff_95": max((np.percentile(d, 95) for d in finite), default=None),
            "mean_distance": np.concatenate(finite).mean() if finite else None,
            "n_px": len(from_a),
            "n_predicted_px": len(from_b),
        }
    return result


def assert_same(found, expected, step=1e-3):
    assert sorted(found) == sorted(expected)
    for code, values in expected.items():
        for name, value in values.items():
            near = step if name == "hausdorff_95" else 1e-9
            assert getattr(found[code], name) == (
                None if value is None else pytest.approx(value, abs=near)
            ), (code, name)


shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 12)),
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7)),
)


@settings(max_examples=150, deadline=None)
@given(
    shape=shapes,
    seed=st.integers(0, 2**16),
    n_classes=st.integers(1, 3),
    block=st.integers(1, 4),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.4, 0.3), (0.2, 0.7, 1.1)]),
    tolerance_px=st.sampled_from([0.5, 1.0, 2.0, 2.9]),
    unlabelled=st.booleans(),
    part=st.booleans(),
)
def test_contours_are_scored_as_the_definitions_say(
    shape, seed, n_classes, block, spacing, tolerance_px, unlabelled, part
):
    random = np.random.default_rng(seed)

    def codes(lowest):
        values = random.integers(lowest, n_classes + 1, shape).astype(np.uint8)
        grown = np.repeat(values, block, axis=-1)[..., : shape[-1]]
        return np.repeat(grown, block, axis=-2)[..., : shape[-2], :]

    truth, predicted = codes(0 if unlabelled else 1), codes(1)
    where = random.random(shape) < 0.7 if part else None
    found = compared(truth, predicted, spacing=spacing, tolerance_px=tolerance_px, where=where)
    expected = by_definition(truth, predicted, spacing, tolerance_px, where=where)
    assert_same(found, expected, step=2e-3 * max(spacing))


@pytest.mark.parametrize("shape", [(30, 40), (4, 12, 14)])
@pytest.mark.parametrize("seed", range(3))
def test_objects_that_touch_have_a_contour_between_them(shape, seed):
    ids = truth_and_prediction(seed, shape)
    codes = [(side > 0) + np.uint8(1) for side in ids]
    found = compared(*codes, ids=ids)
    assert_same(found, by_definition(*codes, (1, 1, 1), 2, ids=ids))
    assert found[2].n_px + len(shape) > compared(*codes)[2].n_px + 2  # in 3D all may be surface


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.2, 0.3)])
@pytest.mark.parametrize("apart", [3, 4, 5, 37])
def test_outlines_far_apart_are_measured_as_well(spacing, apart):
    truth, predicted = np.ones((2, 60, 60), np.uint8)
    truth[4, 8:50] = predicted[4 + apart, 8:50] = 2
    found = compared(truth, predicted, spacing=spacing)[2]
    assert found.hausdorff == pytest.approx(apart * spacing[1])
    assert found.hausdorff_95 == pytest.approx(apart * spacing[1], abs=1e-3)
    assert found.mean_distance == pytest.approx(apart * spacing[1])
    assert found.boundary_f1 == (1 if apart * spacing[1] < 2.01 * spacing[2] else 0)


def test_surfaces_far_apart_along_z_are_measured_through_empty_slices():
    truth, predicted = np.ones((2, 40, 9, 9), np.uint8)
    truth[2, 3:6, 3:6] = predicted[35, 3:6, 3:6] = 2
    found = compared(truth, predicted, spacing=(0.5, 0.1, 0.1))[2]
    assert found.hausdorff == found.mean_distance == pytest.approx(16.5)


def plain(**values):
    """Return codes of a 7 × 9 slice: background, and where said otherwise class 1."""
    codes = np.ones((7, 9), np.uint8)
    for at in values.get("at", ()):
        codes[at] = 2
    return codes


def test_nothing_and_everything_have_no_contour():
    nothing, everything = plain(), plain() * 2
    assert compared(nothing, nothing) == {}
    assert compared(everything, everything) == {}
    assert compared(nothing, everything) == {}  # the edge of the image is none
    none = ContourDistances().scores()
    assert none.classes == ()
    assert none.mean("boundary_f1") is None
    assert none.as_dict()["mean_distance"] is None


def test_what_only_one_side_has_is_missed_and_has_no_distance():
    for pair in ((plain(at=[(3, 4)]), plain()), (plain(), plain(at=[(3, 4)]))):
        found = compared(*pair)[2]
        assert (found.boundary_f1, found.n_one_sided) == (0, 1)
        assert (found.hausdorff, found.hausdorff_95, found.mean_distance) == (None,) * 3
        assert None in (found.boundary_precision, found.boundary_recall)


def test_single_pixels():
    same = compared(plain(at=[(3, 4)]), plain(at=[(3, 4)]))[2]
    assert (same.boundary_f1, same.hausdorff, same.hausdorff_95, same.mean_distance) == (1, 0, 0, 0)
    beside = compared(plain(at=[(3, 4)]), plain(at=[(4, 5)]), tolerance_px=np.sqrt(2))[2]
    assert beside.boundary_f1 == 1
    assert beside.hausdorff == pytest.approx(np.sqrt(2))
    apart = compared(plain(at=[(3, 2)]), plain(at=[(3, 5)]))[2]
    assert (apart.boundary_f1, apart.hausdorff, apart.mean_distance) == (0, 3, 3)
    one = np.full((1, 1), 2, np.uint8)
    assert compared(one, one) == {}


def test_slices_are_pooled_and_those_with_one_side_alone_are_counted():
    pooled = ContourDistances()
    pooled.add(plain(at=[(3, 4)]), plain(at=[(3, 5)]))
    pooled.add(plain(at=[(3, 4)]), plain())
    pooled.add(plain(at=[(3, 4)]), plain(at=[(3, 7)]))
    found = pooled.scores().classes[1]
    assert (found.n_px, found.n_predicted_px, found.n_one_sided) == (3, 2, 1)
    assert (found.boundary_recall, found.boundary_precision) == (pytest.approx(1 / 3), 0.5)
    assert (found.hausdorff, found.mean_distance) == (3, 2)


def test_volumes_do_not_reach_into_each_other():
    truth, predicted = plain(at=[(3, 4)]), plain()
    distances = ContourDistances(in_3d=True)
    distances.add(truth, predicted)
    distances.end_volume()
    distances.add(predicted, truth)
    found = distances.scores().classes[1]
    assert (found.n_one_sided, found.mean_distance) == (2, None)
    together = ContourDistances(in_3d=True)
    together.add(truth, predicted, spacing=(3, 1, 1))
    together.add(predicted, truth, spacing=(3, 1, 1))
    assert together.scores().classes[1].mean_distance == 3


def test_images_of_several_pixel_sizes_are_pooled_in_one_unit():
    distances = ContourDistances()
    distances.add(plain(at=[(3, 4)]), plain(at=[(3, 5)]), spacing=(1, 0.5, 0.5))
    distances.add(plain(at=[(3, 4)]), plain(at=[(3, 5)]), spacing=(1, 0.1, 0.1))
    found = distances.scores(unit="µm")
    assert found.classes[1].mean_distance == pytest.approx(0.3)
    assert found.classes[1].hausdorff == pytest.approx(0.5)
    assert found.unit == "µm"


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="differ"):
        ContourDistances().add(np.ones((3, 3), np.uint8), np.ones((3, 4), np.uint8))

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from sklearn.metrics import average_precision_score, jaccard_score

import napari_unetseg
from napari_unetseg.config import LabelClass
from napari_unetseg.errors import UserError
from napari_unetseg.images import Stack, write_labels, write_probabilities
from napari_unetseg.measure import ContourDistances, evaluate

CLASSES = (LabelClass(name="cell", color="#e69f00"), LabelClass(name="core", color="#56b4e9"))


def two_stacks(shape=(4, 20, 24), n=3, seed=0):
    random = np.random.default_rng(seed)
    truth = random.integers(0, n, shape).astype(np.uint8)
    predicted = np.where(random.random(shape) < 0.7, truth, random.integers(0, n, shape))
    return truth, predicted.astype(np.uint8)


def macro(truth, predicted):
    return jaccard_score(truth.ravel(), predicted.ravel(), average="macro")


def save(path, labels, kind="masks", classes=CLASSES, axes="ZYX"):
    stack = Stack(np.zeros(labels.shape, np.uint8), axes)
    codes = labels.reshape(-1, *labels.shape[-2:])
    write_labels(path, codes + (kind == "masks"), like=stack, kind=kind, classes=classes)
    return path


def plain(path, labels):
    tifffile.imwrite(path, labels, photometric="minisblack")
    return path


def test_arrays_and_files_score_the_same_as_scikit_learn(tmp_path):
    truth, predicted = two_stacks()
    from_arrays = evaluate(predicted, truth)
    from_files = evaluate(
        save(tmp_path / "p.tif", predicted), plain(tmp_path / "t.tif", truth), kind="masks"
    )
    assert from_arrays.mean_iou == evaluate(predicted, tmp_path / "t.tif").mean_iou
    assert from_arrays.mean_iou == evaluate(tmp_path / "p.tif", truth).mean_iou
    assert from_arrays.mean_iou == from_files.mean_iou == pytest.approx(macro(truth, predicted))
    assert list(from_arrays.iou) == ["background", "class 1", "class 2"]
    assert list(from_files.iou) == ["background", "cell", "core"]
    assert napari_unetseg.evaluate is evaluate


def save_some(path, labels, slices, kind="masks"):
    stack = Stack(np.zeros(labels.shape, np.uint8), "ZYX")
    kept = labels * np.isin(np.arange(len(labels)), slices)[:, None, None]
    codes = (kept + (kind == "masks")).astype(np.uint8)
    write_labels(path, codes, like=stack, kind=kind, classes=CLASSES, slices=slices)
    return path


@pytest.mark.parametrize("kind", ["masks", "objects"])
def test_slices_that_the_truth_does_not_have_are_not_its_background(tmp_path, kind):
    truth, predicted = two_stacks()
    some = save_some(tmp_path / "t.tif", truth, [0, 2, 3], kind)
    found = evaluate(save(tmp_path / "p.tif", predicted, kind), some, kind=kind, contours=True)
    alone = evaluate(predicted[[0, 2, 3]], truth, kind=kind, slices=[0, 2, 3], contours=True)
    assert (found.n_slices, found.n_px) == (3, 3 * 20 * 24)
    assert found.mean_iou == pytest.approx(alone.mean_iou)
    assert found.objects == alone.objects
    assert any("Of the 4 slices" in note and "only 0, 2, 3 are" in note for note in found.notes)
    # A prediction of just these, as files of the chosen slices are.
    short = evaluate(plain(tmp_path / "short.tif", predicted[[0, 2, 3]]), some, kind=kind)
    assert short.mean_iou == pytest.approx(alone.mean_iou)


def test_how_far_it_is_is_shown(tmp_path):
    truth, predicted = two_stacks()
    names = ("a", "b")
    for folder, labels in (("p", predicted), ("t", truth)):
        (tmp_path / folder).mkdir()
        for name in names:
            plain(tmp_path / folder / f"{name}.tif", labels)
    shown = []
    evaluate(tmp_path / "p", tmp_path / "t", slices="0-2", show=lambda **facts: shown.append(facts))
    assert shown == [{"completed": 0, "total": 6}, *[{"advance": 1}] * 6]


def test_only_slices_that_both_have_are_compared(tmp_path):
    truth, predicted = two_stacks()
    paths = (
        save_some(tmp_path / "p.tif", predicted, [0, 2, 3]),
        save_some(tmp_path / "t.tif", truth, [1, 2, 3]),
    )
    found = evaluate(*paths)
    assert found.mean_iou == pytest.approx(macro(truth[2:], predicted[2:]))
    assert [note for note in found.notes if "only 2, 3 are compared" in note]
    assert evaluate(*paths, slices="2").n_slices == 1
    for asked, which in (("0,2", "t.tif"), ("1", "p.tif")):
        with pytest.raises(UserError, match=f"Slice {asked[0]} was left out when .*{which}"):
            evaluate(*paths, slices=asked)
    save_some(tmp_path / "other.tif", truth, [1])
    with pytest.raises(UserError, match="none was in both"):
        evaluate(paths[0], tmp_path / "other.tif")


def test_annotations_leave_out_what_is_unlabelled():
    truth, predicted = two_stacks()
    annotations = truth + 1
    annotations[np.random.default_rng(1).random(truth.shape) < 0.8] = 0
    found = evaluate(predicted, annotations, kind="annotations")
    labelled = annotations > 0
    assert found.n_px == labelled.sum()
    assert found.mean_iou == pytest.approx(macro(truth[labelled], predicted[labelled]))


def test_annotations_from_a_file_keep_their_meaning(tmp_path):
    truth, predicted = two_stacks()
    saved = save(tmp_path / "a.tif", truth + 1, kind="annotations")
    found = evaluate(save(tmp_path / "p.tif", predicted), saved, kind="annotations")
    assert found.mean_iou == pytest.approx(macro(truth, predicted))


@pytest.mark.parametrize("slices", ["0,2-3", [0, 2, 3]])
def test_only_chosen_slices_count(slices):
    truth, predicted = two_stacks()
    expected = macro(truth[[0, 2, 3]], predicted[[0, 2, 3]])
    assert evaluate(predicted, truth, slices=slices).mean_iou == pytest.approx(expected)
    # A file that holds the chosen slices alone means these.
    alone = evaluate(predicted[[0, 2, 3]], truth, slices=slices)
    assert alone.mean_iou == pytest.approx(expected)
    assert evaluate(predicted, truth[[0, 2, 3]], slices=slices).mean_iou == alone.mean_iou


def test_folders_pair_by_name_and_pool_pixels_of_images_of_many_sizes(tmp_path):
    folders = tmp_path / "p", tmp_path / "t"
    for folder in folders:
        folder.mkdir()
    pairs = {"b": two_stacks((20, 30), seed=1), "a": two_stacks((50, 10), seed=2)}
    for name, (truth, predicted) in pairs.items():
        plain(folders[0] / f"{name}.tif", predicted)
        plain(folders[1] / f"{name}.tif", truth)
    truth, predicted = (
        np.concatenate([pair[side].ravel() for pair in pairs.values()]) for side in (0, 1)
    )
    found = evaluate(*folders)
    assert found.mean_iou == pytest.approx(macro(truth, predicted))
    several = evaluate([folders[0] / "b.tif", folders[0] / "a.tif"], str(folders[1] / "*.tif"))
    assert several.as_dict() == found.as_dict()


@pytest.mark.parametrize(
    ("truth_values", "predicted_values"),
    [([0, 255], [0, 1]), ([0, 1], [0, 255]), ([0, 255], [0, 255]), ([0, 1], [0, 1])],
)
def test_masks_of_0_and_255_mean_the_same_as_0_and_1(tmp_path, truth_values, predicted_values):
    truth, predicted = two_stacks(n=2)
    found = evaluate(
        plain(tmp_path / "p.tif", np.array(predicted_values, np.uint8)[predicted]),
        plain(tmp_path / "t.tif", np.array(truth_values, np.uint8)[truth]),
    )
    assert found.mean_iou == pytest.approx(macro(truth, predicted))


def test_a_class_that_one_side_lacks_does_not_shift_the_others():
    truth, _ = two_stacks()
    without_1 = np.where(truth == 1, 0, truth)
    expected = macro(truth, without_1)
    assert evaluate(without_1, truth).mean_iou == pytest.approx(expected)
    assert evaluate(truth, without_1).mean_iou == pytest.approx(expected)
    found = evaluate(without_1, truth + 1, kind="annotations")
    assert found.mean_iou == pytest.approx(expected)
    assert found.iou["class 2"] == 1


@pytest.mark.parametrize(
    ("predicted_values", "truth_values"),
    [
        ([0, 1, 3], [0, 2, 3]),
        ([0, 2], [0, 1]),
        ([0, 1], [0, 2]),
        ([0, 5, 9], [0, 1, 2]),
        ([0, 1, 2, 255], [0, 1, 9]),
        ([0, 300, 70_000], [0, 300, 5]),
    ],
)
@pytest.mark.parametrize("kind", ["masks", "annotations"])
def test_a_value_is_the_same_class_on_both_sides(tmp_path, predicted_values, truth_values, kind):
    random = np.random.default_rng(5)
    predicted = random.choice(np.array(predicted_values, np.uint32), (2, 20, 24))
    truth = random.choice(np.array(truth_values, np.uint32), predicted.shape)
    expected = macro(truth, predicted)
    given = truth + (kind == "annotations")
    assert evaluate(predicted, given, kind=kind).mean_iou == pytest.approx(expected)
    files = plain(tmp_path / "p.tif", predicted), plain(tmp_path / "t.tif", given)
    assert evaluate(*files, kind=kind).mean_iou == pytest.approx(expected)


def test_names_stay_with_their_values_where_the_other_side_has_more(tmp_path):
    random = np.random.default_rng(6)
    predicted, truth = (random.choice(np.uint8(v), (1, 20, 24)) for v in ([0, 2], [0, 1, 2, 7]))
    named, foreign = save(tmp_path / "p.tif", predicted), plain(tmp_path / "t.tif", truth[0])
    for found in (evaluate(named, foreign), evaluate(foreign, named)):
        assert list(found.iou) == ["background", "cell", "core", "class 3"]
        assert found.mean_iou == pytest.approx(macro(truth, predicted))
        hits, union = (
            ((truth == 2) & (predicted == 2)).sum(),
            ((truth == 2) | (predicted == 2)).sum(),
        )
        assert found.iou["core"] == pytest.approx(hits / union)


def test_more_values_than_there_are_classes_are_one_sentence():
    predicted, truth = np.arange(0, 400, 2).reshape(10, 20), np.arange(1, 401, 2).reshape(10, 20)
    with pytest.raises(UserError, match="399 values together"):
        evaluate(predicted, truth)


def test_probabilities_have_a_channel_for_every_class_of_both_sides():
    truth, predicted = np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8), np.uint8)
    truth[0, :4], predicted[0, :4], predicted[0, 6] = 2, 2, 1
    with pytest.raises(UserError, match="2 channels and the truth 3 classes"):
        evaluate(predicted, truth, probabilities=np.full((1, 2, 8, 8), 0.5))


def objects(shape=(3, 40, 40)):
    ids = np.zeros(shape, np.uint16)
    for number, (y, x) in enumerate(((3, 3), (3, 23), (23, 3)), start=1):
        ids[:, y : y + 12, x : x + 12] = number * 300
    return ids


def test_objects_are_matched_through_the_slices_of_a_stack(tmp_path):
    truth = objects()
    predicted = np.where(truth == 900, 0, truth)
    found = evaluate(
        save(tmp_path / "p.tif", predicted, kind="objects", classes=CLASSES[:1]),
        plain(tmp_path / "t.tif", truth),
        kind="objects",
    )
    assert (found.objects.n_true, found.objects.n_predicted, found.objects.n_matched) == (3, 2, 2)
    assert found.objects.mean_matched_iou == 1
    assert found.objects.seg == pytest.approx(2 / 3)
    assert list(found.iou) == ["background", "object"]
    assert found.iou["object"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [1, 255])
def test_the_objects_of_a_predicted_mask_are_its_connected_areas(tmp_path, value):
    truth = objects()
    mask = ((truth > 0) * value).astype(np.uint8)
    assert ndimage.label(mask)[1] == 3
    true_path = plain(tmp_path / "t.tif", truth)
    found = evaluate(plain(tmp_path / "p.tif", mask), true_path, kind="objects")
    assert (found.objects.n_predicted, found.objects.f1) == (3, 1)
    saved = save(tmp_path / "saved.tif", (truth > 0).astype(np.uint8), classes=CLASSES[:1])
    assert evaluate(saved, true_path, kind="objects").objects.f1 == 1


def test_frames_of_a_film_are_matched_one_by_one(tmp_path):
    truth = objects()
    predicted = truth.copy()
    predicted[1] = np.roll(truth[1], 20, axis=1)
    film = save(tmp_path / "t.tif", truth, kind="objects", axes="TYX", classes=CLASSES[:1])
    other = save(tmp_path / "p.tif", predicted, kind="objects", axes="TYX", classes=CLASSES[:1])
    found = evaluate(other, film, kind="objects").objects
    assert (found.n_true, found.n_predicted) == (9, 9)
    assert found.n_matched < 9


def test_objects_against_a_mask_count_as_foreground(tmp_path):
    truth = objects()
    saved = save(tmp_path / "p.tif", truth, kind="objects", classes=CLASSES[:1])
    found = evaluate(saved, plain(tmp_path / "t.tif", (truth > 0).astype(np.uint8)), kind="masks")
    assert found.mean_iou == 1
    assert found.objects is None


def smooth_stacks(shape=(5, 40, 50), seed=0):
    """Return a truth and a prediction of class 1 with outlines, and its probabilities."""
    random = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(random.standard_normal(shape), (1, 4, 4)) > 0
    soft = np.clip(ndimage.gaussian_filter(truth + random.normal(0, 0.8, shape), (0, 2, 2)), 0, 1)
    return truth.astype(np.uint8), (soft > 0.5).astype(np.uint8), soft.astype(np.float32)


def contours_of(truth, predicted, spacing=(1.0, 1.0, 1.0), in_3d=False):
    distances = ContourDistances(in_3d=in_3d)
    for plane in zip(truth + 1, predicted + 1, strict=True):
        distances.add(*plane, spacing=spacing)
    return distances.scores()


def calibrated(path, labels, **size):
    stack = Stack(np.zeros(labels.shape, np.uint8), "ZYX", size)
    write_labels(path, labels + 1, like=stack, kind="masks", classes=CLASSES[:1])
    return path


@pytest.mark.parametrize("in_3d", [False, True])
def test_contours_are_measured_in_the_unit_of_the_image(tmp_path, in_3d):
    truth, predicted, _ = smooth_stacks()
    in_px = evaluate(predicted, truth, contours=True, in_3d=in_3d).contours
    expected = contours_of(truth, predicted, in_3d=in_3d)
    assert [c.mean_distance for c in in_px.classes] == [c.mean_distance for c in expected.classes]
    assert (in_px.unit, in_px.in_3d) == ("px", in_3d)
    size = {"Z": 0.5, "Y": 0.2, "X": 0.1}
    known = calibrated(tmp_path / "p.tif", predicted, **size)
    unknown = plain(tmp_path / "t.tif", truth)
    expected = contours_of(truth, predicted, (0.5, 0.2, 0.1), in_3d)
    for sides in ((known, unknown), (plain(tmp_path / "q.tif", predicted), None)):
        against = sides[1] or calibrated(tmp_path / "u.tif", truth, **size)
        found = evaluate(sides[0], against, contours=True, in_3d=in_3d).contours
        assert found.unit == "µm"
        for metric in ("hausdorff_95", "mean_distance", "boundary_f1"):
            assert found.mean(metric) == pytest.approx(expected.mean(metric), rel=1e-6)


def test_without_the_distance_of_slices_there_are_no_surfaces_in_micrometres(tmp_path):
    truth, predicted, _ = smooth_stacks()
    paths = [
        calibrated(tmp_path / f"{name}.tif", labels, Y=0.1, X=0.1)
        for name, labels in (("p", predicted), ("t", truth))
    ]
    with pytest.raises(UserError, match="how far apart its slices are"):
        evaluate(*paths, contours=True, in_3d=True)
    assert evaluate(*paths, contours=True).contours.unit == "µm"


def test_one_image_of_unknown_pixel_size_makes_pixels_the_unit(tmp_path):
    truth, predicted, _ = smooth_stacks()
    for name, labels in (("p", predicted), ("t", truth)):
        (tmp_path / name).mkdir()
        calibrated(tmp_path / name / "a.tif", labels, Y=0.1, X=0.1)
        plain(tmp_path / name / "b.tif", labels)
    found = evaluate(tmp_path / "p", tmp_path / "t", contours=True).contours
    twice = contours_of(np.concatenate([truth, truth]), np.concatenate([predicted, predicted]))
    assert found.unit == "px"
    assert found.mean("mean_distance") == twice.mean("mean_distance")


def test_slices_apart_are_surfaces_of_their_own():
    truth, predicted, _ = smooth_stacks()
    found = evaluate(predicted, truth, contours=True, in_3d=True, slices=[0, 1, 4]).contours
    expected = ContourDistances(in_3d=True)
    for z in (0, 1, 4):
        if z == 4:
            expected.end_volume()
        expected.add(truth[z] + np.uint8(1), predicted[z] + np.uint8(1))
    assert found == expected.scores(["background", "class 1"])
    alone = truth[[0, 1, 4]]  # a file that holds the chosen slices
    found = evaluate(predicted, alone, contours=True, in_3d=True, slices=[0, 1, 4]).contours
    assert found == expected.scores(["background", "class 1"])


def test_contours_take_time_and_are_measured_on_request():
    truth, predicted, _ = smooth_stacks()
    found = evaluate(predicted, truth)
    assert found.contours is found.regions is found.probabilities is None
    assert not {"contours", "regions", "probabilities"} & set(found.as_dict())


def test_objects_have_contours_between_them_and_are_groups_of_pixels(tmp_path):
    truth = np.zeros((2, 20, 30), np.uint16)
    truth[:, 5:15, 5:15], truth[:, 5:15, 15:25] = 1, 2
    merged = (truth > 0).astype(np.uint16)
    found = evaluate(merged, truth, kind="objects", contours=True)
    assert found.mean_iou == 1
    (matched, regions) = found.objects, found.regions
    assert (matched.n_true, matched.n_predicted, matched.n_matched) == (2, 1, 1)
    assert (regions.voi_split, regions.voi_merge) == (0, 1)
    object_contour = found.contours.classes[1]
    assert object_contour.n_px - object_contour.n_predicted_px == 2 * 2 * 8
    assert object_contour.boundary_precision == 1 > object_contour.boundary_recall
    strict = evaluate(merged, truth, kind="objects", iou=0.6).objects
    assert (strict.iou, strict.n_matched) == (0.6, 0)


def test_probabilities_come_from_files_or_arrays_of_one_channel_or_all(tmp_path):
    truth, predicted, soft = smooth_stacks()
    soft = np.rint(soft * 255) / np.float32(255)
    expected = average_precision_score(truth.ravel(), soft.ravel())
    both = np.stack([1 - soft, soft], axis=1)
    like = Stack(predicted, "ZYX")
    write_probabilities(tmp_path / "p.tif", both, like=like, classes=CLASSES[:1])
    single = plain(tmp_path / "single.tif", np.rint(soft * 255).astype(np.uint8))
    plain(tmp_path / "m.tif", predicted)
    for source in (both, tmp_path / "p.tif", single):
        found = evaluate(tmp_path / "m.tif", truth, probabilities=source).probabilities
        assert found.average_precision["class 1"] == pytest.approx(expected, abs=1e-4)
        assert "class 1" in found.curves
    background = average_precision_score(1 - truth.ravel(), 1 - soft.ravel())
    found = evaluate(predicted, truth, probabilities=both)
    assert found.probabilities.average_precision["background"] == pytest.approx(
        background, abs=1e-4
    )
    some = evaluate(predicted, truth, probabilities=both, slices="1,3").probabilities
    assert some.average_precision["class 1"] == pytest.approx(
        average_precision_score(truth[[1, 3]].ravel(), soft[[1, 3]].ravel()), abs=1e-4
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p[:, :, :5], "5 slices of 5 × 50 px"),
        (lambda p: p[:2], "2 slices of 40 × 50 px"),
        (lambda p: np.concatenate([p, p * 0], axis=1)[:, [0, 1]] * 2, "values from 0.0 to 2"),
        (lambda p: p - 0.5, "probabilities go from 0 to 1"),
        (lambda p: p[:, 0], "1 slice of 40 × 50 px"),
        (lambda p: p[0, 0], "array of shape"),
        (lambda p: (p * 255).astype(np.int32), "int32"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused_in_one_sentence(change, says):
    truth, predicted, soft = smooth_stacks()
    both = change(np.stack([1 - soft, soft], axis=1))
    with pytest.raises(UserError, match=says) as caught:
        evaluate(predicted, truth, probabilities=both)
    assert "\n" not in str(caught.value)


def test_three_classes_want_three_channels():
    truth, predicted = two_stacks()
    with pytest.raises(UserError, match="2 channels and the truth 3 classes"):
        evaluate(predicted, truth, probabilities=np.zeros((4, 2, 20, 24)))


@pytest.mark.parametrize("values", [{"iou": 0}, {"iou": 1.5}, {"tolerance_px": -1}])
def test_numbers_out_of_range_are_refused(values):
    truth, predicted = two_stacks()
    with pytest.raises(UserError, match="must be above 0"):
        evaluate(predicted, truth, contours=True, **values)


def refused(tmp_path):
    truth, predicted = two_stacks()
    (tmp_path / "two").mkdir()
    for name in "ab":
        plain(tmp_path / "two" / f"{name}.tif", truth)
    plain(tmp_path / "t.tif", truth)
    plain(tmp_path / "float.tif", truth.astype(np.float32))
    plain(tmp_path / "empty.tif", truth * 0)
    save(tmp_path / "annotations.tif", truth, kind="annotations")
    return truth, predicted, tmp_path


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t, p, d: evaluate(p[:, :5], t), "shape"),
        (lambda t, p, d: evaluate(p[:2], t), "2 slices of 20 × 24 px"),
        (lambda t, p, d: evaluate(p[:2], t, slices="0,1,2"), "shape"),
        (lambda t, p, d: evaluate(p, t, slices="9"), "no slice 9"),
        (lambda t, p, d: evaluate(p, t * 0, kind="annotations"), "no labelled pixel"),
        (lambda t, p, d: evaluate(p, t.astype(float)), "whole numbers"),
        (lambda t, p, d: evaluate(p, t.astype(int) - 1), "negative"),
        (lambda t, p, d: evaluate(p, t, kind="boxes"), "masks, objects or annotations"),
        (lambda t, p, d: evaluate(p, [d / "t.tif", d / "annotations.tif"]), "one file, not with 2"),
        (lambda t, p, d: evaluate(d / "missing.tif", d / "t.tif"), "no file"),
        (lambda t, p, d: evaluate(d / "two", d / "t.tif"), "2 images and 1"),
        (lambda t, p, d: evaluate(d / "t.tif", d / "float.tif"), "whole numbers"),
        (lambda t, p, d: evaluate(d / "annotations.tif", d / "t.tif"), "masks or objects"),
        (
            lambda t, p, d: evaluate(d / "t.tif", d / "empty.tif", kind="annotations"),
            "no labelled pixel",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(tmp_path, call, says):
    with pytest.raises(UserError, match=says) as caught:
        call(*refused(tmp_path))
    assert "\n" not in str(caught.value)

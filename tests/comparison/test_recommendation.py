import dataclasses

import pytest

from napari_unetseg.comparison import recommend
from napari_unetseg.events import MethodCompared


def row(title, mean_iou, slice_s=0.1, kind="classical", needs_labels=False, prepare_s=1.0):
    return MethodCompared(
        name=title.lower(),
        title=title,
        kind=kind,
        needs_labels=needs_labels,
        mean_iou=mean_iou,
        spread=0.01,
        dice=mean_iou,
        f1=mean_iou,
        boundary_f1=None,
        iou={},
        n_px=1000,
        prepare_s=prepare_s,
        slice_s=slice_s,
    )


def network(mean_iou, slice_s=0.4):
    return row("U-Net trained here", mean_iou, slice_s, "network", True)


def model(mean_iou, slice_s=0.4):
    return row("Model nuclei", mean_iou, slice_s, "model")


def said(*rows, unsure=0.005):
    found = recommend(sorted(rows, key=lambda r: -r.mean_iou), lambda a, b: unsure)
    return found.name, found.sentence


def test_a_baseline_that_is_as_good_and_faster_is_used():
    assert said(network(0.905, 0.4), row("Otsu threshold", 0.9, 0.01)) == (
        "otsu threshold",
        "Otsu threshold is within 0.01 of the network and 40 × faster: use it.",
    )


@pytest.mark.parametrize(("sigma_px", "called"), [(2.0, "Otsu after smoothing"), (0.0, "Otsu")])
def test_smoothing_is_said(sigma_px, called):
    recipe = {"chain": {"steps": [{"step": "otsu", "params": {"sigma_px": sigma_px}}]}}
    otsu = dataclasses.replace(row("Otsu", 0.9, 0.01), recipe=recipe)
    assert said(network(0.9), otsu)[1].startswith(f"{called} is within 0.01 of the network")
    assert said(otsu)[1].startswith(f"{called} is best")


def test_a_baseline_that_is_as_good_and_slower_still_needs_no_training():
    _, sentence = said(network(0.905, 0.1), row("Chan–Vese", 0.9, 9.0))
    assert sentence == "Chan–Vese is within 0.01 of the network and needs no training: use it."


def test_the_network_is_used_where_it_is_clearly_better():
    name, sentence = said(network(0.9), row("Otsu threshold", 0.7), row("k-means", 0.75))
    assert name == "u-net trained here"
    assert "is best, with a mean IoU of 0.90, 0.15 more than k-means" in sentence


def test_a_model_as_it_is_saves_the_training():
    name, sentence = said(network(0.905, 0.4), model(0.9, 0.4), row("Otsu threshold", 0.7))
    assert name == "model nuclei"
    assert sentence == ("Model nuclei is within 0.01 of the network and needs no training: use it.")


def test_a_model_as_it_is_comes_before_what_learns_from_annotations_and_after_what_does_not():
    forest = row("Random forest", 0.9, needs_labels=True)
    assert said(forest, model(0.895))[0] == "model nuclei"
    assert said(forest, model(0.895))[1].endswith("needs no annotations: use it.")
    assert said(model(0.9), row("Otsu threshold", 0.895))[0] == "otsu threshold"


def test_a_forest_that_is_as_good_as_the_network_saves_the_training():
    forest = row("Random forest", 0.9, 0.2, needs_labels=True)
    name, sentence = said(network(0.9), forest, row("Otsu threshold", 0.6))
    assert name == "random forest"
    assert sentence == ("Random forest is within 0.01 of the network and 2 × faster: use it.")


@pytest.mark.parametrize(
    ("behind", "unsure", "chosen"),
    [
        (0.009, 0.0, "otsu threshold"),  # negligible, however sure
        (0.011, 0.0, "model nuclei"),  # small, but sure
        (0.019, 0.025, "otsu threshold"),  # unsure
        (0.021, 0.2, "model nuclei"),  # too much to call it a tie
        (0.02, None, "model nuclei"),  # a single square tells nothing of how sure
    ],
)
def test_what_is_as_good_as_the_best_depends_on_how_sure_the_difference_is(behind, unsure, chosen):
    assert said(model(0.9), row("Otsu threshold", 0.9 - behind), unsure=unsure)[0] == chosen


def test_the_best_of_equally_simple_ones_is_used():
    assert said(row("Otsu threshold", 0.9, 1.0), row("k-means", 0.899, 0.1))[0] == "otsu threshold"


def test_a_baseline_that_no_network_betters_is_said_to_be_that():
    _, sentence = said(row("Otsu threshold", 0.9), network(0.8))
    assert sentence == (
        "Otsu threshold is best, with a mean IoU of 0.90: use it; no network does better here."
    )
    assert said(row("Otsu threshold", 0.9))[1].endswith("0.90: use it.")


def test_nothing_of_use_is_recommended_for_use():
    name, sentence = said(row("Otsu threshold", 0.4), row("k-means", 0.3))
    assert name == "otsu threshold"
    assert sentence.startswith("No method is of use yet: the best, Otsu threshold, has")


def test_no_row_is_said_to_be_none():
    assert recommend([], lambda a, b: None).name is None


def chain(mean_iou):
    steps = [{"step": name, "params": {"sigma_px": 1}} for name in ("background", "otsu")]
    several = row("Background removal → Otsu threshold", mean_iou)
    return dataclasses.replace(several, recipe={"chain": {"steps": steps}})


def test_one_step_is_simpler_than_several_where_these_are_no_better():
    otsu = row("Otsu threshold", 0.895)
    assert said(chain(0.9), otsu)[0] == "otsu threshold"
    assert said(chain(0.9), otsu)[1] == (
        "Otsu threshold is within 0.01 of Background removal → Otsu threshold and simpler: use it."
    )
    name, sentence = said(chain(0.95), otsu)
    assert name == "background removal → otsu threshold"
    assert sentence.startswith("Background removal → Otsu threshold is best, with")


def test_what_needs_strokes_on_every_slice_is_not_recommended_beside_others():
    walker = row("Random walker", 0.95, needs_labels=True)
    walker = dataclasses.replace(walker, on_each_slice=True)
    name, sentence = said(walker, network(0.9), row("Otsu", 0.7))
    assert name == "u-net trained here"
    assert sentence.startswith("U-Net trained here is best")
    assert said(walker)[0] == "random walker"


def test_time_to_prepare_is_said_where_it_is_saved_too():
    trained = dataclasses.replace(network(0.905, 0.4), prepare_s=60.0)
    assert said(trained, row("Otsu", 0.9, 0.01, prepare_s=0.5))[1] == (
        "Otsu is within 0.01 of the network and 40 × faster, 120 × to prepare: use it."
    )


@pytest.mark.parametrize(
    ("behind", "told"), [(0.004, "0.01"), (0.01, "0.01"), (0.011, "0.02"), (0.0199, "0.02")]
)
def test_how_far_it_is_behind_is_never_rounded_down(behind, told):
    _, sentence = said(network(0.9), row("Otsu", 0.9 - behind, 0.4), unsure=0.05)
    assert sentence == f"Otsu is within {told} of the network and needs no training: use it."


def test_a_model_that_answers_the_wrong_way_round_is_not_to_be_used():
    swapped = dataclasses.replace(
        row("Model nuclei", 0.8, kind="model"), codes=[2, 1], model="nuclei.unet"
    )
    said = recommend([swapped, row("Otsu", 0.7)], lambda *_: None)
    assert said.name == "otsu"
    named = dataclasses.replace(swapped, codes=[1, 3])
    assert recommend([named, row("Otsu", 0.7)], lambda *_: None).name == "model nuclei"

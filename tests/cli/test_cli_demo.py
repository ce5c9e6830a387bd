from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_unetseg.cli import app, demo, demo_files, main
from napari_unetseg.cli.demo_experiment import run_demo
from napari_unetseg.cli.demo_figure import draw_figure
from napari_unetseg.cli.demo_result import (
    BEFORE,
    CONTROL,
    CORRECTED,
    DemoResult,
    DemoSettings,
    Stage,
)
from napari_unetseg.images import open_stack, read_labels

SMALL = DemoSettings(
    seed=2, shape=(5, 160, 160), annotated=(1, 3), stroke_px=60, n_corrections=6, steps=(3, 2)
)


def drained(settings: DemoSettings) -> tuple[list[Stage], DemoResult]:
    stages, run = [], run_demo(settings)
    while True:
        try:
            stages.append(next(run))
        except StopIteration as end:
            return stages, end.value


@pytest.fixture(scope="module")
def ran() -> tuple[list[Stage], DemoResult]:
    return drained(SMALL)


@pytest.fixture(scope="module")
def result(ran) -> DemoResult:
    return ran[1]


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "new" / "demo"
    demo_files.write_results(folder, result)
    return folder


def test_every_stage_is_reported_from_its_beginning_to_its_end(ran):
    titles = list(dict.fromkeys(stage.title for stage in ran[0]))
    assert len(titles) == 7
    for title in titles:
        fractions = [stage.fraction for stage in ran[0] if stage.title == title]
        assert fractions[0] == 0
        assert fractions[-1] == 1
        assert fractions == sorted(fractions)


def test_the_annotator_paints_on_the_annotated_slices_only_and_the_rest_is_scored(result):
    for codes in (result.annotations, result.corrected):
        painted = {int(i) for i in np.flatnonzero(codes.any(axis=(1, 2)))}
        assert painted == {1, 3}
    n_px = len(SMALL.held_out) * 160 * 160
    assert {scores.n_px for scores in result.scores.values()} == {n_px}
    for segmentation in result.segmentations.values():
        assert set(SMALL.held_out) <= set(segmentation)


def test_every_baseline_and_three_networks_are_compared(result):
    assert len(result.parameters) == 5
    assert list(result.scores) == [*result.parameters, BEFORE, CONTROL, CORRECTED]


def test_corrections_are_painted_over_mistakes_with_the_right_class(result):
    assert 0 < len(result.corrections) <= 6
    new = result.corrected != result.annotations
    right = result.corrected == result.sample.codes
    assert right[new].mean() > 0.9
    wrong_before = np.stack([result.segmentations[BEFORE][i] for i in range(5)])
    assert (wrong_before != result.sample.codes)[new].mean() > 0.2


def test_the_results_open_again_with_their_classes_and_pixel_size(result, folder):
    assert sorted(p.name for p in folder.iterdir()) == sorted(demo_files.FILES)
    image = open_stack(folder / "image.ome.tif")
    np.testing.assert_array_equal(np.asarray(image.data), result.sample.image.data)
    masks = read_labels(folder / "masks.ome.tif", "masks", like=image)
    assert [c.name for c in masks.classes] == ["membrane", "mitochondrion"]
    assert masks.codes.min() >= 1
    annotations = read_labels(folder / "annotations.ome.tif", "annotations", like=image)
    np.testing.assert_array_equal(annotations.codes, result.corrected)
    facts = json.loads((folder / "scores.json").read_text())
    assert facts["held_out_slices"] == [0, 2, 4]
    assert facts["methods"][CORRECTED]["mean_iou"] == result.scores[CORRECTED].mean_iou
    assert facts["gain_over_best_baseline"] == pytest.approx(
        result.scores[CORRECTED].mean_iou
        - max(result.scores[name].mean_iou for name in result.parameters)
    )
    with Image.open(folder / "figure.png") as figure:
        assert figure.width > 1000


def test_the_written_masks_score_as_the_table_says(result, folder):
    """An independent computation, from the file, with scikit-learn."""
    from sklearn.metrics import jaccard_score

    masks = np.asarray(open_stack(folder / "masks.ome.tif").data)
    planes = list(SMALL.held_out)
    truth = result.sample.codes[planes].ravel() - 1
    expected = jaccard_score(truth, masks[planes].ravel(), average="macro", zero_division=0)
    assert result.scores[CORRECTED].mean_iou == pytest.approx(expected)


def test_the_figure_has_a_panel_for_everything(result):
    figure = np.asarray(draw_figure(result))
    dark = (figure < 240).any(axis=2)
    assert dark.mean() > 0.7


def test_a_folder_with_files_is_refused_before_any_work_without_overwrite(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setattr("napari_unetseg.cli.demo_experiment.run_demo", None)
    assert main(["demo", "--headless", "-o", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "--overwrite" in said.err
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, capsys):
    (tmp_path / "demo").write_text("mine")
    assert main(["demo", "-o", str(tmp_path / "demo"), "--overwrite"]) == 2
    assert "not a folder" in capsys.readouterr().err


@pytest.fixture
def quick(monkeypatch, result) -> None:
    def run(settings: DemoSettings) -> Iterator[Stage]:
        yield Stage("Working", 0.5, "half")
        return result

    monkeypatch.setattr("napari_unetseg.cli.demo_experiment.run_demo", run)


@pytest.mark.usefixtures("quick")
def test_without_a_display_the_demo_runs_and_prints_its_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(app, "has_display", lambda: False)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    for word in ("Otsu", "U-Net", "membrane", "mean IoU", "figure.png"):
        assert word in out
    assert (Path("demo") / "scores.json").is_file()
    assert main(["demo", "--overwrite"]) == 0


def test_with_a_display_the_window_opens_on_the_sample(monkeypatch):
    opened = []
    monkeypatch.setattr(app, "has_display", lambda: True)
    monkeypatch.setattr(app, "open_window", lambda paths, sample: opened.append((paths, sample)))
    assert main(["demo"]) == 0
    assert opened == [([], demo.SAMPLE)]


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    def interrupted(settings: DemoSettings) -> Iterator[Stage]:
        yield Stage("Working", 0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_unetseg.cli.demo_experiment.run_demo", interrupted)
    assert main(["demo", "--headless", "-o", str(tmp_path / "demo")]) == 130
    assert not (tmp_path / "demo").exists()
    assert "Traceback" not in capsys.readouterr().err

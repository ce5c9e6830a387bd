"""``napari-unetseg demo``: the whole loop on a generated stack."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .printing import console, say

if TYPE_CHECKING:
    from .demo_result import DemoResult, Stage

#: Key of the sample in the manifest.
SAMPLE = "em"


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="No window, also where there is a display.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the results, demo by default; implies --headless."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 2, help="Of stack, annotator and network.")
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier demo.")
    ] = False,
) -> None:
    """Try everything on a generated stack: in the window, or alone and scored with --headless.

    Without a window a simulated annotator paints strokes on three slices, baselines are fitted, a
    network learns, the annotator corrects its largest mistakes, and it learns on: about five
    minutes on two cores. Masks, annotations, model, figure and scores go to a folder.
    """
    from .app import has_display, open_window

    if not headless and output is None and has_display():
        open_window([], sample=SAMPLE)
        return
    _run_headless(output or Path("demo"), seed, overwrite=overwrite)


def _run_headless(folder: Path, seed: int, *, overwrite: bool) -> None:

    from .demo_experiment import run_demo
    from .demo_files import FILES, check_folder, score_table, write_results
    from .demo_result import DemoSettings

    check_folder(folder, overwrite=overwrite)
    result = _show(run_demo(DemoSettings(seed=seed)))
    write_results(folder, result)
    console().print(score_table(result))
    say(
        f"The network is {result.gain_over_baseline:+.3f} mean IoU over the best baseline "
        f"({result.best_baseline}, fitted on the whole truth of the annotated slices); "
        f"corrections brought {result.gain_by_correcting:+.3f} over the same time without."
    )
    say(f"Results in {folder}: {', '.join(FILES)}")


def _show(stages: Generator[Stage, None, DemoResult]) -> DemoResult:
    """Draw one progress bar per stage, and return what the experiment returns."""
    from .progress import bar

    with bar() as progress:
        task, title = None, ""
        while True:
            try:
                stage = next(stages)
            except StopIteration as end:
                result: DemoResult = end.value
                return result
            if task is None or stage.title != title:
                title = stage.title
                task = progress.add_task(title, total=1.0)
            text = f"{title}: {stage.note}" if stage.note else title
            progress.update(task, description=text, completed=stage.fraction)

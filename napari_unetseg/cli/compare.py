"""``napari-unetseg compare``: which method to use, and whether a network is needed at all."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .printing import console, say

if TYPE_CHECKING:
    from napari_unetseg.comparison import Comparison
    from napari_unetseg.events import MethodCompared, MethodNotRun, Recommended

#: Characters in a line of the table.
_LEAST_WIDTH = 96

Kind = Literal["annotations", "masks", "objects"]


def compare(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or quoted globs.")
    ],
    labels: Annotated[
        list[str],
        typer.Option("--labels", "-l", help="Labels of the images; may be given several times."),
    ],
    labels_kind: Annotated[
        Kind | None,
        typer.Option(
            show_default="annotations",
            help="annotations: 0 unlabelled, 1 background, 2… classes; masks: 0 background, "
            "1… classes; objects: 0 background, ids.",
        ),
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Slices whose labels count: 0,7,14 or 0-4.")
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Read a folder as one Z stack.")] = False,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A model to compare too; may be given several times."),
    ] = None,
    networks: Annotated[
        bool,
        typer.Option(
            "--networks/--no-networks",
            help="Compare the models that ship, and train one; or classical methods alone.",
        ),
    ] = True,
    max_time: Annotated[
        str,
        typer.Option(help="Wall clock from the start of the program to the table: 90s, 2m or 1h."),
    ] = "2m",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write OUT.csv and the figure OUT.png, and what is recommended: a recipe "
            "OUT.json, or the network trained, OUT.unet.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Compare every baseline and model on annotations that none of them has seen.

    Parameters of the baselines are searched, and a network is trained, on a part of the
    annotations; all are scored on the rest. What the time does not suffice for is left out, and
    said to be. Ctrl+C ends the comparison and prints what is known by then.
    """
    from napari_unetseg.config import shipped_models
    from napari_unetseg.errors import UserError

    from .inputs_kept import check_inputs_kept, folders_of
    from .progress import process_started_at
    from .train import parse_duration

    if models and not networks:
        raise UserError("A model is a network: leave out --no-networks to compare it.")
    seconds = parse_duration(max_time)
    files = None if output is None else _Files.named(output)
    if files is not None:
        files.check(overwrite=overwrite)
    from napari_unetseg.comparison import AnnotatedImage, Comparison
    from napari_unetseg.learning import open_inputs, read_training_set

    if files is not None:
        read = {
            "image": open_inputs(images, as_stack=stack),
            "labels file": open_inputs(labels, as_stack=stack),
            "model": folders_of(models or []),
        }
        check_inputs_kept(read, files.written())

    data = read_training_set(images, labels, labels_kind, slices=slices, as_stack=stack)
    comparison = Comparison(
        [AnnotatedImage(image.stack, image.codes, image.blocks) for image in data.images],
        data.classes,
        models=[*shipped_models(), *(models or [])] if networks else None,
        max_time_s=seconds,
        started_at=process_started_at(),
        model_path=None if files is None else files.model,
        device=device,
    )
    for note in data.notes:  # not before: what is wrong is one sentence alone
        say(note, err=True)
    stopped = _watch(comparison)
    if stopped and not comparison.rows:
        raise KeyboardInterrupt
    if files is not None and comparison.rows:
        files.write(comparison, overwrite=overwrite)
    _tell(comparison, files, as_json=as_json)
    if stopped:
        raise KeyboardInterrupt
    if not comparison.rows:
        raise UserError("No method could be compared; give more annotations, or more --max-time.")


def _tell(comparison: Comparison, files: _Files | None, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(_facts(comparison), indent=2, ensure_ascii=False))
        return
    _print(comparison)
    if files is not None and comparison.rows:
        say(files.sentence(comparison))


def _watch(comparison: Comparison) -> bool:
    """Run a comparison behind a progress bar; return whether it was stopped."""
    from napari_unetseg import events

    from .progress import bar

    with bar() as progress:
        task = progress.add_task("Starting", total=1.0)
        try:
            for event in comparison.run():
                match event:
                    case events.ComparisonStarted(_, sentence):
                        progress.console.print(sentence)
                    case events.Preparing(sentence):
                        progress.update(task, description=sentence)
                    case events.Progress(stage, done, total):
                        progress.update(task, description=stage, completed=done / total)
        except KeyboardInterrupt:
            return True
        progress.update(task, completed=1.0)
    return False


@dataclass(frozen=True, slots=True)
class _Files:
    """What is written, beside each other."""

    base: Path

    @classmethod
    def named(cls, output: Path) -> _Files:
        """Return what goes beside a table, named with its ending or without."""
        ending = output.suffix.lower() in (".csv", ".png")
        return cls(output.with_suffix("") if ending else output)

    @property
    def csv(self) -> Path:
        return self._with(".csv")

    @property
    def figure(self) -> Path:
        return self._with(".png")

    @property
    def recipe(self) -> Path:
        return self._with(".json")

    @property
    def model(self) -> Path:
        return self._with(".unet")

    def written(self) -> list[Path]:
        """Return everything that may be written."""
        return [self.csv, self.figure, self.recipe, self.model]

    def _with(self, suffix: str) -> Path:
        return self.base.with_name(self.base.name + suffix)

    def check(self, *, overwrite: bool) -> None:
        """Raise `UserError` before any work is done, if something may not be written."""
        from napari_unetseg.errors import UserError
        from napari_unetseg.images import check_output

        if not self.base.name:
            raise UserError(f"{str(self.base)!r} is no name for a table; name a new file.")
        for path in self.written():
            check_output(path, overwrite)

    def write(self, comparison: Comparison, *, overwrite: bool) -> None:
        from napari_unetseg.comparison.figure import draw_figure
        from napari_unetseg.comparison.report import write_csv, write_recipe
        from napari_unetseg.images import atomic_file

        rows, recommended = comparison.rows, comparison.recommended()
        write_csv(self.csv, rows, overwrite=overwrite)
        with atomic_file(self.figure, overwrite=overwrite) as partial:
            draw_figure(rows, recommended, comparison.scored_on).save(partial, format="PNG")
        chosen = _chosen(rows, recommended)
        if chosen is not None and chosen.recipe is not None:
            write_recipe(self.recipe, chosen, overwrite=overwrite)

    def sentence(self, comparison: Comparison) -> str:
        """Say what was written, and how to use what is recommended."""
        written = f"Table: {self.csv}, figure: {self.figure}"
        chosen = _chosen(comparison.rows, comparison.recommended())
        if chosen is not None and chosen.recipe is not None:
            strokes = " -l LABELS" if chosen.needs_labels else ""
            return (
                f"{written}; to use it: napari-unetseg run {self.recipe} IMAGE…{strokes} -o MASKS"
            )
        if chosen is not None and chosen.model is not None:
            return f"{written}; to use it: napari-unetseg predict IMAGE… -m {chosen.model} -o MASKS"
        return written


def _chosen(rows: Sequence[MethodCompared], recommended: Recommended) -> MethodCompared | None:
    return next((row for row in rows if row.name == recommended.name), None)


def _facts(comparison: Comparison) -> dict[str, Any]:
    return {
        "scored_on": comparison.scored_on,
        "rows": [dataclasses.asdict(row) for row in comparison.rows],
        "not_run": [dataclasses.asdict(missed) for missed in comparison.not_run],
        "recommended": dataclasses.asdict(comparison.recommended()),
    }


#: What the columns mean.
_KEY = (
    "Mean IoU: pixels that answer and annotations both call a class, as a share of those that "
    "either does, averaged over classes; ±: its standard error. Boundary F1: how well outlines "
    "agree. Prepare: to search settings, or to train. Slice: to segment one then. Labels: needed "
    "to be prepared, or on each slice that is segmented."
)


def _print(comparison: Comparison) -> None:
    from rich.table import Table

    recommended = comparison.recommended()
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("method", vertical="bottom")
    titles = ("mean IoU", "Dice\n= F1", "boundary\nF1", "prepare", "slice", "labels")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in comparison.rows:
        style = "bold" if row.name == recommended.name else None
        table.add_row(row.title, *_cells(row), style=style)
    # What is narrower cuts rows off, also in a file.
    printed = console(width=max(console().width, _LEAST_WIDTH))
    if comparison.rows:
        printed.print(table)
        printed.print(_KEY)
    for note in dict.fromkeys(row.note for row in comparison.rows if row.note):
        noted = ", ".join(row.title for row in comparison.rows if row.note == note)
        printed.print(f"{noted}: {note}")
    for reason, missed in _by_reason(comparison.not_run):
        printed.print(f"Not in the table ({reason}): {', '.join(missed)}.")
    printed.print(recommended.sentence, style="bold")


def _cells(row: MethodCompared) -> list[str]:
    return [
        f"{row.mean_iou:.3f}" + ("" if row.spread is None else f" ± {row.spread:.3f}"),
        f"{row.dice:.3f}",
        "" if row.boundary_f1 is None else f"{row.boundary_f1:.3f}",
        _seconds(row.prepare_s),
        _seconds(row.slice_s),
        "each slice" if row.on_each_slice else "needed" if row.needs_labels else "",
    ]


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _by_reason(not_run: Sequence[MethodNotRun]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for missed in not_run:
        found[missed.reason].append(missed.title)
    return list(found.items())

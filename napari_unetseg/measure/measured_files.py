"""Files of objects or masks measured, and the table of what was found written."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    LabelsKind,
    atomic_file,
    kind_notes,
    kind_of_file,
    label_plane,
    open_stack,
    scan_label_files,
)

from .object_table import Codes, Row, measure_objects, measure_pieces

#: Endings of tables.
TABLE_SUFFIXES = (".csv", ".parquet")


def measured_file(
    path: Path,
    image: Path | None = None,
    kind: LabelsKind | None = None,
    *,
    show: Callable[..., object] = lambda **_: None,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[Row]:
    """Measure what a file of labels holds.

    Parameters
    ----------
    path : Path
    image : Path, optional
        The image that was segmented, for its pixel size and brightness.
    kind : {"objects", "masks", "annotations"}, optional
        What the values mean: of objects every id is measured, of the others every connected piece
        of a class. What the file says of itself where left out, else objects.
    show : callable
        Takes ``total``, ``completed`` and ``advance``, as a bar of progress does.
    say : callable
        Takes what a person may not expect of how the file was understood, as a sentence.

    Yields
    ------
    dict
        A row of the table: see `ObjectTable.rows`. The first columns are the name of the file, and
        the class of a piece.

    Raises
    ------
    UserError
        If a file cannot be read, is of another kind, or the image has other slices.
    """
    stack = None if image is None else open_stack(image)
    is_told = kind is not None
    kind = kind or kind_of_file(path, stack) or "objects"
    (labels,) = scan_label_files([path], kind, [stack])
    for note in [] if is_told else kind_notes([labels]):
        say(note)
    values = labels.open()
    # To be told apart, the pieces of a class are read twice.
    n_times = 1 if kind == "objects" else 2 * len(labels.classes)
    show(completed=0, total=n_times * labels.shape[0])
    advance = partial(show, advance=1)
    if kind == "objects":
        rows = measure_objects(values, stack, advance=advance)
    else:

        def codes_of(plane: int) -> Codes:
            advance()
            return labels.codes_of(label_plane(values, plane, labels.name))

        rows = measure_pieces(codes_of, labels.classes, values, stack)
    for row in rows:
        yield {"image": values.name, **row}


def write_table(path: Path, rows: Sequence[Row], *, overwrite: bool = False) -> None:
    """Write rows as CSV or Parquet, complete or not at all.

    Parameters
    ----------
    path : Path
        Ending in ``.csv`` or ``.parquet``.
    rows : sequence of dict
        What a row does not have stays empty.

    Raises
    ------
    UserError
        If the file exists, has another ending, or Parquet needs a package that is not there.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix.lower() == ".parquet":
        _write_parquet(path, {name: [row.get(name) for row in rows] for name in columns}, overwrite)
    elif path.suffix.lower() == ".csv":
        with (
            atomic_file(path, overwrite=overwrite) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _written(row.get(name)) for name in columns} for row in rows)
    else:
        raise UserError(f"{path} would be no table; give a name that ends in .csv or .parquet.")


def _write_parquet(path: Path, columns: dict[str, list[Any]], overwrite: bool) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise UserError(
            f'{path} needs a package that is not installed: pip install "napari-unetseg[parquet]", '
            "or give a name that ends in .csv."
        ) from error
    with atomic_file(path, overwrite=overwrite) as partial:
        pq.write_table(pa.table(columns), partial)


def _written(value: Any) -> Any:
    """Return a value as it stands in CSV: six digits are more than was measured."""
    return f"{value:.6g}" if isinstance(value, float) else value

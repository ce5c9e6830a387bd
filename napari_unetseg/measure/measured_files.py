"""Files of objects or masks measured, and the table of what was found written."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.errors import UserError
from napari_unetseg.images import (
    LabelPlanes,
    LabelsKind,
    Stack,
    atomic_file,
    label_plane,
    open_stack,
    saved_kind,
    scan_label_files,
)

from .object_table import Row, measure_objects
from .pieces import Pieces

#: Endings of tables.
TABLE_SUFFIXES = (".csv", ".parquet")


def measured_file(
    path: Path, image: Path | None = None, kind: LabelsKind | None = None
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
    kind = kind or saved_kind(open_stack(path)) or "objects"
    (labels,) = scan_label_files([path], kind)
    values = labels.open()
    stack = None if image is None else open_stack(image)
    if kind == "objects":
        for row in measure_objects(values, stack).rows():
            yield {"image": values.name, **row}
        return
    for k, label_class in enumerate(labels.classes, 1):
        pieces = _pieces(labels, values, k)
        for row in measure_objects(pieces, stack).rows():
            yield {"image": values.name, "class": label_class.name, **row}


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


def _pieces(labels: LabelPlanes, values: Stack, k: int) -> Stack:
    """Return the connected pieces of a class as a stack of ids that is read slice by slice."""

    def mask(plane: int) -> Any:
        return labels.codes_of(label_plane(values, plane, labels.name)) == k + 1

    pieces = Pieces(mask, values.n_planes, labels.planes_per_volume)
    return _Numbered(values, pieces).stack()


class _Numbered:
    """Ids of pieces, indexed like the array of a stack."""

    dtype = np.dtype(np.uint32)

    def __init__(self, values: Stack, pieces: Pieces) -> None:
        self.shape = values.labels_shape
        self._values = values
        self._pieces = pieces

    def __getitem__(self, index: tuple[Any, ...]) -> Any:
        leading = index[:-2]
        plane = int(np.ravel_multi_index(leading, self.shape[:-2])) if leading else 0
        return self._pieces.ids(plane)

    def stack(self) -> Stack:
        """Return it with axes and pixel size."""
        axes = self._values.axes.replace("C", "")
        return Stack(self, axes, self._values.pixel_size_um, self._values.name)

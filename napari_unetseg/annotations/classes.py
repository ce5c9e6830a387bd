"""Changing the classes after pixels were painted with them.

Every operation returns the new classes and a look-up table, ndarray of uint8, shape (256,): what
each code of the annotations becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import MAX_CLASSES, PALETTE, UNLABELLED, LabelClass, default_color
from napari_unetseg.errors import UserError

Classes: TypeAlias = tuple[LabelClass, ...]
Table: TypeAlias = npt.NDArray[np.uint8]


def code_of(k: int) -> int:
    """Return the code of class `k` in annotations.

    >>> code_of(1)
    2
    """
    return k + 1


def unchanged() -> Table:
    """Return the table that changes nothing."""
    return np.arange(256, dtype=np.uint8)


def add_class(classes: Classes, name: str = "", color: str = "") -> tuple[Classes, Table]:
    """Append a class, with a free name and colour where none is given."""
    if len(classes) >= MAX_CLASSES:
        raise UserError(f"There are {MAX_CLASSES} classes already, the most there can be.")
    k = len(classes) + 1
    taken = {c.color for c in classes}
    free = next((c for c in PALETTE if c not in taken), default_color(k))
    new = LabelClass(name=_free_name(classes, name or f"class {k}"), color=color or free)
    return (*classes, new), unchanged()


def rename_class(classes: Classes, k: int, name: str) -> tuple[Classes, Table]:
    """Give class `k` another name."""
    name = name.strip()
    others = {c.name for i, c in enumerate(classes, 1) if i != k} | {"background"}
    if not name or name in others:
        why = f"the name {name!r} is taken" if name else "a class needs a name"
        raise UserError(f"Class {classes[k - 1].name!r} keeps its name: {why}.")
    return _with(classes, k, classes[k - 1].replace(name=name)), unchanged()


def recolor_class(classes: Classes, k: int, color: str) -> tuple[Classes, Table]:
    """Give class `k` another colour, ``"#rrggbb"``."""
    return _with(classes, k, classes[k - 1].replace(color=color)), unchanged()


def merge_classes(classes: Classes, k: int, into: int) -> tuple[Classes, Table]:
    """Turn class `k` into class `into`; the classes after `k` move up by one."""
    if k == into:
        raise UserError("A class cannot be merged with itself; choose two different classes.")
    table = _closing_gap(k)
    table[code_of(k)] = table[code_of(into)]
    return _without(classes, k), table


def delete_class(classes: Classes, k: int) -> tuple[Classes, Table]:
    """Delete class `k`; its pixels become unlabelled, the classes after it move up by one."""
    if len(classes) == 1:
        raise UserError("The last class cannot be deleted; rename it instead.")
    table = _closing_gap(k)
    table[code_of(k)] = UNLABELLED
    return _without(classes, k), table


def reorder_classes(classes: Classes, order: Sequence[int]) -> tuple[Classes, Table]:
    """Put the classes in another order.

    Parameters
    ----------
    order : sequence of int
        The present numbers (1, 2, …) in the new order.
    """
    if sorted(order) != list(range(1, len(classes) + 1)):
        raise ValueError(f"{list(order)} is no order of {len(classes)} classes")
    table = unchanged()
    for new, old in enumerate(order, 1):
        table[code_of(old)] = code_of(new)
    return tuple(classes[k - 1] for k in order), table


def join_classes(classes: Classes, others: Sequence[LabelClass]) -> tuple[Classes, Table]:
    """Append the classes of others that have no namesake here.

    Returns
    -------
    classes : tuple of LabelClass
    table : ndarray of uint8, shape (256,)
        What each code of the others is here; groups without a class stay behind the classes.
    """
    names = [c.name for c in classes]
    new = [c for c in others if c.name not in names]
    if len(classes) + len(new) > MAX_CLASSES:
        raise UserError(
            f"Together these would be {len(classes) + len(new)} classes; {MAX_CLASSES} is the most "
            "there can be."
        )
    names += [c.name for c in new]
    table = unchanged()
    behind = np.arange(code_of(len(others)) + 1, 256) + len(names) - len(others)
    table[code_of(len(others)) + 1 :] = np.where(behind < 256, behind, UNLABELLED)
    for k, other in enumerate(others, 1):
        table[code_of(k)] = code_of(names.index(other.name) + 1)
    for c in new:
        taken = {there.color for there in classes}
        classes, _ = add_class(classes, c.name, "" if c.color in taken else c.color)
    return classes, table


def _closing_gap(k: int) -> Table:
    table = unchanged()
    table[code_of(k) + 1 :] -= 1
    return table


def _with(classes: Classes, k: int, new: LabelClass) -> Classes:
    return (*classes[: k - 1], new, *classes[k:])


def _without(classes: Classes, k: int) -> Classes:
    return classes[: k - 1] + classes[k:]


def _free_name(classes: Classes, wanted: str) -> str:
    taken = {c.name for c in classes} | {"background"}
    names = (wanted if i == 1 else f"{wanted} {i}" for i in range(1, MAX_CLASSES + 2))
    return next(name for name in names if name not in taken)

"""Some channels of an image, by name or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from napari_unetseg.errors import UserError

from .stack import Stack


def with_channels(stack: Stack, wanted: Sequence[str]) -> Stack:
    """Return an image of these of its channels alone, in this order.

    Parameters
    ----------
    stack : Stack
        No pixels are read where its data are lazy or mapped.
    wanted : sequence of str
        Names, or numbers from 1; all channels where there are none.

    Raises
    ------
    UserError
        If there is no such channel, or one is named twice.

    Examples
    --------
    >>> import numpy as np
    >>> cells = Stack(np.zeros((3, 2, 8, 8)), "CZYX", channels=("DAPI", "GFP", "RFP"))
    >>> with_channels(cells, ["GFP"]).axes, with_channels(cells, ["3", "DAPI"]).channels
    ('ZYX', ('RFP', 'DAPI'))
    """
    if not wanted:
        return stack
    chosen = [_index(stack, channel) for channel in wanted]
    if len(set(chosen)) < len(chosen):
        raise UserError(f"A channel is named twice in {', '.join(wanted)}; name each once.")
    if "C" not in stack.axes:
        return stack
    where: list[Any] = [slice(None)] * len(stack.axes)
    at = stack.axes.index("C")
    if len(chosen) == 1:
        where[at] = chosen[0]
        data, axes = stack.data[tuple(where)], stack.axes.replace("C", "")
    else:
        import dask.array

        where[at] = chosen
        lazy: Any = dask.array.asarray(stack.data)  # type: ignore[no-untyped-call]
        data, axes = lazy[tuple(where)], stack.axes
    return replace(
        stack,
        data=data,
        axes=axes,
        channels=tuple(stack.channels[i] for i in chosen),
        channel_colors=tuple(stack.channel_colors[i] for i in chosen if stack.channel_colors),
    )


def _index(stack: Stack, wanted: str) -> int:
    if wanted and wanted in stack.channels:
        return stack.channels.index(wanted)
    if wanted.isdecimal() and 0 < int(wanted) <= stack.n_channels:
        return int(wanted) - 1
    names = ", ".join(f"{i} {name}".strip() for i, name in enumerate(stack.channels, start=1))
    raise UserError(
        f"{stack.path or stack.name} has no channel {wanted!r}; give the number or the name of one "
        f"that it has: {names}."
    )

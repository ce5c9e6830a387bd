"""Examples without end, drawn ahead by worker processes, in an order that a seed decides."""

from __future__ import annotations

import hashlib
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

from napari_unetseg.errors import UserError

from .example import Example

#: Draws an example; a function of a module, so that a worker finds it.
Draw: TypeAlias = Callable[[np.random.Generator], Example]

#: Examples that are drawn ahead, for each worker.
_AHEAD = 6


@contextmanager
def stream(
    draw: Draw, seed: int, *, start: int = 0, workers: int = 1
) -> Iterator[Iterator[Example]]:
    """Draw example after example, on other processors.

    Example `n` of a seed is always the same, however many workers there are and wherever one
    starts.

    Parameters
    ----------
    draw : callable
    seed : int
    start : int
        Number of the first example.
    workers : int
        Processes, which end with the block.

    Yields
    ------
    iterator of Example
        Without end.

    Raises
    ------
    UserError
        If a process that draws was killed.
    """
    # Not forked: threads of the caller would be cut off in the middle of what they do.
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_live_with_the_caller,
    )
    try:
        yield _in_order(executor, draw, seed, start, workers * _AHEAD)
    except BrokenProcessPool as error:
        raise UserError(
            "A process that draws images was ended from outside, perhaps for lack of memory; go on "
            "with --resume and fewer --workers."
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _live_with_the_caller() -> None:
    """End with the process that wants the examples, however that ends, and not by Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    caller = multiprocessing.parent_process()
    if caller is not None:
        threading.Thread(target=_end_after, args=(caller.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _in_order(
    executor: ProcessPoolExecutor, draw: Draw, seed: int, start: int, ahead: int
) -> Iterator[Example]:
    waiting: deque[Future[Example]] = deque()
    number = start
    while True:
        while len(waiting) < ahead:
            waiting.append(executor.submit(example, draw, seed, number))
            number += 1
        yield waiting.popleft().result()


def example(draw: Draw, seed: int, number: int) -> Example:
    """Draw one example of a stream."""
    return draw(np.random.default_rng([seed, number]))


def checksum(before: str, drawn: Example) -> str:
    """Return the checksum of examples and one more.

    Parameters
    ----------
    before : str
        Of those before it; empty for the first.
    drawn : Example

    Returns
    -------
    str
        SHA-256 of `before` and all that the example holds, in hexadecimal.
    """
    total = hashlib.sha256(before.encode())
    total.update(drawn.pixels.tobytes())
    for known in (drawn.codes, drawn.ids):
        for name in sorted(known):
            total.update(name.encode())
            total.update(known[name].tobytes())
    return total.hexdigest()

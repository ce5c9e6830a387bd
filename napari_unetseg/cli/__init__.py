"""The command line: `main` is the console script."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows the program's name; `sys.argv` where left out.

    Returns
    -------
    int
        The exit status: 0; 1 where there is no room for what is written; 2 after bad input; 130
        after Ctrl+C; 143 where another program ended it. Each but the first is said in one
        sentence on stderr.
    """
    try:
        # Takes most of the time that the program needs to start, in which people press Ctrl+C.
        from .app import run

        return run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt as interrupt:
        return _stopped(interrupt)
    except RuntimeError as error:  # up to Python 3.11, of Ctrl+C while a class is made
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _stopped(error.__cause__)


def _stopped(interrupt: KeyboardInterrupt) -> int:
    from napari_unetseg.termination import Terminated

    from .printing import say

    say("stopped", err=True)
    return 143 if isinstance(interrupt, Terminated) else 130


__all__ = ["main"]

"""The program `napari-unetseg`: its verbs, and what becomes of errors.

Nothing heavy is imported here. A verb is a function of its own name in a file of its own name; the
file imports what it needs inside that function, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_unetseg import __version__
from napari_unetseg.errors import AlreadyThereError, UserError
from napari_unetseg.termination import terminated_like_interrupted

from .printing import say

PROGRAM = "napari-unetseg"

#: In the order of ``--help``.
VERBS = (
    "demo",
    "doctor",
    "info",
    "baseline",
    "train",
    "predict",
    "evaluate",
    "measure",
    "convert",
    "compare",
    "run",
    "pretrain",
)

#: What typer raises at a wrong option or argument; its home has moved between versions.
_CommandLineError: Any = (typer.BadParameter.__mro__[2], typer.Abort)

#: What typer returns after Ctrl+C.
_STOPPED = 130

#: The exit status where the results could not be written, and the errors that say so.
_NOT_WRITTEN = 1
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)

#: Verbs that answer ``--help`` themselves: it depends on what else is asked.
_OWN_HELP = ("baseline",)

#: Verbs that may open a window.
_OPENING_WINDOWS = ("demo",)

_QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def run(arguments: list[str]) -> int:
    """Do what the command line says; see `cli.main`."""
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except AlreadyThereError as error:
        return _fail(f"{str(error).removesuffix('.')}, or replace it with --overwrite.")
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _forget_output()
        if error.errno == errno.EPIPE:  # whoever reads has seen enough
            return _NOT_WRITTEN
        reason = os.strerror(error.errno)
        say(
            f"error: Not all could be written ({reason}); make room, or write elsewhere.",
            err=True,
        )
        return _NOT_WRITTEN


def _forget_output() -> None:
    """Let what is still to be printed go nowhere, or Python would try again, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def load_verb(name: str) -> Callable[..., None]:
    """Import the function that does what a verb says."""
    function: Callable[..., None] = getattr(importlib.import_module(f".{name}", __package__), name)
    return function


def _run(arguments: list[str]) -> int:
    if not arguments or _is_path(arguments[0]):
        open_window([Path(argument) for argument in arguments])
        return 0
    if arguments[0] in _OPENING_WINDOWS:  # a window has its own ways to end
        return _do(arguments)
    with terminated_like_interrupted():
        return _do(arguments)


def _do(arguments: list[str]) -> int:
    wanted = [arguments[0]] if arguments[0] in VERBS else VERBS
    program = typer.main.get_command(_program(wanted))
    try:
        result = program.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except _CommandLineError as error:
        if isinstance(error, typer.Abort):
            raise KeyboardInterrupt from error
        verb = f" {arguments[0]}" if arguments[0] in VERBS else ""
        message: str = error.format_message().rstrip(".")
        pause = " See" if message.endswith("?") else "; see"
        return _fail(f"{message}{pause} {PROGRAM}{verb} --help.")
    if result == _STOPPED:  # typer's own answer to Ctrl+C, without a word
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _program(verbs: Sequence[str]) -> typer.Typer:
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.callback(invoke_without_command=True)(_about)
    for verb in verbs:
        program.command(verb, add_help_option=verb not in _OWN_HELP)(load_verb(verb))
    return program


def _about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Segment microscopy stacks: classical baselines, and a U-Net that learns from your strokes.

    Without a command, or with images instead of one, napari opens with the plugin docked.
    """
    if version:
        say(f"{PROGRAM} {__version__}")


def _is_path(argument: str) -> bool:
    if argument in VERBS or argument.startswith("-"):
        return False
    looks_like_one = Path(argument).suffix or os.sep in argument
    return bool(looks_like_one) or Path(argument).exists()


def open_window(paths: Sequence[Path], *, sample: str | None = None) -> None:
    """Open napari with the plugin docked, and return when it is closed.

    Parameters
    ----------
    paths : sequence of Path
        Images to open.
    sample : str, optional
        Key of a sample of this plugin to open.

    Raises
    ------
    UserError
        If a path, the display or Qt is missing.
    """
    from napari_unetseg.images import nothing_at, split_place

    for path in paths:
        if split_place(path) is None:
            raise nothing_at(path)
    if not has_display():
        raise UserError(
            "There is no display to open a window on; connect with one, or use a command instead "
            f"({PROGRAM} --help lists them)."
        )
    if not any(importlib.util.find_spec(binding) for binding in _QT_BINDINGS):
        raise UserError(
            "There is no Qt to open a window with; install it with pip install "
            '"napari-unetseg[all]".'
        )
    from napari_unetseg.widgets import app as window

    window.open_window(paths, sample=sample)


def has_display() -> bool:
    """Return whether there is anything to open a window on."""
    if sys.platform in ("win32", "darwin"):
        return True
    # Qt draws off screen where it is told to: in tests, or on a VNC server of its own.
    own = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if own and own not in ("xcb", "wayland"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _fail(sentence: str) -> int:
    say("error:", " ".join(sentence.split()), err=True)
    return 2

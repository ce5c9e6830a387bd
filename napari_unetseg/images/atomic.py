"""Files that are either complete or not there."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from napari_unetseg.errors import AlreadyThereError, UserError

from .formats import FILE_SUFFIXES

#: While it is written a result has a name of its own, with up to so many characters more.
_LONGEST_ADDITION = 40

#: So many of them `tempfile` makes up.
_RANDOM = 8

#: So long after its last change, what a process that is not there began is no longer written. Time
#: tells, as well: on a share the process may be one of another machine, whose number says nothing.
_LEFT_S = 3600.0


def check_output(path: str | Path, overwrite: bool) -> None:
    """Raise UserError where a result could not be written, before any work is done.

    Parameters
    ----------
    path : str or Path
        Where a file or folder is going to be; folders above it may be missing.
    overwrite : bool
        Whether what exists there may be replaced.
    """
    path = Path(path)
    try:
        if not overwrite and (path.exists() or path.is_symlink()):
            raise AlreadyThereError(f"{path} exists already; choose another name.")
        if path.is_symlink() and not path.is_file():
            raise UserError(
                f"{path} is a link to {path.readlink()}; name the place itself, or choose another."
            )
        if path.is_dir() and path.suffix.lower() in FILE_SUFFIXES:
            raise UserError(f"{path} is a folder, and the result is a file; choose another name.")
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
        # Neither permission bits tell (root may write anywhere, but not into /proc) nor does the
        # longest name that a system allows (there are file systems with less).
        kept_free = "-" * (_LONGEST_ADDITION - _RANDOM - 2)
        with tempfile.NamedTemporaryFile(dir=parent, prefix=f".{path.name}.", suffix=kept_free):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name beside `path`, sync it and rename it.

    Yields
    ------
    Path
        Where to write. It is removed, and `path` left as it was, if the block raises.

    Raises
    ------
    UserError
        If `path` exists and may not be overwritten, or cannot be written.
    """
    path = Path(path)
    check_output(path, overwrite)
    partial = _partial(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(path)
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False, marker: str) -> Iterator[Path]:
    """Write a folder under a temporary name beside `path`, sync it and rename it.

    Parameters
    ----------
    path : str or Path
        Where the folder will be.
    overwrite : bool
        Whether one that exists may be replaced.
    marker : str
        A file that any folder to be replaced must hold: nobody's pictures are deleted because
        of a mistyped name.

    Yields
    ------
    Path
        The new, empty folder to fill.
    """
    path = Path(path)
    restore(path)
    check_output(path, overwrite)
    check_replaceable(path, marker)
    partial = _partial(path)
    try:
        partial.mkdir(parents=True)
        _remove_left(path)
        yield partial
        move_into_place(partial, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_replaceable(path: Path, marker: str) -> None:
    """Raise `UserError` where a folder is none of those that hold a file called `marker`."""
    if path.exists() and not (path / marker).exists():
        raise UserError(
            f"{path} is something else than what would replace it (it holds no {marker}); choose "
            "another name."
        )


def move_into_place(folder: Path, path: Path) -> None:
    """Sync a folder and give it its name, in place of what has it."""
    old = _old(path)
    for found in [*folder.rglob("*"), folder]:
        _sync(found)
    replaces = path.exists()
    try:
        if replaces:
            _remove_old(path)
            path.rename(old)
        folder.rename(path)
    except BaseException:
        if replaces and not path.exists():
            old.rename(path)
        raise
    _remove_old(path)
    _sync(path.parent)


def restore(path: Path) -> None:
    """Give a folder its name back, if a program was killed while it replaced it by another.

    The other lies beside it then; without that, it was replaced and could not be removed.
    """
    old, folder = _old(path), path.absolute().parent
    if not old.is_dir() or old.is_symlink() or os.path.lexists(path):
        return
    other = re.compile(rf"\.{re.escape(path.name)}\.(unfinished|.+\.partial)")
    if any(other.fullmatch(beside.name) for beside in folder.iterdir()):
        old.rename(path)


def _remove_old(path: Path) -> None:
    """Remove what was replaced: a folder, or a link but not what it leads to."""
    with suppress(OSError):  # it is not there, or in use
        # At once it is none that could be restored, however long its removal takes.
        gone = _old(path).rename(_partial(path))
        if gone.is_symlink():
            gone.unlink()
        else:
            shutil.rmtree(gone, ignore_errors=True)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _partial(path: Path) -> Path:
    # In a container, the next process may well have the number of the one before.
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


def _remove_left(path: Path) -> None:
    """Remove what was being written to a place when its process was killed."""
    of_process = re.compile(rf"\.{re.escape(path.name)}\.(\d+)(-[0-9a-f]+)?\.partial")
    for left in path.parent.glob(".*.partial"):
        found = of_process.fullmatch(left.name)
        if found is None:
            continue
        pid = int(found[1])
        with suppress(OSError):  # somebody else removes it, too
            is_left = pid == os.getpid() or not psutil.pid_exists(pid)
            changed = max(part.stat().st_mtime for part in [left, *left.rglob("*")])
            if is_left and time.time() - changed > _LEFT_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return  # Windows cannot open a folder to sync it
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> UserError:
    """Return what to say where a result cannot be written."""
    if error.errno == errno.ENAMETOOLONG:
        return UserError(
            f"{path} cannot be written: its name is too long, or would be while it is written; "
            "choose a shorter one."
        )
    reason = (error.strerror or str(error)).lower()
    return UserError(f"{path} cannot be written ({reason}); choose another place for the result.")

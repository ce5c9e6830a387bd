"""Packages that some formats need and not everybody installs."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UserError


def needed(module: str, extra: str, path: Path, verb: str = "read") -> Any:
    """Import what reads a file, or writes it.

    Parameters
    ----------
    module : str
        To import.
    extra : str
        Of this package, which installs it.
    path : Path
        The file, for the message.
    verb : {"read", "written"}
        What is to be done with it.

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{path} cannot be {verb} without {module.partition('.')[0]}; install it with pip "
            f'install "napari-unetseg[{extra}]", and try again.'
        ) from error

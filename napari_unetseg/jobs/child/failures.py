"""What a person reads when a job fails."""

from __future__ import annotations

import errno
import traceback

from napari_unetseg.errors import UserError
from napari_unetseg.events import Finished, FinishReason
from napari_unetseg.hardware import is_out_of_memory


def describe_failure(error: Exception) -> Finished:
    """Turn what a job raised into its last event."""
    details = "".join(traceback.format_exception(error))
    return Finished(FinishReason.FAILED, _sentence(error), details)


def _sentence(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return (
            "There is not enough memory for this: close other programs, choose a smaller patch "
            "or batch in the settings, or another device; your annotations are safe."
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: make room and start again; your annotations are safe."
    if isinstance(error, OSError):
        what = (error.strerror or str(error)).lower()
        return f"{error.filename or 'A file'} cannot be used ({what}); check it and start again."
    reason = " ".join(str(error).split())[:160]
    return (
        f"Something went wrong inside the program ({type(error).__name__}: {reason}); your "
        "annotations are safe, please send the details to its developers."
    )

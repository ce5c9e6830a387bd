"""Lines on the pipes: one JSON object each, with the number of the job that it belongs to."""

from __future__ import annotations

import json
from typing import Any

from napari_unetseg.errors import UserError
from napari_unetseg.events import Event, event_from_fields, event_to_fields

from .commands import Command, Steering, from_fields, to_fields

#: The job of a line that does not say.
NO_JOB = 0


def write_command(job: int, message: Command | Steering) -> bytes:
    """Write what the window asks as a line."""
    return _line(job, to_fields(message))


def read_command(line: bytes) -> tuple[int, Command | Steering | UserError]:
    """Read what the window asks; a `UserError` in its place where the line is malformed."""
    try:
        job, fields = _read(line)
    except (ValueError, RecursionError) as error:
        return NO_JOB, UserError(f"A line is not a command ({error}).")
    try:
        return job, from_fields(fields)
    except UserError as error:
        return job, error


def write_event(job: int, event: Event) -> bytes:
    """Write what a job reports as a line."""
    return _line(job, event_to_fields(event))


def read_event(line: bytes) -> tuple[int, Event]:
    """Read what a job reports.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the line is not an event.
    """
    job, fields = _read(line)
    return job, event_from_fields(fields)


def _line(job: int, fields: dict[str, Any]) -> bytes:
    # Escaped to ASCII, so that no line break and no code page can get in between.
    return json.dumps({"job": job, **fields}).encode("ascii") + b"\n"


def _read(line: bytes) -> tuple[int, dict[str, Any]]:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    job = fields.pop("job", NO_JOB)
    if not isinstance(job, int):
        raise ValueError("its job is not a number")
    return job, fields

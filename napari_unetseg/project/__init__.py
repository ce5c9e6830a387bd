"""The work on disk: what is painted outlives the process that painted it."""

from .first_run import is_first_run, remember_answer
from .kept_objects import KeptObjects, ObjectNotes, drop_notes, new_uid, write_notes
from .session import EarlierWork, Session, default_root

__all__ = [
    "EarlierWork",
    "KeptObjects",
    "ObjectNotes",
    "Session",
    "default_root",
    "drop_notes",
    "is_first_run",
    "new_uid",
    "remember_answer",
    "write_notes",
]

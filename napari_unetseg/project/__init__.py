"""The work on disk: what is painted outlives the process that painted it."""

from .kept_objects import KeptObjects, ObjectNotes, new_uid, write_notes
from .session import EarlierWork, Session, default_root

__all__ = [
    "EarlierWork",
    "KeptObjects",
    "ObjectNotes",
    "Session",
    "default_root",
    "new_uid",
    "write_notes",
]

"""The work on disk: what is painted outlives the process that painted it."""

from .first_run import is_first_run, remember_answer
from .kept_objects import KeptObjects, ObjectNotes, drop_notes, new_uid, write_notes, write_whole
from .kept_results import KeptResult, ResultNotes, kept_results, recipe_beside, uids_in
from .kept_sources import KeptSources, keep_texts, kept_sources
from .session import EarlierWork, Session, default_root, labelled_planes

__all__ = [
    "EarlierWork",
    "KeptObjects",
    "KeptResult",
    "KeptSources",
    "ObjectNotes",
    "ResultNotes",
    "Session",
    "default_root",
    "drop_notes",
    "is_first_run",
    "keep_texts",
    "kept_results",
    "kept_sources",
    "labelled_planes",
    "new_uid",
    "recipe_beside",
    "remember_answer",
    "uids_in",
    "write_notes",
    "write_whole",
]

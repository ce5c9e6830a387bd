"""The work on disk: what is painted outlives the process that painted it."""

from .first_run import is_first_run, remember_answer
from .session import EarlierWork, Session, default_root

__all__ = ["EarlierWork", "Session", "default_root", "is_first_run", "remember_answer"]

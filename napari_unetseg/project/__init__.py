"""The work on disk: what is painted outlives the process that painted it."""

from .session import EarlierWork, Session, default_root

__all__ = ["EarlierWork", "Session", "default_root"]

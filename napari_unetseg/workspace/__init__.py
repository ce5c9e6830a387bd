"""The evented model of what is open in a window; no Qt."""

from .controller import JobController, OpenModel, Round
from .image_entry import ImageEntry
from .workspace import Workspace

__all__ = ["ImageEntry", "JobController", "OpenModel", "Round", "Workspace"]

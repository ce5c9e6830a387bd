"""The evented model of what is open in a window; no Qt."""

from .controller import JobController, OpenModel
from .image_entry import ImageEntry
from .live import Checkpoint, LiveSettings, LiveTraining
from .progress import SliceFacts, SliceState, StackProgress, slice_name
from .proofreading import Proofreading
from .rounds import Round
from .suggestions import SuggestedRegion, Suggestions
from .workspace import Workspace

__all__ = [
    "Checkpoint",
    "ImageEntry",
    "JobController",
    "LiveSettings",
    "LiveTraining",
    "OpenModel",
    "Proofreading",
    "Round",
    "SliceFacts",
    "SliceState",
    "StackProgress",
    "SuggestedRegion",
    "Suggestions",
    "Workspace",
    "slice_name",
]

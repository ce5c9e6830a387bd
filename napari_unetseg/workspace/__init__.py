"""The evented model of what is open in a window; no Qt."""

from .controller import JobController
from .image_entry import ImageEntry
from .live import Checkpoint, LiveSettings, LiveTraining
from .model_names import name_model
from .object_corrections import ObjectCorrections, SmallObjects
from .objects import ObjectSet, ObjectSets
from .open_model import OpenModel
from .progress import SliceFacts, SliceState, StackProgress, slice_name
from .proofreading import Proofreading
from .results import Result
from .rounds import Round
from .slices_beside import Propagated, SlicesBeside
from .suggestions import SuggestedRegion, Suggestions
from .workspace import Workspace

__all__ = [
    "Checkpoint",
    "ImageEntry",
    "JobController",
    "LiveSettings",
    "LiveTraining",
    "ObjectCorrections",
    "ObjectSet",
    "ObjectSets",
    "OpenModel",
    "Proofreading",
    "Propagated",
    "Result",
    "Round",
    "SliceFacts",
    "SliceState",
    "SlicesBeside",
    "SmallObjects",
    "StackProgress",
    "SuggestedRegion",
    "Suggestions",
    "Workspace",
    "name_model",
    "slice_name",
]

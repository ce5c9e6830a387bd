"""Generated sample stacks with their truth, reproducible from a seed."""

from .em import EM_CLASSES, em_stack
from .nuclei import NUCLEI_CLASSES, nuclei_stack
from .sample import Sample
from .strokes import Annotator, Stroke

__all__ = [
    "EM_CLASSES",
    "NUCLEI_CLASSES",
    "Annotator",
    "Sample",
    "Stroke",
    "em_stack",
    "nuclei_stack",
]

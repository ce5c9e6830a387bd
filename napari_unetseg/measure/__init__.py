"""Scores of segmentations: pixels, contours, objects, groups of pixels, probabilities.

Everything is added plane by plane and pooled, so that what is measured may be larger than memory.
"""

from .confusion import ConfusionMatrix
from .contours import TOLERANCE_PX, ContourDistances, Contours, ContourScores
from .evaluation import evaluate
from .measured_files import TABLE_SUFFIXES, measured_file, write_table
from .object_table import ObjectTable, Row, measure_objects, measure_pieces
from .objects import ObjectMatcher, ObjectScores
from .pieces import Pieces
from .precision_recall import Curve, PrecisionRecall, ProbabilityScores
from .regions import RegionScores
from .scores import ClassScores, Scores, scores

__all__ = [
    "TABLE_SUFFIXES",
    "TOLERANCE_PX",
    "ClassScores",
    "ConfusionMatrix",
    "ContourDistances",
    "ContourScores",
    "Contours",
    "Curve",
    "ObjectMatcher",
    "ObjectScores",
    "ObjectTable",
    "Pieces",
    "PrecisionRecall",
    "ProbabilityScores",
    "RegionScores",
    "Row",
    "Scores",
    "evaluate",
    "measure_objects",
    "measure_pieces",
    "measured_file",
    "scores",
    "write_table",
]

"""Scores of segmentations: pixels, contours, objects, groups of pixels, probabilities.

Everything is added plane by plane and pooled, so that what is measured may be larger than memory.
"""

from .confusion import ConfusionMatrix
from .contours import TOLERANCE_PX, ContourDistances, Contours, ContourScores
from .evaluation import evaluate
from .objects import ObjectMatcher, ObjectScores
from .precision_recall import Curve, PrecisionRecall, ProbabilityScores
from .regions import RegionScores
from .scores import ClassScores, Scores, scores

__all__ = [
    "TOLERANCE_PX",
    "ClassScores",
    "ConfusionMatrix",
    "ContourDistances",
    "ContourScores",
    "Contours",
    "Curve",
    "ObjectMatcher",
    "ObjectScores",
    "PrecisionRecall",
    "ProbabilityScores",
    "RegionScores",
    "Scores",
    "evaluate",
    "scores",
]

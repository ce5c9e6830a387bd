"""Scores of segmentations: a confusion matrix over pixels, objects matched one to one."""

from .confusion import ConfusionMatrix
from .evaluation import evaluate
from .objects import ObjectMatcher, ObjectScores
from .scores import ClassScores, Scores, scores

__all__ = [
    "ClassScores",
    "ConfusionMatrix",
    "ObjectMatcher",
    "ObjectScores",
    "Scores",
    "evaluate",
    "scores",
]

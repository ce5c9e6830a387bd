"""Every method on the same annotated pixels, which none of them has seen: which one to use."""

from .answers import disagreement
from .comparison import DEFAULT_TIME_S, Comparison
from .recommendation import recommend
from .split import AnnotatedImage, Split, split_annotations

__all__ = [
    "DEFAULT_TIME_S",
    "AnnotatedImage",
    "Comparison",
    "Split",
    "disagreement",
    "recommend",
    "split_annotations",
]

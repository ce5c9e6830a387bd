"""Segmentation without a network: chains of steps, one file per family."""

from .blob_points import points_of
from .chain import Chain, StepSettings, in_words, parse_params, parse_step
from .chain_search import ChainFit, fit_chain
from .fit import FittedBaseline, fit_baseline
from .method import BaselineParams, LevelMethod
from .points import read_points, strokes_at, write_points
from .preview import GreyValues, Preview, PreviewComputer, PreviewRequest
from .recipe import ChainRecipe, Learned, image_facts, read_recipe, record_of
from .registry import FILTERS, METHODS, REFINEMENTS, find_method, find_step
from .run import answers, filtered, prepare, run_stack, run_view, segment
from .search import Fit, can_answer_classes, fit_method
from .source import Source
from .step import LARGEST_GREY, Filter, Method, Refinement, Step, UseOfStrokes, View
from .told import Told

__all__ = [
    "FILTERS",
    "LARGEST_GREY",
    "METHODS",
    "REFINEMENTS",
    "BaselineParams",
    "Chain",
    "ChainFit",
    "ChainRecipe",
    "Filter",
    "Fit",
    "FittedBaseline",
    "GreyValues",
    "Learned",
    "LevelMethod",
    "Method",
    "Preview",
    "PreviewComputer",
    "PreviewRequest",
    "Refinement",
    "Source",
    "Step",
    "StepSettings",
    "Told",
    "UseOfStrokes",
    "View",
    "answers",
    "can_answer_classes",
    "filtered",
    "find_method",
    "find_step",
    "fit_baseline",
    "fit_chain",
    "fit_method",
    "image_facts",
    "in_words",
    "parse_params",
    "parse_step",
    "points_of",
    "prepare",
    "read_points",
    "read_recipe",
    "record_of",
    "run_stack",
    "run_view",
    "segment",
    "strokes_at",
    "write_points",
]

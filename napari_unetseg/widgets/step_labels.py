"""What people call the parameters of classical steps, where their names will not do."""

from __future__ import annotations

from napari_unetseg.classical import find_step

_LABELS = {
    "foreground": "Structure is",
    "sigma_px": "Smoothing (px)",
    "per_slice": "Each slice by itself",
    "in_3d": "In 3D",
    "percent": "Threshold (%)",
    "grey_value": "… as a grey value",
    "lower_percent": "Lower line (%)",
    "upper_percent": "Upper line (%)",
    "lower_grey_value": "Lower, as a grey value",
    "upper_grey_value": "Upper, as a grey value",
    "window_px": "Neighbourhood (px)",
    "neighbourhood": "Compare with",
    "offset_percent": "Differs by (%)",
    "k": "Strictness (k)",
    "n_classes": "Groups",
    "output": "Segment",
    "close_px": "Bridge gaps (px)",
    "widen_px": "Widen edges (px)",
    "direction_deg": "Edges run at (°)",
    "within_deg": "Give or take (°)",
    "neighbours": "Neighbours",
    "ratio": "Second blur (×)",
    "low_percent": "Edges go on above (%)",
    "high_percent": "Edges begin above (%)",
    "n_clusters": "Groups",
    "features": "Compare by",
    "seed": "Random start",
    "radius_px": "Radius (px)",
    "min_area_px": "Smallest to keep (px)",
    "max_area_px": "Largest to fill (px)",
    "n": "Pieces to keep",
    "min_distance_px": "Middles apart (px)",
    "strength_percent": "Strength (%)",
    "patch_px": "Squares compared (px)",
    "reach_px": "Look around (px)",
    "tile_px": "Area (px)",
    "clip_percent": "Limit (%)",
    "appearance": "Follow the image",
    "appearance_px": "… how near (px)",
    "contrast_percent": "… how alike (%)",
    "smoothness": "Smooth outlines",
    "smoothness_px": "… how near (px)",
    "confidence_percent": "Trust in labels (%)",
    "n_iterations": "Rounds",
    "local_px": "Look around (px)",
    "position_weight": "Weight of position",
    "tolerance": "Tolerance is",
    "deviations": "… of its spread (×)",
    "rounds": "Rounds",
    "beta": "Keep to edges",
    "answer": "Strokes become",
    "n_steps": "Rounds",
    "smoothing": "Smooth outlines",
    "claim": "Fill what is painted",
    "size_px": "Size (px)",
    "compactness": "Squareness",
    "scale": "Size of pieces",
    "min_radius_px": "Smallest radius (px)",
    "max_radius_px": "Largest radius (px)",
    "overlap_percent": "Most overlap (%)",
    "delta_percent": "Threshold moved by (%)",
    "max_change_percent": "Most growth (%)",
    "sigma_min_px": "Finest detail (px)",
    "sigma_max_px": "Look around (px)",
    "edges": "Use edges",
    "lines": "Use lines and spots",
    "texture": "Use texture",
    "balance": "Rare classes count",
    "n_trees": "Trees",
    "n_px": "Pixels to learn from",
    "method": "Take away",
    "channel": "Channel",
}

#: Those that are seldom changed.
_SELDOM = frozenset(
    {"seed", "n_trees", "n_px", "direction_deg", "within_deg", "local_px", "position_weight"}
)

_INSTEAD = {
    "grey_value": ("percent", "contrast_percent"),
    "lower_grey_value": ("lower_percent",),
    "upper_grey_value": ("upper_percent",),
}

#: Fields that count only where another has a value.
_WHERE = {
    "grow": {
        "percent": ("tolerance", "absolute"),
        "grey_value": ("tolerance", "absolute"),
        "deviations": ("tolerance", "adaptive"),
        "rounds": ("tolerance", "adaptive"),
    }
}

_STEEP = {"percent": "Ignore the flattest (%)"}
_CROSSINGS = {"percent": "Ignore the faintest (%)"}

#: The same, where a step means something else by a name.
_LABELS_OF = {
    "grow": {"percent": "… of the range (%)"},
    "felzenszwalb": {"min_area_px": "Smallest piece (px)"},
    "blob_log": {"contrast_percent": "Contrast (%)"},
    "blob_dog": {"contrast_percent": "Contrast (%)"},
    "blob_doh": {"contrast_percent": "Contrast (%)"},
    "sobel": _STEEP,
    "scharr": _STEEP,
    "prewitt": _STEEP,
    "farid": _STEEP,
    "laplacian": _CROSSINGS,
    "log": _CROSSINGS,
    "dog": _CROSSINGS,
    "split": {"sigma_px": "Ignore unevenness (px)"},
}


def labels_of(step: str) -> dict[str, str]:
    """Return what the parameters of a step are called, by their names."""
    return _LABELS | _LABELS_OF.get(step, {})


def instead_of(step: str) -> dict[str, str]:
    """Return the grey values that may be given, and the percentages that count where none is."""
    fields = find_step(step).params.model_fields
    return {
        given: percent
        for given, percents in _INSTEAD.items()
        for percent in percents
        if given in fields and percent in fields
    }


def where_of(step: str) -> dict[str, tuple[str, str]]:
    """Return fields that count only where another has a value, with that and its value."""
    return _WHERE.get(step, {})


def folded_of(step: str) -> frozenset[str]:
    """Return which parameters of a step are seldom changed."""
    return _SELDOM & set(find_step(step).params.model_fields)

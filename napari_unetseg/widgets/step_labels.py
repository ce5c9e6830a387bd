"""What people call the parameters of classical steps, where their names will not do."""

from __future__ import annotations

LABELS = {
    "foreground": "Structure is",
    "sigma_px": "Smoothing (px)",
    "per_slice": "Each slice by itself",
    "in_3d": "In 3D",
    "percent": "Threshold (%)",
    "grey_value": "As a grey value",
    "output": "Segment",
    "close_px": "Bridge gaps (px)",
    "widen_px": "Widen edges (px)",
    "low_percent": "Edges go on (%)",
    "high_percent": "Edges begin (%)",
    "n_clusters": "Groups",
    "features": "Compare by",
    "seed": "Random start",
}

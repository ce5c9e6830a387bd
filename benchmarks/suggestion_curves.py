"""From scores by annotated pixels: how many of them one strategy needs where another needs more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import isotonic_regression

#: Of a training: what it was, pixels and regions painted, score.
Row: TypeAlias = dict[str, Any]

Curve: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

#: Of scores.
ROUNDING = 1e-4


def curve(rows: Sequence[Row], by: str) -> Curve:
    """Return px and scores, the mean of all seeds at each number of regions.

    More annotations do not make a network worse, but trainings differ by chance: scores that fall
    are averaged with those before them until they rise (isotonic regression).
    """
    totals = sorted({row["regions"] for row in rows})
    points = [[(row["px"], row[by]) for row in rows if row["regions"] == total] for total in totals]
    n_seeds = max(map(len, points))
    means = np.array([np.mean(found, axis=0) for found in points if len(found) == n_seeds])
    return means[:, 0], isotonic_regression(means[:, 1])


def px_for(score: float, of: Curve) -> float:
    """Return with how many px a curve first reaches a score; infinity where it does not."""
    px, scores = of
    reached = int(np.searchsorted(scores, score - ROUNDING))
    if reached == len(scores):
        return float("inf")
    if reached == 0:
        return float(px[0])
    share = (score - scores[reached - 1]) / (scores[reached] - scores[reached - 1])
    return float(px[reached - 1] + share * (px[reached] - px[reached - 1]))


def ratios(other: Curve, random: Curve) -> list[tuple[float, float]]:
    """Return the scores that random regions reach, and px of the other ÷ px of random regions."""
    levels = [s for s in dict.fromkeys(random[1].round(4).tolist()) if s > random[1][0] + ROUNDING]
    return [(level, px_for(level, other) / px_for(level, random)) for level in levels]


def print_tables(rows: Sequence[Row], by: str = "score") -> None:
    """Print, of every task, scores and ratios in Markdown."""
    rows = [row for row in rows if by in row]
    for task, base, steps, trainings in dict.fromkeys(map(_setup, rows)):
        here = [row for row in rows if _setup(row) == (task, base, steps, trainings)]
        start = f"from {base}" if base else "from nothing"
        print(f"\n{task}, {start}, {steps} steps, trainings of a round: {trainings}\n")
        _print_scores(here, by)
        print()
        _print_ratios(here, by)


def _setup(row: Row) -> tuple[str, str, int, int]:
    return row["task"], row["base"], row["steps"], row["trainings"]


def _by_strategy(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of each strategy, of a repeated run the last."""
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        last = {(r["seed"], r["regions"]): r for r in rows if r["strategy"] == strategy}
        yield strategy, list(last.values())


def _print_scores(rows: Sequence[Row], by: str) -> None:
    totals = sorted({row["regions"] for row in rows})
    print("| strategy | seeds | " + " | ".join(f"{total}" for total in totals) + " |")
    print("|---|---" + "|---" * len(totals) + "|")
    for strategy, own in _by_strategy(rows):
        cells = []
        for total in totals:
            scores = [row[by] for row in own if row["regions"] == total]
            cells.append(f"{np.mean(scores):.3f} ± {np.std(scores):.3f}" if scores else "")
        print(f"| {strategy} | {len({r['seed'] for r in own})} | " + " | ".join(cells) + " |")


def _print_ratios(rows: Sequence[Row], by: str) -> None:
    found = dict(_by_strategy(rows))
    for strategy in (name for name in found if name != "random" and "random" in found):
        common = {r["seed"] for r in found[strategy]} & {r["seed"] for r in found["random"]}
        pair = [[r for r in found[s] if r["seed"] in common] for s in (strategy, "random")]
        print(f"{strategy} ÷ random, px to the same score:")
        print(f"  mean of {len(common)} seeds: {_said(*(curve(side, by) for side in pair))}")
        for seed in sorted(common):
            own, other = (curve([r for r in side if r["seed"] == seed], by) for side in pair)
            print(f"  seed {seed}: {_said(own, other)}")


def _said(own: Curve, random: Curve) -> str:
    return ", ".join(f"{score:.3f}: {ratio:.0%}" for score, ratio in ratios(own, random))

"""Trials of one world and budget as a row of a table, and all rows as a figure; pure."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from worlds import D_MAX, D_MIN, WORLDS

# Coverage that is as good as 95%.
GOOD = (0.90, 0.99)
# How notes begin that say nothing of whether d90 can be believed.
USUAL = re.compile(
    "The best learning rate is|Fewer than|One seed each|Not monotone"
    "|Learning rates were selected|[0-9]+ failed runs? |No line|No d90"
)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
MARKERS = "os^Dv<>"
ABOUT = (
    "A world is a made-up curve of score against d with made-up noise of seeds, rows and rates; "
    "sweeps are simulated in it, nothing is trained. A line is a world, a mark a budget of runs."
)
HEADER = (
    "                                                |------ d90: -------------------|"
    "- smallest d -|      |- covers, by end -|\n"
    "world            d90 of      budget trials  runs    d| covers  width   bias    rms|"
    "   bias    rms|  none| narrow      spent    | warned"
)
FOOTER = (
    f"runs: in full trainings; d: how many; covers: share of intervals that hold the truth, * "
    f"outside {GOOD[0]:.0%}\nto {GOOD[1]:.0%}; width: median of upper end / lower end; bias, rms: "
    "of ln(d / truth); none: share of trials\nwithout an interval; narrow, spent: share of the "
    "intervals that cover where the search ended by its\ntolerance, or by its runs (share "
    "of trials); warned: share of trials with a note that is not one of the usual."
)


def warns(note: str) -> bool:
    """Say whether a note of an estimate is a warning, not one of the usual."""
    return USUAL.match(note) is None


def summaries(
    trials: Sequence[dict[str, Any]], is_warning: Callable[[str], bool] = warns
) -> list[dict[str, Any]]:
    """Summarise the trials of one world and budget, against each of its truths."""
    return [_summary(trials, name, is_warning) for name in trials[0]["truths"]]


def _summary(
    trials: Sequence[dict[str, Any]], name: str, is_warning: Callable[[str], bool]
) -> dict[str, Any]:
    truths = [t["truths"][name] or math.inf for t in trials]
    row: dict[str, Any] = {
        "world": trials[0]["world"], "truth": name, "budget": trials[0]["budget"],
        "trials": len(trials),
        "runs": float(np.mean([t["runs"] for t in trials])),
        "ds": float(np.mean([t["ds"] for t in trials])),
    }  # fmt: skip
    ends = [t["interval"] for t in trials]
    row["covers"] = _mean([covers(e, d) for e, d in zip(ends, truths, strict=True) if e])
    row["width"] = float(np.median([width(e) for e in ends if e])) if any(ends) else None
    row["none"] = _mean([e is None for e in ends])
    for kind in ("d90", "smallest"):
        pairs = zip(trials, truths, strict=True)
        off = [math.log((t[kind] or D_MAX) / d) for t, d in pairs if d < math.inf]
        row[kind] = {"bias": _mean(off), "rms": _root(_mean([x * x for x in off]))}
    for word in ("narrower", "spent"):
        ended = [
            covers(t["interval"], d)
            for t, d in zip(trials, truths, strict=True)
            if word in t["why"] and t["interval"]
        ]
        row[word] = {"share": len(ended) / len(trials), "covers": _mean(ended)}
    row["warned"] = _mean([any(map(is_warning, t["notes"])) for t in trials])
    return row


def covers(ends: Sequence[int | None], truth: float) -> bool:
    """Say whether an interval holds the truth; inf lies above every d, where only None reaches."""
    low, high = ends
    return (low or 0) <= truth <= (high or math.inf)


def width(ends: Sequence[int | None]) -> float:
    """Return the upper end over the lower one; an open end is as far as a search may go."""
    low, high = ends
    return max((high or D_MAX) / (low or D_MIN), 1.0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""
    d90, smallest = row["d90"], row["smallest"]
    return (
        f"{row['world']:16} {row['truth']:11} {row['budget']:6} {row['trials']:6} "
        f"{row['runs']:5.0f} {row['ds']:4.1f}| {_share(row['covers'])} {_number(row['width'], 2)} "
        f"{_number(d90['bias'])} {_number(d90['rms'])}| {_number(smallest['bias'])} "
        f"{_number(smallest['rms'])}|"
        f"{row['none']:6.2f}|{_ended(row['narrower'])}{_ended(row['spent'])}|{row['warned']:7.2f}"
    )


def _share(value: float | None) -> str:
    if value is None:
        return "      -"
    return f"{value:6.3f}" + (" " if GOOD[0] <= value <= GOOD[1] else "*")


def _number(value: float | None, digits: int = 3) -> str:
    return "     -" if value is None else f"{value:6.{digits}f}"


def _ended(part: dict[str, Any]) -> str:
    if not part["share"]:
        return "       -    "
    return f"{_share(part['covers'])}({part['share']:3.0%})"


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot the coverage of the intervals and the error of d90, a line a world."""
    from matplotlib.figure import Figure

    places = list(dict.fromkeys((r["world"], r["truth"]) for r in rows))
    figure = Figure(figsize=(11, 2.0 + 0.32 * len(places)), layout="constrained")
    figure.suptitle(
        "Does the 95% interval hold d90, and how far off is d90, where the truth is known?",
        fontweight="bold",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    goal = [100 * share for share in GOOD]
    left.axvspan(goal[0], goal[1], color="#222222", alpha=0.08, lw=0)
    left.set_title(f"grey: the goal, {goal[0]:g} to {goal[1]:g}%", fontsize=9, loc="right")
    budgets = list(dict.fromkeys(r["budget"] for r in rows))
    for i, budget in enumerate(budgets):
        mine = [r for r in rows if r["budget"] == budget]
        lift = 0.6 * ((i + 0.5) / len(budgets) - 0.5)
        y = [places.index((r["world"], r["truth"])) + lift for r in mine]
        style = {"marker": MARKERS[i % len(MARKERS)], "color": COLOURS[i % len(COLOURS)], "ls": ""}
        held = [math.nan if (c := r["covers"]) is None else 100 * c for r in mine]
        off = [100 * math.expm1(math.nan if (e := r["d90"]["rms"]) is None else e) for r in mine]
        runs = np.mean([r["runs"] for r in mine])
        left.plot(held, y, **style, ms=5, label=f"{_called(budget)}: {runs:.0f} trainings")
        right.plot(off, y, **style, ms=5)
    about = [f"{WORLDS[w].about}{f': d90 of {t}' if t else ''}" for w, t in places]
    left.set(yticks=range(len(places)), yticklabels=about, ylim=(len(places) - 0.5, -0.5))
    worst = min([100 * c for r in rows if (c := r["covers"]) is not None], default=0)
    left.set(xlabel="95% intervals that hold the true d90, %", xlim=(min(worst, goal[0]) - 3, 101))
    right.set(xlabel="rms error of d90, %", xscale="log")
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    about_worlds = {"title": ABOUT, "title_fontsize": 8.5}
    figure.legend(
        loc="outside lower center", ncols=len(budgets), fontsize=8, frameon=False, **about_worlds
    )
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#222222", alpha=0.1)
    figure.savefig(path, dpi=160)


def _called(budget: str) -> str:
    """Name a budget: "at most 24 runs", "grid of 3 seeds"."""
    kind, _, seeds = budget.partition(" ")
    return f"grid of {seeds} seeds" if seeds else f"at most {kind} runs"

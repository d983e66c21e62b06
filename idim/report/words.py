"""How a summary's facts are said, once for the table and the figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idim.config import MODULE, OBJECTIVE
from idim.search import named

HEADS = {
    "subspace": "head in the subspace",
    "free": "head trained beside it",
    "frozen": "head frozen",
}


def headline(summary: dict[str, Any]) -> str:
    """Say d90 in a few characters: "d90 = 207", "d90 <= 10", "d90 > 1,000".

    >>> headline({"threshold": 0.9, "d90": 207, "d90_over": None, "bracket": [179, 207]})
    'd90 = 207'
    >>> headline({"threshold": 0.95, "d90": None, "d90_over": 1000, "bracket": [1000, None]})
    'd95 > 1,000'
    """
    name, d90, over = symbol(summary["threshold"]), summary["d90"], summary["d90_over"]
    if d90 is None:
        return f"{name} is not defined" if over is None else f"{name} > {over:,}"
    return f"{name} {'<=' if summary['bracket'][0] is None else '='} {d90:,}"


def symbol(threshold: float) -> str:
    """Name the smallest sufficient d as the papers do: d90 at 0.9, d100 at 1."""
    return f"d{100 * threshold:g}"


def subject(summary: dict[str, Any]) -> str:
    """Say what was measured: "minilm-l6-h384 on mrpc, fastfood DID, head in the subspace"."""
    if summary["task"] == OBJECTIVE:
        return f"{short(summary['model'])}, trained by its own code"
    structure = str(summary["structure"]).upper()
    head = HEADS.get(summary["head"], summary["head"])
    what = short(summary["model"])
    if summary["task"] != MODULE:
        what += f" on {short(summary['task'])}"
    return f"{what}, {summary['projection']} {structure}, {head}"


def setting(summary: dict[str, Any]) -> str:
    """Say what was measured, and how long P's columns are."""
    norm = "" if summary["task"] == OBJECTIVE else f", {summary['norm']} norm"
    return f"{subject(summary)}{norm}"


def short(name: str) -> str:
    """Drop the folders or the owner from a model's or a task's name."""
    return Path(name).name.removesuffix(".toml") or name


def count(n: int) -> str:
    """Write a count to three digits from a million on: 44,426, 22.7 M, 6.74 B."""
    for size, unit in ((10**9, "B"), (10**6, "M")):
        if n >= size:
            return f"{float(f'{n / size:.3g}'):g} {unit}"
    return f"{n:,}"


def ends(summary: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the interval of d90 to show; an end of None is open.

    The bootstrap's, over d that were tried, or the fit's: the search's strategy says which.
    """
    is_fitted = named(summary["search"]["strategy"]).is_fitted
    low, high = summary["fit"]["interval"] if is_fitted else summary["interval"]
    return low, high


def span(summary: dict[str, Any]) -> str:
    """Write the interval: "155-240", "155 to above 1,000"; empty when there is none."""
    low, high = ends(summary)
    if low is None or high is not None:
        return interval((low, high))
    largest = summary["points"][-1]["d"]
    return f"{low:,} to above {largest:,}" if low < largest else interval((largest, None))


def interval(ends: Sequence[int | None]) -> str:
    """Write the ends of an interval; an open end is said, none is empty.

    >>> interval([95, 115]), interval([None, 30]), interval([30, None]), interval([None, None])
    ('95-115', 'up to 30', '30 or above', '')
    """
    low, high = ends
    if low is None:
        return "" if high is None else f"up to {high:,}"
    return f"{low:,} or above" if high is None else f"{low:,}-{high:,}"


def seeds(summary: dict[str, Any]) -> str:
    """Say how many seeds the points have: "5 seeds", "1-3 seeds"."""
    ns = sorted({p["n"] for p in summary["points"]})
    if not ns:
        return "no seeds"
    many = f"{ns[0]}" if len(ns) == 1 else f"{ns[0]}-{ns[-1]}"
    return f"{many} seed{'' if ns[-1] == 1 else 's'}"

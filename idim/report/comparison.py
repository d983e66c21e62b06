"""Several sweeps side by side: names, a table, and which differences exceed their intervals."""

import itertools
import math
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from idim.errors import IdimError
from idim.plain import harmless
from idim.report.table import aligned
from idim.report.words import headline, interval, short, symbol

Record = dict[str, Any]


def compare(summaries: list[Record]) -> Record:
    """Put sweeps side by side.

    Two sweeps differ where the 95% intervals of their fitted d90 have no d in common; each
    interval holds the noise of its own seeds and baseline, so this asks for more than a test of
    the difference would.

    Args:
        summaries: objects of `idim sweep --json`, of one metric and one threshold.

    Returns:
        The record of `idim compare --json`; README.md says what each key means.

    Raises:
        IdimError: fewer than two sweeps, or sweeps that cannot be compared.
    """
    _check(summaries)
    names = _names(summaries)
    sweeps = [_sweep(*named) for named in zip(_marks(), names, summaries, strict=False)]
    return {
        "metric": summaries[0]["metric"],
        "threshold": summaries[0]["threshold"],
        "sweeps": sweeps,
        "pairs": [_pair(a, b) for a, b in itertools.combinations(sweeps, 2)],
    }


def text(compared: Record) -> str:
    """Lay a comparison out: a row a sweep, then a line a pair."""
    share, metric = compared["threshold"], compared["metric"]
    baseline = f"baseline {metric}"
    head = ("", "D", symbol(share), "bracket", "fit", "95% interval", baseline, "runs", "")
    rows = [head, *(tuple(map(harmless, _row(s))) for s in compared["sweeps"])]
    # names stand left: the rest is numbers
    width = max(len(row[0]) for row in rows)
    lines = aligned([(row[0].ljust(width), *row[1:]) for row in rows])
    marks = {s["name"]: s["mark"] for s in compared["sweeps"]}
    verdicts = [_verdict(pair, marks) for pair in compared["pairs"]]
    return "\n".join([*lines, "", *verdicts]) + "\n"


def _check(summaries: list[Record]) -> None:
    if len(summaries) < 2:
        raise IdimError("one sweep has nothing to be compared with; give two folders or more.")
    first = summaries[0]
    for s in summaries[1:]:
        if s["metric"] != first["metric"]:
            raise IdimError(
                f"'{first['out']}' is scored by {first['metric']} and '{s['out']}' by "
                f"{s['metric']}; compare sweeps of one metric."
            )
        if s["threshold"] != first["threshold"]:
            raise IdimError(
                f"'{first['out']}' is read at {first['threshold']:g} of its baseline and "
                f"'{s['out']}' at {s['threshold']:g}; give one --threshold for all."
            )
    for s in summaries:
        if s["line"] is None or not s["points"]:
            what = "no baseline above 0" if s["line"] is None else "no d with a score"
            raise IdimError(f"'{s['out']}' has {what} yet; compare sweeps that have a line.")
    folders = [Path(s["out"]).resolve() for s in summaries]
    if len(set(folders)) < len(folders):
        raise IdimError("one folder is given twice; give each sweep once.")


def _names(summaries: list[Record]) -> list[str]:
    """Name each sweep by what tells it from the others, else by its folder."""
    keys = ("model", "task", "projection", "structure", "norm", "head")
    said = [
        [short(s[k]) if k in ("model", "task") else _setting(k, s[k]) for k in keys]
        for s in summaries
    ]
    differ = [i for i in range(len(keys)) if len({row[i] for row in said}) > 1]
    names = [", ".join(row[i] for i in differ) for row in said]
    if len(set(names)) == len(names):
        return names
    folders = [Path(s["out"]).resolve().name for s in summaries]
    if len(set(folders)) == len(folders):
        return folders
    return [str(s["out"]) for s in summaries]


def _setting(key: str, value: str) -> str:
    return {"structure": value.upper(), "norm": f"{value} norm", "head": f"head {value}"}.get(
        key, value
    )


def _marks() -> Iterator[str]:
    """Yield A to Z, then AA to ZZ: names short enough for a line about two sweeps."""
    for size in (1, 2):
        yield from map("".join, itertools.product(string.ascii_uppercase, repeat=size))


def _sweep(mark: str, name: str, summary: Record) -> Record:
    kept = ("model", "task", "projection", "structure", "norm", "head", "D", "d90", "d90_over")
    kept += ("bracket", "interval", "fit", "baseline", "line", "points", "runs", "out")
    return {
        "mark": mark,
        "name": name,
        "headline": headline(summary),
        **{k: summary[k] for k in kept},
    }


def _pair(a: Record, b: Record) -> Record:
    """Say whether two intervals have a d in common."""
    one, other = (_ends(s["fit"]["interval"]) for s in (a, b))
    found: Record = {"a": a["name"], "b": b["name"], "ratio": None, "verdict": "not told apart"}
    if None not in (a["fit"]["d90"], b["fit"]["d90"]):
        found["ratio"] = a["fit"]["d90"] / b["fit"]["d90"]
    if one is None or other is None:
        found["verdict"] = "no interval"
    elif one[0] > other[1] or other[0] > one[1]:
        found["verdict"] = "differ"
    return found


def _ends(given: list[int | None]) -> tuple[float, float] | None:
    low, high = given
    if low is None and high is None:
        return None
    return 0 if low is None else low, math.inf if high is None else high


def _row(s: Record) -> tuple[str, ...]:
    low, high = s["bracket"]
    base = s["baseline"]
    spread = "" if base["std"] is None else f" ± {base['std']:.3f}"
    counts = s["runs"]
    left = counts["total"] - counts["done"] - counts["failed"] - counts["stopped_early"]
    return (
        f"{s['mark']}  {s['name']}",
        f"{s['D']:,}",
        s["headline"].partition(" ")[2].removeprefix("= "),
        "" if None in (low, high) else f"{low:,}-{high:,}",
        "" if s["fit"]["d90"] is None else f"{s['fit']['d90']:,}",
        interval(s["fit"]["interval"]) or "none",
        f"{base['mean']:.3f}{spread}",
        f"{counts['done']:,}",
        "" if left <= 0 else f"{left} still to do",
    )


def _verdict(pair: Record, marks: dict[str, str]) -> str:
    ratio = "" if pair["ratio"] is None else f", {pair['ratio']:.3g}x by the fits"
    said = {
        "differ": "differ: their 95% intervals have no d in common",
        "not told apart": "are not told apart: their 95% intervals overlap",
        "no interval": "are not told apart: one or both have no interval",
    }
    return f"{marks[pair['a']]} and {marks[pair['b']]} {said[pair['verdict']]}{ratio}"

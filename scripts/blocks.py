"""The published blocks as Markdown, from what the commands have written; pure."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cells

from idim.estimate import symbol
from idim.plain import many
from idim.report.words import crossing, interval

Row = dict[str, str]
# The model that scripts/bench.py measures.
BENCH_D = 22_713_986


def environment(root: Path) -> dict[str, str]:
    """Return this process's environment with idim found in `root`, and lines of one width."""
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"COLUMNS": "100", "PYTHONPATH": os.pathsep.join(paths)}


def fenced(printed: str) -> str:
    """Return what a command printed as a block of text."""
    return f"```\n{printed.rstrip()}\n```"


def trajectory(record: dict[str, Any], bags: Mapping[str, tuple[float, float]]) -> str:
    """Return a row a task: what a constant answer and a bag of words score, and d90 at the ends.

    Args:
        record: the object of `idim trajectory --json`.
        bags: by task, the scores of a constant answer and of a bag of words.
    """
    names = [row["model"] for row in record["tasks"][0]["rows"]]
    called = symbol(record.get("threshold", 0.9), target=record.get("target", "papers"))
    heads = ["task", "constant answer", "bag of words", f"full, `{names[0]}`",
             f"full, `{names[-1]}`", f"{called}, `{names[-1]}`"]  # fmt: skip
    again = [on_one_line(part, record) for part in record["tasks"]]
    heads += [f"`{names[0]}` to the same line"] if any(again) else []
    rows = [heads, ["---"] * len(heads)]
    for part, one_line in zip(record["tasks"], again, strict=True):
        first, last = part["rows"][0], part["rows"][-1]
        cells = [part["task"], *(f"{score:.3f}" for score in bags[part["task"]])]
        cells += [score(row["baseline"]["mean"]) for row in (first, last)]
        cells += [said(last)]
        cells += [said(one_line[0]) if one_line else ""] if any(again) else []
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def on_one_line(part: dict[str, Any], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the checkpoints of a task against the last one's line; none where that is not told."""
    if part["to_last"]:
        return part["to_last"]["rows"]
    return part["rows"] if record.get("lines") == "one" else []


def score(mean: float | None) -> str:
    """Write a mean score; a missing one is no number."""
    return "-" if mean is None else f"{mean:.3f}"


def said(row: dict[str, Any]) -> str:
    """Say d90 of a checkpoint and its interval."""
    if row["missing"]:
        return f"none: {row['missing']}"
    found = crossing(row["d90"], row["d90_under"], row["d90_over"])
    return f"{found} ({interval(row['interval'])})" if row["d90"] and row["interval"] else found


def coverage(rows: list[dict[str, Any]]) -> str:
    """Say in which worlds the intervals are too narrow, and in how many too wide.

    Args:
        rows: of a calibration.
    """
    low, high = cells.GOOD
    known = [row for row in rows if row["covers"] is not None]
    narrow = [row for row in known if row["covers"] < low]
    wide = sum(row["covers"] > high for row in known)
    where: dict[str, list[str]] = {}
    for row in narrow:
        name = row["world"] + (f", d90 of {row['truth']}" if row["truth"] else "")
        runs = row["budget"] if row["budget"].startswith("grid") else f"{row['budget']} runs"
        where.setdefault(name, []).append(f"{row['covers']:.0%} at {runs}")
    said = "; ".join(f"{name} ({', '.join(found)})" for name, found in where.items())
    head = (
        f"In {len(narrow)} of {len(known)} rows fewer than {low:.0%} of the 95% intervals held "
        f"d90{': ' * bool(narrow)}{said}."
    )
    tail = f"In {many(wide, 'row')} more than {high:.0%} did: there they are wider than need be."
    return f"{head}\n{tail}"


def ledger(path: Path) -> list[Row]:
    """Return the newest row of each case that was measured."""
    with path.open(newline="", encoding="utf-8") as f:
        rows = {(r["part"], r["case"], r["dtype"], r["kernels"]): r for r in csv.DictReader(f)}
    return list(rows.values())


def bench(rows: list[Row]) -> str:
    """Return a ledger as a table."""
    latest = max(rows, key=lambda r: r["date"])
    out = [
        f"On {latest['cores']} cores of {latest['cpu']}, torch {latest['torch']}, "
        f"{latest['date']}; D = {BENCH_D:,}, d = 1,000 unless the case says otherwise.",
        "",
        "| part | case | dtype | kernels | median | ratio | bytes a parameter | process peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ms = f"{float(r['ms']):.4g} ms" if r["ms"] else ""
        ratio = f"{float(r['ratio']):.2f} x {r['against']}" if r["ratio"] else ""
        size = f"{float(r['bytes_per_parameter']):.2f}" if r["bytes_per_parameter"] else ""
        peak = f"{float(r['peak_mib']):.0f} MiB" if r["peak_mib"] else ""
        out.append(
            f"| {r['part']} | {r['case']} | {r['dtype']} | {r['kernels']} | {ms} | {ratio} "
            f"| {size} | {peak} |"
        )
    return "\n".join(out)


def speed(rows: list[Row]) -> str:
    """Say in two lines what a step in a subspace costs beside a step of full fine-tuning."""
    at = {(r["part"], r["case"]): r for r in rows if r["dtype"] == "float32"}
    step = at["step", "fastfood step, copies=2"]
    size = {name: float(at["memory", name]["bytes_per_parameter"]) for name in
            ("full AdamW", "fastfood, copies=2", "fastfood, copies=1")}  # fmt: skip
    return (
        f"A training step in a random subspace takes {float(step['ratio']):.2f} times one of full "
        f"fine-tuning with AdamW (a BERT of {BENCH_D / 1e6:.1f} M parameters, float32, CPU).\n"
        f"It needs {size['fastfood, copies=2']:.1f} bytes a parameter, or "
        f"{size['fastfood, copies=1']:.1f} with `copies=1`, where full AdamW needs "
        f"{size['full AdamW']:.0f}."
    )

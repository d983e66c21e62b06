"""A summary as a plain-text table for a terminal, and as CSV."""

import csv as csv_module
import io
import textwrap
from collections.abc import Sequence
from typing import Any

from idim.plain import harmless
from idim.records import to_json
from idim.report.words import headline, interval, name, seeds, setting, span
from idim.results import Baseline, PointRow, Summary
from idim.search import Tally, named

WIDTH = 100
COLUMNS = ("d", "trainable", "lr", "lrs", "mean", "std", "n", "scores", "passes")


def text(summary: Summary) -> str:
    """Lay out a sweep: one sentence, a row for the baseline and each d, d90, notes.

    Args:
        summary: of the sweep.

    Returns:
        Lines of text, ended by a newline.
    """
    parts = [*_wrapped(_sentence(summary)), "", *aligned(rows(summary)), "", verdict(summary)]
    protocol = "; ".join(f"{k} {v}" for k, v in to_json(summary.protocol).items())
    for line in state(summary):
        parts += _wrapped(line)
    parts += _wrapped(f"protocol: {protocol}")
    for note in summary.notes:
        parts += _wrapped(f"note: {note}")
    return "\n".join(parts) + "\n"


def state(summary: Summary) -> list[str]:
    """Say what the fit found, why the search stopped, or what is missing."""
    runs, search = summary.runs, summary.search
    lines = [fitted(summary)] if fitted(summary) else []
    tally = Tally(
        total=runs.total, done=runs.done, failed=runs.failed, stopped_early=runs.stopped_early,
        steps=search.steps, steps_saved=search.steps_saved, why=search.why,
    )  # fmt: skip
    return [line for line in (*lines, named(search.strategy).state(tally)) if line]


def fitted(summary: Summary) -> str:
    """Say the d of the fitted curve, in one line; empty when there is none."""
    d, ends = summary.fit.d, interval(summary.fit.interval)
    if d is None:
        return ""
    return f"fit: {name(summary)} = {d:,}{f', 95% interval {ends}' if ends else ''}"


def verdict(summary: Summary) -> str:
    """Say d90 with its bracket, interval and line, in one line.

    Why: a bare number hides how sharp it is (a grid's step) and how sure (its seeds).
    """
    d90, low = summary.d90, summary.bracket[0]
    evidence = []
    if d90 is not None:
        smallest = f"{d90:,} is the smallest d tried"
        evidence.append(smallest if low is None else f"bracket {low:,}-{d90:,}")
    elif summary.points and summary.line is not None:
        best = max(summary.points, key=lambda p: p.mean)
        evidence.append(f"best {best.mean:.3f} at {summary.letter}={best.d:,}")
    if ends := span(summary):
        evidence.append(f"95% interval {ends} over {seeds(summary)}")
    facts = [", ".join(evidence)] if evidence else []
    if summary.line is not None:
        base, share = summary.reference, summary.threshold
        fixed = "" if base.n else " (fixed)"
        facts.append(f"line {share:g} x {base.mean:.3f}{fixed} = {summary.line:.3f}")
    return headline(summary) + (f" ({'; '.join(facts)})" if facts else "")


def csv(summary: Summary) -> str:
    """Write points.csv: the baseline (empty d), then one row a d; lists joined by ';'."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    base = {"trainable": _baseline_size(summary)} | to_json(summary.reference)
    for row in (base, *map(to_json, summary.points)):
        writer.writerow([cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _sentence(summary: Summary) -> str:
    return f"{setting(summary)}; D = {summary.D:,}; {summary.metric}"


def rows(summary: Summary) -> list[tuple[str, ...]]:
    """Give the cells of the table: names, the baseline, then one row a d."""
    base = summary.reference
    head = (summary.letter, "trainable", "lr", summary.metric, "n", "")
    lines = [head, ("baseline", *_cells(base, _baseline_size(summary)), "" if base.n else "fixed")]
    if base.mean is None:
        lines[-1] = (*lines[-1][:-1], "missing")
    for p in summary.points:
        mark = "passes" if p.passes else ""
        if p.d == summary.d90:
            mark += f", {name(summary)}"
        lines.append((f"{p.d:,}", *_cells(p, p.trainable), mark))
    return lines


def aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay cells out in columns, the last of them flush left."""
    lines = [tuple(map(harmless, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return ["  ".join([*map(str.rjust, line, widths), line[-1]]).rstrip() for line in lines]


def _cells(row: Baseline | PointRow, trainable: int | None) -> tuple[str, str, str, str]:
    """Format trainable, lr, mean and its spread, and n; what is missing stays blank."""
    spread = " " * 8 if row.std is None else f" ± {row.std:.3f}"
    return (
        "" if trainable is None else f"{trainable:,}",
        "" if row.lr is None else f"{row.lr:.3g}",
        "" if row.mean is None else f"{row.mean:.3f}{spread}",
        str(row.n or ""),
    )


def _baseline_size(summary: Summary) -> int | None:
    """Full fine-tuning trains all D; a fixed value trained nothing that we know of."""
    return summary.D if summary.reference.n else None


def cell(value: Any) -> str:
    """Write a cell of a CSV file; no text in it is a formula to a spreadsheet.

    >>> cell([1, 2.5]), cell(None), cell(-0.5), cell("=1+1")
    ('1;2.5', '', '-0.5', "'=1+1")
    """
    if isinstance(value, str):
        text = harmless(value)
        return "'" + text if text.startswith(("=", "+", "-", "@")) else text
    if isinstance(value, list):
        return ";".join(map(repr, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else repr(value)


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(
        harmless(sentence), WIDTH, subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip

"""A summary as a plain-text table for a terminal, and as CSV."""

import csv as csv_module
import io
import textwrap
from collections.abc import Sequence
from typing import Any

from idim.plain import harmless
from idim.records import to_json
from idim.report.words import floor, headline, line_of, name, other, seeds, setting, smallest, span
from idim.results import Baseline, PointRow, Summary
from idim.search import Tally, named

WIDTH = 100
COLUMNS = ("d", "trainable", "lr", "lrs", "mean", "std", "n", "scores", "passes")


def text(summary: Summary) -> str:
    """Lay out a sweep: what was measured, a row for the baseline and each d, d90, notes.

    Args:
        summary: of the sweep.

    Returns:
        Lines of text, ended by a newline.
    """
    parts = [*wrapped(_sentence(summary)), "", *aligned(rows(summary)), ""]
    protocol = "; ".join(f"{k} {v}" for k, v in to_json(summary.protocol).items())
    for line in findings(summary):
        parts += wrapped(line)
    parts += wrapped(f"protocol: {protocol}")
    for note in summary.notes:
        parts += wrapped(f"note: {note}")
    return "\n".join(parts) + "\n"


def findings(summary: Summary) -> list[str]:
    """Say d90, how the papers read it, what to quote, and how the search ended or goes on.

    Every line stands by itself.
    """
    lines = [verdict(summary)]
    if said := other(summary):
        lines.append(said)
    if found := smallest(summary.smallest):
        as_they = f", as the papers read {name(summary)}" * (summary.target == "papers")
        lines.append(f"smallest {summary.letter} tried that passes{as_they}: {found}")
    if summary.interval == (None, None):
        lines.append(
            f"quote nothing yet: within the noise of seeds {name(summary)} may be any "
            f"{summary.letter}; more seeds would tell"
        )
    elif summary.d90 is not None and summary.interval is not None:
        lines.append(
            f"quote {name(summary)} with its interval: the smallest {summary.letter} that passes "
            f"moves with the {summary.letter} that were tried"
        )
    return [*lines, *state(summary)]


def state(summary: Summary) -> list[str]:
    """Say why the search stopped, or what is missing."""
    runs, search, alone = summary.runs, summary.search, summary.untrained
    before = alone.n if alone else 0  # no runs of the search
    tally = Tally(
        total=runs.total - before, done=runs.done - before, failed=runs.failed,
        stopped_early=runs.stopped_early,
        steps=search.steps, steps_saved=search.steps_saved, why=search.why,
    )  # fmt: skip
    return [line for line in (named(search.strategy).state(tally),) if line]


def verdict(summary: Summary) -> str:
    """Say d90 with its interval and line, in one line.

    Why: a bare number hides how sure it is.
    """
    facts = []
    if ends := span(summary):
        facts.append(f"95% interval {ends}")
    elif summary.d90 or summary.d90_under or summary.d90_over:
        facts.append("no interval")
    if facts:
        facts = [f"{facts[0]} over {seeds(summary)}"]
    first, letter = summary.smallest.d, summary.letter
    if summary.d90_over is not None and first is not None:
        facts.append(f"{letter}={first:,} passes, and larger {letter} fail again")
    elif summary.d90_over is not None:
        best = max(summary.points, key=lambda p: p.mean)
        facts.append(f"best {best.mean:.3f} at {letter}={best.d:,}")
    if summary.line is not None:
        above = f", above {floor(summary)}" * (summary.target == "gain")
        facts.append(f"line {line_of(summary, summary.target)}{above}")
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
        if p.d == summary.smallest.d:
            mark += ", the smallest"
        lines.append((f"{p.d:,}", *_cells(p, p.trainable), mark))
    return lines


def aligned(lines: Sequence[tuple[str, ...]], left: int = 0) -> list[str]:
    """Lay cells out in columns, the last of them and the first `left` flush left: names."""
    lines = [tuple(map(harmless, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]

    def laid(line: tuple[str, ...]) -> str:
        names = map(str.ljust, line[:left], widths)
        numbers = map(str.rjust, line[left:], widths[left:])
        return "  ".join([*names, *numbers, line[-1]]).rstrip()

    return list(map(laid, lines))


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


def wrapped(sentence: str) -> list[str]:
    """Break a sentence into lines of the terminal's width, all but the first indented."""
    return textwrap.wrap(
        harmless(sentence), WIDTH, subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip

"""A summary as a plain-text table for a terminal, and as CSV."""

import csv as csv_module
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from idim.estimate import Usual
from idim.plain import harmless, number
from idim.records import to_json
from idim.report.words import (
    floor,
    has_rows,
    headline,
    line_of,
    name,
    other,
    scale,
    score,
    seeds,
    setting,
    smallest,
    span,
)
from idim.results import Baseline, PointRow, Summary
from idim.search import Tally, named

WIDTH = 80
COLUMNS = ("d", "trainable", "lr", "lrs", "mean", "std", "n", "scores", "passes")


def text(
    summary: Summary,
    *,
    methods: Mapping[str, str] | None = None,
    after: Iterable[str] = (),
    width: int = WIDTH,
) -> str:
    """Lay a sweep out: the answer, the table it comes from, what to know and what to do next.

    Args:
        summary: of the sweep.
        methods: its methods by topic; with them the protocol and every note are printed whole.
        after: lines for the end that stay as they are, commands to be copied among them.
        width: most characters of a line.

    Returns:
        Lines of text, ended by a newline.
    """
    wrap = partial(wrapped, width=width)
    parts = [line for said in answers(summary) for line in wrap(said)]
    parts += ["", *_head(summary, width), "", *aligned(_shown(rows(summary)), width=width), ""]
    for line in state(summary):
        parts += wrap(line)
    for note in _notes(summary, is_whole=methods is not None):
        parts += wrap(note)
    for line in [] if methods is None else [protocol(summary), *_topics(methods)]:
        parts += wrap(line)
    ends = [*wrap(quote(summary)), *after]
    return "\n".join([*parts, *([""] if parts[-1] and ends else []), *ends]).rstrip("\n") + "\n"


def full(summary: Summary) -> list[str]:
    """Return what a short table leaves out: every note whole, and the protocol."""
    return [*_notes(summary, is_whole=True), protocol(summary)]


def protocol(summary: Summary) -> str:
    """Say how the number was made, in one line."""
    return f"protocol: {'; '.join(f'{k} {v}' for k, v in to_json(summary.protocol).items())}"


def _topics(methods: Mapping[str, str]) -> list[str]:
    return [f"{topic}: {said}" for topic, said in methods.items()]


def _notes(summary: Summary, *, is_whole: bool) -> list[str]:
    """Return the notes; those that most sweeps have, in a few words each, make one line."""
    usual = [] if is_whole else [n.short for n in summary.notes if isinstance(n, Usual)]
    notes = [f"note: {n}" for n in summary.notes if is_whole or not isinstance(n, Usual)]
    return [*notes, *([f"usual: {'; '.join(usual)} (-v says more)"] if usual else [])]


def findings(summary: Summary) -> list[str]:
    """Say d90, how the papers read it, what to quote, and how the search ended or goes on.

    Every line stands by itself.
    """
    lines = *answers(summary), quote(summary), *state(summary)
    return [line for line in lines if line]


def answers(summary: Summary) -> list[str]:
    """Say d90, the line that was not asked for, and the papers' reading, in a line each."""
    return [line for line in (verdict(summary), other(summary), reading(summary)) if line]


def reading(summary: Summary) -> str:
    """Say the papers' reading of d90 in one line; empty where no d was tried."""
    found = smallest(summary.smallest)
    as_they = f", as the papers read {name(summary)}" * (summary.target == "papers")
    return f"smallest {summary.letter} tried that passes{as_they}: {found}" if found else ""


def quote(summary: Summary) -> str:
    """Say what to quote in one line; empty where there is nothing to say of it."""
    if summary.interval == (None, None):
        return (
            f"quote nothing yet: within the noise of seeds {name(summary)} may be any "
            f"{summary.letter}; more seeds would tell"
        )
    if summary.d90 is None or summary.interval is None:
        return ""
    return (
        f"quote {name(summary)} with its interval: the smallest {summary.letter} that passes "
        f"moves with the {summary.letter} that were tried"
    )


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
        facts = [f"{facts[0]} over {seeds(summary)}{' and rows' * has_rows(summary)}"]
    first, letter = summary.smallest.d, summary.letter
    if summary.d90_over is not None and first is not None:
        facts.append(f"{letter}={first:,} passes, and larger {letter} fail again")
    elif summary.d90_over is not None:
        best = max(summary.points, key=lambda p: p.mean)
        facts.append(f"best {score(best.mean, summary)} at {letter}={best.d:,}")
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


def _head(summary: Summary, width: int) -> list[str]:
    """Say what was measured: in one line, or a second one for its size."""
    size = f"D = {summary.D:,}; {summary.metric}"
    whole = harmless(f"{setting(summary)}; {size}")
    return [whole] if len(whole) <= width else [*wrapped(setting(summary), width), size]


def rows(summary: Summary) -> list[tuple[str, ...]]:
    """Give the cells of the table: names, the baseline, then one row a d."""
    base = summary.reference
    head = (summary.letter, "trainable", "lr", summary.metric, "n", "")
    own = _cells(summary, base, _baseline_size(summary))
    lines = [head, ("baseline", *own, "" if base.n else "fixed")]
    if base.mean is None:
        lines[-1] = (*lines[-1][:-1], "missing")
    for p in summary.points:
        mark = "passes" if p.passes else ""
        if p.d == summary.smallest.d:
            mark += ", the smallest"
        lines.append((f"{p.d:,}", *_cells(summary, p, p.trainable), mark))
    return lines


def _shown(lines: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out how many numbers are trained, where it is d in every row: D stands above."""
    d, trainable = 0, 1
    if any(row[trainable] != row[d] for row in lines[2:]):
        return lines
    return [(row[d], *row[trainable + 1 :]) for row in lines]


def aligned(lines: Sequence[tuple[str, ...]], left: int = 0, width: int | None = None) -> list[str]:
    """Lay cells out in columns, the last of them and the first `left` flush left: names.

    Args:
        lines: cells; names in the first.
        left: how many columns of names there are at the left.
        width: a wider table goes on below itself, with its first columns again.
    """
    lines = [tuple(map(harmless, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    keys = max(left, 1)
    ends = [sum(widths[:n]) + 2 * (n - 1) for n in range(1, len(widths) + 1)]
    fits = sum(end <= width for end in ends) if width is not None else len(ends)
    fits = max(fits, keys + 1)
    if fits >= len(ends):
        return _laid(lines, widths, left, len(widths) - 1)
    above = _laid([line[:fits] for line in lines], widths, left, fits)
    rest = [line[:keys] + line[fits:] for line in lines]
    return [*above, "", *aligned(rest, left, width)]


def _laid(lines: Sequence[tuple[str, ...]], widths: list[int], left: int, right: int) -> list[str]:
    """Pad cells: names before column `left`, numbers before column `right`, words from there."""

    def laid(line: tuple[str, ...]) -> str:
        names = map(str.ljust, line[:left], widths)
        numbers = map(str.rjust, line[left:right], widths[left:])
        return "  ".join([*names, *numbers, *line[right:]]).rstrip()

    return list(map(laid, lines))


def _cells(
    summary: Summary, row: Baseline | PointRow, trainable: int | None
) -> tuple[str, str, str, str]:
    """Format trainable, lr, mean and its spread, and n; what is missing stays blank."""
    mean = "" if row.mean is None else score(row.mean, summary, row.std)
    if mean and row.std is None:  # as wide as the others, so that the means stand below each other
        mean += " " * len(f" ± {number(0.0, scale(summary))}")
    return (
        "" if trainable is None else f"{trainable:,}",
        "" if row.lr is None else f"{row.lr:.3g}",
        mean,
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


def wrapped(sentence: str, width: int = WIDTH) -> list[str]:
    """Break a sentence into lines, between words and never in one; all but the first indented."""
    return textwrap.wrap(
        harmless(sentence), width, subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip

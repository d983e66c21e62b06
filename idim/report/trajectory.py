"""d90 along a pretraining: tables and a CSV."""

import csv as csv_module
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from idim.plain import harmless, many, number
from idim.report.table import WIDTH, aligned, cell, wrapped
from idim.report.words import crossing, interval, short, symbol
from idim.results import Checkpoint, Correlation, Series, TaskSeries, Trajectory

COLUMNS = (
    "task", "model", "steps", "D", "chance", "baseline", "baseline_std", "line", "d90",
    "d90_under", "d90_over", "low", "high", "smallest", "adjusted_line", "adjusted_d90", "floor",
    "papers_line", "papers_d90", "missing",
    "runs", "seconds", "last_line", "last_d90", "last_d90_under", "last_d90_over", "last_low",
    "last_high", "last_smallest", "last_runs", "last_seconds",
)  # fmt: skip


def text(found: Trajectory, width: int | None = None) -> str:
    """Lay a trajectory out: a row a checkpoint, task by task, and a rank correlation each.

    First what the same score asks of every checkpoint of a task, then what each asks of itself;
    what was not asked for is left out.

    Args:
        found: the trajectory.
        width: most characters of a line; None: as wide as the tables are.
    """
    lines = []
    if found.lines != "own":
        lines += [*_one_line(found, width), ""]
    if found.lines != "one":
        lines += [*_own_lines(found, width), ""]
    return "\n".join([*lines, *_explained(found, width)]) + "\n"


def correlations(found: Trajectory) -> list[str]:
    """Say how d90 moves with the steps of pretraining, in a line a task."""
    name = _called(found)
    if found.lines == "own":
        return [harmless(_correlated(part, name)) for part in found.tasks]
    parts = to_one_line(found)
    lined = _lined(parts)
    said = [
        *(_correlated(part, name, part.rows[-1]) for part in parts if _has_line(part)),
        *(_no_line(part) for part in found.tasks if part.task not in lined),
    ]
    return list(map(harmless, said))


def _called(found: Trajectory) -> str:
    return symbol(found.threshold, found.letter, found.target)


def _asked(found: Trajectory, of: str) -> str:
    """Say which score is asked for: "0.9 of the full fine-tuning of the last one"."""
    way = "the way to " * (found.target == "gain")
    return f"{found.threshold:g} of {way}{'the' if of else 'its own'} full fine-tuning{of}"


def _one_line(found: Trajectory, width: int | None) -> list[str]:
    """Lay out what reaches the last checkpoint's line, and say why a task has none."""
    name, parts = _called(found), to_one_line(found)
    table: list[tuple[str, ...]] = [
        ("task", "model", "steps", "full fine-tuning", name, "95% interval", "smallest tried",
         "runs", "")
    ]  # fmt: skip
    for part in parts:
        table += [(*_cells(part.task, row), str(row.runs.done), "") for row in part.rows]
    return [
        f"One line a task, asked of every checkpoint: {_asked(found, ' of the last one')}",
        "",
        *aligned(table, 2, width),
        "",
        *_said(correlations(found), width),
    ]


def _said(sentences: Iterable[str], width: int | None) -> list[str]:
    return [line for sentence in sentences for line in wrapped(sentence, width or WIDTH)]


def _lined(parts: Sequence[TaskSeries]) -> set[str]:
    return {part.task for part in parts if _has_line(part)}


def _has_line(part: TaskSeries) -> bool:
    return part.rows[-1].missing is None


def _no_line(part: TaskSeries) -> str:
    last = part.rows[-1]
    return f"{part.task}: no line: {last.missing} at the last checkpoint, {short(last.model)}"


def _own_lines(found: Trajectory, width: int | None) -> list[str]:
    """Lay out what each checkpoint asks of itself, and beside it the line not asked for."""
    name = _called(found)
    other = symbol(found.threshold, found.letter, "papers" if found.target == "gain" else "gain")
    table: list[tuple[str, ...]] = [
        ("task", "model", "steps", "full fine-tuning", name, "95% interval", "smallest tried",
         "constant", "line", other, "runs", "")
    ]  # fmt: skip
    for part in found.tasks:
        table += [(*_cells(part.task, row), *_own_cells(row, found)) for row in part.rows]
    return [
        f"Each checkpoint's own line: {_asked(found, '')}",
        "",
        *aligned(table, 2, width),
        "",
        *_said((harmless(_correlated(part, name)) for part in found.tasks), width),
    ]


def _explained(found: Trajectory, width: int | None) -> list[str]:
    """Say what the columns are, and how a correlation was found."""
    letter, share = found.letter, f"{found.threshold:g}"
    gain = symbol(found.threshold, letter, "gain")
    papers = symbol(found.threshold, letter)
    lines = {
        papers: f"{papers}: where the fitted curve crosses {share} of full fine-tuning, as in the "
        "papers",
        gain: f"{gain}: where it crosses floor + {share} x (full fine-tuning - floor), the floor "
        "being the better of a constant answer and the untrained model, where that was scored",
    }
    shown = [lines[_called(found)]] if found.lines == "one" else list(lines.values())
    said = [
        *shown,
        *(
            ["its own line asks little of a checkpoint that learns little"]
            if found.lines != "one"
            else []
        ),
        f"smallest tried: the smallest {letter} that passes; > and <= are bounds: no {letter} "
        "tried is enough, or already the smallest is; -: none that means anything",
    ]
    if method := next((p.correlation.method for p in found.tasks if p.correlation.method), ""):
        said.append(f"rank correlation: {method}")
    return _said(said, width)


def csv(found: Trajectory) -> str:
    """Write a row for each task and checkpoint."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for part in found.tasks:
        again = part.to_last.rows if part.to_last else [None] * len(part.rows)
        for r, to_last in zip(part.rows, again, strict=True):
            adjusted, papers = r.gain, r.papers
            values: list[Any] = [
                part.task, r.model, r.steps, r.D, r.chance, r.reference.mean, r.reference.std,
                *_found(r), adjusted and adjusted.line, adjusted and adjusted.d,
                r.floor, papers and papers.line, papers and papers.d, r.missing, *_spent(r),
            ]  # fmt: skip
            if to_last:
                values += [*_found(to_last), *_spent(to_last)]
            values += [None] * (len(COLUMNS) - len(values))
            writer.writerow(map(cell, values))
    return out.getvalue()


def against_last(found: Trajectory) -> list[TaskSeries]:
    """Return the parts as they look against the last checkpoint's line, where that was measured.

    A part without keeps its place, and so its colour, with no rows.
    """
    nothing = Series(rows=(), correlation=Correlation(spearman=None, n=0))
    parts = [_in_place(part, part.to_last or nothing) for part in found.tasks]
    return parts if any(part.rows for part in parts) else []


def to_one_line(found: Trajectory) -> list[TaskSeries]:
    """Return the parts against the last checkpoint's line, with each one's own full fine-tuning."""
    if found.lines == "one":
        return list(found.tasks)
    return [
        replace(
            part,
            rows=tuple(
                replace(to, reference=own.reference)
                for to, own in zip(part.to_last.rows, part.rows, strict=True)
            ),
            correlation=part.to_last.correlation,
        )
        for part in found.tasks
        if part.to_last is not None
    ]


def _in_place(part: TaskSeries, series: Series) -> TaskSeries:
    return replace(part, rows=series.rows, correlation=series.correlation)


def _found(row: Checkpoint) -> tuple[Any, ...]:
    ends = row.interval or (None, None)
    return row.line, row.d90, row.d90_under, row.d90_over, *ends, row.smallest.d


def _spent(row: Checkpoint) -> tuple[Any, ...]:
    return row.runs.done, row.seconds


def _cells(task: str, row: Checkpoint) -> tuple[str, ...]:
    base, known = row.reference, row.missing is None
    full = "" if base.mean is None else number(base.mean)
    full += "" if base.std is None else f" ± {number(base.std, base.mean)}"
    return (
        task,
        short(row.model),
        f"{row.steps:,}",
        full,
        crossing(row.d90, row.d90_under, row.d90_over) if known else "-",
        interval(row.interval) if known else "",
        f"{row.smallest.d:,}" if known and row.smallest.d else "",
    )


def _own_cells(row: Checkpoint, found: Trajectory) -> tuple[str, ...]:
    other = row.papers if found.target == "gain" else row.gain
    return (
        "" if row.chance is None else number(row.chance, row.reference.mean),
        "" if row.line is None else number(row.line, row.reference.mean),
        crossing(other.d, other.under, other.over) if other else "",
        str(row.runs.done),
        "" if row.missing is None else row.missing,
    )


def _correlated(part: TaskSeries, name: str, line: Checkpoint | None = None) -> str:
    ranks = part.correlation
    head = part.task
    if line is not None and line.line is not None:
        head += f", line {number(line.line, line.reference.mean)}"
    if ranks.spearman is None:
        return f"{head}: no rank correlation of {many(ranks.n, 'checkpoint')} with a {name}"
    said = f"{head}: rank correlation of {name} with steps {ranks.spearman:+.2f}"
    if ranks.interval is not None:
        said += " (95% interval {:+.2f} to {:+.2f})".format(*ranks.interval)
    return f"{said} over {ranks.n} checkpoints"

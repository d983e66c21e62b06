"""d90 along a pretraining: tables and a CSV."""

import csv as csv_module
import io
from dataclasses import replace
from typing import Any

from idim.plain import harmless, many
from idim.report.table import aligned, cell
from idim.report.words import crossing, interval, short, symbol
from idim.results import Checkpoint, Correlation, Series, TaskSeries, Trajectory

COLUMNS = (
    "task", "model", "steps", "D", "chance", "baseline", "baseline_std", "line", "d90",
    "d90_under", "d90_over", "low", "high", "smallest", "adjusted_line", "adjusted_d90", "missing",
    "runs", "seconds", "last_line", "last_d90", "last_d90_under", "last_d90_over", "last_low",
    "last_high", "last_smallest", "last_runs", "last_seconds",
)  # fmt: skip


def text(found: Trajectory) -> str:
    """Lay a trajectory out: a row a checkpoint, task by task, and a rank correlation each."""
    name, share = symbol(found.threshold, found.letter), f"{found.threshold:g}"
    head = ("task", "model", "steps", "full fine-tuning", "constant", name, "95% interval",
            "smallest tried", f"{name} above chance", "runs")  # fmt: skip
    lines = [head]
    for part in found.tasks:
        lines += [_cells(part.task, row) for row in part.rows]
    said = [harmless(_correlated(part, name)) for part in found.tasks]
    notes = [
        f"{name}: where the fitted curve crosses {share} of full fine-tuning; smallest tried: the "
        f"smallest {found.letter} that passes",
        f"  there, as the papers read it; above chance: the crossing of chance + {share} x (full "
        "fine-tuning - chance).",
        f"  A row without: {share} of full fine-tuning is no more than a constant answer scores.",
    ]
    return "\n".join([*aligned(lines, left=2), "", *said, "", *notes, *_one_line(found)]) + "\n"


def csv(found: Trajectory) -> str:
    """Write a row for each task and checkpoint."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for part in found.tasks:
        again = part.to_last.rows if part.to_last else [None] * len(part.rows)
        for r, to_last in zip(part.rows, again, strict=True):
            adjusted = r.gain
            values: list[Any] = [
                part.task, r.model, r.steps, r.D, r.chance, r.reference.mean, r.reference.std,
                *_found(r), adjusted and adjusted.line, adjusted and adjusted.d, r.missing,
                *_spent(r),
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


def _in_place(part: TaskSeries, series: Series) -> TaskSeries:
    return replace(part, rows=series.rows, correlation=series.correlation)


def _found(row: Checkpoint) -> tuple[Any, ...]:
    ends = row.interval or (None, None)
    return row.line, row.d90, row.d90_under, row.d90_over, *ends, row.smallest.d


def _spent(row: Checkpoint) -> tuple[Any, ...]:
    return row.runs.done, row.seconds


def _one_line(found: Trajectory) -> list[str]:
    """Lay out what reaches the last checkpoint's line: a row a task, a column a checkpoint."""
    parts = [part for part in against_last(found) if part.rows]
    if not parts:
        return []
    name = symbol(found.threshold, found.letter)
    steps = [f"{row.steps:,}" for row in parts[0].rows]
    lines = [("task", "line", *steps, "rank correlation")]
    for part in parts:
        rho = part.correlation.spearman
        ds = (_d90(row) for row in part.rows)
        said = "" if rho is None else f"{rho:+.2f}"
        lines.append((part.task, f"{part.rows[0].line:.3f}", *ds, said))
    return [
        "",
        f"{name} against one line a task, {found.threshold:g} of the last checkpoint's full "
        "fine-tuning, by steps of pretraining:",
        "",
        *aligned(lines, left=1),
    ]


def _cells(task: str, row: Checkpoint) -> tuple[str, ...]:
    base = row.reference
    full = "" if base.mean is None else f"{base.mean:.3f}"
    full += "" if base.std is None else f" ± {base.std:.3f}"
    constant = "" if row.chance is None else f"{row.chance:.3f}"
    adjusted = row.gain
    known = row.missing is None
    return (
        task,
        short(row.model),
        f"{row.steps:,}",
        full,
        constant,
        _d90(row),
        interval(row.interval) if known else "",
        f"{row.smallest.d:,}" if known and row.smallest.d else "",
        crossing(adjusted.d, adjusted.under, adjusted.over) if adjusted else "",
        str(row.runs.done),
    )


def _d90(row: Checkpoint) -> str:
    known = row.missing is None
    return crossing(row.d90, row.d90_under, row.d90_over) if known else "-"


def _correlated(part: TaskSeries, name: str) -> str:
    rho, n = part.correlation.spearman, part.correlation.n
    if rho is None:
        return f"{part.task}: no rank correlation of {many(n, 'checkpoint')} with a {name}"
    return f"{part.task}: rank correlation of {name} with steps {rho:+.2f} over {n} checkpoints"

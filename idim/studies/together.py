"""What the sweeps of a trajectory say together, in its folder or as they were just done."""

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from idim.config import Lines, SweepSpec
from idim.errors import IdimError
from idim.results import Checkpoint, Runs, Series, TaskSeries, Trajectory
from idim.store import read_json
from idim.studies.ranks import correlation
from idim.sweeps import AS_ASKED, At, summarise

FILE = "trajectory.json"

# By task, in the order of their steps.
Rows = dict[str, list[Checkpoint]]


def is_trajectory(out: Path) -> bool:
    """Say whether a folder is a trajectory's."""
    return os.path.isfile(out / FILE)  # of any name that a user types


def read(out: Path, at: At = AS_ASKED) -> Trajectory:
    """Put together again what the sweeps of a trajectory's folder say; nothing is written.

    Args:
        out: the folder.
        at: another line than that of the sweeps.

    Raises:
        IdimError: a sweep is missing or damaged, or a fixed baseline for one line a task.
    """
    found = Trajectory.from_json(read_json(out / FILE), f"'{out / FILE}'")
    if any(part.to_last for part in found.tasks):  # an older file does not say
        found = replace(found, lines="both")
    if found.lines != "own" and at.baseline is not None:
        raise IdimError("one line a task is that of the last checkpoint; leave out the baseline.")

    def again(row: Checkpoint, name: str, at: At) -> Checkpoint:
        return Checkpoint.of(row.model, row.steps, summarise(out / row.out.parent.name / name, at))

    own, last = {}, {}
    for part in found.tasks:
        own[part.task] = [again(r, r.out.name.removesuffix("-last"), at) for r in part.rows]
        line = own[part.task][-1]
        to = replace(at, baseline=line.reference.mean, floor=line.floor)
        swept = [r for r in (part.to_last or part).rows if r.out.name.endswith("-last")]
        if swept and line.missing is None:
            last[part.task] = [again(r, r.out.name, to) for r in swept]
    share = found.threshold if at.threshold is None else at.threshold
    about = {"threshold": share, "target": at.target or found.target}
    called = {part.task: part.task for part in found.tasks}
    return replace(found, **about, tasks=_tasks(found.lines, called, own, last))


def assembled(
    spec: SweepSpec, lines: Lines, called: dict[str, str], own: Rows, again: Rows
) -> Trajectory:
    """Put all rows side by side, task by task.

    Args:
        spec: any of the sweeps', for what all share.
        lines: whose were asked for.
        called: what each task is called.
        own: of each checkpoint to its own line; with one line a task, of all but the last what
            full fine-tuning scores.
        again: to the last one's line, without the last; nothing of a task whose last has none.
    """
    return Trajectory(
        threshold=spec.threshold, target=spec.target, lines=lines, method=spec.method,
        structure=spec.structure,
        projection=spec.projection, tasks=_tasks(lines, called, own, again),
    )  # fmt: skip


def _tasks(lines: Lines, called: dict[str, str], own: Rows, again: Rows) -> tuple[TaskSeries, ...]:
    found = []
    for task, alone in own.items():
        rows, last = alone, None
        if lines == "one":
            rows = [*_to_one_line(alone[:-1], again.get(task)), alone[-1]]
        elif task in again:
            last = _series([*again[task], alone[-1]])
        about: dict[str, Any] = {"metric": rows[0].metric, "chance": rows[0].chance}
        ranks = correlation(rows)
        found.append(
            TaskSeries(
                task=called[task], **about, rows=tuple(rows), correlation=ranks, to_last=last
            )
        )
    return tuple(found)


def _to_one_line(alone: list[Checkpoint], again: list[Checkpoint] | None) -> list[Checkpoint]:
    """Put what full fine-tuning scores beside the d that reaches the last one's line."""
    if again is None:
        why = "no line of the last"
        return [replace(row, missing=why, line=None, runs=_ended(row.runs)) for row in alone]
    return [
        replace(
            to, reference=row.reference, runs=_sum(_ended(row.runs), to.runs),
            seconds=round(row.seconds + to.seconds, 1),
        )
        for row, to in zip(alone, again, strict=True)
    ]  # fmt: skip


def _ended(runs: Runs) -> Runs:
    """Leave out the runs that a search of its own line would do next."""
    return replace(runs, total=runs.total - runs.to_do)


def _sum(a: Runs, b: Runs) -> Runs:
    return Runs(**{f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(Runs)})


def failures(found: Trajectory) -> int:
    """Count the runs that failed; a rate too high for its d is a finding, not a failure."""
    parts = [each for part in found.tasks for each in (part, part.to_last) if each]
    runs = {row.out: row.runs for part in parts for row in part.rows}
    return sum(count.lost for count in runs.values())


def _series(rows: Sequence[Checkpoint]) -> Series:
    return Series(rows=tuple(rows), correlation=correlation(rows))

"""d90 along a pretraining: one sweep for each checkpoint and task, read together.

OUT/<task>/step-<n>/       the sweep of the checkpoint after n steps
OUT/<task>/step-<n>-last/  the same to the last checkpoint's line, if both lines are asked for
OUT/trajectory.json        what all of them say together
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from idim import launch
from idim.builtin import weights
from idim.config import Lines, SweepSpec, TrajectorySpec, slug
from idim.errors import IdimError
from idim.problems import tasks
from idim.reading import expanded, is_folder
from idim.results import Checkpoint, Correlation, Series, TaskSeries, Trajectory
from idim.store import alone, make_folder, read_json, write_json, write_text
from idim.sweeps import (
    Event,
    Plan,
    Shared,
    against,
    already,
    check,
    execute,
    neighbours,
    plan,
    summarise,
    write,
)
from idim.sweeps.execute import default_jobs

FILE = "trajectory.json"
# "...@step1000" (Pythia), "...-step_20k" (MultiBERTs), "step-300" (`idim pretrain`), "tiny@300"
_STEPS = re.compile(r"(?:step[-_]?|@)([0-9]{1,12})(k?)$")

# By task, in the order of their steps.
Rows = dict[str, list[Checkpoint]]
# Makes the display of the sweep in a folder.
Follow = Callable[[Path], AbstractContextManager[Callable[[Event], None]]]


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A checkpoint, and the steps of pretraining behind it."""

    model: str
    steps: int


@dataclass(frozen=True, slots=True)
class CheckpointSweep:
    """The sweep of one checkpoint on one task."""

    task: str
    pretrained: Pretrained
    plan: Plan
    # Whether the line is the last checkpoint's, not this one's own.
    to_last: bool = False

    @property
    def called(self) -> str:
        """What its task is called: by its own file, where it has one."""
        return self.plan.space.resolved.get("task_name") or self.task

    def __str__(self) -> str:
        return f"{self.called}, {self.pretrained.model}{' to the line of the last' * self.to_last}"

    def folder(self, out: Path) -> Path:
        """Return where its runs lie."""
        return _place(out, self.task, self.pretrained, to_last=self.to_last)

    def beside(self, out: Path) -> list[Path]:
        """Return where equal runs may lie: in this trajectory, others beside it, and sweeps."""
        others = neighbours(out)
        kinds = [(t, last) for t in others for last in (False, True)]
        alike = [_place(t, self.task, self.pretrained, to_last=last) for t, last in kinds]
        return [*neighbours(self.folder(out)), *alike, *others]


def checkpoints(spec: TrajectorySpec) -> list[Pretrained]:
    """Return the checkpoints in the order of their steps.

    Raises:
        IdimError: a name that does not tell its steps, or two of the same.
    """
    models = [name for given in spec.models for name in _checkpoints(given)]
    if spec.pretrained and len(spec.pretrained) != len(models):
        raise IdimError(
            f"pretrained has {len(spec.pretrained)} numbers for {len(models)} models; "
            "give one each."
        )
    counts = spec.pretrained or tuple(map(_steps, models))
    found = sorted(map(Pretrained, models, counts), key=lambda c: c.steps)
    for a, b in pairwise(found):
        if a.steps == b.steps:
            raise IdimError(
                f"'{a.model}' and '{b.model}' are both checkpoints after {a.steps:,} steps; "
                "measure one pretraining at a time."
            )
    if len(found) < 2:
        raise IdimError("a trajectory needs two checkpoints or more; give them with --models.")
    return found


def prepare(spec: TrajectorySpec, out: Path | None = None) -> list[CheckpointSweep]:
    """Resolve every sweep before any is begun: a mistake in the last would come too late.

    Args:
        spec: what to measure.
        out: the folder, which may hold some of it.

    Raises:
        IdimError: as `checkpoints` and `plan`, or a fixed baseline where both lines are asked for.
    """
    if spec.lines == "both" and spec.baseline != "own":
        raise IdimError(
            f"lines=both compares with full fine-tuning, not with baseline={spec.baseline}; "
            "leave one of them out."
        )
    names = spec.tasks or tuple(name for name, info in tasks.TASKS.items() if info.is_generated)
    found = checkpoints(spec)
    places = {(t, s): out and _place(out, t, s) for t in names for s in found}
    return [
        CheckpointSweep(task, s, plan(spec.sweep(s.model, task), place))
        for (task, s), place in places.items()
    ]


def _place(out: Path, task: str, pretrained: Pretrained, *, to_last: bool = False) -> Path:
    return out / slug(task) / f"step-{pretrained.steps}{'-last' * to_last}"


def run_all(sweeps: list[CheckpointSweep], out: Path, *, lines: Lines, jobs: int | None,
              tell: Callable[[str], None], say: Callable[[str], None], follow: Follow,
              accepted: Callable[[], None], share: bool = False) -> Trajectory:  # fmt: skip
    """Do what is missing of every sweep, and write what they say together.

    Args:
        sweeps: from `prepare`.
        out: folder of the trajectory.
        lines: "both" sweeps each checkpoint again, to the line of the last.
        jobs: processes; by default one for each core a run leaves idle.
        tell: given a line for what a user must know.
        say: given a line before each sweep.
        follow: makes the display of one sweep.
        accepted: called once no sweep's folder is another's.
        share: whether equal runs of other sweeps are linked from there.

    Returns:
        What they say together.
    """
    for one in sweeps:
        check(one.plan, one.folder(out))
    make_folder(out)
    with alone(out), launch.start(default_jobs(sweeps[0].plan, jobs)) as workers:
        accepted()

        def measure(chosen: list[CheckpointSweep]) -> Rows:
            found: Rows = {}
            for i, one in enumerate(chosen, 1):
                say(f"[{i}/{len(chosen)}] {one}")
                folder = one.folder(out)
                with follow(folder) as progress:
                    summary = execute(
                        one.plan, folder, workers=workers, progress=progress, tell=tell,
                        share=one.beside(out) if share else (),
                    )  # fmt: skip
                write(summary, folder)
                row = Checkpoint.of(one.pretrained.model, one.pretrained.steps, summary)
                found.setdefault(one.task, []).append(row)
            return found

        own = measure(sweeps)
        again = measure(to_last(sweeps, own)) if lines == "both" else {}
    called = {one.task: one.called for one in sweeps}
    measured = assembled(sweeps[0].plan.spec, called, own, again)
    _write(measured, out)
    return measured


@dataclass(frozen=True, slots=True)
class Ahead:
    """What one sweep would do."""

    task: str
    model: str
    steps: int
    # At most.
    runs: int
    seconds: float
    # Runs that its folder holds.
    already: int
    # Runs that other sweeps have done, as far as is known before the first is done.
    elsewhere: int = 0


def ahead(sweeps: list[CheckpointSweep], out: Path, *, share: bool = False) -> list[Ahead]:
    """Return what each sweep would do; nothing is trained but a step of each task's first.

    Raises:
        IdimError: a sweep's folder is another's.
    """
    first = {one.task: one.plan for one in reversed(sweeps)}
    return [
        Ahead(
            one.called, one.pretrained.model, one.pretrained.steps, one.plan.most,
            round(one.plan.seconds(first[one.task].step_seconds), 1),
            already(one.plan, one.folder(out)),
            Shared(one.plan, one.folder(out), one.beside(out) if share else ()).ahead(),
        )
        for one in sweeps
    ]  # fmt: skip


def is_trajectory(out: Path) -> bool:
    """Say whether a folder is a trajectory's."""
    return os.path.isfile(out / FILE)  # of any name that a user types


def read(out: Path, threshold: float | None = None) -> Trajectory:
    """Put together again what the sweeps of a trajectory's folder say; nothing is written.

    Args:
        out: the folder.
        threshold: share of the baseline, if not the sweeps' own.

    Raises:
        IdimError: a sweep is missing or damaged.
    """
    found = Trajectory.from_json(read_json(out / FILE), f"'{out / FILE}'")

    def again(row: Checkpoint) -> Checkpoint:
        folder = out / row.out.parent.name / row.out.name
        return Checkpoint.of(row.model, row.steps, summarise(folder, threshold))

    parts = []
    for part in found.tasks:
        rows = tuple(map(again, part.rows))
        last = None if part.to_last is None else _series(list(map(again, part.to_last.rows)))
        parts.append(replace(part, rows=rows, correlation=correlation(rows), to_last=last))
    share = found.threshold if threshold is None else threshold
    return replace(found, threshold=share, tasks=tuple(parts))


def to_last(sweeps: list[CheckpointSweep], own: Rows) -> list[CheckpointSweep]:
    """Return the sweeps of every earlier checkpoint to the line of the last, where it has one."""
    found = []
    for one in sweeps:
        last = own[one.task][-1]
        score = last.reference.mean
        if one.pretrained.steps < last.steps and last.missing is None and score is not None:
            found.append(replace(one, plan=against(one.plan, score), to_last=True))
    return found


def assembled(spec: SweepSpec, called: dict[str, str], own: Rows, again: Rows) -> Trajectory:
    """Put all rows side by side, task by task.

    Args:
        spec: any of the sweeps', for what all share.
        called: what each task is called.
        own: of each checkpoint to its own line.
        again: the same to the last one's line, without the last.
    """
    tasks = [
        TaskSeries(
            task=called[task], metric=rows[0].metric, chance=rows[0].chance, rows=tuple(rows),
            correlation=correlation(rows),
            to_last=_series([*again[task], rows[-1]]) if task in again else None,
        )
        for task, rows in own.items()
    ]  # fmt: skip
    return Trajectory(
        threshold=spec.threshold, method=spec.method, structure=spec.structure,
        projection=spec.projection, tasks=tuple(tasks),
    )  # fmt: skip


def failures(found: Trajectory) -> int:
    """Count the runs that failed; a rate too high for its d is a finding, not a failure."""
    parts = [each for part in found.tasks for each in (part, part.to_last) if each]
    runs = {row.out: row.runs for part in parts for row in part.rows}
    return sum(count.lost for count in runs.values())


def _series(rows: Sequence[Checkpoint]) -> Series:
    return Series(rows=tuple(rows), correlation=correlation(rows))


def correlation(rows: Sequence[Checkpoint]) -> Correlation:
    """Return Spearman's rank correlation of d90 with the steps, and over how many checkpoints.

    A d90 above the largest d tried ranks above every other, one below the smallest under every
    other; a checkpoint without one is left out.
    """
    from scipy.stats import rankdata

    known = [(r.steps, _rank(r)) for r in rows if r.missing is None]
    values = {d for _, d in known}
    if len(known) < 3 or len(values) < 2:
        return Correlation(spearman=None, n=len(known))
    ranks = [rankdata(column) for column in zip(*known, strict=True)]
    rho = round(float(np.corrcoef(ranks)[0, 1]), 4) + 0.0
    return Correlation(spearman=rho, n=len(known))


def _rank(row: Checkpoint) -> float:
    if row.d90 is None:
        return float("inf") if row.d90_under is None else 0.0
    return row.d90


def _checkpoints(name: str) -> list[str]:
    """Return the checkpoints that a name stands for."""
    if name in weights.families():
        return [n for n in weights.names() if n.startswith(f"{name}@")]
    if not is_folder(expanded(name)):
        return [name]
    inside = sorted(str(p) for p in expanded(name).glob("step-*") if p.is_dir())
    return inside or [name]


def _steps(name: str) -> int:
    found = _STEPS.search(name.rstrip("/"))
    if found is None:
        raise IdimError(
            f"cannot tell from '{name}' after how many steps it was kept; "
            "give pretrained=N,N,... in the order of --models."
        )
    return int(found[1]) * (1000 if found[2] else 1)


def _write(found: Trajectory, out: Path) -> None:
    from idim.report import trajectory, trajectory_figure

    write_json(out / FILE, found.to_json())
    write_text(out / "trajectory.csv", trajectory.csv(found))
    trajectory_figure.draw(found, out / "trajectory")

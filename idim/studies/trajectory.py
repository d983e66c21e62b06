"""d90 along a pretraining: one sweep for each checkpoint and task, read together.

OUT/<task>/step-<n>/       the sweep of the checkpoint after n steps; with one line a task of all
                           but the last its full fine-tuning alone
OUT/<task>/step-<n>-last/  the sweep to the last checkpoint's line
OUT/trajectory.json        what all of them say together
"""

import re
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from idim import launch
from idim.builtin import weights
from idim.config import Lines, TrajectorySpec, slug
from idim.errors import IdimError
from idim.problems import tasks
from idim.reading import expanded, is_folder
from idim.results import Checkpoint, Summary, Trajectory
from idim.store import alone, make_folder, write_json, write_text
from idim.studies.together import FILE, Rows, assembled
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

# "...@step1000" (Pythia), "...-step_20k" (MultiBERTs), "step-300" (`idim pretrain`), "tiny@300"
_STEPS = re.compile(r"(?:step[-_]?|@)([0-9]{1,12})(k?)$")

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

    def row(self, summary: Summary) -> Checkpoint:
        """Return what a summary says of its checkpoint."""
        return Checkpoint.of(self.pretrained.model, self.pretrained.steps, summary)

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
        IdimError: as `checkpoints` and `plan`, or a fixed baseline where the last one's full
            fine-tuning is asked for.
    """
    if spec.lines != "own" and spec.baseline != "own":
        raise IdimError(
            f"lines={spec.lines} compares with full fine-tuning, not with "
            f"baseline={spec.baseline}; give lines=own, or leave the baseline out."
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
        lines: "one" sweeps the last checkpoint of each task, and the others to its line; "both"
            each to its own line, and the others again to that of the last.
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

        def measure(chosen: list[CheckpointSweep], full: Container[str] = ()) -> Rows:
            found: Rows = {}
            for i, one in enumerate(chosen, 1):
                is_full = str(one) in full
                say(f"[{i}/{len(chosen)}] {one}{', full fine-tuning' * is_full}")
                folder = one.folder(out)
                with follow(folder) as progress:
                    summary = execute(
                        one.plan, folder, workers=workers, progress=progress, tell=tell,
                        share=one.beside(out) if share else (), only_baseline=is_full,
                    )  # fmt: skip
                if not is_full:
                    write(summary, folder)
                found.setdefault(one.task, []).append(one.row(summary))
            return found

        last = {one.task: one for one in sweeps}  # they are in the order of their steps
        full = {str(one) for one in sweeps if lines == "one" and one is not last[one.task]}
        own = measure(sweeps, full)
        again = measure(to_last(sweeps, own)) if lines != "own" else {}
    called = {one.task: one.called for one in sweeps}
    measured = assembled(sweeps[0].plan.spec, lines, called, own, again)
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


def ahead(
    sweeps: list[CheckpointSweep], out: Path, lines: Lines, *, share: bool = False
) -> list[Ahead]:
    """Return what the sweeps of each checkpoint would do.

    Nothing is trained but a step of each task's first.

    Raises:
        IdimError: a sweep's folder is another's.
    """
    first = {one.task: one.plan for one in reversed(sweeps)}
    last = {one.task: one for one in sweeps}
    found = []
    for one in sweeps:
        folder = one.folder(out)
        runs, done, beside = one.plan.most, already(one.plan, folder), one.beside(out)
        whole = runs
        if lines != "own" and one is not last[one.task]:
            # the line is known by then, so nothing precedes the search for its d
            to_last = one.plan.most - len(one.plan.space.first)
            runs = to_last + (runs if lines == "both" else one.plan.before)
            done += _held(replace(one, to_last=True).folder(out))
        seconds = one.plan.seconds(first[one.task].step_seconds) * runs / whole
        elsewhere = Shared(one.plan, folder, beside if share else ()).ahead()
        found.append(Ahead(one.called, one.pretrained.model, one.pretrained.steps, runs,
                           round(seconds, 1), done, elsewhere))  # fmt: skip
    return found


def _held(folder: Path) -> int:
    """Count the runs that a sweep's folder holds; 0 where there is none."""
    if not (folder / "sweep.json").exists():
        return 0
    runs = summarise(folder).runs
    return runs.total - runs.to_do


def to_last(sweeps: list[CheckpointSweep], own: Rows) -> list[CheckpointSweep]:
    """Return the sweeps of every earlier checkpoint to the line of the last, where it has one."""
    found = []
    for one in sweeps:
        last = own[one.task][-1]
        score = last.reference.mean
        if one.pretrained.steps < last.steps and last.missing is None and score is not None:
            found.append(replace(one, plan=against(one.plan, score, last.floor), to_last=True))
    return found


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

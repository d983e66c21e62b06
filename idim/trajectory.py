"""d90 along a pretraining: one sweep for each checkpoint and task, read together.

OUT/<task>/step-<n>/       the sweep of the checkpoint after n steps
OUT/trajectory.json        what all of them say together
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from idim import tasks, weights
from idim.config import TrajectorySpec, slug
from idim.errors import IdimError
from idim.launch.local import Workers
from idim.store import Record, write_json, write_text
from idim.sweep import Event, Plan, execute, plan, write
from idim.sweep.execute import default_jobs

# "...@step1000" (Pythia), "...-step_20k" (MultiBERTs), "step-300" (`idim pretrain`), "tiny@300"
_STEPS = re.compile(r"(?:step[-_]?|@)(\d+)(k?)$")

Follow = Callable[[], AbstractContextManager[Callable[[Event], None]]]


@dataclass(frozen=True, slots=True)
class Stop:
    """One place on the way: a checkpoint and the steps of pretraining behind it."""

    model: str
    steps: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One sweep of a trajectory."""

    task: str
    stop: Stop
    plan: Plan

    def folder(self, out: Path) -> Path:
        """Return where its runs lie."""
        return out / slug(self.task) / f"step-{self.stop.steps}"


def stops(spec: TrajectorySpec) -> list[Stop]:
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
    found = sorted(map(Stop, models, counts), key=lambda stop: stop.steps)
    for a, b in pairwise(found):
        if a.steps == b.steps:
            raise IdimError(
                f"'{a.model}' and '{b.model}' are both checkpoints after {a.steps:,} steps; "
                "measure one pretraining at a time."
            )
    if len(found) < 2:
        raise IdimError("a trajectory needs two checkpoints or more; give them with --models.")
    return found


def prepare(spec: TrajectorySpec) -> list[Leg]:
    """Resolve every sweep before any is begun: a mistake in the last would come too late."""
    names = spec.tasks or tuple(name for name, info in tasks.TASKS.items() if info.is_made)
    found = stops(spec)
    return [Leg(t, s, plan(spec.sweep(s.model, t))) for t in names for s in found]


def carry_out(legs: list[Leg], out: Path, *, jobs: int | None, tell: Callable[[str], None],
              follow: Follow) -> Record:  # fmt: skip
    """Do what is missing of every sweep, and write what they say together.

    Args:
        legs: from `prepare`.
        out: folder of the trajectory.
        jobs: processes; by default one for each core a run leaves idle.
        tell: given a line before each sweep.
        follow: makes the display of one sweep.

    Returns:
        The record of `idim trajectory --json`; README.md says what each key means.
    """
    summaries = []
    with Workers(default_jobs(legs[0].plan, jobs)) as workers:
        for i, leg in enumerate(legs, 1):
            tell(f"[{i}/{len(legs)}] {leg.task}, {leg.stop.model}")
            folder = leg.folder(out)
            with follow() as progress:
                summaries.append(execute(leg.plan, folder, workers=workers, progress=progress))
            write(summaries[-1], folder)
    record = together(legs, summaries)
    _write(record, out)
    return record


def together(legs: list[Leg], summaries: list[Record]) -> Record:
    """Put the summaries of all sweeps side by side."""
    by_task: dict[str, list[Record]] = {}
    for leg, summary in zip(legs, summaries, strict=True):
        by_task.setdefault(leg.task, []).append(_row(leg.stop, summary))
    first = summaries[0]
    return {
        "threshold": first["threshold"],
        "structure": first["structure"],
        "projection": first["projection"],
        "tasks": [
            {"task": task, "metric": rows[0].pop("metric"), "chance": rows[0]["chance"],
             "rows": rows, "correlation": correlation(rows)}
            for task, rows in by_task.items()
        ],
    }  # fmt: skip


def failures(record: Record) -> int:
    """Count the runs that failed; a rate too high for its d is a finding, not a failure."""
    rows = [row for part in record["tasks"] for row in part["rows"]]
    return sum(row["runs"]["failed"] - row["runs"]["diverged"] for row in rows)


def correlation(rows: list[Record]) -> Record:
    """Return Spearman's rank correlation of d90 with the steps, and over how many checkpoints.

    A d90 above the largest d tried ranks above every other; a checkpoint without one is left out.
    """
    from scipy.stats import rankdata

    known = [(r["steps"], _rank(r)) for r in rows if r["missing"] is None]
    values = {d for _, d in known}
    if len(known) < 3 or len(values) < 2:
        return {"spearman": None, "n": len(known)}
    ranks = [rankdata(column) for column in zip(*known, strict=True)]
    return {"spearman": round(float(np.corrcoef(ranks)[0, 1]), 4) + 0.0, "n": len(known)}


def _rank(row: Record) -> float:
    d = row["fit"]["d90"]
    return float("inf") if row["d90"] is None or d is None else d


def _row(stop: Stop, summary: Record) -> Record:
    kept = ("metric", "D", "chance", "baseline", "line", "d90", "d90_over", "bracket", "fit")
    kept += ("chance_adjusted", "runs", "seconds", "out")
    row = {name: summary[name] for name in kept}
    return {"model": stop.model, "steps": stop.steps, "missing": _missing(summary)} | row


def _missing(summary: Record) -> str | None:
    """Say why a checkpoint has no d90 that means anything; None when it has.

    Source:
        Aghajanyan et al. 2020, section 5.1: points whose full fine-tuning does not beat the
        majority class are left out.
    """
    line, chance = summary["line"], summary["chance"]
    if line is None:
        return "no baseline"
    if chance is not None and line <= chance:
        return "a constant answer passes"
    return None if summary["points"] else "no d gave a score"


def _checkpoints(name: str) -> list[str]:
    """Return the checkpoints that a name stands for."""
    if name in weights.families():
        return [n for n in weights.names() if n.startswith(f"{name}@")]
    inside = sorted(str(p) for p in Path(name).expanduser().glob("step-*") if p.is_dir())
    return inside or [name]


def _steps(name: str) -> int:
    found = _STEPS.search(name.rstrip("/"))
    if found is None:
        raise IdimError(
            f"cannot tell from '{name}' after how many steps it was kept; "
            "give pretrained=N,N,... in the order of --models."
        )
    return int(found[1]) * (1000 if found[2] else 1)


def _write(record: Record, out: Path) -> None:
    from idim.report import trajectory

    write_json(out / "trajectory.json", record)
    write_text(out / "trajectory.csv", trajectory.csv(record))
    trajectory.draw(record, out / "trajectory")

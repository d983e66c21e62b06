"""Resolve a sweep: every name looked up, nothing run yet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from idim import kernels
from idim.config import RunSpec, SweepSpec, recipe, slug, with_recipe
from idim.errors import IdimError, code_error
from idim.estimate import Score
from idim.machine import cores
from idim.methods import METHODS, ask
from idim.plain import many
from idim.problems import given, kinds, reach, tasks
from idim.problems.base import has_dropout
from idim.problems.given import Objective
from idim.projection import kernels_for
from idim.results import Problem
from idim.search import Done, Known, Space, Strategy, named, next_runs, strategy
from idim.search import ask as ask_search
from idim.store import Record, Store
from idim.subspace.layout import Extent, extent


@dataclass(frozen=True)
class Plan:
    """A sweep with every name resolved, and nothing run yet."""

    spec: SweepSpec
    space: Space
    span: Extent
    rows: int
    chance: dict[str, float]
    metric: str
    notes: tuple[str, ...]
    problem: Problem
    # Whether learning rates are chosen on rows held out of the training set.
    held_out: bool
    # How many rows a run is scored on; None: there are none that are known.
    eval_rows: int | None
    # Whether a seed redraws what the model drops in training.
    dropout: bool

    @property
    def D(self) -> int:
        """Parameters that the subspace spans."""
        return self.span.D

    @cached_property
    def search(self) -> Strategy:
        """Which runs come next."""
        return strategy(self.space)

    @cached_property
    def specs(self) -> list[RunSpec]:
        """The runs the sweep begins with: the search's, and what must be known before it."""
        first = self.space.first
        unknown = {run.id: Score(0, 0.0, run.seed, 0, None, None) for run in first}
        found = self.next_runs(unknown)
        return [*([] if isinstance(found, Done) else found), *first]

    def next_runs(self, known: Known) -> list[RunSpec] | Done:
        """Return the runs that come next, of sizes that the model allows.

        Raises:
            IdimError: as `search.next_runs`, or a strategy asks for another size.
        """
        found = next_runs(self.space, known)
        sizes = [] if isinstance(found, Done) else [r.measure for r in found]
        for size in dict.fromkeys(filter(None, sizes)):
            try:
                ask(self.spec.method, "check", size, self.span, self.spec)
            except IdimError as e:
                raise code_error(f"strategy '{self.spec.search}'", e) from None
        return found

    @property
    def warnings(self) -> list[str]:
        """What a user should know before the first run."""
        return ask_search(self.search, "warnings")

    @property
    def bound(self) -> int | None:
        """The most runs that the search says it makes, if it says so."""
        return ask_search(self.search, "bound")

    @property
    def most(self) -> int:
        """How many runs there are at most; where the search has no bound, those it begins with."""
        return self.bound + len(self.space.first) if self.bound else len(self.specs)

    @property
    def before(self) -> int:
        """About how many runs come before the first d: the baseline's, and what precedes it."""
        first = sum(not run.measure for run in self.specs)
        # where several rates are compared there are more of them at an edge, and of the best
        return 2 * first + 1 if len(self.spec.baseline_lr) > 1 else first

    def trainable(self, run: RunSpec) -> int | None:
        """How many numbers a run trains; None where that shows when it runs."""
        if not METHODS[run.method].trains:
            return 0
        return ask(run.method, "trained", run.measure or 0, self.span)

    @cached_property
    def step_seconds(self) -> dict[str, float]:
        """Seconds of one training step by method, measured here."""
        from idim.training.single import time_step

        timed = (run for run in self.search.timed(self.specs) if METHODS[run.method].trains)
        first = {run.method: run for run in timed}
        return {method: time_step(run) for method, run in first.items()}

    def lines(self) -> list[str]:
        """Describe the runs, what each trains and what they would cost on this machine."""
        from idim.training.schedule import count_steps

        if not self.specs:
            return [*ask_search(self.search, "lines"), "it begins with no run"]
        out = []
        for key, runs in self._groups().items():
            rates = ", ".join(f"{lr:g}" for lr in dict.fromkeys(r.lr for r in runs))
            moved = f"lr {rates}  " * METHODS[runs[0].method].trains
            seeds = len({r.seed for r in runs})
            trained = self.trainable(runs[0])
            size = "?" if trained is None else f"{trained:,}"
            out.append(
                f"{key:>10}  {size:>13} trained  {len(runs):>3} run{'s' * (len(runs) > 1)}  "
                f"{moved}{many(seeds, 'seed')}"
            )
        steps = count_steps(self.specs[0], self.rows)
        each = ", ".join(f"{m} {s:.3g} s" for m, s in self.step_seconds.items())
        bound = "" if self.bound is None else "at most "
        out += ask_search(self.search, "lines")
        out.append(
            f"{bound}{many(self.most, 'run')} of {many(steps, 'step')}, {bound or 'about '}"
            f"{hours(self.seconds(self.step_seconds))} one after another "
            f"(a step here: {each}; evaluation not counted)"
        )
        return out

    def seconds(self, step_seconds: dict[str, float]) -> float:
        """Return the most that training takes, one run after another; evaluation not counted.

        Args:
            step_seconds: of one training step, by method.
        """
        from idim.training.schedule import count_steps

        if not self.specs:
            return 0.0
        known = sum(step_seconds.get(run.method, 0.0) for run in self.specs)
        rest = (self.most - len(self.specs)) * max(step_seconds.values())
        return (known + rest) * count_steps(self.specs[0], self.rows)

    def _groups(self) -> dict[str, list[RunSpec]]:
        groups: dict[str, list[RunSpec]] = {}
        for run in self.specs:
            symbol, size = METHODS[run.method].symbol, run.measure
            key = f"{symbol}={size:,}" if size else run.method
            groups.setdefault(key, []).append(run)
        return groups


def hours(seconds: float) -> str:
    """Write a time as it is said: 40 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan(spec: SweepSpec, out: Path | None = None) -> Plan:
    """Resolve a sweep: device, threads, model, data, and the values of d.

    Args:
        spec: what the user asks for.
        out: a folder of which the sweep may be one already: it goes on with as many threads, and
            under the name that the folder has for the task.

    Raises:
        IdimError: anything a user can get wrong, before any training.
    """
    spec, facts = _resolve(with_recipe(spec), _held(out))
    span, chance = facts.span, facts.chance.get(facts.metric)
    spec = named(spec.search).within(spec, ask(spec.method, "sizes", span))
    if spec.target == "gain" and facts.metric == given.METRICS["minimize"]:
        spec = replace(spec, floor=0.0)  # what is scored is a gain over the untrained model
    rows = facts.eval_rows if facts.metric == "accuracy" else None
    space = Space(spec, span.D, span.tensors, facts.resolved, chance=chance, rows=rows)
    for d in ask_search(strategy(space), "must_fit"):
        ask(spec.method, "check", d, span, spec)
    return Plan(
        spec=spec,
        space=replace(space, full_stacked=space.run(None, 1e-3, 0).is_stackable),
        span=span,
        rows=facts.rows,
        chance=facts.chance,
        metric=facts.metric,
        notes=facts.notes,
        problem=facts.problem,
        held_out=facts.held_out,
        eval_rows=facts.eval_rows,
        dropout=facts.dropout,
    )


def against(plan: Plan, baseline: float, floor: float | None) -> Plan:
    """Return the same sweep with scores to compare with in place of those of its own model.

    Args:
        plan: of the sweep.
        baseline: in place of its full fine-tuning.
        floor: what a gain counts from; None: there is none.
    """
    spec = replace(plan.spec, baseline=baseline)
    if spec.target == "gain" and floor is not None:
        spec = replace(spec, floor=floor)
    return replace(plan, spec=spec, space=replace(plan.space, spec=spec))


def plan_run(spec: RunSpec, tell: Callable[[str], None] = lambda _: None) -> RunSpec:
    """Resolve one run: device, fingerprints, and whether d fits.

    Args:
        spec: what the user asks for.
        tell: given a line for each thing that a reader of the score must know.

    Raises:
        IdimError: as `plan`.
    """
    spec, facts = _resolve(with_recipe(spec), {})
    for note in facts.notes:
        tell(f"note: {note}")
    if spec.measure:
        ask(spec.method, "check", spec.measure, facts.span, spec)
    spec = replace(spec, **facts.resolved)
    return replace(spec, stacked=spec.is_stackable)


def _held(out: Path | None) -> Record:
    """Return what a folder says of its sweep; nothing if it holds none that is whole."""
    try:
        return {} if out is None else Store(out).held() or {}
    except IdimError:  # told when the sweep begins
        return {}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a spec names but does not hold."""

    span: Extent
    # By field of a run.
    resolved: dict[str, Any]
    rows: int
    metric: str
    chance: dict[str, float]
    notes: tuple[str, ...]
    problem: Problem
    held_out: bool
    eval_rows: int | None = None
    # A user's own code may drop whatever it likes.
    dropout: bool = True


def _resolve(spec: Any, held: Record) -> tuple[Any, _Facts]:
    """Look at the machine, the model and the data, and at what the folder holds."""
    import torch

    if not spec.threads:
        there, own = held.get("threads"), recipe(spec.model).threads or cores()
        spec = replace(spec, threads=own if there is None else there)
    if spec.device == "auto":
        spec = replace(spec, device="cuda" if torch.cuda.is_available() else "cpu")
    elif spec.device == "cuda" and not torch.cuda.is_available():
        raise IdimError("--device cuda: this machine has no usable GPU; use --device cpu.")
    kernels_for(torch.empty(0, device=spec.device))  # forced ones that cannot run fail here
    code = given.find(spec)
    if isinstance(code, Objective):
        return spec, _of_objective(code)
    facts = _of_problem(spec, "task" if code is None else "module")
    # a folder may be older than the name in a task's file
    is_unnamed = held.get("task") == slug(spec.task)
    name = "" if is_unnamed else tasks.own_name(spec.task)
    own = {"task_name": name} if name else {}
    return spec, replace(facts, resolved=facts.resolved | own)


def _of_objective(code: Objective) -> _Facts:
    resolved = {"model_fingerprint": code.fingerprint, "data_fingerprint": ""}
    resolved |= {"changed": (), "kernels": None}
    return _Facts(
        Extent(code.D, 1, 0, 0, 0), resolved, rows=1, metric=given.METRICS[code.direction],
        chance={}, notes=(), problem="objective", held_out=False,
    )  # fmt: skip


def _of_problem(spec: Any, kind: Problem) -> _Facts:
    problem = kinds.load(spec)
    model = problem.build(0)
    if spec.head != "subspace" and not model.head:
        raise IdimError(f"model '{spec.model}' has no head to set apart; use --head subspace.")
    apart = {spec.head: model.head} if spec.head != "subspace" else {}
    span = extent(model.module, structure=spec.structure, groups=spec.said_groups, **apart)
    resolved = {
        "model_fingerprint": problem.model_fingerprint(),
        "data_fingerprint": problem.data_fingerprint,
        "changed": model.changed,
        "kernels": kernels.other_than_fused(spec.device),
    }
    missed = reach.unreached(spec.model, model, problem.train)
    return _Facts(
        span, resolved, rows=len(problem.train), metric=problem.metrics[0], chance=problem.chance,
        notes=(*problem.notes, *model.notes, *missed), problem=kind,
        held_out=problem.select is not None,
        eval_rows=len(problem.evaluation.targets) if kind == "task" else None,
        dropout=kind != "task" or has_dropout(model.module),
    )  # fmt: skip

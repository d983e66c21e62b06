"""The main job: plan the runs, execute what is missing, summarise what is there."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from idim import estimate, models, search, tasks
from idim.config import RunSpec, SweepSpec, recipe, slug, with_recipe
from idim.errors import IdimError, RunFailed
from idim.launch import local
from idim.store import Record, Run, Store, write_json
from idim.subspace import Extent, check_d, extent

EventKind = Literal["start", "step", "done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to one run of a sweep."""

    kind: EventKind
    run_id: str
    index: int  # from 1
    total: int
    step: int = 0
    steps: int = 0
    loss: float | None = None
    score: float | None = None
    message: str = ""
    eta_s: float | None = None  # of the whole sweep


Progress = Callable[[Event], None]


@dataclass(frozen=True)
class Plan:
    """A sweep with every name resolved: what will run, and nothing run yet."""

    spec: SweepSpec
    specs: list[RunSpec]
    span: Extent
    rows: int
    chance: dict[str, float]
    metric: str
    notes: tuple[str, ...]

    @property
    def D(self) -> int:
        """Parameters that the subspace spans."""
        return self.span.D

    def trainable(self, run: RunSpec) -> int:
        """How many numbers a run trains."""
        if run.method == "full":
            return self.span.D + self.span.free
        assert run.d is not None
        return run.d + self.span.free

    @cached_property
    def step_seconds(self) -> dict[str, float]:
        """Seconds of one training step by method, measured here."""
        from idim.train import time_step

        first = {run.method: run for run in self.specs}
        return {method: time_step(run) for method, run in first.items()}

    def lines(self) -> list[str]:
        """Describe the runs, what each trains and what they would cost on this machine."""
        from idim.train import count_steps

        out = []
        for key, runs in self._groups().items():
            rates = ", ".join(f"{lr:g}" for lr in dict.fromkeys(r.lr for r in runs))
            seeds = len({r.seed for r in runs})
            out.append(
                f"{key:>10}  {self.trainable(runs[0]):>13,} trained  "
                f"{len(runs):>3} runs  lr {rates}  {seeds} seeds"
            )
        steps = count_steps(self.specs[0], self.rows)
        cost = sum(self.step_seconds[r.method] for r in self.specs) * steps
        each = ", ".join(f"{m} {s:.3g} s" for m, s in self.step_seconds.items())
        out.append(
            f"{len(self.specs)} runs of {steps:,} steps, about {_hours(cost)} one after another "
            f"(a step here: {each}; evaluation not counted)"
        )
        return out

    def _groups(self) -> dict[str, list[RunSpec]]:
        groups: dict[str, list[RunSpec]] = {}
        for run in self.specs:
            groups.setdefault("full" if run.d is None else f"d={run.d:,}", []).append(run)
        return groups


def _list(values: Any) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan(spec: SweepSpec) -> Plan:
    """Resolve a sweep: device, model, data, the values of d, and every run.

    Raises:
        IdimError: anything a user can get wrong, before any training.
    """
    spec, data, span, prints = _resolve(with_recipe(spec))
    if not spec.d:
        assert spec.d_min and spec.d_max and spec.points
        ends = spec.d_min, min(spec.d_max, span.D), spec.points
        spec = replace(spec, d=search.paper_grid(*ends), d_min=None, d_max=None, points=None)
    for d in spec.d:
        check_d(d, span.D, span.lambdas, spec.said_groups)
    spec = replace(spec, d=tuple(sorted(set(spec.d))))
    return Plan(
        spec=spec,
        specs=search.grid(spec, span.D, span.tensors, prints),
        span=span,
        rows=len(data.train.targets),
        chance=data.chance,
        metric=data.info.metrics[0],
        notes=data.notes,
    )


def plan_run(spec: RunSpec) -> RunSpec:
    """Resolve one run: device, fingerprints, and whether d fits.

    Raises:
        IdimError: as `plan`.
    """
    spec, _, span, prints = _resolve(with_recipe(spec))
    if spec.d is not None:
        check_d(spec.d, span.D, span.lambdas, spec.said_groups)
    return replace(spec, **prints)


def _resolve(spec: Any) -> tuple[Any, tasks.TaskData, Extent, dict[str, str]]:
    """Look at the machine, the model and the data: what a spec names but does not hold."""
    import torch

    if spec.device == "auto":
        spec = replace(spec, device="cuda" if torch.cuda.is_available() else "cpu")
    elif spec.device == "cuda" and not torch.cuda.is_available():
        raise IdimError("--device cuda: this machine has no usable GPU; use --device cpu.")
    models.check_fits(spec.model, tasks.info(spec.task))
    folder = models.source(spec.model)
    data = tasks.load(spec)
    model = models.build(spec.model, folder, data, max_length=spec.max_length, seed=0)
    if spec.head != "subspace" and not model.head:
        raise IdimError(f"model '{spec.model}' has no head to set apart; use --head subspace.")
    apart = {spec.head: model.head} if spec.head != "subspace" else {}
    span = extent(model.module, structure=spec.structure, groups=spec.said_groups, **apart)
    prints = {
        "model_fingerprint": models.fingerprint(spec.model, folder),
        "data_fingerprint": data.fingerprint,
    }
    return spec, data, span, prints


def execute(
    plan: Plan, out: Path, *, jobs: int | None = None, progress: Progress = lambda _: None
) -> Record:
    """Do the runs of a plan that have no result yet, and return the summary.

    Args:
        plan: from `plan`.
        out: folder of the sweep.
        jobs: processes; by default one for each core a run leaves idle.
        progress: told of every event.

    Raises:
        IdimError: `out` holds another sweep.
    """
    store = Store(out)
    store.claim(_claim(plan))
    watch = _Watch(plan.specs, store, progress)
    missing = [spec for spec in plan.specs if not watch.found(spec)]
    local.run_all(missing, out, _jobs(plan, missing, jobs), watch)
    return summarise(out)


def _jobs(plan: Plan, missing: list[RunSpec], jobs: int | None) -> int:
    if jobs is None:
        threads = recipe(plan.spec.model).threads or os.cpu_count() or 1
        jobs = (os.cpu_count() or 1) // threads if plan.spec.device == "cpu" else 1
    return max(1, min(jobs, len(missing)))


def _claim(plan: Plan) -> Record:
    """Everything a summary needs beside the runs; equal for equal sweeps, wherever they lie."""
    record = asdict(plan.spec)
    # the fingerprints below say what these named; the paths may differ between machines
    record |= {"model": slug(plan.spec.model), "task": slug(plan.spec.task)}
    del record["data"]
    first = plan.specs[0]
    return record | {
        "model_fingerprint": first.model_fingerprint,
        "data_fingerprint": first.data_fingerprint,
        "D": plan.D,
        "metric": plan.metric,
        "chance": plan.chance.get(plan.metric),
        "notes": list(plan.notes),
        "runs": [spec.id for spec in plan.specs],
        "trainable": [plan.trainable(spec) for spec in plan.specs],
    }


def run(spec: RunSpec, out: Path, progress: Progress = lambda _: None) -> Record:
    """Do one run, or return its stored result.

    Args:
        spec: from `plan_run`.
        out: folder of the store.
        progress: told of every event.

    Raises:
        RunFailed: with the reason.
    """
    stored = Store(out).run(spec)
    result = stored.result()
    if result is None:
        watch = _Watch([spec], stored_in := Store(out), progress)
        local.run_all([spec], stored_in.root, 1, watch)
        result = stored.result() or {"error": stored.failure()}
    if "error" in result:
        raise RunFailed(f"{result['error']}.")
    return {"id": spec.id, **result, "out": str(stored.folder)}


class _Watch:
    """Turns what a pool reports into events with a forecast."""

    def __init__(self, specs: list[RunSpec], store: Store, progress: Progress) -> None:
        self.store, self.progress = store, progress
        self.index = {spec.id: i for i, spec in enumerate(specs, 1)}
        self.active: dict[str, Run] = {}
        self.began = time.monotonic()
        # in runs, counting parts of runs
        self.before = self.finished = 0

    def found(self, spec: RunSpec) -> bool:
        """Tell whether a run has its result already."""
        result = self.store.run(spec).result()
        if result is None:
            return False
        self.before += 1
        self._send("skipped", spec, score=_score(result), message=result.get("error", ""))
        return True

    def started(self, spec: RunSpec) -> None:
        self.active[spec.id] = self.store.run(spec)
        self._send("start", spec)

    def tick(self) -> None:
        share = 0.0
        seen = {}
        for run_id, run in self.active.items():
            if seen_now := run.last_metrics():
                seen[run_id] = seen_now
                share += seen_now["step"] / seen_now["steps"]
        for run_id, m in seen.items():
            self._event("step", run_id, eta_s=self._eta(share), **m)

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        self.active.pop(spec.id).folder
        self.finished += 1
        result = self.store.run(spec).result() or {}
        kind: EventKind = "failed" if failure else "done"
        self._send(kind, spec, score=_score(result), message=failure or "", eta_s=self._eta(0))

    def _eta(self, share: float) -> float | None:
        done = self.finished + share
        if not done:
            return None
        left = len(self.index) - self.before - done
        return left * (time.monotonic() - self.began) / done

    def _send(self, kind: EventKind, spec: RunSpec, **more: Any) -> None:
        self._event(kind, spec.id, **more)

    def _event(self, kind: EventKind, run_id: str, **more: Any) -> None:
        index, total = self.index[run_id], len(self.index)
        self.progress(Event(kind=kind, run_id=run_id, index=index, total=total, **more))


def _score(result: Record) -> float | None:
    return next(iter(result["score"].values())) if "score" in result else None


def summarise(out: Path) -> Record:
    """Recompute the summary of a sweep from its store alone.

    Returns:
        The record of `idim sweep --json`; README.md says what each key means.

    Raises:
        IdimError: the folder holds no sweep.
    """
    store = Store(out)
    sweep = store.sweep()
    scores, seconds, failed = [], 0.0, 0
    for run_id, trainable in zip(sweep["runs"], sweep["trainable"], strict=True):
        run = Run(out / "runs" / run_id)
        spec, result, failure = run.spec(), run.result(), run.failure()
        if spec is None or (result is None and failure is None):
            continue
        error = failure if result is None else result.get("error")
        failed += error is not None
        seconds += (result or {}).get("seconds", 0.0)
        scores.append(_as_score(spec, result or {}, trainable, sweep["metric"], error))
    found = estimate.estimate(
        scores, threshold=sweep["threshold"], baseline=sweep["baseline"], chance=sweep["chance"]
    )
    part = estimate.to_summary_part(found)
    shared = ("model", "task", "metric", "D", "structure", "projection", "norm", "head", "chance")
    return {
        **{name: sweep[name] for name in shared},
        **part,
        "protocol": _protocol(sweep),
        "notes": [*sweep["notes"], *part["notes"]],
        "runs": {"total": len(sweep["runs"]), "done": len(scores) - failed, "failed": failed},
        "seconds": round(seconds, 1),
        "out": str(out),
    }


def _as_score(
    spec: RunSpec, result: Record, trainable: int, metric: str, error: str | None
) -> estimate.Score:
    return estimate.Score(
        d=spec.d,
        lr=spec.lr,
        seed=spec.seed,
        trainable=trainable,
        select=(result.get("select") or {}).get(metric),
        score=(result.get("score") or {}).get(metric),
        error=error,
    )


def _protocol(sweep: Record) -> dict[str, str]:
    """Say how the number was made, in words."""
    own = sweep["baseline"] == "own"
    held_out = sweep["select"] == "split" and sweep["task"] != "toy"
    length = f"{sweep['steps']} steps" if sweep["steps"] else f"{sweep['epochs']:g} epochs"
    return {
        "baseline": "own full fine-tuning" if own else f"fixed value {sweep['baseline']:g}",
        "criterion": f"smallest tested d whose mean {sweep['metric']} >= "
        f"{sweep['threshold']:g} x baseline",
        "selection": "learning rate chosen on rows held out from the training set"
        if held_out
        else "learning rate selected on the evaluation set, as the papers do",
        "checkpoint": "the last step",
        "seeds": f"{sweep['seeds']}; each redraws P, the head or net, data order and dropout",
        "training": f"AdamW, {length}, batch {sweep['batch_size']}, linear decay, "
        f"warm-up {sweep['warmup']:g}, weight decay {sweep['weight_decay']:g}, {sweep['dtype']}",
        "lr": "as given"
        if sweep["lr"]
        else f"{_list(sweep['lr_multiples'])} times lr_full sqrt(D/d), the matched step length",
        "head": {
            "subspace": "inside the subspace, counted in d",
            "free": "trained directly, beside d",
            "frozen": "frozen at its random start",
        }[sweep["head"]],
    }


def write(summary: Record, out: Path) -> None:
    """Write summary.json, points.csv, curve.png and curve.svg."""
    from idim.report import figure, table

    write_json(out / "summary.json", summary)
    (out / "points.csv").write_text(table.csv(summary), encoding="utf-8")
    figure.draw(summary, out / "curve")

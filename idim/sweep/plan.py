"""Resolve a sweep: every name looked up, every run listed, nothing run yet."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from idim import models, search, tasks
from idim.config import RunSpec, SweepSpec, with_recipe
from idim.errors import IdimError
from idim.layout import Extent, check_d, extent


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
            return self.span.D + self.span.free + self.span.frozen
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
        low, high, points = (x or 1 for x in (spec.d_min, spec.d_max, spec.points))
        d = search.paper_grid(low, min(high, span.D), points)
        spec = replace(spec, d=d, d_min=None, d_max=None, points=None)
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

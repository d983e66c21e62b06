"""What makes a sweep shorter that would take longer than a day."""

import math
from collections.abc import Iterator
from dataclasses import replace

from idim.search import ask
from idim.sweeps.plan import Plan, hours

DAY_S = 24 * 3600.0
# Fewer rows, or a smaller share of an epoch, than this train something else.
LEAST_ROWS, LEAST_EPOCHS = 500, 0.1


def reductions(plan: Plan, step_seconds: dict[str, float]) -> list[str]:
    """Say what alone would bring a sweep below a day; nothing where it takes less already.

    Args:
        plan: the sweep.
        step_seconds: of one training step, by method.

    Returns:
        At most two lines.
    """
    seconds = plan.seconds(step_seconds)
    if seconds <= DAY_S:
        return []
    share = DAY_S / seconds
    found = []
    for words, shorter in [*_shorter_runs(plan, share), *_fewer_runs(plan, share)]:
        took = shorter.seconds(step_seconds)
        if took <= DAY_S:
            found.append(f"{words} ({hours(took)})")
    if found:
        return [f"to stay below a day, one of: {', '.join(found)}"]
    return [
        "no single setting brings it below a day: take a smaller --model, a GPU, or several of "
        "--train-samples, --max-length, --epochs and --max-runs"
    ]


def _shorter_runs(plan: Plan, share: float) -> Iterator[tuple[str, Plan]]:
    """Yield settings that leave so large a share of each run's steps."""
    spec = plan.spec
    if spec.steps is not None:
        if (steps := math.floor(spec.steps * share)) >= 1:
            yield f"--steps {steps}", _with(plan, steps=steps)
        return
    rows = int(_down(plan.rows * share))
    if plan.problem == "task" and rows >= LEAST_ROWS:
        yield f"--train-samples {rows}", replace(_with(plan, train_samples=rows), rows=rows)
    epochs = (spec.epochs or 0.0) * share
    if epochs >= LEAST_EPOCHS:
        epochs = _down(epochs)
        yield f"--epochs {epochs:g}", _with(plan, epochs=epochs)


def _fewer_runs(plan: Plan, share: float) -> Iterator[tuple[str, Plan]]:
    """Yield settings that leave so large a share of the runs, where those can still suffice."""
    spec = plan.spec
    if plan.bound is not None and (most := math.floor(plan.bound * share)) >= 1:
        fewer = _with(plan, max_runs=most)
        if not ask(fewer.search, "warnings"):
            yield f"--max-runs {most}", fewer
    elif plan.bound is None and (seeds := math.floor(spec.seeds * share)) >= 1:
        yield f"--seeds {seeds}", _with(plan, seeds=seeds)


def _with(plan: Plan, **settings: object) -> Plan:
    spec = replace(plan.spec, **settings)
    return replace(plan, spec=spec, space=replace(plan.space, spec=spec))


def _down(n: float) -> float:
    """Round down to two digits.

    >>> _down(12_987), _down(0.1999), _down(7)
    (12000.0, 0.19, 7.0)
    """
    unit = 10.0 ** (math.floor(math.log10(n)) - 1)
    return float(f"{math.floor(n / unit * (1 + 1e-9)) * unit:.2g}")

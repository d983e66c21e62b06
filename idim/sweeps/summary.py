"""What a sweep found, recomputed from its store alone."""

from dataclasses import replace
from pathlib import Path

from idim import estimate
from idim.config import MODULE, OBJECTIVE, RunSpec
from idim.search import Done, Strategy, next_runs, strategy
from idim.store import Record, Store, write_json, write_text
from idim.sweeps.outcomes import Outcome, outcomes, space_of, told_once


def summarise(out: Path, threshold: float | None = None) -> Record:
    """Recompute the summary of a sweep from its store alone.

    Args:
        out: folder of the sweep.
        threshold: share of the baseline, if not the sweep's own.

    Returns:
        The record of `idim sweep --json`; README.md says what each key means.

    Raises:
        IdimError: the folder holds no sweep.
    """
    store = Store(out)
    sweep = store.sweep()
    space, metric = space_of(sweep), sweep["metric"]
    ended = outcomes(store, space)
    coming = next_runs(space, {i: o.score(metric) for i, o in ended.items()})
    counted = told_once(ended).values()
    whole = [o for o in counted if o.run.stop_at is None]
    stopped = [o for o in counted if o.run.stop_at is not None]
    sweep |= {} if threshold is None else {"threshold": threshold}
    found = estimate.estimate(
        [*(o.score(metric) for o in whole), *(_pruned(o.score(metric)) for o in stopped)],
        threshold=sweep["threshold"], baseline=sweep["baseline"], chance=sweep["chance"],
    )  # fmt: skip
    part = estimate.to_summary_part(found)
    shared = ("model", "task", "metric", "D", "structure", "projection", "norm", "head", "chance")
    return {
        **{name: sweep[name] for name in shared},
        **part,
        "protocol": _protocol(sweep, strategy(space)),
        "notes": [*sweep["notes"], *part["notes"], *_unsealed(store)],
        "search": {
            "strategy": space.spec.search,
            "done": isinstance(coming, Done),
            "why": coming.why if isinstance(coming, Done) else None,
            **_steps(whole, stopped),
        },
        "runs": _count(whole, stopped, coming),
        "seconds": round(sum((o.result or {}).get("seconds", 0.0) for o in ended.values()), 1),
        "out": str(out),
    }


def _unsealed(store: Store) -> list[str]:
    older = store.older()
    about = "an older version stored without checksums: damage to them would not be seen."
    return [f"{older} run{'s' if older > 1 else ''} {about}"] if older else []


def _pruned(score: estimate.Score) -> estimate.Score:
    return replace(score, select=None, score=None, pruned=True)


def _count(
    whole: list[Outcome], stopped: list[Outcome], coming: list[RunSpec] | Done
) -> dict[str, int]:
    failed = sum(o.error is not None for o in whole)
    to_do = 0 if isinstance(coming, Done) else len(coming)
    return {
        "total": len(whole) + len(stopped) + to_do,
        "done": len(whole) - failed,
        "failed": failed,
        "diverged": sum((o.result or {}).get("diverged", False) for o in whole),
        "stopped_early": len(stopped),
    }


def _steps(whole: list[Outcome], stopped: list[Outcome]) -> dict[str, int]:
    """Count the optimizer steps that were done, and those that stopping early has saved."""
    done = [o.result for o in (*whole, *stopped) if o.result and "steps" in o.result]
    early = [o.result for o in stopped if o.result and "schedule" in o.result]
    return {
        "steps": sum(r["steps"] for r in done),
        "steps_saved": sum(r["schedule"] - r["steps"] for r in early),
    }


def _protocol(sweep: Record, search: Strategy) -> dict[str, str]:
    """Say how the number was made, in words."""
    own = sweep["baseline"] == "own"
    held_out = sweep["select"] == "split" and sweep["task"] not in ("toy", MODULE, OBJECTIVE)
    length = _many(sweep["steps"], "step") if sweep["steps"] else _many(sweep["epochs"], "epoch")
    return {
        "baseline": "own full fine-tuning" if own else f"fixed value {sweep['baseline']:g}",
        "criterion": f"smallest tested d whose mean {sweep['metric']} >= "
        f"{sweep['threshold']:g} x baseline",
        "selection": "learning rate chosen on rows held out from the training set"
        if held_out
        else "learning rate selected on the evaluation set, as the papers do",
        "checkpoint": "the last step",
        "seeds": f"{search.seeds()}; each redraws P, "
        f"{'' if sweep.get('keep_head') else 'the head or net, '}data order and dropout",
        "training": f"AdamW, {length}, batch {sweep['batch_size']}, linear decay, "
        f"warm-up {sweep['warmup']:g}, weight decay {sweep['weight_decay']:g}, {sweep['dtype']}",
        "lr": "as given" if sweep["lr"] else search.rates(),
        "head": {
            "subspace": "inside the subspace, counted in d",
            "free": "trained directly, beside d",
            "frozen": "frozen at its random start",
        }[sweep["head"]],
    } | _own_code(sweep, search, length)


def _own_code(sweep: Record, search: Strategy, length: str) -> dict[str, str]:
    """Say what is otherwise where a user's own code is the problem."""
    selection = {"selection": "learning rate selected on the reported score"}
    if sweep["task"] == MODULE:
        return selection | {
            "training": f"AdamW on its own loss, {length}, linear decay, warm-up "
            f"{sweep['warmup']:g}, weight decay {sweep['weight_decay']:g}, {sweep['dtype']}"
        }
    if sweep["task"] == OBJECTIVE:
        own = dict.fromkeys(("checkpoint", "training", "head"), "the objective's own")
        return selection | own | {"seeds": f"{search.seeds()}; each is the objective's to use"}
    return {}


def write(summary: Record, out: Path) -> None:
    """Write summary.json, points.csv, curve.png and curve.svg."""
    from idim.report import figure, table

    write_json(out / "summary.json", summary)
    write_text(out / "points.csv", table.csv(summary))
    figure.draw(summary, out / "curve")


def _many(n: float, what: str) -> str:
    return f"{n:g} {what}{'' if n == 1 else 's'}"

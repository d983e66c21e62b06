"""What a sweep found, recomputed from its store alone."""

from pathlib import Path
from typing import Any

from idim import estimate
from idim.config import RunSpec
from idim.store import Record, Run, Store, write_json, write_text


def summarise(out: Path) -> Record:
    """Recompute the summary of a sweep from its store alone.

    Returns:
        The record of `idim sweep --json`; README.md says what each key means.

    Raises:
        IdimError: the folder holds no sweep.
    """
    store = Store(out)
    sweep = store.sweep()
    scores, seconds, failed, diverged = [], 0.0, 0, 0
    for run_id, trainable in zip(sweep["runs"], sweep["trainable"], strict=True):
        run = Run(out / "runs" / run_id)
        spec, result, failure = run.spec(), run.result(), run.failure()
        if spec is None or (result is None and failure is None):
            continue
        error = failure if result is None else result.get("error")
        failed += error is not None
        diverged += (result or {}).get("diverged", False)
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
        "runs": {
            "total": len(sweep["runs"]), "done": len(scores) - failed, "failed": failed,
            "diverged": diverged,
        },
        "seconds": round(seconds, 1),
        "out": str(out),
    }  # fmt: skip


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
    write_text(out / "points.csv", table.csv(summary))
    figure.draw(summary, out / "curve")


def _list(values: Any) -> str:
    return ", ".join(f"{v:g}" for v in values)

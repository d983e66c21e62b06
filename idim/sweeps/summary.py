"""What a sweep found, recomputed from its store alone."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from idim import estimate
from idim.config import Aim, RunSpec, SweepSpec
from idim.config.checks import refuse_no_share
from idim.errors import CodeFailed, IdimError, Misled
from idim.methods import METHODS
from idim.plain import listed, many
from idim.problems.given import METRICS
from idim.report.words import full_training
from idim.results import Protocol, Runs, Search, Summary, parts
from idim.search import Done, Strategy, ask, next_runs, strategy
from idim.store import Record, Result, Store, write_json, write_text
from idim.sweeps.outcomes import Outcome, distinct_runs, outcomes, space_of
from idim.sweeps.rows import credits_of

_EVALUATION = "the evaluation set, as the papers do"
_THEIRS = "is the objective's to use"
_HEADS = {
    "subspace": "inside the subspace, counted in d",
    "free": "trained directly, beside d",
    "frozen": "frozen at its random start",
}

_ADAMS = {"adamw": "AdamW", "adam": "Adam"}
_SCHEDULES = {"linear": "linear decay", "constant": "constant rate", "cosine": "cosine decay"}
_DECAYS = {
    "trained": "", "zero": " of theta, in the loss", "theta_0": " towards theta_0, in the loss",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class At:
    """What a store is read at; None: as its sweep was asked.

    Raises:
        IdimError: a threshold that is no share.
    """

    # Share of the baseline, or of its gain.
    threshold: float | None = None
    target: Aim | None = None
    # What it is a share of, and what a gain counts from: "own", by the sweep's runs, or a score.
    baseline: str | float | None = None
    floor: str | float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None:
            refuse_no_share(self.threshold)

    def of(self, sweep: Record) -> Record:
        """Return the settings that it changes.

        Raises:
            IdimError: a value that no sweep could be asked for.
        """
        found = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        if sweep["metric"] == METRICS["minimize"] and found.get("baseline", "own") != "own":
            raise IdimError("a gain has no fixed baseline; leave out baseline, which is measured.")
        own = {name: sweep[name] for name in ("threshold", "target", "baseline", "floor")}
        SweepSpec(**own | found)  # refuses what is out of range
        return found


AS_ASKED = At()


def summarise(out: Path, at: At = AS_ASKED) -> Summary:
    """Recompute the summary of a sweep from its store alone.

    Args:
        out: folder of the sweep.
        at: another line than the sweep's own, or scores to compare with in place of its runs'.

    Returns:
        d90 with its evidence.

    Raises:
        IdimError: the folder holds no sweep, or `at` a value that no sweep could be asked for.
    """
    store = Store(out)
    sweep = store.sweep()
    space, metric = space_of(sweep), sweep["metric"]
    ended = outcomes(store, space)
    known = {i: o.score(metric) for i, o in ended.items()}
    coming, stuck = [], []
    try:
        coming = next_runs(space, known)
    except (Misled, CodeFailed) as e:  # what was found stands
        why = f"{e.said}." if isinstance(e, CodeFailed) else str(e)
        stuck = [f"the search cannot go on: {why}"]
    counted = distinct_runs(ended).values()
    whole = [o for o in counted if o.run.stop_at is None]
    stopped = [o for o in counted if o.run.stop_at is not None]
    sweep |= at.of(sweep)
    is_gain = metric == METRICS["minimize"]  # over the untrained model already
    found = estimate.estimate(
        [*(o.score(metric) for o in whole), *(_pruned(o.score(metric)) for o in stopped)],
        threshold=sweep["threshold"], baseline=sweep["baseline"], target=sweep["target"],
        floor=0.0 if is_gain else sweep["floor"], chance=sweep["chance"], rows=space.rows,
        of=_scored(sweep), letter=METHODS[sweep["method"]].symbol,
        credits=credits_of(store, ended, metric),
    )  # fmt: skip
    shared = (
        "model",
        "task",
        "metric",
        "D",
        "method",
        "structure",
        "projection",
        "norm",
        "head",
        "chance",
    )
    part = parts(found)
    if found.baseline is None:  # no point says what became of its runs
        lost = [o.run for o in whole if o.run.measure is None and o.error is not None]
        tried = tuple(sorted({run.lr for run in lost}))
        part["reference"] = replace(part["reference"], lrs=tried, failed=len(lost))
    part["notes"] = (*sweep["notes"], *found.notes, *stuck, *_unsealed(store))
    return Summary(
        **{name: sweep[name] for name in shared},
        **part,
        problem=sweep["problem"],
        protocol=_protocol(sweep, strategy(space)),
        held_out=sweep["held_out"],
        search=Search(
            strategy=space.spec.search,
            done=isinstance(coming, Done),
            why=coming.why if isinstance(coming, Done) else None,
            **_steps(whole, stopped),
        ),
        runs=_count(whole, stopped, coming),
        seconds=round(sum(o.seconds for o in ended.values()), 1),
        out=out,
    )


def _scored(sweep: Record) -> estimate.Scored:
    if sweep["problem"] == "task":
        return "rows"
    return "gain" if sweep["metric"] == METRICS["minimize"] else "own"


def _unsealed(store: Store) -> list[str]:
    older = store.older()
    about = "an older version stored without checksums: damage to them would not be seen."
    return [f"{older} run{'s' if older > 1 else ''} {about}"] if older else []


def _pruned(score: estimate.Score) -> estimate.Score:
    return replace(score, select=None, score=None, pruned=True)


def _count(whole: list[Outcome], stopped: list[Outcome], coming: list[RunSpec] | Done) -> Runs:
    failed = sum(o.error is not None for o in whole)
    to_do = 0 if isinstance(coming, Done) else len(coming)
    return Runs(
        total=len(whole) + len(stopped) + to_do,
        done=len(whole) - failed,
        failed=failed,
        diverged=sum(o.diverged for o in whole),
        stopped_early=len(stopped),
    )


def _steps(whole: list[Outcome], stopped: list[Outcome]) -> dict[str, int]:
    """Count the optimizer steps that were done, and those that stopping early has saved."""
    done = [o.result for o in (*whole, *stopped) if isinstance(o.result, Result)]
    early = [o.result for o in stopped if isinstance(o.result, Result)]
    return {
        "steps": sum(r.steps for r in done),
        "steps_saved": sum(r.schedule - r.steps for r in early if r.schedule is not None),
    }


def _protocol(sweep: Record, search: Strategy) -> Protocol:
    """Say how the number was made, in words."""
    problem, own = sweep["problem"], "the objective's own"
    is_own = problem == "objective"
    selection = "chosen on rows held out from the training set"
    if not sweep["held_out"]:
        reported = "the reported score" if problem != "task" else _EVALUATION
        selection = f"selected on {reported}"
    full = f"own {full_training(problem)}"
    method = METHODS[sweep["method"]]
    drawn = (
        method.draws, "" if sweep["keep_head"] else "the head or net", "data order",
        "dropout" * sweep.get("dropout", True),
    )  # fmt: skip
    redraws = f"redraws {listed(drawn)}"
    place = _HEADS[sweep["head"]] if "head" not in method.ignores else "the method's own"
    return Protocol(
        baseline=full if sweep["baseline"] == "own" else f"fixed value {sweep['baseline']:g}",
        criterion=f"the fitted curve of mean {sweep['metric']} reaches {_line(sweep)}",
        selection=f"learning rate {selection}",
        checkpoint=own if is_own else _checkpoint(sweep),
        seeds=f"{ask(search, 'seeds')}; each {_THEIRS if is_own else redraws}",
        training=own if is_own else _training(sweep),
        lr="as given" if sweep["lr"] else ask(search, "rates"),
        head=own if is_own else place,
    )


def _line(sweep: Record) -> str:
    share, floor = f"{sweep['threshold']:g}", sweep["floor"]
    if sweep["target"] == "papers":
        return f"{share} x baseline"
    counts = "the better of a constant answer and the untrained model"
    return (
        f"floor + {share} x (baseline - floor), floor "
        f"{counts if floor == 'own' else f'fixed at {floor:g}'}"
    )


def _training(sweep: Record) -> str:
    what, rows = _optimizer(sweep), f", batch {sweep['batch_size']}"
    if sweep["problem"] == "module":
        what, rows = f"{what} on its own loss", ""
    length = many(float(sweep["steps"] or sweep["epochs"]), "step" if sweep["steps"] else "epoch")
    return (
        f"{what}, {length}{rows}, {_SCHEDULES[sweep['schedule']]}, warm-up {sweep['warmup']:g}, "
        f"weight decay {sweep['weight_decay']:g}{_decayed(sweep)}, "
        f"{'' if sweep['clip'] is None else _clipped(sweep['clip'])}{sweep['dtype']}"
    )


def _optimizer(sweep: Record) -> str:
    if sweep["optimizer"] == "sgd":
        return f"SGD with momentum {sweep['momentum']:g}"
    betas = sweep["beta1"], sweep["beta2"]
    known = "" if betas == (0.9, 0.999) else f" with betas {betas[0]:g} and {betas[1]:g}"
    return f"{_ADAMS[sweep['optimizer']]}{known}"


def _decayed(sweep: Record) -> str:
    """Say what a decay draws where: its optimizer knows only what is trained."""
    if not sweep["weight_decay"] or sweep["decay_to"] != "trained":
        return _DECAYS[sweep["decay_to"]]
    full = full_training(sweep["problem"])
    if METHODS[sweep["method"]].size == "d":
        return f" of what is trained: it draws theta to theta_0 in a subspace, in {full} to 0"
    return f" of what is trained: it draws that to 0, theta itself in {full}"


def _clipped(norm: float) -> str:
    return f"gradients of what is trained clipped to norm {norm:g}, "


def _checkpoint(sweep: Record) -> str:
    if sweep["checkpoint"] == "last":
        return "the last step"
    return f"the best end of an epoch, on {'held-out' if sweep['held_out'] else 'the scored'} rows"


def write(summary: Summary, out: Path) -> None:
    """Write summary.json, points.csv, curve.png and curve.svg."""
    from idim.report import figure, table

    write_json(out / "summary.json", summary.to_json())
    write_text(out / "points.csv", table.csv(summary))
    figure.draw(summary, out / "curve")

"""What the store holds of a sweep's runs."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from idim.config import RunSpec, SweepSpec
from idim.errors import IdimError
from idim.estimate import Score
from idim.search import Space
from idim.store import Ended, Failed, Record, Result, Store

# Fields of a run that a sweep's folder holds beside its setting.
RESOLVED = ("model_fingerprint", "data_fingerprint", "changed", "kernels")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run that ended."""

    run: RunSpec
    # None when the last try failed where another may succeed.
    result: Ended | None
    # Why the last try failed, if it did.
    failure: str | None = None

    @property
    def error(self) -> str | None:
        """Why it has no score; None where it has one."""
        if self.result is None:
            return self.failure
        return self.result.error if isinstance(self.result, Failed) else None

    @property
    def diverged(self) -> bool:
        """Whether its loss was no longer a number."""
        return isinstance(self.result, Failed) and self.result.diverged

    @property
    def seconds(self) -> float:
        """How long it trained, as far as that is known."""
        return self.result.seconds if isinstance(self.result, Result) else 0.0

    def score(self, metric: str) -> Score:
        """Return what an estimate needs to know."""
        result, d = self.result, self.run.measure
        lr = self.run.lr if d != 0 else 0.0  # any one is of the same untrained run
        if not isinstance(result, Result):
            return Score(d, lr, self.run.seed, 0, None, None, self.error)
        if metric not in result.score:
            raise IdimError(
                f"run '{self.run.id}' was not scored by {metric}, the metric of its sweep; "
                "sweep.json is not that of these runs."
            )
        return Score(
            d=d,
            lr=lr,
            seed=self.run.seed,
            trainable=result.trainable,
            select=(result.select or {}).get(metric),
            score=result.score[metric],
        )


def outcomes(store: Store, space: Space) -> dict[str, Outcome]:
    """Return the runs of a sweep that ended, by id: all in the store that share its setting."""
    found: dict[str, Outcome] = {}
    for stored in store.runs():
        run, result, failure = stored.spec(), stored.result(), stored.failure()
        if run is None or (result is None and failure is None):
            continue
        if result is None and run.id in found:  # an older run's, which this try goes on from
            continue
        # an id is made of the whole setting: only its own runs have the same
        if space.like(run).id == run.id:
            found[run.id] = Outcome(run, result, failure)
    return found


def distinct_runs(ended: dict[str, Outcome]) -> dict[str, Outcome]:
    """Leave out each early stop that a run went on from: the two are one run."""

    def went_on(run: RunSpec) -> bool:
        return run.stop_at is not None and replace(run, stop_at=None).id in ended

    return {i: o for i, o in ended.items() if not went_on(o.run)}


def setting(out: Path) -> Space:
    """Return the setting of the sweep that a folder holds; no run is read.

    Raises:
        IdimError: the folder holds no sweep.
    """
    return space_of(Store(out).sweep())


def space_of(sweep: Record) -> Space:
    """Return the setting of a sweep from what its folder says of it."""
    known = {f.name for f in fields(SweepSpec)}
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in sweep.items() if k in known
    }
    spec = SweepSpec(**values)
    resolved = {name: sweep[name] for name in RESOLVED}
    resolved["changed"] = tuple(resolved["changed"])
    # a folder older than this key has no column norm within tensors, where alone it counts
    tensors = sweep.get("tensors", 1)
    rows = sweep.get("eval_rows") if sweep["metric"] == "accuracy" else None
    return Space(
        spec, sweep["D"], tensors, resolved, sweep["full_stacked"], sweep["chance"], rows=rows
    )

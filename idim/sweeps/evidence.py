"""What a report says beside the summary: setting, runs left out, machines; from the store alone."""

from dataclasses import replace
from pathlib import Path

from idim.results import Evidence, LeftOut, Source
from idim.store import Store
from idim.sweeps.outcomes import Outcome, distinct_runs, outcomes, space_of


def evidence(out: Path) -> Evidence:
    """Collect what the numbers of a sweep rest on.

    Args:
        out: folder of the sweep.

    Raises:
        IdimError: the folder holds no sweep.
    """
    store = Store(out)
    sweep = store.sweep()
    space = space_of(sweep)
    ended = outcomes(store, space)
    counted = distinct_runs(ended)
    setting = space.spec
    if ended:
        run = next(iter(ended.values())).run
        setting = replace(setting, model=run.model, task=run.task, data=run.data)
    return Evidence(
        setting=setting,
        tensors=sweep.get("tensors"),
        model_fingerprint=sweep["model_fingerprint"],
        excluded=tuple(o for o in map(_left_out, counted.values()) if o is not None),
        sources=_sources(store, counted),
        dropout=sweep.get("dropout", True),
    )


def _left_out(outcome: Outcome) -> LeftOut | None:
    """Say why a run counts for nothing: it failed, diverged or stopped early."""
    run = outcome.run
    if outcome.error is not None:
        fate = "diverged" if outcome.diverged else "failed"
        return LeftOut(fate=fate, d=run.measure, lr=run.lr, seed=run.seed, error=outcome.error)
    if run.stop_at is not None:
        return LeftOut(fate="stopped", d=run.measure, lr=run.lr, seed=run.seed, stop_at=run.stop_at)
    return None


def _sources(store: Store, counted: dict[str, Outcome]) -> tuple[Source, ...]:
    """Group runs by where and by what they were made."""
    made: dict[str, Source] = {}
    for stored in store.runs():  # of an older run and the one that went on from it, the latter
        run, about = stored.spec(), stored.provenance()
        if run is not None and about is not None and run.id in counted:
            made[run.id] = Source(
                host=about["host"], machine=about["machine"], cpus=about["cpus"],
                kernels=about["kernels"], python=about["python"], versions=about["versions"],
                runs=1, began=(about["utc"], about["utc"]),
            )  # fmt: skip
    groups: dict[str, Source] = {}
    for one in made.values():
        place = repr(replace(one, runs=0, began=("", "")))
        group = groups.get(place, replace(one, runs=0))
        first, last = min(group.began[0], one.began[0]), max(group.began[1], one.began[1])
        groups[place] = replace(group, runs=group.runs + 1, began=(first, last))
    return tuple(groups.values())

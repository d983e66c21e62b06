"""What a report says beside the summary: setting, runs left out, machines; from the store alone."""

from dataclasses import asdict
from pathlib import Path

from idim.store import Record, Store
from idim.sweeps.outcomes import Outcome, outcomes, space_of, told_once


def evidence(out: Path) -> Record:
    """Collect what the numbers of a sweep rest on.

    Args:
        out: folder of the sweep.

    Returns:
        `setting`: the fields of its spec, with the places that its runs were given, `tensors`
        and `model_fingerprint`; `excluded`: `why`, `d`, `lr` and `seed` of each run without a say
        in the score of its d; `sources`: one record for each machine and software, with its count
        of runs.

    Raises:
        IdimError: the folder holds no sweep.
    """
    store = Store(out)
    sweep = store.sweep()
    space = space_of(sweep)
    ended = outcomes(store, space)
    counted = told_once(ended)
    setting = asdict(space.spec) | {
        "tensors": sweep.get("tensors"),
        "model_fingerprint": sweep["model_fingerprint"],
    }
    if ended:
        run = next(iter(ended.values())).run
        setting |= {"model": run.model, "task": run.task, "data": run.data}
    return {
        "setting": setting,
        "excluded": _excluded(counted),
        "sources": _sources(store, counted),
    }


def _excluded(counted: dict[str, Outcome]) -> list[Record]:
    """List the runs that failed, diverged or stopped early."""
    found = []
    for outcome in counted.values():
        run = outcome.run
        if outcome.error is not None:
            why = (
                f"{'diverged' if outcome.diverged else 'failed'}: {' '.join(outcome.error.split())}"
            )
        elif run.stop_at is not None:
            why = f"stopped after {run.stop_at:g} of its steps: another learning rate was better"
        else:
            continue
        found.append({"why": why, "d": run.d, "lr": run.lr, "seed": run.seed})
    return found


def _sources(store: Store, counted: dict[str, Outcome]) -> list[Record]:
    """Group runs by where and by what they were made."""
    made: dict[str, Record] = {}
    for stored in store.runs():  # of an older run and the one that went on from it, the latter
        run, about = stored.spec(), stored.provenance()
        if run is not None and about is not None and run.id in counted:
            made[run.id] = about
    groups: dict[str, Record] = {}
    for about in made.values():
        names = ("host", "machine", "cpus", "kernels", "python", "versions")
        where = {name: about.get(name) for name in names}
        group = groups.setdefault(repr(where), where | {"runs": 0, "began": []})
        group["runs"] += 1
        group["began"] = sorted([*group["began"], about["utc"]])
    for group in groups.values():
        group["began"] = [group["began"][0], group["began"][-1]]
    return list(groups.values())

"""Runs that a sweep need not do: the stores beside it hold the same, to the bit."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from idim import kernels
from idim.config import RunSpec
from idim.config.names import METHODS, PROJECTIONS
from idim.errors import CodeFailed, IdimError, Misled
from idim.plain import many
from idim.search import Done
from idim.store import Ended, Store, finished, folders, provenance, take
from idim.sweeps.outcomes import Outcome, distinct_runs, outcomes
from idim.sweeps.plan import Plan

# What a sweep's record must share with another for any of their runs to be equal.
_ALIKE = ("model_fingerprint", "data_fingerprint")


def neighbours(out: Path) -> list[Path]:
    """Return the folders beside a folder, without itself: where sweeps that share runs may lie."""
    with suppress(OSError):
        return [p for p in folders(out.absolute().parent) if p.name != out.absolute().name]
    return []


class Shared:
    """The runs of other stores that are a sweep's own too.

    A run's id says everything that decides its bits on one machine, by one software: a finished
    run of the same id, made on this machine by this software, is the same.  Not where a user's own
    code takes part, of which an id says only the name.

    Args:
        plan: of the sweep.
        out: its folder.
        places: folders that may hold sweeps; what is not this user's is not read.
    """

    def __init__(self, plan: Plan, out: Path, places: Iterable[Path]) -> None:
        self.plan, self.store = plan, Store(out)
        spec = plan.spec
        is_known = plan.problem == "task" and spec.method in METHODS.own
        is_known = is_known and spec.projection in PROJECTIONS.own
        self.roots = [p for p in places if _is_alike(p, plan)] if is_known else []
        self.here = provenance() | {"kernels": kernels.describe(spec.device)} if self.roots else {}

    def holders(self, spec: RunSpec) -> Iterator[tuple[Path, Ended]]:
        """Yield the stores that have a run, and what it came to there."""
        for root in self.roots:
            if (result := finished(root, spec.id, self.here)) is not None:
                yield root, result

    def take(self, batch: list[RunSpec]) -> dict[str, Path]:
        """Take what others have of some runs; return from where, by id."""
        taken: dict[str, Path] = {}
        for spec in batch:
            for root, _ in self.holders(spec):
                if take(self.store.run(spec), spec, root):
                    taken[spec.id] = root
                    if spec.stop_at is None:  # nothing goes on from it any more
                        self.store.run(spec.early_stop).forget_pause()
                    break
        return taken

    def ahead(self) -> int:
        """Count the runs that could be taken before the first that has to be done.

        Nothing is written.  A search that finds out as it goes may take more after that.
        """
        if not self.roots:
            return 0
        known = outcomes(self.store, self.plan.space)
        found: dict[str, Outcome] = {}
        is_whole = True
        while is_whole:
            scores = {i: o.score(self.plan.metric) for i, o in {**known, **found}.items()}
            try:
                batch = self.plan.next_runs(scores)
            except (Misled, CodeFailed):  # the sweep itself says so
                break
            if isinstance(batch, Done):
                break
            for spec in batch:
                there = next(self.holders(spec), None)
                is_whole = is_whole and there is not None
                if there is not None:
                    found[spec.id] = Outcome(spec, there[1])
        return len(distinct_runs(found))


def said(taken: dict[str, Path]) -> str:
    """Say how many runs were taken, and from where."""
    where = Counter(taken.values())
    places = ", ".join(f"'{os.path.relpath(p)}'" for p in where)
    return f"{many(len(taken), 'run')} of the same id found done in {places}"


def told(taken: dict[str, Path]) -> str:
    """Say what became of them."""
    return f"{said(taken)}: linked, not trained again (--no-share trains them)"


def _is_alike(folder: Path, plan: Plan) -> bool:
    """Tell whether a folder is a sweep of the same weights and rows, and this user's."""
    try:
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
        held = Store(folder).held()
    except (IdimError, OSError):
        return False
    return held is not None and all(held[k] == plan.space.resolved[k] for k in _ALIKE)

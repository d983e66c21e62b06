"""What a strategy asks for, checked where it comes in: it may be anyone's code."""

from collections.abc import Generator
from dataclasses import fields
from operator import attrgetter
from typing import Any

from idim.config import OBJECTIVE, RunSpec
from idim.config.names import STRATEGIES
from idim.config.searches import strategy_of
from idim.errors import IdimError, Misled
from idim.methods import METHODS
from idim.plain import brief
from idim.search.space import Space
from idim.search.strategy import Done, Known, strategy

# Batches in a row of nothing but runs that were asked for before: then it would go on for ever.
MOST_IDLE = 100
# What a strategy chooses of a run, beside its size.
CHOSEN = ("lr", "seed", "stop_at")


def next_runs(space: Space, known: Known) -> list[RunSpec] | Done:
    """Return the runs that the search needs next, each once, or that it is done.

    A strategy sees nothing but the scores it asked for, so replaying it from the start on what
    the store holds takes the same decisions again: a killed search goes on as if undisturbed.
    Before any strategy come the runs that say which line it searches for.

    Raises:
        Misled: the strategy asks for what is no run of the sweep, or for nothing new, again and
            again.
        CodeFailed: the strategy raised.
    """
    if missing := [run for run in space.first if run.id not in known]:
        return missing
    space = space.after(known)
    name = strategy_of(space.spec)
    going, check = _begin(name, space), _Check(name, space)
    scores, asked, idle = None, set(), 0
    while not isinstance(batch := _send(name, going, scores), Done):
        batch = check(batch)
        ids = [run.id for run in batch]
        idle = idle + 1 if asked.issuperset(ids) else 0
        if idle == MOST_IDLE:
            raise Misled(
                f"strategy '{name}' asked for nothing new {idle} times in a row; it must return "
                "why its search is over, or ask for other runs."
            )
        asked.update(ids)
        if missing := {i: run for i, run in zip(ids, batch, strict=True) if i not in known}:
            return list(missing.values())
        scores = [known[i] for i in ids]
    return batch


def _begin(name: str, space: Space) -> Generator[Any, Any, Any]:
    of = strategy(space)
    with STRATEGIES.answerable(name, f"strategy '{name}'"):
        going = of.runs()
    if not isinstance(going, Generator):
        raise Misled(
            f"strategy '{name}': runs() returns {_kind(going)} and must be a generator: it yields "
            "lists of runs."
        )
    return going


def _send(name: str, going: Generator[Any, Any, Any], scores: Any) -> Any:
    with STRATEGIES.answerable(name, f"strategy '{name}'"):
        try:
            return going.send(scores)
        except StopIteration as stop:
            why = stop.value
    is_said = isinstance(why, str) and why.strip()
    return Done(" ".join(why.split()) if is_said else "its strategy gave no reason")


class _Check:
    """Compares what is asked for with what `Space.run` makes, which takes a thousandth second."""

    def __init__(self, name: str, space: Space) -> None:
        self.name, self.space = name, space
        size = METHODS[space.spec.method].size or "d"
        self.made = {size: space.run(1, 1.0, 0), None: space.run(None, 1.0, 0)}
        every = [f.name for f in fields(RunSpec) if f.name not in CHOSEN]
        self.shared = {free: [n for n in every if n != free] for free in self.made}
        self.values = {free: attrgetter(*names) for free, names in self.shared.items()}

    def __call__(self, batch: Any) -> list[RunSpec]:
        """Return the runs that a strategy has yielded.

        Raises:
            Misled: it is no list of runs that `space.run` makes.
        """
        if not isinstance(batch, list | tuple):
            raise self._refusal(f"yields {_kind(batch)}, not a list of runs")
        for run in batch:
            self._check(run)
        return list(batch)

    def _check(self, run: Any) -> None:
        if type(run) is not RunSpec:
            raise self._refusal(f"asks for {_kind(run)}, not for a run")
        free = None if run.method == self.made[None].method else next(iter(self.made))
        made, values = self.made[free], self.values[free]
        if values(run) != values(made):
            name = next(n for n in self.shared[free] if getattr(run, n) != getattr(made, n))
            is_, was = brief(getattr(run, name)), brief(getattr(made, name))
            raise self._refusal(f"asks for a run whose {name} is {is_}, and {was} in its sweep")
        if run.stop_at is not None and run.task == OBJECTIVE:
            raise self._refusal("stops a run of an objective early, which trains by its own code")

    def _refusal(self, what: str) -> IdimError:
        return Misled(
            f"strategy '{self.name}' {what}; it chooses size, lr, seed and stop_at, and "
            "space.run makes the run."
        )


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"

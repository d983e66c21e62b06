"""One interface for every strategy: results so far -> the next runs, or done and why."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from idim.config import RunSpec
from idim.errors import unknown
from idim.estimate import Score
from idim.search.adaptive import adaptive
from idim.search.grid import grid
from idim.search.space import Space

# What is known of runs, by run id; a run that failed is known by a score of None.
Known = Mapping[str, Score]
# A strategy yields runs, is sent their scores in the same order, and returns why it stopped.
Strategy = Generator[list[RunSpec], list[Score], str]
STRATEGIES: dict[str, Callable[[Space], Strategy]] = {"adaptive": adaptive, "grid": grid}


@dataclass(frozen=True, slots=True)
class Done:
    """The search is over."""

    why: str


def strategy(space: Space) -> Strategy:
    """Start the strategy that a sweep names."""
    name = space.spec.search
    if name not in STRATEGIES:
        raise unknown("search", name, STRATEGIES)
    return STRATEGIES[name](space)


def next_runs(space: Space, known: Known) -> list[RunSpec] | Done:
    """Return the runs that the search needs next, or that it is done.

    A strategy sees nothing but the scores it asked for, so replaying it from the start on what
    the store holds takes the same decisions again: a killed search goes on as if undisturbed.
    """
    going = strategy(space)
    try:
        batch = next(going)
        while all(run.id in known for run in batch):
            batch = going.send([known[run.id] for run in batch])
    except StopIteration as stop:
        return Done(stop.value)
    return [run for run in batch if run.id not in known]

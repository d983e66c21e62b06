"""One run by itself, outside any stack, as tests look at trainings."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from idim.config import RunSpec
from idim.errors import RunFailed
from idim.problems.base import Model
from idim.problems.kinds import KINDS
from idim.training.events import Result, State, Step
from idim.training.loop import train


def events(spec: RunSpec, resume: State | None = None) -> Iterator[Step | Result]:
    """Train one run; raise what made it fail."""
    for _, event in train([replace(spec, stacked=False)], [resume]):
        if isinstance(event, RunFailed):
            raise event
        yield event


def finish(spec: RunSpec, resume: State | None = None) -> Result:
    """Train one run to its end."""
    *_, last = events(spec, resume)
    assert isinstance(last, Result)
    return last


def with_digits(monkeypatch: pytest.MonkeyPatch, build: Callable[[int], Model]) -> None:
    """Have a model of a test's own, made from a seed, read the digits."""
    ours = KINDS["vector"]
    kind = replace(ours, make=lambda *setup: replace(ours.make(*setup), build=build))
    monkeypatch.setitem(KINDS, "vector", kind)

"""One interface for every strategy: results so far -> the next runs, or done and why."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from idim.config import Recipe, RunSpec, SweepSpec
from idim.config.names import STRATEGIES
from idim.config.searches import strategy_of
from idim.errors import Misled, unknown
from idim.estimate import Score
from idim.methods import METHODS
from idim.plain import brief, many
from idim.search.space import Space

# What is known of runs, by run id; a run that failed is known by a score of None.
Known = Mapping[str, Score]
T = TypeVar("T")
# A part of a strategy: asks for runs, is sent their scores in the same order, returns something.
Asking = Generator[list[RunSpec], list[Score], T]


@dataclass(frozen=True, slots=True)
class Done:
    """The search is over."""

    why: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a search is: runs of each fate, optimizer steps, and why it ended."""

    total: int
    done: int
    failed: int
    stopped_early: int
    steps: int
    steps_saved: int
    # None: it is not over.
    why: str | None


class Strategy(ABC):
    """Which runs a sweep makes, and what there is to say of it in that.

    One that lies elsewhere needs `runs` alone: it is then given ends of d, and described as a
    search that finds out as it goes.  It enters `STRATEGIES` of `idim.config.names`, or is an
    entry point `idim.strategies` of an installed package.

    Args:
        space: a sweep's setting, resolved.
    """

    # What sentences call it.
    called: ClassVar[str] = "a search of its own kind"
    # Settings that not every strategy heeds and this one does: of a sweep by one that does not,
    # they are refused.
    heeds: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: Space) -> None:
        self.space, self.spec = space, space.spec

    @staticmethod
    def unfit(of: "type[Strategy]") -> str | None:
        """Say why a class cannot be entered as a strategy."""
        if not (isinstance(of.called, str) and of.called.strip()):
            return "called must be what sentences call it"
        if not (isinstance(of.heeds, tuple) and all(isinstance(name, str) for name in of.heeds)):
            return "heeds must be a tuple of settings' names"
        return None

    # --- the settings -----------------------------------------------------------------------

    @classmethod
    def suits(cls, spec: SweepSpec) -> bool:
        """Say whether the settings ask for it where none is named; of the package's own only."""
        del spec
        return False

    @classmethod
    def contradictions(cls, spec: SweepSpec) -> Iterable[str]:
        """Name the settings that do not go together with it, each in a clause."""
        del spec
        return ()

    @classmethod
    def fill(cls, spec: SweepSpec, recipe: Recipe) -> dict[str, Any]:
        """Return the settings of d that the user left open and the model's recipe fills."""
        return {"d_min": spec.d_min or recipe.d_min, "d_max": spec.d_max or recipe.d_max}

    @classmethod
    def within(cls, spec: SweepSpec, D: int) -> SweepSpec:
        """Return filled settings with d, or the ends of d, as they are of D parameters."""
        return replace(spec, d_max=min(spec.d_max or D, D))

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest d it may ask for; an open end is as far as there is."""
        return self.spec.d_min or 1, self.spec.d_max or self.space.D

    @property
    def must_fit(self) -> tuple[int, ...]:
        """The d that it is sure to ask for, or that bound those from below."""
        return self.ends[:1]

    # --- the runs ---------------------------------------------------------------------------

    @abstractmethod
    def runs(self) -> Asking[str]:
        """Yield the next runs, be sent their scores in the same order; return why it is over.

        It may look at nothing but what it is sent: replayed on stored scores it then asks for the
        same runs, which is how a killed sweep goes on.
        """

    @property
    def bound(self) -> int | None:
        """The most runs it makes; None: those it begins with, and few more."""
        return None

    def timed(self, begun: list[RunSpec]) -> list[RunSpec]:
        """Return runs of which a step's time is that of all it makes.

        Args:
            begun: those that it begins with.
        """
        return [*begun, self.space.run(self.ends[1], 1, 0)]

    # --- the words --------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Say what a dry run cannot list: the runs that come after those it begins with."""
        (low, high), letter = self.ends, METHODS[self.spec.method].symbol
        return [f"then the search chooses {letter} from {low:,} to {high:,} by what it finds"]

    def warnings(self) -> list[str]:
        """Say what a user should know before the first run."""
        return []

    def seeds(self) -> str:
        """Say how many seeds each d has."""
        return str(self.spec.seeds)

    def rates(self) -> str:
        """Say which learning rates are tried, where none were given."""
        multiples = ", ".join(f"{m:g}" for m in self.spec.lr_multiples)
        return f"{multiples} times {METHODS[self.spec.method].matching(self.spec)}"

    @classmethod
    def state(cls, tally: Tally) -> str:
        """Say what was spent and why it ended, or what is missing; empty: nothing to say."""
        spent = f"search: {many(tally.done, 'run')}"
        if tally.stopped_early:
            every = tally.steps + tally.steps_saved
            spent += f" and {tally.stopped_early} stopped early, which saved "
            spent += f"{tally.steps_saved:,} of {every:,} steps"
        return f"{spent}; {tally.why or 'not finished'}"


def together(*parts: Asking[None]) -> Asking[None]:
    """Ask for what several parts ask for, each step of them in one batch."""
    wanted = [(part, batch) for part in parts if (batch := next(part, None)) is not None]
    while wanted:
        scores = yield [run for _, batch in wanted for run in batch]
        going, first = [], 0
        for part, batch in wanted:
            try:
                after = part.send(scores[first : first + len(batch)])
                going.append((part, after))
            except StopIteration:
                pass
            first += len(batch)
        wanted = going


def named(name: str) -> type[Strategy]:
    """Return the strategy of a name.

    Raises:
        IdimError: there is none here.
    """
    if name not in STRATEGIES:
        raise unknown("search", name, STRATEGIES, STRATEGIES.elsewhere)
    return STRATEGIES[name]


def strategy(space: Space) -> Strategy:
    """Return the strategy that a sweep names, with its setting.

    Raises:
        IdimError: there is none of this name, or it is from outside and raised.
    """
    name = strategy_of(space.spec)
    of = named(name)
    with STRATEGIES.answerable(name, f"strategy '{name}'"):
        return of(space)


def _are(kind: type) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, list | tuple) and all(type(x) is kind for x in found)


# What a strategy says beside its runs: whether it is an answer, and what would be one.
_ANSWERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bound": (lambda n: n is None or (type(n) is int and n >= 0), "a number of runs, or None"),
    "must_fit": (_are(int), "whole numbers"),
    "lines": (_are(str), "a list of texts"),
    "warnings": (_are(str), "a list of texts"),
    "seeds": (lambda text: isinstance(text, str), "a text"),
    "rates": (lambda text: isinstance(text, str), "a text"),
}


def ask(of: Strategy, what: str) -> Any:
    """Return what a strategy says by one of its words or properties beside `runs`.

    Raises:
        Misled: it says what cannot be.
        CodeFailed: it is from outside and raised.
    """
    name = strategy_of(of.spec)
    whose = f"{what} of strategy '{name}'"
    with STRATEGIES.answerable(name, whose):
        found = getattr(of, what)
        found = found() if callable(found) else found
    is_one, wanted = _ANSWERS[what]
    if not is_one(found):
        raise Misled(f"{whose} is {brief(found)}; it must be {wanted}.")
    return found

"""The papers' protocol: every d, learning rate and seed of a grid."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from idim.config import Recipe, RunSpec, SweepSpec
from idim.plain import many
from idim.search.space import Space, beyond
from idim.search.strategy import Asking, Strategy, Tally

# The most runs that it may have.
MOST_RUNS = 100_000
# A best learning rate on its grid's edge widens the grid there, this many times at most.
EXTENSIONS = 2


def paper_grid(d_min: int, d_max: int, points: int) -> tuple[int, ...]:
    """Return up to `points` values of d, evenly spread over the papers' grid.

    The grid is int(10 ** (2 + 4 k / 63)), steps of x1.157, continued below 100.

    Source:
        Aghajanyan et al. 2020, Table 1: all entries but one are in `np.logspace(2, 6, 64)`.

    >>> paper_grid(100, 1000, 4)
    (100, 207, 431, 896)
    """
    every = (int(10 ** (2 + 4 * k / 63) + 1e-9) for k in range(-32, 96))
    inside = sorted({d for d in every if d_min <= d <= d_max} or {d_min})
    if points >= len(inside):
        return tuple(inside)
    if points == 1:
        return (inside[-1],)
    step = (len(inside) - 1) / (points - 1)
    return tuple(inside[round(i * step)] for i in range(points))


def whole(space: Space) -> list[RunSpec]:
    """Return every run of the grid: the baseline first, then d by d."""
    spec = space.spec
    rows: list[tuple[int | None, Sequence[float]]] = [(d, space.rates(d)) for d in spec.d]
    if spec.baseline == "own":
        rows = [(None, spec.baseline_lr), *rows]
    return [
        space.run(d, lr, seed) for d, rates in rows for lr in rates for seed in range(spec.seeds)
    ]


class Grid(Strategy):
    """Every d, learning rate and seed; more learning rates where the best is on the edge.

    Rates that the user gave are all there is; a single one has no edge.
    """

    called = "a grid"
    heeds = ("d", "points")

    @classmethod
    def suits(cls, spec: SweepSpec) -> bool:
        """Where d are given, or how many."""
        return bool(spec.d or spec.points)

    @classmethod
    def contradictions(cls, spec: SweepSpec) -> Iterable[str]:
        """Values of d and ends of d; more runs than anyone can mean."""
        if spec.d and (spec.d_min or spec.d_max or spec.points):
            yield "give d, or d_min / d_max / points, not both"
        elif (runs := _count(spec)) > MOST_RUNS:
            yield (
                f"this grid is {runs:,} runs (values of d x learning rates x seeds); at most "
                f"{MOST_RUNS:,}: give fewer seeds, d or rates"
            )

    @classmethod
    def fill(cls, spec: SweepSpec, recipe: Recipe) -> dict[str, Any]:
        """Return the recipe's values of d, or how many of them from where to where."""
        if spec.d:
            return {}
        if recipe.d and not (spec.d_min or spec.d_max or spec.points):
            return {"d": recipe.d}
        return super().fill(spec, recipe) | {"points": spec.points or recipe.points}

    @classmethod
    def within(cls, spec: SweepSpec, D: int) -> SweepSpec:
        """Return the settings with all d in order."""
        if not spec.d:
            every = paper_grid(spec.d_min or 1, min(spec.d_max or D, D), spec.points or MOST_RUNS)
            spec = replace(spec, d=every, d_min=None, d_max=None, points=None)
        return replace(spec, d=tuple(sorted(set(spec.d))))

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last d."""
        return self.spec.d[0], self.spec.d[-1]

    @property
    def must_fit(self) -> tuple[int, ...]:
        """All d."""
        return self.spec.d

    def runs(self) -> Asking[str]:
        """Yield the whole grid, then the edges' rates."""
        spec = self.spec
        scores = yield whole(self.space)
        for _ in range(EXTENSIONS):
            more = []
            for d in dict.fromkeys(s.d for s in scores):
                here = [s for s in scores if s.d == d]
                found = None if d is not None and spec.lr else self.space.point(here)
                lr = beyond(found.tried, found.lr) if found and found.edge else None
                more += [self.space.run(d, lr, seed) for seed in range(spec.seeds)] if lr else []
            if not more:
                break
            scores = scores + (yield more)
        return "every run of the grid is done"

    def timed(self, begun: list[RunSpec]) -> list[RunSpec]:
        """Return the grid's own, in which every kind of run is."""
        return begun

    def lines(self) -> list[str]:
        """Say nothing: a dry run lists them all."""
        return []

    def rates(self) -> str:
        """Say that there may be more than the first."""
        return f"{super().rates()}; further at an edge"

    @classmethod
    def state(cls, tally: Tally) -> str:
        """Say what is missing; why it is over needs no word."""
        left = tally.total - tally.done - tally.failed - tally.stopped_early
        verb = "is" if left == 1 else "are"
        said = f"incomplete: {left} of {many(tally.total, 'run')} {verb} still to do"
        return said if left > 0 else ""


def _count(spec: SweepSpec) -> int:
    """Count the runs of a grid that is given; without d or points a recipe's few."""
    ds = len(spec.d) or spec.points or 1
    return (ds * (len(spec.lr) or len(spec.lr_multiples)) + len(spec.baseline_lr)) * spec.seeds

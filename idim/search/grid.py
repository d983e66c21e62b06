"""The papers' protocol: every d, learning rate and seed of a grid."""

from collections.abc import Generator, Sequence

from idim.config import RunSpec
from idim.estimate import Score, point
from idim.search.space import Space, beyond

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


def grid(space: Space) -> Generator[list[RunSpec], list[Score], str]:
    """Ask for the whole grid, then for more learning rates where the best is on the edge.

    Rates that the user gave are all there is; a single one has no edge.
    """
    spec = space.spec
    scores = yield whole(space)
    for _ in range(EXTENSIONS):
        more = []
        for d in dict.fromkeys(s.d for s in scores):
            here = [s for s in scores if s.d == d]
            found = None if d is not None and spec.lr else point(here)
            lr = beyond(found.tried, found.lr) if found and found.edge else None
            more += [space.run(d, lr, seed) for seed in range(spec.seeds)] if lr else []
        if not more:
            break
        scores = scores + (yield more)
    return "every run of the grid is done"

"""Which runs measure d90: the grid of the papers, over d, learning rate and seed."""

from dataclasses import fields
from typing import Any

from idim.config import RunSpec, Setup, SweepSpec


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


def default_lrs(spec: SweepSpec, D: int, d: int, tensors: int) -> tuple[float, ...]:
    """Return the grid of learning rates of one d.

    Args:
        spec: gives the full-space rates, whose geometric middle is the anchor, the multiples of
            the matched rate, and the norm.
        D: parameters of the full space.
        d: numbers trained in the subspace.
        tensors: with unit columns within each tensor, theta moves sqrt(tensors) times as far.
    """
    rates = sorted(spec.baseline_lr)
    anchor = (rates[0] * rates[-1]) ** 0.5
    matched = anchor * (D / d) ** 0.5 / (tensors**0.5 if spec.norm == "tensor" else 1)
    return tuple(float(f"{m * matched:.3g}") for m in spec.lr_multiples)


def grid(spec: SweepSpec, D: int, tensors: int, fingerprints: dict[str, str]) -> list[RunSpec]:
    """Return every run of a sweep: the baseline first, then the grid, d by d.

    Args:
        spec: with no open field.
        D: parameters the subspace spans.
        tensors: how many tensors they lie in.
        fingerprints: `model_fingerprint` and `data_fingerprint`.
    """
    shared: dict[str, Any] = {f.name: getattr(spec, f.name) for f in fields(Setup)} | fingerprints
    runs = []
    if spec.baseline == "own":
        runs += [
            RunSpec(**shared, method="full", lr=lr, seed=seed)
            for lr in spec.baseline_lr
            for seed in range(spec.seeds)
        ]
    for d in spec.d:
        runs += [
            RunSpec(**shared, d=d, lr=lr, seed=seed)
            for lr in spec.lr or default_lrs(spec, D, d, tensors)
            for seed in range(spec.seeds)
        ]
    return runs

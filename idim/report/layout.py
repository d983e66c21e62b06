"""Where things go on the figure: limits, ticks, and labels that keep their distance; pure."""

import math

from matplotlib.ticker import MaxNLocator

from idim.results import Summary


def x_limits(summary: Summary) -> tuple[float, float]:
    """Enclose every d, with a margin as a share of the range."""
    ds = [p.d for p in summary.points] or [1, 1000]
    if len(ds) == 1:
        return ds[0] / 4, ds[0] * 4
    step = max(ds[-1] / ds[0], 1.2)
    # Beyond the largest d there must be room to show "d90 lies here, or further".
    return ds[0] / step**0.05, ds[-1] * step ** (0.05 if summary.d90_over is None else 0.14)


def y_limits(summary: Summary) -> tuple[float, float]:
    """Enclose every score and line, with a margin."""
    base = summary.reference
    values = [s for p in summary.points for s in p.scores]
    values += [summary.line, summary.chance]
    if base.mean is not None:
        values += [base.mean - (base.std or 0), base.mean + (base.std or 0)]
    known = [v for v in values if v is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


def d_ticks(low: float, high: float) -> list[float]:
    """Choose powers of ten; 1, 2 and 5 on a short axis; even steps on a very short one."""
    decades = math.log10(high / low)
    if decades < 0.9:
        even = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
        return [t for t in even if low <= t <= high]
    factors = (1,) if decades > 2.2 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [f * 10.0**k for k in powers for f in factors]
    return [t for t in every if low <= t <= high and t >= 1]


def score_ticks(floor: float, top: float) -> tuple[list[float], list[str]]:
    """Choose round scores between floor and top, none above a perfect 1 unless one scored so."""
    values = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(floor, top)
    decimals = max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))
    kept = [v for v in values if floor <= v <= (top if top > 1.1 else min(top, 1.0 + 1e-9))]
    return kept, [score(v, decimals) for v in kept]


def score(value: float, decimals: int) -> str:
    """Write a score with a true minus sign."""
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def spread(wanted: list[float], gap: float) -> list[float]:
    """Move ascending positions apart to at least `gap`, each group about its own middle.

    >>> [round(y, 3) for y in spread([0.1, 0.5, 0.52], 0.1)]
    [0.1, 0.46, 0.56]
    """
    groups: list[list[float]] = []
    for y in wanted:
        groups.append([y])
        while len(groups) > 1 and _first(groups[-1], gap) - _last(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, gap) + i * gap for group in groups for i in range(len(group))]


def _first(group: list[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _last(group: list[float], gap: float) -> float:
    return _first(group, gap) + gap * (len(group) - 1)

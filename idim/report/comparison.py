"""Several sweeps side by side: names, a table, and which differences exceed their intervals."""

import itertools
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from idim.errors import IdimError
from idim.plain import harmless, many
from idim.report.apart import Apart, apart
from idim.report.differences import Difference, differences
from idim.report.matched import Difference as Matched
from idim.report.matched import Rows, matched, nearest
from idim.report.table import aligned
from idim.report.words import answer, headline, name, score, short, smallest, span
from idim.results import Summary
from idim.search import Space

# What a comparison's JSON repeats of each summary.
_KEPT = (
    "model", "task", "projection", "structure", "norm", "head", "D", "d90", "d90_under",
    "d90_over", "interval", "smallest", "baseline", "line", "points", "runs", "out",
)  # fmt: skip
# Most lines about one d, of two sweeps; of each two of many one.
_MOST = 3
_MORE = (
    "more runs: in both sweeps together, roughly: as if intervals shrank as 1 over the root of runs"
)
_PAIRED = (
    "A - B: of scores, with 95% intervals by the seeds of both (paired t) and by the evaluation\n"
    "  rows of both (paired, normal; of these trained models)"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A sweep with what it is called in a comparison."""

    mark: str
    name: str
    summary: Summary

    def to_json(self) -> dict[str, Any]:
        """Return what a reader of the comparison needs of the sweep."""
        record = self.summary.to_json()
        named = {"mark": self.mark, "name": self.name, "headline": headline(self.summary)}
        return named | {key: record[key] for key in _KEPT}


@dataclass(frozen=True, slots=True)
class Pair:
    """Whether two sweeps differ."""

    a: Compared
    b: Compared
    # d90 of a over that of b.
    apart: Apart
    # Scores of a less those of b, at each d of both, where they have rows and seeds in common.
    matched: tuple[Matched, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it with the names of both."""
        found = asdict(self.apart)
        named = {"a": self.a.name, "b": self.b.name}
        return named | {
            "ratio": found["ratio"],
            "ratio_interval": found["interval"],
            "verdict": found["verdict"],
            "more_runs": found["more_runs"],
            "matched": [asdict(one) for one in self.matched],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several sweeps of one metric and one threshold, side by side."""

    metric: str
    threshold: float
    sweeps: tuple[Compared, ...]
    pairs: tuple[Pair, ...]
    # Settings beside those in the names.
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything, by the keys of `idim compare --json`."""
        return {
            "metric": self.metric,
            "threshold": self.threshold,
            "sweeps": [s.to_json() for s in self.sweeps],
            "pairs": [p.to_json() for p in self.pairs],
            "differences": [asdict(d) for d in self.differences],
        }


def compare(
    summaries: Sequence[Summary],
    spaces: Sequence[Space],
    rows: Callable[[Summary], Rows] = lambda _: Rows("", {}),
) -> Comparison:
    """Put sweeps side by side.

    Two sweeps differ where the 95% interval of the ratio of their d90 leaves out 1; each interval
    holds the noise of its own seeds and baseline.

    Args:
        summaries: of one metric and one threshold.
        spaces: their settings, in the same order.
        rows: gives the scores of one by d and seed, by which it is paired with another.

    Raises:
        IdimError: fewer than two sweeps, or sweeps that cannot be compared.
    """
    _check(summaries)
    names = _names(summaries)
    sweeps = tuple(map(Compared, _marks(), names, summaries))
    known = [rows(s) for s in summaries]
    pairs = tuple(
        Pair(a, b, apart(a.summary, b.summary), matched(one, other))
        for (a, one), (b, other) in itertools.combinations(zip(sweeps, known, strict=True), 2)
    )
    first = summaries[0]
    return Comparison(first.metric, first.threshold, sweeps, pairs, differences(summaries, spaces))


def text(compared: Comparison, width: int | None = None) -> str:
    """Lay a comparison out: a row a sweep, a line a pair, and what else was set otherwise.

    Args:
        compared: the sweeps.
        width: most characters of the table's lines; None: as wide as the table is.
    """
    baseline = f"baseline {compared.metric}"
    called = name(compared.sweeps[0].summary)
    head = ("", "D", called, "95% interval", "smallest tried", baseline, "runs", "")
    lines = aligned([head, *map(_row, compared.sweeps)], 1, width)
    marks = [s.mark for s in compared.sweeps]
    unlike = [f"  {harmless(d.line(marks))}" for d in compared.differences]
    if unlike:
        unlike = ["", "They differ in more than the names say:", *unlike]
    return "\n".join([*lines, "", *verdicts(compared), *unlike]) + "\n"


def verdicts(compared: Comparison) -> list[str]:
    """Say of each two sweeps whether they differ and by how much, and their scores at one d."""
    most = _MOST if len(compared.pairs) == 1 else 1
    said = [line for pair in compared.pairs for line in _said(pair, most)]
    if any(pair.apart.more_runs for pair in compared.pairs):
        said.append(_MORE)
    return [*said, *([_PAIRED] if any(pair.matched for pair in compared.pairs) else [])]


def _check(summaries: Sequence[Summary]) -> None:
    if len(summaries) < 2:
        raise IdimError("one sweep has nothing to be compared with; give two folders or more.")
    first = summaries[0]
    for s in summaries[1:]:
        if s.metric != first.metric:
            raise IdimError(
                f"'{first.out}' is scored by {first.metric} and '{s.out}' by {s.metric}; "
                "compare sweeps of one metric."
            )
        if s.method != first.method:
            raise IdimError(
                f"'{first.out}' is of the method {first.method} and '{s.out}' of {s.method}, whose "
                "sizes are no numbers of one kind; compare sweeps of one method."
            )
        if s.threshold != first.threshold:
            raise IdimError(
                f"'{first.out}' is read at {first.threshold:g} of its baseline and "
                f"'{s.out}' at {s.threshold:g}; give one --threshold for all."
            )
        if s.target != first.target:
            raise IdimError(
                f"'{first.out}' is read at the line of target {first.target} and '{s.out}' at that "
                f"of {s.target}; give one --target for all."
            )
    for s in summaries:
        if s.line is None or not s.points:
            what = "no baseline above 0" if s.line is None else f"no {s.letter} with a score"
            raise IdimError(f"'{s.out}' has {what} yet; compare sweeps that have both.")
    folders = [s.out.resolve() for s in summaries]
    if len(set(folders)) < len(folders):
        raise IdimError("one folder is given twice; give each sweep once.")


def _names(summaries: Sequence[Summary]) -> list[str]:
    """Name each sweep by what tells it from the others, else by its folder."""
    said = [
        [short(s.model), short(s.task), s.projection, s.structure.upper(),
         f"{s.norm} norm", f"head {s.head}"]
        for s in summaries
    ]  # fmt: skip
    differ = [i for i, column in enumerate(zip(*said, strict=True)) if len(set(column)) > 1]
    names = [", ".join(row[i] for i in differ) for row in said]
    if len(set(names)) == len(names):
        return names
    folders = [s.out.resolve().name for s in summaries]
    if len(set(folders)) == len(folders):
        return folders
    return [str(s.out) for s in summaries]


def _marks() -> Iterator[str]:
    """Yield A to Z, then AA to ZZ: names short enough for a line about two sweeps."""
    for size in (1, 2):
        yield from map("".join, itertools.product(string.ascii_uppercase, repeat=size))


def _row(compared: Compared) -> tuple[str, ...]:
    s = compared.summary
    base = s.reference
    return (
        f"{compared.mark}  {compared.name}",
        f"{s.D:,}",
        answer(s),
        span(s) or "none",
        smallest(s.smallest),
        "" if base.mean is None else score(base.mean, s, base.std),
        f"{s.runs.done:,}",
        "" if s.runs.to_do <= 0 else f"{s.runs.to_do} still to do",
    )


def _said(pair: Pair, most: int) -> Iterator[str]:
    """Say whether two sweeps differ and by how much, then their scores at one d."""
    a, b = pair.a, pair.b
    yield f"{a.mark} and {b.mark}: {_verdict(pair)}"
    ds = [d for s in (a.summary, b.summary) for d in (s.d90, s.d90_under, s.d90_over) if d]
    for one in nearest(pair.matched, ds, most) if ds else ():
        at = f"  at {a.summary.letter} = {one.d:,}, {a.mark} - {b.mark}"
        yield f"{at}: {one.difference:+.3f} ({_over(one)})"


def _over(one: Matched) -> str:
    """Say the intervals of a difference, each with what it is over."""
    said = [f"by {many(one.seeds, 'seed')}"]
    if one.over_seeds is not None:
        said[0] += f" {_span(one.over_seeds)}"
    if one.over_rows is not None:
        said.append(f"by {one.rows:,} rows {_span(one.over_rows)}")
    return "; ".join(said)


def _span(ends: tuple[float, float]) -> str:
    return " to ".join(f"{end:+.3f}" for end in ends)


def _verdict(pair: Pair) -> str:
    found, symbol = pair.apart, name(pair.a.summary)
    if found.verdict == "no interval":
        lacks = [s.mark for s in (pair.a, pair.b) if s.summary.interval is None]
        why = f"{' and '.join(lacks)} {'has' if len(lacks) == 1 else 'have'} no interval"
        return f"cannot be told apart: {why}{_ratio(pair)}"
    if found.ratio is None:
        if found.verdict == "differ":
            return (
                f"differ: {symbol} of {_larger(pair)} is the larger, by all of both 95% intervals"
            )
        return f"not told apart: their 95% intervals of {symbol} overlap"
    if found.verdict == "differ":
        return f"differ{_ratio(pair)}"
    if found.too_near:
        return f"cannot be told apart by seeds alone: too near{_ratio(pair)}"
    if found.more_runs is None:
        return f"not told apart: an interval is open{_ratio(pair)}"
    more = f"; some {many(found.more_runs, 'more run')} might tell"
    return f"not told apart{_ratio(pair)}{more}"


def _larger(pair: Pair) -> str:
    """Name the sweep whose whole interval lies above the other's."""
    (low, _), (_, high) = (s.summary.interval or (None, None) for s in (pair.a, pair.b))
    is_above = low is not None and high is not None and low > high
    return (pair.a if is_above else pair.b).mark


def _ratio(pair: Pair) -> str:
    """Say which d90 is how many times which, the larger first."""
    found, (a, b) = pair.apart, (pair.a, pair.b)
    if found.ratio is None:
        return ""
    ratio, ends = found.ratio, found.interval
    if ratio < 1:
        a, b, ratio = b, a, 1 / ratio
        low, high = ends or (None, None)
        ends = None if ends is None else (high and 1 / high, low and 1 / low)
    within = "" if ends is None else f" (95% {_factors(ends)})"
    return f"; {name(a.summary)} of {a.mark} is {_factor(ratio)} times {b.mark}'s{within}"


def _factors(ends: tuple[float | None, float | None]) -> str:
    low, high = ends
    if low is None:
        return "open at both ends" if high is None else f"up to {_factor(high)}"
    return f"{_factor(low)} or above" if high is None else f"{_factor(low)}-{_factor(high)}"


def _factor(value: float) -> str:
    """Write a factor to two digits, all of them from 100 on.

    >>> _factor(2.134), _factor(0.0714), _factor(1), _factor(1234.4)
    ('2.1', '0.071', '1.0', '1,234')
    """
    if value >= 99.5:
        return f"{value:,.0f}"
    return f"{value:#.2g}".rstrip(".")

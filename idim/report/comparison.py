"""Several sweeps side by side: names, a table, and which differences exceed their intervals."""

import itertools
import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from idim.errors import IdimError
from idim.estimate import Ends
from idim.plain import harmless
from idim.report.differences import Difference, differences
from idim.report.table import aligned
from idim.report.words import answer, headline, name, short, smallest, span
from idim.results import Summary
from idim.search import Space

Verdict = Literal["differ", "not told apart", "no interval"]

# What a comparison's JSON repeats of each summary.
_KEPT = (
    "model", "task", "projection", "structure", "norm", "head", "D", "d90", "d90_under",
    "d90_over", "interval", "smallest", "baseline", "line", "points", "runs", "out",
)  # fmt: skip
_SAID: dict[Verdict, str] = {
    "differ": "differ: their 95% intervals have nothing in common",
    "not told apart": "are not told apart: their 95% intervals overlap",
    "no interval": "cannot be told apart: one or both have no interval",
}


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
    # d90 of a over that of b; None where one has none.
    ratio: float | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return it with the names of both."""
        names = {"a": self.a.name, "b": self.b.name}
        return names | {"ratio": self.ratio, "verdict": self.verdict}


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


def compare(summaries: Sequence[Summary], spaces: Sequence[Space]) -> Comparison:
    """Put sweeps side by side.

    Two sweeps differ where the 95% intervals of d90 have no d in common; each
    interval holds the noise of its own seeds and baseline, so this asks for more than a test of
    the difference would.

    Args:
        summaries: of one metric and one threshold.
        spaces: their settings, in the same order.

    Raises:
        IdimError: fewer than two sweeps, or sweeps that cannot be compared.
    """
    _check(summaries)
    names = _names(summaries)
    sweeps = tuple(map(Compared, _marks(), names, summaries))
    pairs = tuple(_pair(a, b) for a, b in itertools.combinations(sweeps, 2))
    first = summaries[0]
    return Comparison(first.metric, first.threshold, sweeps, pairs, differences(summaries, spaces))


def text(compared: Comparison) -> str:
    """Lay a comparison out: a row a sweep, a line a pair, and what else was set otherwise."""
    baseline = f"baseline {compared.metric}"
    called = name(compared.sweeps[0].summary)
    head = ("", "D", called, "95% interval", "smallest tried", baseline, "runs", "")
    lines = aligned([head, *map(_row, compared.sweeps)], left=1)
    marks = [s.mark for s in compared.sweeps]
    unlike = [f"  {harmless(d.line(marks))}" for d in compared.differences]
    if unlike:
        unlike = ["", "They differ in more than the names say:", *unlike]
    return "\n".join([*lines, "", *map(_verdict, compared.pairs), *unlike]) + "\n"


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


def _pair(a: Compared, b: Compared) -> Pair:
    """Say whether two intervals have a d in common."""
    one, other = (_ends(s.summary.interval) for s in (a, b))
    verdict: Verdict = "not told apart"
    if one is None or other is None:
        verdict = "no interval"
    elif one[0] > other[1] or other[0] > one[1]:
        verdict = "differ"
    ds = a.summary.d90, b.summary.d90
    ratio = ds[0] / ds[1] if ds[0] and ds[1] else None
    return Pair(a, b, ratio, verdict)


def _ends(given: Ends | None) -> tuple[float, float] | None:
    if given is None:
        return None
    low, high = given
    return 0 if low is None else low, math.inf if high is None else high


def _row(compared: Compared) -> tuple[str, ...]:
    s = compared.summary
    base = s.reference
    spread = "" if base.std is None else f" ± {base.std:.3f}"
    return (
        f"{compared.mark}  {compared.name}",
        f"{s.D:,}",
        answer(s),
        span(s) or "none",
        smallest(s.smallest),
        f"{base.mean:.3f}{spread}",
        f"{s.runs.done:,}",
        "" if s.runs.to_do <= 0 else f"{s.runs.to_do} still to do",
    )


def _verdict(pair: Pair) -> str:
    ratio = (
        ""
        if pair.ratio is None
        else f"; {name(pair.a.summary)} of {pair.a.mark} is {pair.ratio:.3g} times that of "
        f"{pair.b.mark}"
    )
    return f"{pair.a.mark} and {pair.b.mark} {_SAID[pair.verdict]}{ratio}"

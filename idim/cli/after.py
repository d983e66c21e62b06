"""What to do when a sweep is done, as commands to be copied."""

import math
import shlex
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from idim.config import SweepSpec, with_recipe
from idim.errors import IdimError
from idim.plain import harmless

if TYPE_CHECKING:
    from idim.results import Summary
    from idim.search import Space

# So many times the runs narrow an interval by about half of that in its logarithm.
MORE = 2
# Doublings after which no number of runs would do.
MOST_DOUBLINGS = 10

# Writes the command that gives a sweep so many runs.
Again = Callable[[int], str]


def lines(summary: "Summary", space: "Space", again: Again) -> list[str]:
    """Say where the figure is, and what may be done next.

    Args:
        summary: of the sweep.
        space: its setting.
        again: writes the command of the same sweep with another bound of runs.
    """
    found = []
    figure = summary.out / "curve.png"
    if figure.is_file():
        found.append(f"figure: {harmless(str(figure))}")
    if (most := spent(summary, space)) is not None:
        aim = "narrow the interval" if summary.points else f"give {summary.letter} a score"
        found += [f"next, more runs to {aim}:", f"  {again(enough(space, MORE * most))}"]
    elif not summary.search.done and space.spec.max_runs:
        found += ["next, the runs that are missing:", f"  {again(space.spec.max_runs)}"]
    if summary.points:
        command = shlex.join(["idim", "report", str(summary.out)])
        found += ["next, a page with methods and protocol:", f"  {harmless(command)}"]
    return found


def spent(summary: "Summary", space: "Space") -> int | None:
    """Return the bound that ended a search before its interval was narrow; None: none did."""
    from idim.search import named

    runs, most = summary.runs, space.spec.max_runs
    if most is None or "max_runs" not in named(summary.search.strategy).heeds:
        return None
    ended = runs.done + runs.failed + runs.stopped_early
    if not summary.search.done or ended < most or _is_narrow(summary, space):
        return None
    return most


def _is_narrow(summary: "Summary", space: "Space") -> bool:
    low, high = summary.interval or (None, None)
    if low is None or high is None:
        return False
    return math.log(high / low) <= math.log(space.spec.tolerance)


def enough(space: "Space", runs: int) -> int:
    """Return so many runs, or twice as often, until the search has nothing to warn of."""
    from idim.search import ask, strategy

    for _ in range(MOST_DOUBLINGS):
        more = replace(space, spec=replace(space.spec, max_runs=runs))
        try:
            if not ask(strategy(more), "warnings"):
                break
        except IdimError:  # a strategy from outside that cannot say
            break
        runs *= 2
    return runs


def typed_again(words: list[str]) -> Again:
    """Return what writes the command that was typed, with another bound of runs.

    Args:
        words: its name and what follows.
    """

    def write(runs: int) -> str:
        return harmless(shlex.join(["idim", *_without_bound(words), "--max-runs", str(runs)]))

    return write


def _without_bound(words: list[str]) -> list[str]:
    kept, is_value = [], False
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if is_value or name in ("--max-runs", "max-runs"):
            is_value = not is_value and word == "--max-runs"
        else:
            kept.append(word)
    return kept


def stored_again(out: Path) -> Again:
    """Return what writes the command of a folder's sweep, with another bound of runs.

    Args:
        out: the folder.
    """

    def write(runs: int) -> str:
        from idim.cli.options import command
        from idim.sweeps import evidence

        setting = replace(_briefest(evidence(out).setting), max_runs=runs)
        return harmless(f"{command(asdict(setting))} --out {shlex.quote(str(out))}")

    return write


def _briefest(setting: SweepSpec) -> SweepSpec:
    """Leave open what the model's recipe fills with the same today; the folder holds threads."""
    default = {f.name: f.default for f in fields(SweepSpec)}
    found = replace(setting, threads=default["threads"])
    whole = with_recipe(found)
    for name in default.keys() - {"model"}:
        fewer = replace(found, **{name: default[name]})
        if with_recipe(fewer) == whole:
            found = fewer
    return found

"""How a summary's facts are said, once for the table and the figure."""

from pathlib import Path

from idim.config import Aim
from idim.estimate import AND_ROWS, Ends, Smallest, symbol
from idim.methods import METHODS
from idim.plain import number
from idim.results import Problem, Reading, Summary


def headline(summary: Summary) -> str:
    """Say d90 in a few characters: "d90 = 207", "d90 <= 10", "d90 > 1,000"."""
    return f"{name(summary)} {'= ' * (summary.d90 is not None)}{answer(summary)}"


def answer(summary: Summary) -> str:
    """Say d90 without its name: "207", "<= 10", "> 1,000", "is not defined"."""
    found = crossing(summary.d90, summary.d90_under, summary.d90_over)
    return found or "is not defined"


def crossing(d: int | None, under: int | None, over: int | None) -> str:
    """Write where a curve crosses a line; empty where there is no curve.

    >>> crossing(207, None, None), crossing(None, 10, None), crossing(None, None, 1000)
    ('207', '<= 10', '> 1,000')
    """
    if d is not None:
        return f"{d:,}"
    if under is not None:
        return f"<= {under:,}"
    return "" if over is None else f"> {over:,}"


def smallest(found: Smallest) -> str:
    """Say the smallest d tried that passes, and what bounds it; empty where no d was tried.

    >>> smallest(Smallest(548, (281, 548))), smallest(Smallest(None, (750, None)))
    ('548 (281 fails)', 'none up to 750')
    """
    below = found.bracket[0]
    if found.d is None:
        return "" if below is None else f"none up to {below:,}"
    return f"{found.d:,} ({'the smallest of all' if below is None else f'{below:,} fails'})"


def name(summary: Summary) -> str:
    """Name the smallest sufficient size of a sweep's method: d90, or "gain d90"."""
    return symbol(summary.threshold, summary.letter, summary.target)


def scale(summary: Summary) -> float:
    """Return the size of a sweep's scores, by which all of them are written: its baseline's."""
    return abs(summary.baseline or max((abs(p.mean) for p in summary.points), default=0.0))


def score(value: float, summary: Summary, std: float | None = None) -> str:
    """Write a score of a sweep, and its spread if it has one: "0.988", "0.988 ± 0.001"."""
    size = scale(summary)
    return number(value, size) + ("" if std is None else f" ± {number(std, size)}")


def subject(summary: Summary) -> str:
    """Say what was measured: "minilm-l6-h384 on mrpc, fastfood DID, head in the subspace"."""
    what = short(summary.model)
    if summary.problem == "objective":
        return f"{what}, trained by its own code"
    if summary.problem == "task":
        what += f" on {short(summary.task)}"
    return f"{what}, {METHODS[summary.method].title(summary)}"


def so_far(summary: Summary) -> str:
    """Say where d90 lies as far as the runs that have ended tell."""
    base, line = summary.reference, summary.line
    if base.mean is None:
        return f"no score of {full_training(summary.problem)} yet"
    if line is None or not summary.points:
        aim = "" if line is None else f"; {name(summary)} is to reach {score(line, summary)}"
        return f"{full_training(summary.problem)} scores {score(base.mean, summary)} so far{aim}"
    ends, (low, high) = span(summary), summary.smallest.bracket
    facts = [f"95% interval {ends}"] if ends else []
    tried = [f"{low:,} fails"] if low is not None else []
    tried += [f"{high:,} passes"] if high is not None else []
    facts += [", ".join(tried)] if tried else []
    return "; ".join([f"{headline(summary)} so far", *facts, f"line {score(line, summary)}"])


def titled(summary: Summary) -> str:
    """Say d90 as a title does: "d90 = 207 of D = 44,426"."""
    is_known = (summary.d90, summary.d90_under, summary.d90_over) != (None, None, None)
    return f"{headline(summary)} {'of' if is_known else 'for'} D = {count(summary.D)}"


def axis(summary: Summary) -> str:
    """Name the axis of sizes: "d, the dimension of the subspace"."""
    what = "the dimension of the subspace"
    if summary.letter != "d":
        what = f"the size of the method {METHODS[summary.method].title(summary)}"
    return f"{summary.letter}, {what}"


def setting(summary: Summary) -> str:
    """Say what was measured, and how long P's columns are."""
    has_norm = summary.problem != "objective" and "norm" not in METHODS[summary.method].ignores
    norm = f", {summary.norm} norm" if has_norm else ""
    return f"{subject(summary)}{norm}"


def full_training(problem: Problem) -> str:
    """Name the training of all parameters: a user's own need not start from a pretrained model."""
    return "full fine-tuning" if problem == "task" else "full training"


def short(name: str) -> str:
    """Drop the folders or the owner from a model's or a task's name."""
    return Path(name).name.removesuffix(".toml") or name


def count(n: int) -> str:
    """Write a count to three digits from a million on: 44,426, 22.7 M, 6.74 B."""
    for size, unit in ((10**9, "B"), (10**6, "M")):
        if n >= size:
            return f"{float(f'{n / size:.3g}'):g} {unit}"
    return f"{n:,}"


def line_of(summary: Summary, aim: Aim) -> str:
    """Say how a line is made: "0.9 x 0.988 = 0.889", "0.500 + 0.9 x (0.988 - 0.500) = 0.939"."""
    found = beside(summary) if aim != summary.target else None
    value = summary.line if found is None else found.line
    base, share = summary.reference, f"{summary.threshold:g}"
    mean = "" if base.mean is None else score(base.mean, summary)
    full = f"{mean}{'' if base.n else ' (fixed)'}"
    line = "" if value is None else score(value, summary)
    if aim == "papers" or summary.floor is None:
        return f"{share} x {full} = {line}"
    low = score(summary.floor, summary)
    return f"{low} + {share} x ({full} - {low}) = {line}"


def floor(summary: Summary) -> str:
    """Name what a gain counts from: "a constant answer"."""
    alone = summary.untrained
    if alone is not None and alone.mean == summary.floor:
        return "the untrained model"
    return "a constant answer" if summary.chance == summary.floor else "the floor"


def beside(summary: Summary) -> Reading | None:
    """Return the reading at the line not asked for; None where that is no aim, or the same."""
    found = summary.papers if summary.target == "gain" else summary.gain
    return None if found is None or found.line == summary.line else found


def other(summary: Summary) -> str:
    """Say d90 at the line that was not asked for, with its interval; empty where there is none."""
    found, aim = beside(summary), "papers" if summary.target == "gain" else "gain"
    at = found and crossing(found.d, found.under, found.over)
    if found is None or not at:
        return ""
    of = "as the papers ask" if aim == "papers" else f"of the gain over {floor(summary)}"
    called = symbol(summary.threshold, summary.letter, aim)
    ends = within(summary, found.interval)
    sure = f"95% interval {ends}" if ends else "no interval"
    is_at = f"{'= ' * (found.d is not None)}{at}"
    return f"{of}: {called} {is_at} ({sure}; line {line_of(summary, aim)})"


def has_rows(summary: Summary) -> bool:
    """Say whether the interval holds the choice of evaluation rows too."""
    return summary.estimator.endswith(AND_ROWS)


def span(summary: Summary) -> str:
    """Write the interval: "155-240", "155 to above 1,000"; empty when there is none."""
    return within(summary, summary.interval)


def within(summary: Summary, ends: Ends | None) -> str:
    """Write an interval at any line, as `span` writes that at the one asked for."""
    low, high = ends or (None, None)
    if low is None or high is not None:
        return interval(ends)
    largest = summary.points[-1].d
    return f"{low:,} to above {largest:,}" if low <= largest else f"above {largest:,}"


def interval(ends: Ends | None) -> str:
    """Write the ends of an interval; an open end is said, none is empty.

    >>> interval((95, 115)), interval((None, 30)), interval((30, None))
    ('95-115', 'up to 30', '30 or above')
    >>> interval((None, None)), interval(None)
    ('open at both ends', '')
    """
    if ends is None:
        return ""
    low, high = ends
    if low is None:
        return "open at both ends" if high is None else f"up to {high:,}"
    return f"{low:,} or above" if high is None else f"{low:,}-{high:,}"


def seeds(summary: Summary) -> str:
    """Say how many seeds the points have: "5 seeds", "1-3 seeds"."""
    ns = sorted({p.n for p in summary.points})
    if not ns:
        return "no seeds"
    many = f"{ns[0]}" if len(ns) == 1 else f"{ns[0]}-{ns[-1]}"
    return f"{many} seed{'' if ns[-1] == 1 else 's'}"

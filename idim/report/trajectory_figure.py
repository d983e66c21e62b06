"""d90 along a pretraining: the figure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from idim.report import canvas
from idim.report.canvas import GREY, Kind, asked, styled
from idim.report.layout import score_ticks, spread
from idim.report.overlay import COLOURS
from idim.report.trajectory import against_last
from idim.report.words import count, crossing, short, symbol
from idim.results import Checkpoint, Missing, TaskSeries, Trajectory

MARKS = ("o", "s", "D", "^", "v", "P", "X")
RHO = "\N{GREEK SMALL LETTER RHO}"
# Inches: the width, and from the top down.
WIDTH, HEADING, BARE, DIMENSIONS, SCORES, GAP, FOOT = 8.4, 0.90, 0.24, 2.46, 1.46, 0.28, 0.50
LABEL = 0.165  # smallest distance of two labels
# What is only known to lie beyond the d that were tried is drawn in a band above or below them: a
# row for each task, so high, in inches.
ROW = 0.13
# Marks of several tasks at one checkpoint stand so far apart, as a share of the axis.
APART = 0.0075
# Where a log axis of steps has its zero: this many decades below the first step.
ZERO = 0.7
WHY: dict[Missing, str] = {
    "a constant answer passes": "as a constant answer passes",
    "no baseline": "as full fine-tuning has no score",
    "no d gave a score": "as no d has a score",
    "no sure gain": "as full fine-tuning gains nothing sure",
    "no line of the last": "as the last checkpoint has no line",
}


def draw(
    found: Trajectory, stem: Path, kinds: Sequence[Kind] = (), *, titled: bool = True
) -> list[Path]:
    """Draw a trajectory to STEM.png and STEM.svg, or to the kinds of file asked for."""
    title = f"{symbol(found.threshold, found.letter)} along a pretraining"
    stem, kinds = asked(stem, kinds)
    return canvas.save(canvas.files(compose(found, titled=titled), title, kinds), stem)


def compose(found: Trajectory, *, titled: bool = True) -> Figure:
    """Draw d90 over the steps of pretraining, and below it what full fine-tuning scores.

    Source:
        Aghajanyan et al. 2020, figure 2.
    """
    with styled():
        shown = [parts for parts in (found.tasks, against_last(found)) if parts]
        panels = [DIMENSIONS] * len(shown) + [SCORES]
        above = HEADING if titled else BARE
        height = above + sum(panels) + GAP * len(shown) + FOOT
        figure = Figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        FigureCanvasAgg(figure)
        top, axes = height - above, []
        for tall in panels:
            axes.append(figure.add_axes((0.095, (top - tall) / height, 0.60, tall / height)))
            top -= tall + GAP
        _axes(axes, found)
        for ax, parts in zip(axes[:-1], shown, strict=True):
            _dimensions(ax, parts, found)
        _scores(axes[-1], found)
        _captions(figure, axes, found)
        if titled:
            _headings(figure, found)
    return figure


def _x(steps: int, first: int) -> float:
    """Place a number of steps: by its logarithm, zero a little before the first."""
    return math.log10(steps) if steps else math.log10(first) - ZERO


def _axes(axes: list[Axes], found: Trajectory) -> None:
    steps, first = _steps(found), _first(found)
    places = [_x(s, first) for s in steps]
    margin = 0.04 * (places[-1] - places[0])
    kept: list[int] = []
    for i, x in reversed(list(enumerate(places))):  # labels that would touch are left out
        if not kept or places[kept[-1]] - x > 0.11 * (places[-1] - places[0]):
            kept.append(i)
    for ax in axes:
        ax.set_xlim(places[0] - margin, places[-1] + margin)
        ax.xaxis.set_major_locator(FixedLocator([places[i] for i in kept]))
        ax.xaxis.set_major_formatter(FixedFormatter([count(steps[i]) for i in kept]))
        ax.tick_params(length=3.5, width=0.8)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    for ax in axes[:-1]:
        ax.tick_params(which="both", labelbottom=False)
    if steps[0] == 0 and len(steps) > 1:
        broken = (places[0] + _x(first, first)) / 2
        for ax in axes:
            ax.plot([broken], [0], marker=(2, 0, -20), ms=8, color=GREY, clip_on=False,
                    transform=ax.get_xaxis_transform(), zorder=5)  # fmt: skip
    axes[-1].set_xlabel("steps of pretraining", color=GREY, loc="left")


def _look(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKS[i % len(MARKS)]}


@dataclass(frozen=True, slots=True)
class Heights:
    """Where a panel's d lie, as shares of its height: by logarithm, between two bands."""

    low: float
    high: float
    # By band: the tasks that have a mark in it, each in a row of its own.
    over: tuple[str, ...]
    under: tuple[str, ...]

    @classmethod
    def of(cls, parts: Sequence[TaskSeries]) -> "Heights":
        """Enclose every d that is known, and leave room for what is not."""
        rows = [(p.task, r) for p in parts for r in p.rows if r.missing is None]
        ends = [end for _, r in rows for end in r.interval or ()]
        bounds = [d for _, r in rows for d in (r.d90, r.d90_under, r.d90_over)]
        tried = max([r.d90_over for _, r in rows if r.d90_over], default=math.inf)
        known = [d for d in (*bounds, *ends) if d is not None and d <= tried] or [1]
        low, high = min(known), max(known)
        if high < 2 * low:
            low, high = low / 1.5, high * 1.5
        over = dict.fromkeys(t for t, r in rows if r.d90_over is not None)
        under = dict.fromkeys(t for t, r in rows if r.d90_under is not None)
        return cls(low, high, tuple(over), tuple(under))

    @property
    def below(self) -> float:
        """Share of the height that the lower band has."""
        return _band(len(self.under))

    @property
    def above(self) -> float:
        """Share of the height that the upper band has."""
        return _band(len(self.over))

    def at(self, d: float) -> float:
        """Place a d, the smallest or the largest where it lies beyond."""
        share = math.log(min(max(d, self.low), self.high) / self.low)
        share /= math.log(self.high / self.low)
        return self.below + share * (1 - self.below - self.above)

    def beyond(self, task: str, *, over: bool) -> float:
        """Place what lies above the largest d tried, or at the smallest or below."""
        row = (self.over if over else self.under).index(task)
        away = (row + 0.9) * ROW / DIMENSIONS
        return 1 - self.above + away if over else self.below - away


def _band(tasks: int) -> float:
    return (tasks + 0.7) * ROW / DIMENSIONS


def _dimensions(ax: Axes, parts: Sequence[TaskSeries], found: Trajectory) -> None:
    """Draw the fitted d90 with its interval; what is beyond the d tried in a band of its own."""
    heights, first = Heights.of(parts), _first(found)
    labels = []
    ax.set_ylim(0, 1)
    usual = _scale(ax, heights, parts)
    left, right = ax.get_xlim()
    for i, part in enumerate(parts):
        look = _look(i)
        aside = (i - 0.5 * (len(parts) - 1)) * APART * (right - left)
        known = [r for r in part.rows if r.missing is None]
        marks = [(_x(r.steps, first) + aside, _height(r, part.task, heights), r) for r in known]
        ax.plot([m[0] for m in marks], [m[1] for m in marks], lw=1.5, alpha=0.85, zorder=3, ms=0,
                **look)  # fmt: skip
        for x, y, r in marks:
            _bar(ax, x, r, heights, look["color"])
            if (bound := _bound(r)) not in usual:
                ax.annotate(bound, (x, y), (5, 0), textcoords="offset points", va="center",
                            fontsize=6.5, color=canvas.ink(look["color"]), zorder=5)  # fmt: skip
            inside = look["color"] if r.d90 is not None else "white"
            ax.plot([x], [y], ms=5.5, mfc=inside, mec=look["color"], zorder=4, **look)
        if marks:
            labels.append((marks[-1][1], _named(part), look["color"]))
    _label(ax, labels)


def _height(row: Checkpoint, task: str, heights: Heights) -> float:
    """Return where a checkpoint's d90 is drawn, as a share of the panel's height."""
    if row.d90 is not None:
        return heights.at(row.d90)
    return heights.beyond(task, over=row.d90_under is None)


def _bar(ax: Axes, x: float, row: Checkpoint, heights: Heights, colour: str) -> None:
    """Draw an interval within the d tried; an open end is an arrow at their edge."""
    if row.interval is None:
        return
    low, high = row.interval
    beyond = 0.35 * ROW / DIMENSIONS  # an arrow shows also where d90 is at the edge
    bottom, top = heights.below - beyond, 1 - heights.above + beyond
    y0 = bottom if low is None else heights.at(low)
    y1 = top if high is None else heights.at(high)
    look = {"color": colour, "alpha": 0.75, "zorder": 2}
    if low is None and high is None:  # any d: nothing is excluded
        look["alpha"] = 0.35
    if y1 > y0:
        ax.plot([x, x], [y0, y1], lw=1.1, **look)
        for end, y, arrow in ((low, y0, "v"), (high, y1, "^")):
            if end is None:
                ax.plot([x], [y], marker=arrow, ms=4, mew=0, **look)


def _bound(row: Checkpoint) -> str:
    """Say beyond which d its d90 lies: "> 30,000"; empty where it is known."""
    said = crossing(None, row.d90_under, row.d90_over) if row.d90 is None else ""
    return said.replace("<=", "\N{LESS-THAN OR EQUAL TO}")


def _scale(ax: Axes, heights: Heights, parts: Sequence[TaskSeries]) -> set[str]:
    """Write the d beside a panel, and what most marks of its bands say; return that."""
    powers = range(math.floor(math.log10(heights.low)), math.ceil(math.log10(heights.high)) + 1)
    factors = (1,) if heights.high / heights.low > 30 else (1, 2, 5)
    every = [(f, f * 10.0**k) for k in powers for f in range(1, 10)]
    every = [(f, d) for f, d in every if heights.low <= d <= heights.high]
    labels: list[tuple[float, str]] = []
    said = Counter(_bound(r) for p in parts for r in p.rows if r.missing is None)
    usual = {""}
    for sign, edge, end in (
        (">", 1 - heights.above, 1),
        ("\N{LESS-THAN OR EQUAL TO}", heights.below, 0),
    ):
        mine = {bound: n for bound, n in said.items() if bound.startswith(sign)}
        if mine:
            ax.axhspan(edge, end, color=GREY, alpha=0.08, lw=0, zorder=0)
            labels.append((0.5 * (edge + end), max(mine, key=lambda bound: mine[bound])))
            usual.add(labels[-1][1])
    bands = [y for y, _ in labels]
    for factor, d in every:  # none that would touch the word of a band
        if factor in factors and all(abs(heights.at(d) - y) > LABEL / DIMENSIONS for y in bands):
            labels.append((heights.at(d), count(round(d))))
    ax.set_yticks([y for y, _ in labels], [words for _, words in labels])
    ax.set_yticks([heights.at(d) for _, d in every], minor=True)
    ax.tick_params(axis="y", which="minor", length=2, width=0.5)
    ax.spines["left"].set_bounds(heights.below, 1 - heights.above)
    return usual


def _named(part: TaskSeries) -> str:
    rho = part.correlation.spearman
    said = "" if rho is None else f"  {RHO} = {rho:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{part.task}{said}"


def _scores(ax: Axes, found: Trajectory) -> None:
    """Draw what full fine-tuning scores above a constant answer."""
    first, labels, values = _first(found), [], [0.0]
    for i, part in enumerate(found.tasks):
        rows = [(r, mean) for r in part.rows if (mean := r.reference.mean) is not None]
        ys = [mean - (r.chance or 0.0) for r, mean in rows]
        xs = [_x(r.steps, first) for r, _ in rows]
        ax.plot(xs, ys, lw=1.5, ms=4, zorder=3, **_look(i))
        for x, y, (r, _) in zip(xs, ys, rows, strict=True):
            half = r.reference.std or 0.0
            ax.plot([x, x], [y - half, y + half], color=_look(i)["color"], lw=1.0, alpha=0.75)
        values += ys
        if rows:
            labels.append((ys[-1], part.task, _look(i)["color"]))
    ax.axhline(0.0, color=GREY, lw=0.8, ls=(0, (5, 2.5)), zorder=1)
    margin = 0.08 * (max(values) - min(values)) or 0.05
    ax.set_ylim(min(values) - margin, max(values) + margin)
    ax.set_yticks(*score_ticks(*ax.get_ylim()))
    low, high = ax.get_ylim()
    _label(ax, [((y - low) / (high - low), *rest) for y, *rest in labels])


def _steps(found: Trajectory) -> list[int]:
    return sorted({r.steps for part in found.tasks for r in part.rows})


def _first(found: Trajectory) -> int:
    return next((s for s in _steps(found) if s), 1)


def _label(ax: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Name the lines right of the axes, pushed apart, each tied to where its line ends."""
    labels = sorted(labels)
    gap = LABEL * ax.figure.dpi / ax.bbox.height
    placed = spread([label[0] for label in labels], gap)
    for (y, words, colour), to in zip(labels, placed, strict=True):
        ax.plot([0.985, 1.01, 1.03], [y, to, to], color=colour, lw=0.7, clip_on=False,
                transform=ax.transAxes)  # fmt: skip
        ax.text(1.038, to, words, color=canvas.ink(colour), va="center", fontsize=8.2,
                transform=ax.transAxes)  # fmt: skip


def _absent(found: Trajectory, missing: Missing) -> str:
    """Name the checkpoints without d90 for one reason: "rte at 0, 300; mrpc at 0"."""
    at = {p.task: [count(r.steps) for r in p.rows if r.missing == missing] for p in found.tasks}
    return "; ".join(f"{task} at {', '.join(steps)}" for task, steps in at.items() if steps)


def _called(found: Trajectory) -> str:
    is_subspace = found.method == "subspace"
    return f"{found.projection} {found.structure.upper()}" if is_subspace else found.method


def _captions(figure: Figure, axes: list[Axes], found: Trajectory) -> None:
    """Say above each panel what its vertical axis is."""
    name, share = symbol(found.threshold, found.letter), f"{found.threshold:g}"
    fitted = f"{name}, by the fitted curve"
    captions = [fitted] if len(axes) == 2 else [
        f"{fitted}: {share} of each checkpoint's own full fine-tuning",
        f"{fitted}: {share} of the last checkpoint's full fine-tuning",
    ]  # fmt: skip
    captions.append(f"full fine-tuning: {found.tasks[0].metric} above a constant answer's")
    height = figure.get_figheight()
    lines = [((1 - ax.get_position().y1) * height - 0.17, words, {"fontsize": 9, "color": GREY})
             for ax, words in zip(axes, captions, strict=True)]  # fmt: skip
    _write(figure, lines)


def _headings(figure: Figure, found: Trajectory) -> None:
    name = symbol(found.threshold, found.letter)
    models = [short(r.model) for r in found.tasks[0].rows]
    what = f"{models[0]} to {models[-1]}, {_called(found)}"
    absent = "; ".join(f"no {name}, {why}: {_absent(found, m)}" for m, why in WHY.items()
                       if _absent(found, m))  # fmt: skip
    lines = [
        (0.14, f"{name} along a pretraining", {"fontsize": 13, "fontweight": "bold"}),
        (0.40, f"{what}; bars: 95% interval, arrow: open end; open mark: a bound; {RHO}: "
         "Spearman's rank correlation with steps", {"fontsize": 8.5, "color": GREY}),
        (0.57, absent, {"fontsize": 8.5, "color": GREY}),
    ]  # fmt: skip
    _write(figure, lines)


def _write(figure: Figure, lines: Sequence[tuple[float, str, dict[str, Any]]]) -> None:
    """Write lines of text, each so many inches below the figure's upper edge."""
    for down, words, style in lines:
        line = figure.text(0.018, 1 - down / figure.get_figheight(), words, va="top", **style)
        canvas.fit(line, 0.965 * figure.bbox.width)

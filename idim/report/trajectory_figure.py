"""d90 along a pretraining: the figure."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

from idim.report import canvas
from idim.report.canvas import GREY, styled
from idim.report.layout import score_ticks, spread
from idim.report.overlay import COLOURS
from idim.report.trajectory import against_last
from idim.report.words import count, short, symbol
from idim.results import Checkpoint, Missing, TaskSeries, Trajectory

MARKS = ("o", "s", "D", "^", "v", "P", "X")
RHO = "\N{GREEK SMALL LETTER RHO}"
# Inches: the width, and from the top down.
WIDTH, HEADING, DIMENSIONS, SCORES, GAP, FOOT = 8.4, 0.90, 2.46, 1.46, 0.28, 0.50
LABEL = 0.165  # smallest distance of two labels
# Open marks say "above": each task that has one at a d is drawn so much above the one before,
# that they do not hide each other.
LIFT = 1.2
# Where a log axis of steps has its zero: this many decades below the first step.
ZERO = 0.7
WHY: dict[Missing, str] = {
    "a constant answer passes": "as a constant answer passes",
    "no baseline": "as full fine-tuning has no score",
    "no d gave a score": "as no d has a score",
    "no sure gain": "as full fine-tuning gains nothing sure",
    "no line of the last": "as the last checkpoint has no line",
}


def draw(found: Trajectory, stem: Path) -> list[Path]:
    """Draw a trajectory to STEM.png and STEM.svg."""
    title = f"{symbol(found.threshold, found.letter)} along a pretraining"
    return canvas.save(canvas.files(compose(found), title), stem)


def compose(found: Trajectory) -> Figure:
    """Draw d90 over the steps of pretraining, and below it what full fine-tuning scores.

    Source:
        Aghajanyan et al. 2020, figure 2.
    """
    with styled():
        shown = [parts for parts in (found.tasks, against_last(found)) if parts]
        panels = [DIMENSIONS] * len(shown) + [SCORES]
        height = HEADING + sum(panels) + GAP * len(shown) + FOOT
        figure = Figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        FigureCanvasAgg(figure)
        top, axes = height - HEADING, []
        for tall in panels:
            axes.append(figure.add_axes((0.085, (top - tall) / height, 0.60, tall / height)))
            top -= tall + GAP
        _axes(axes, found)
        for ax, parts in zip(axes[:-1], shown, strict=True):
            _dimensions(ax, parts, _first(found))
        _scores(axes[-1], found)
        _headings(figure, axes, found)
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


def _dimensions(ax: Axes, parts: Sequence[TaskSeries], first: int) -> None:
    """Draw the fitted d90 with its interval; an open mark where no d tried was enough."""
    labels = []
    ax.set_yscale("log")
    above: Counter[int] = Counter()
    for i, part in enumerate(parts):
        look = _look(i)
        known = [r for r in part.rows if r.missing is None]
        marks = [(_x(r.steps, first), *_height(r, above), r) for r in known]
        above.update({r.d90_over for r in known if r.d90_over is not None})
        ax.plot([m[0] for m in marks], [m[1] for m in marks], lw=1.5, zorder=3, ms=0, **look)
        for x, y, is_over, r in marks:
            bar = [y if end is None else end for end in r.interval or (None, None)]
            ax.plot([x, x], bar, color=look["color"], lw=1.0, alpha=0.75, zorder=2)
            inside = "white" if is_over else look["color"]
            ax.plot([x], [y], ms=5.5, mfc=inside, mec=look["color"], zorder=4, **look)
        if marks:
            labels.append((marks[-1][1], _named(part), look["color"]))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(lambda v, _: count(round(v)))
    low, high = (math.log10(v) for v in ax.get_ylim())
    _label(ax, [((math.log10(y) - low) / (high - low), *rest) for y, *rest in labels])


def _height(row: Checkpoint, above: Counter[int]) -> tuple[float, bool]:
    """Return where a checkpoint's d90 is drawn, and whether it is a bound.

    `above` counts the tasks that already have an open mark at a d.
    """
    if row.d90 is not None:
        return row.d90, False
    if row.d90_under is not None:
        return row.d90_under, True
    over = row.d90_over
    assert over is not None  # a row that is drawn has tried some d
    return over * LIFT ** above[over], True


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


def _headings(figure: Figure, axes: list[Axes], found: Trajectory) -> None:
    name, share = symbol(found.threshold, found.letter), f"{found.threshold:g}"
    models = [short(r.model) for r in found.tasks[0].rows]
    what = f"{models[0]} to {models[-1]}, {_called(found)}"
    absent = "; ".join(f"no {name}, {why}: {_absent(found, m)}" for m, why in WHY.items()
                       if _absent(found, m))  # fmt: skip
    height = figure.get_figheight()
    fitted = f"{name}, by the fitted curve"
    captions = [fitted] if len(axes) == 2 else [
        f"{fitted}: {share} of each checkpoint's own full fine-tuning",
        f"{fitted}: {share} of the last checkpoint's full fine-tuning",
    ]  # fmt: skip
    captions.append(f"full fine-tuning: {found.tasks[0].metric} above a constant answer's")
    lines = [
        (0.14, f"{name} along a pretraining", {"fontsize": 13, "fontweight": "bold"}),
        (0.40, f"{what}; bars: 95% interval; open mark: a bound; {RHO}: "
         "Spearman's rank correlation with steps", {"fontsize": 8.5, "color": GREY}),
        (0.57, absent, {"fontsize": 8.5, "color": GREY}),
        *(((1 - ax.get_position().y1) * height - 0.17, words, {"fontsize": 9, "color": GREY})
          for ax, words in zip(axes, captions, strict=True)),
    ]  # fmt: skip
    for down, words, style in lines:
        written = figure.text(0.018, 1 - down / height, words, va="top", **style)
        canvas.fit(written, 0.965 * figure.bbox.width)

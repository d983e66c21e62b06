"""The curve of a sweep: score against d, its baseline, its line and d90."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter

from idim.report.canvas import (
    BLUE,
    DARK_VERMILION,
    GREY,
    INK,
    PALE,
    USUAL,
    VERMILION,
    Kind,
    asked,
    files,
    fit,
    save,
    styled,
)
from idim.report.layout import d_ticks, score, score_ticks, spread, x_limits, y_limits
from idim.report.words import axis, count, full_training, headline, seeds, span, subject, titled
from idim.results import Summary

# Inches: the width, what stands left and right of the axes, and from the top down.
WIDTH, LEFT, RIGHT = 6.8, 0.72, 1.66
HEADING, BARE, HEIGHT, FOOT = 0.86, 0.12, 2.95, 0.52
# Share of the axes, at the bottom, that holds what is said of d90 and never a score.
STRIP = 0.23
LABEL_GAP = 0.058  # smallest distance of two labels in the right margin, as a share of the axes


@dataclass(frozen=True, slots=True)
class Label:
    """A line's name for the right margin, at the line's own height."""

    y: float
    words: str
    colour: str


def draw(
    summary: Summary, path_stem: Path, kinds: Sequence[Kind] = (), *, titled: bool = True
) -> list[Path]:
    """Write `<path_stem>.png` (200 dpi) and `<path_stem>.svg`, or the kinds of file asked for.

    Each file is written beside and renamed, and the same summary gives the same bytes.

    Args:
        summary: of the sweep.
        path_stem: where, without an ending, or with that of the one kind to write; its folder is
            made where it does not exist.
        kinds: of files, if not those.
        titled: whether the figure has headings; a paper says them in its caption.

    Returns:
        The paths.

    Raises:
        OSError: the folder cannot be written to, or its disk is full.
    """
    stem, kinds = asked(path_stem, kinds)
    return save(render(summary, kinds, titled=titled), stem)


def render(
    summary: Summary, kinds: Sequence[Kind] = USUAL, *, titled: bool = True
) -> dict[Kind, bytes]:
    """Draw the figure and return the bytes of each kind of file."""
    return files(compose(summary, titled=titled), _title(summary), kinds)


def compose(summary: Summary, *, titled: bool = True) -> Figure:
    """Lay the figure out; no two of its texts overlap and none leaves it."""
    above = HEADING if titled else BARE
    height = above + HEIGHT + FOOT
    with styled():
        figure = Figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        FigureCanvasAgg(figure)
        share = (WIDTH - LEFT - RIGHT) / WIDTH
        ax = figure.add_axes((LEFT / WIDTH, FOOT / height, share, HEIGHT / height))
        _frame(ax, summary)
        _reference_lines(ax, summary)
        _curve(ax, summary)
        if summary.line is not None and summary.points:
            _interval(ax, summary)
            _d90(ax, summary)
        if titled:
            _headings(figure, summary)
    return figure


# --- frame ----------------------------------------------------------------------------------


def _frame(ax: Axes, summary: Summary) -> None:
    """Fix limits, ticks and spines before anything is drawn, so that labels can be placed."""
    low, high = x_limits(summary)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = d_ticks(low, high)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter([count(round(t)) for t in ticks]))
    ax.xaxis.set_minor_formatter(NullFormatter())
    wide = high / low > 30
    ax.xaxis.set_minor_locator(LogLocator(subs=range(2, 10)) if wide else FixedLocator([]))
    floor, top = y_limits(summary)
    strip = STRIP if summary.line is not None and summary.points else 0.0
    ax.set_ylim(floor - (top - floor) * strip / (1 - strip), top)
    values, words = score_ticks(floor, top)
    ax.set_yticks(values, words)
    ax.tick_params(length=3.5, width=0.8)
    ax.tick_params(which="minor", length=2, width=0.5)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["left"].set_bounds(floor, top)
    ax.set_xlabel(axis(summary), color=GREY, loc="left")
    middle = 0.5 * (floor + top)
    metric = ax.text(
        -0.80 * LEFT / (WIDTH - LEFT - RIGHT), middle, summary.metric, color=GREY, rotation=90,
        ha="center", va="center", transform=ax.get_yaxis_transform(),
    )  # fmt: skip
    fit(metric, (1 - strip) * ax.bbox.height)


# --- what is drawn --------------------------------------------------------------------------


def _reference_lines(ax: Axes, summary: Summary) -> None:
    """Draw baseline, threshold and chance across the axes, named in the right margin."""
    base, line, chance = summary.reference, summary.line, summary.chance
    labels = []
    if base.mean is not None:
        if base.std:
            within = (base.mean - base.std, base.mean + base.std)
            ax.axhspan(*within, color=INK, alpha=0.10, lw=0, zorder=1)
        ax.axhline(base.mean, color=INK, lw=1.1, zorder=2)
        name = full_training(summary.problem) if base.n else "fixed baseline"
        labels.append(Label(base.mean, name, INK))
    if line is not None:
        ax.axhline(line, color=VERMILION, lw=1.1, ls=(0, (5, 2.5)), zorder=2)
        share = f"line: {100 * summary.threshold:g}% of it{'s gain' * (summary.target == 'gain')}"
        labels.append(Label(line, share, DARK_VERMILION))
    if chance is not None:
        ax.axhline(chance, color=PALE, lw=1.0, ls=(0, (1, 2.5)), zorder=1)
        labels.append(Label(chance, "chance", GREY))
    _margin_labels(ax, labels)


def _margin_labels(ax: Axes, labels: list[Label]) -> None:
    """Write labels right of the axes, pushed apart, each tied to its line."""
    bottom, top = ax.get_ylim()
    labels = sorted(labels, key=lambda label: label.y)
    wanted = [(label.y - bottom) / (top - bottom) for label in labels]
    placed = spread(wanted, LABEL_GAP)
    for label, at, to in zip(labels, wanted, placed, strict=True):
        ax.plot(
            [1.0, 1.012, 1.03], [at, to, to], color=label.colour, lw=0.7,
            transform=ax.transAxes, clip_on=False,
        )  # fmt: skip
        words = score(label.y, 3) + " " + label.words
        name = ax.text(1.038, to, words, color=label.colour, va="center", transform=ax.transAxes)
        fit(name, 0.995 * ax.figure.bbox.width - name.get_window_extent().x0)


def _curve(ax: Axes, summary: Summary) -> None:
    """Draw every seed as a ring, the means as dots, the fitted curve as a line."""
    points = summary.points
    if not points:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        text = ax.text(0.5, 0.5, "no d has a score", transform=ax.transAxes, color=GREY, bbox=box)
        text.set(ha="center", va="center")
    every = [(p.d, s) for p in points if p.n > 1 for s in p.scores]
    if every:
        ds, scores = zip(*every, strict=True)
        # Rings above all else: a seed on the mean, on another seed or at d90 still shows.
        rings = ax.scatter(ds, scores, s=20, linewidths=0.7, zorder=5.5)
        rings.set(facecolor=(BLUE, 0.2), edgecolor=(BLUE, 0.8))
    ds, means = [p.d for p in points], [p.mean for p in points]
    size = 3.4 if every else 5.0
    ax.plot(ds, means, color=BLUE, lw=0, marker="o", ms=size, mew=0, zorder=5)
    fitted = [p.mean if p.fitted is None else p.fitted for p in points]
    ax.plot(ds, fitted, color=BLUE, lw=1.6, zorder=3.5)


def _interval(ax: Axes, summary: Summary) -> None:
    """Shade the interval, with a thin bar near the axis; an open end is an arrow."""
    if summary.interval is None:
        return
    low, high = summary.interval
    left, right = (b if e is None else e for e, b in zip((low, high), ax.get_xlim(), strict=True))
    left = min(left, right)  # above the largest d tried, and beyond the axis
    if (low, high) != (None, None):  # what holds every d is no part of the axis
        ax.axvspan(left, right, color=VERMILION, alpha=0.11, lw=0, zorder=0)
    bar = ax.plot([left, right], [0.032] * 2, lw=2.2)
    for end, at, arrow in ((low, left, "<"), (high, right, ">")):
        look = {"marker": arrow, "ms": 6} if end is None else {"marker": "|", "ms": 7, "mew": 1.4}
        bar += ax.plot([at], [0.032], clip_on=False, **look)
    for part in bar:
        part.set(transform=ax.get_xaxis_transform(), color=DARK_VERMILION, zorder=5)


def _d90(ax: Axes, summary: Summary) -> None:
    """Drop a line from the crossing, ring the smallest d that passes, and say both in words."""
    at = summary.d90_under if summary.d90 is None else summary.d90
    assert summary.line is not None
    if at is not None:
        bottom = ax.get_ylim()[0]
        ax.plot([at, at], [bottom, summary.line], color=VERMILION, lw=1.2, zorder=2.5)
        mark = "D" if summary.d90 is not None else "<"  # at that d or below
        ax.plot([at], [summary.line], marker=mark, ms=5, mew=0, color=VERMILION, zorder=4)
    words = [_typeset(headline(summary))]
    if ends := span(summary):
        words.append(f"95% interval {_typeset(ends)}")
    first = summary.smallest.d
    if first is None:
        words.append(f"no {summary.letter} tried passes")
    else:
        mean = next(p.mean for p in summary.points if p.d == first)
        ax.plot([first], [mean], marker="o", ms=11, mfc="none", mec=VERMILION, mew=1.2, zorder=4)
        words.append(f"smallest {summary.letter} tried that passes: {first:,}")
    _beside(ax, summary.points[-1].d if at is None else at, words)


def _beside(ax: Axes, d: int, words: list[str]) -> None:
    """Write lines of text in the strip, right of d where they fit, else left of it."""
    texts = []
    for i, line in enumerate(reversed(words)):
        text = ax.annotate(
            line, (d, 0.07 + 0.052 * i), xycoords=ax.get_xaxis_transform(), xytext=(6, 0),
            textcoords="offset points", color=DARK_VERMILION, fontsize=8.2, va="bottom", zorder=6,
        )  # fmt: skip
        texts.append(text)
    texts[-1].set(fontsize=9.5, fontweight="bold")
    right = ax.get_window_extent().x1
    if any(text.get_window_extent().x1 > right for text in texts):
        for text in texts:
            text.set_ha("right")
            text.xyann = (-6, 0)


def _headings(figure: Figure, summary: Summary) -> None:
    """Write the answer, what was measured, and what is drawn."""
    lines = [
        (0.14, _title(summary), {"fontsize": 13, "fontweight": "bold", "color": INK}),
        (0.42, subject(summary), {"fontsize": 9.5}),
        (0.64, _key(summary), {"fontsize": 8.5}),
    ]  # fmt: skip
    for down, words, look in lines:
        y = 1 - down / figure.get_figheight()
        line = figure.text(0.015, y, words, **{"color": GREY, "va": "top"} | look)
        fit(line, 0.97 * figure.bbox.width)


def _key(summary: Summary) -> str:
    """Say what the marks are."""
    if not summary.points:
        return ""
    many = any(p.n > 1 for p in summary.points)
    dots = f"rings: seeds, dot: mean ({seeds(summary)})" if many else "dots: one seed each"
    band = "; grey band: baseline \N{PLUS-MINUS SIGN} std over seeds" * bool(summary.reference.std)
    return f"{dots}; curve: the rising one that fits best{band}"


def _title(summary: Summary) -> str:
    return _typeset(titled(summary))


def _typeset(words: str) -> str:
    """Use the signs that a terminal may lack."""
    return words.replace("<=", "\N{LESS-THAN OR EQUAL TO}").replace("-", "\N{EN DASH}")

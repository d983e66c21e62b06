"""Several sweeps on one figure: scores over their own baselines, and d90 with its interval."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter

from idim.report.canvas import GREY, INK, PALE, fit, ink, styled
from idim.report.comparison import Compared, Comparison
from idim.report.layout import d_ticks, score, score_ticks, spread
from idim.report.words import answer, axis, count, name, span

# Okabe and Ito's, less the yellow that white paper swallows; then again, dashed.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", (0, (4, 1.5)), (0, (1.5, 1.5)))
# Inches: width, the height of the curves, of one row of d90, of what stands above and below.
WIDTH, CURVES, ROW, ABOVE, BARE, BELOW = 8.4, 2.9, 0.24, 0.78, 0.26, 0.55
LEFT, RIGHT = 0.075, 0.62  # the axes, as shares of the width
BETWEEN = 0.16  # inches between the curves and the rows
SMALL = 8.2  # points
LABEL = 0.17  # smallest distance of two labels, in inches


def compose(compared: Comparison, *, titled: bool = True) -> Figure:
    """Draw a comparison.

    Args:
        compared: from `comparison.compare`.
        titled: whether the figure has headings; a paper says them in its caption.
    """
    sweeps = compared.sweeps
    rows = ROW * len(sweeps)
    curves = max(CURVES, LABEL * (len(sweeps) + 3))
    height = (ABOVE if titled else BARE) + curves + BETWEEN + rows + BELOW
    with styled():
        figure = Figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        FigureCanvasAgg(figure)
        top = figure.add_axes(
            (LEFT, (BELOW + rows + BETWEEN) / height, RIGHT - LEFT, curves / height)
        )
        bottom = figure.add_axes((LEFT, BELOW / height, RIGHT - LEFT, rows / height))
        _limits(top, bottom, sweeps, compared.threshold)
        _lines(top, compared, LABEL / curves)
        _intervals(bottom, sweeps)
        caption = 0.20 / height
        figure.text(0.018, top.get_position().y1 + caption, f"{compared.metric}, as a share of the "
                    "sweep's own baseline", fontsize=9, color=GREY, va="top")  # fmt: skip
        if titled:
            _headings(figure, compared, height)
    return figure


def title(compared: Comparison) -> str:
    """Say what is compared."""
    return f"{name(compared.sweeps[0].summary)} of {len(compared.sweeps)} sweeps"


def _look(i: int) -> dict[str, Any]:
    dashes = DASHES[i // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[i % len(COLOURS)], "ls": dashes}


def _limits(top: Axes, bottom: Axes, sweeps: Sequence[Compared], threshold: float) -> None:
    """Fix limits, ticks and spines of both axes."""
    ds = [p.d for s in sweeps for p in s.summary.points]
    step = max(max(ds) / min(ds), 1.5) ** 0.05
    low, high = min(ds) / step, max(ds) * step
    values = [share for s in sweeps for p in s.summary.points for share in _shares(s, p.scores)]
    floor, ceiling = min(*values, threshold), max(*values, threshold, 1.0)
    margin = 0.05 * (ceiling - floor) or 0.05
    for ax in (top, bottom):
        ax.set_xscale("log")
        ax.set_xlim(low, high)
        ticks = d_ticks(low, high)
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_major_formatter(FixedFormatter([count(round(t)) for t in ticks]))
        ax.xaxis.set_minor_locator(
            LogLocator(subs=range(2, 10)) if high / low > 30 else FixedLocator([])
        )
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(length=3.5, width=0.8)
        ax.tick_params(which="minor", length=2, width=0.5)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    top.set_ylim(floor - margin, ceiling + margin)
    top.set_yticks(*score_ticks(*top.get_ylim()))
    top.tick_params(which="both", bottom=False, labelbottom=False)
    top.spines["bottom"].set_visible(False)
    bottom.set_ylim(len(sweeps) - 0.4, -0.6)
    bottom.set_yticks([])
    bottom.spines["left"].set_visible(False)
    bottom.set_xlabel(axis(sweeps[0].summary), color=GREY, loc="left")


def _shares(compared: Compared, scores: Sequence[float]) -> list[float]:
    """Return scores over the sweep's own baseline."""
    mean = compared.summary.baseline
    assert mean is not None  # what has none is not compared
    return [score / mean for score in scores]


def _lines(ax: Axes, compared: Comparison, gap: float) -> None:
    """Draw each sweep's curve and means, named where they end, and the two lines of all."""
    for level, colour, style in ((1.0, INK, "-"), (compared.threshold, PALE, (0, (5, 2.5)))):
        ax.axhline(level, color=colour, lw=0.9, ls=style, zorder=1)
    labels = []
    for i, s in enumerate(compared.sweeps):
        ds, d90 = [p.d for p in s.summary.points], s.summary.smallest.d
        shares = _shares(s, [p.mean for p in s.summary.points])
        fitted = _shares(s, [p.mean if p.fitted is None else p.fitted for p in s.summary.points])
        ax.plot(ds, fitted, lw=1.6, zorder=3, **_look(i))
        ax.plot(ds, shares, lw=0, marker="o", ms=3.4, mew=0, zorder=3.5, color=_look(i)["color"])
        if d90 is not None:
            ring = {"mfc": "none", "mec": _look(i)["color"], "mew": 1.3}
            ax.plot([d90], [shares[ds.index(d90)]], marker="o", ms=8, zorder=4, **ring)
        labels.append((fitted[-1], f"{s.mark}  {s.name}", _look(i)["color"], ds[-1]))
    share = f"{score(compared.threshold, 2)} of the baseline"
    right = ax.get_xlim()[1]
    labels += [(1.0, "the sweep's own baseline", INK, right)]
    labels += [(compared.threshold, share, GREY, right)]
    _names(ax, sorted(labels, key=lambda label: label[0]), gap)


def _names(ax: Axes, labels: list[tuple[float, str, str, float]], gap: float) -> None:
    """Write names right of the axes, pushed apart, each tied to where its line ends."""
    low, high = ax.get_ylim()
    wanted = [(label[0] - low) / (high - low) for label in labels]
    # none may rise into the headings
    ceilings = [1.04 - gap * i for i in reversed(range(len(labels)))]
    placed = map(min, spread(wanted, gap), ceilings)
    for (y, words, colour, end), at, to in zip(labels, wanted, placed, strict=True):
        if end < ax.get_xlim()[1]:
            ax.plot([end, ax.get_xlim()[1]], [y, y], color=colour, lw=0.5, alpha=0.5, zorder=2)
        ax.plot(
            [1.0, 1.012, 1.03], [at, to, to], color=colour, lw=0.7, transform=ax.transAxes,
            clip_on=False,
        )  # fmt: skip
        name = ax.text(1.038, to, words, color=ink(colour), va="center", transform=ax.transAxes)
        name.set_fontsize(SMALL)
        _keep_in(name, ax)


def _intervals(ax: Axes, sweeps: Sequence[Compared]) -> None:
    """Give each sweep a row: d90 as a dot on its interval, in words beside it."""
    low, high = ax.get_xlim()
    for i, s in enumerate(sweeps):
        colour, d90 = _look(i)["color"], s.summary.d90
        start, end = s.summary.interval or (None, None)
        ax.axhline(i, color="#EEEEEE", lw=0.8, zorder=0)
        if s.summary.interval is not None:
            bar = [max(start or low, low), min(end or high, high)]
            ax.plot(bar, [i, i], color=colour, lw=2.6, solid_capstyle="butt", zorder=2)
            for x, sign, is_open in ((low, "<", start is None), (high, ">", end is None)):
                if is_open:
                    ax.plot([x], [i], marker=sign, ms=5, color=colour, clip_on=False, zorder=3)
        if d90 is not None:
            ax.plot([d90], [i], "o", ms=5.5, color=colour, mec="white", zorder=4)
        elif (bound := s.summary.d90_under or s.summary.d90_over) is not None:
            ax.plot([bound], [i], "o", ms=5.5, mfc="white", mec=colour, zorder=4)
        words = ax.text(
            1.038, i, _said(s), color=ink(colour), va="center", fontsize=SMALL,
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
        _keep_in(words, ax)


def _said(s: Compared) -> str:
    """Say d90 and its interval."""
    ends = span(s.summary).replace("-", "\N{EN DASH}")
    value = answer(s.summary).replace("<=", "\N{LESS-THAN OR EQUAL TO}")
    return f"{s.mark}  {value} ({ends or 'no interval'})"


def _keep_in(text: Any, ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    fit(text, 0.985 * figure.bbox.width - text.get_window_extent().x0)


def _headings(figure: Figure, compared: Comparison, height: float) -> None:
    first = compared.sweeps[0].summary
    words = [
        (0.10, title(compared), {"fontsize": 13, "fontweight": "bold"}),
        (0.36, f"below: {name(first)} of the fitted curve, with its 95% interval; open dot: a "
         f"bound; ring: the smallest {first.letter} tried that passes",
         {"fontsize": 8.5, "color": GREY}),
    ]  # fmt: skip
    for down, line, style in words:
        figure.text(0.018, 1 - down / height, line, va="top", **style)

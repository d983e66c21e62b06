"""How runs and times are said while they go on."""

from typing import TYPE_CHECKING

from idim.plain import number

if TYPE_CHECKING:
    from idim.config import RunSpec
    from idim.sweeps import Event

FINISHED = ("done", "failed", "skipped")


def label(spec: "RunSpec") -> str:
    """Name a run within its sweep: `d=100 lr=0.03 seed 1`."""
    size = spec.sized or spec.method
    part = "" if spec.stop_at is None else f", first {spec.stop_at:.0%}"
    return f"{size} lr={spec.lr:.3g} seed {spec.seed}{part}"


def duration(seconds: float) -> str:
    """Write a time as a person says it.

    >>> [duration(s) for s in (4.2, 200, 1200, 8100)]
    ['4 s', '3 min 20 s', '20 min', '2 h 15 min']
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m:02d} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def pace(event: "Event") -> str:
    """Say how far a run is."""
    if not event.steps:
        return "starting"
    loss = "" if event.loss is None else f", loss {score(event.loss)}"
    return f"step {event.step}/{event.steps}{loss}"


def score(value: float) -> str:
    """Write a score or a loss by itself, to four digits.

    >>> score(0.81234), score(0.069), score(123.456), score(1.2e-5)
    ('0.8123', '0.0690', '123.46', '1.2000e-05')
    """
    return number(value, None if abs(value) < 1e-3 else max(1.0, abs(value)), digits=4)


def outcome(event: "Event") -> str:
    """Say how a run ended."""
    if event.kind == "failed":
        return f"failed: {event.message}"
    return "no score" if event.score is None else f"score {score(event.score)}"


def left(event: "Event") -> str:
    """Say how long the whole sweep will take from here, if known."""
    eta_s = event.eta_s or 0.0
    most = "at most " if event.is_bound else ""
    return f"; {most}{duration(eta_s)} left" if eta_s >= 1 else ""


def place(event: "Event") -> str:
    """Say how many runs are finished, of how many there will be or may be.

    >>> from types import SimpleNamespace
    >>> place(SimpleNamespace(finished=3, total=9, is_bound=True))
    '3 of at most 9'
    """
    return f"{event.finished}{' of at most ' if event.is_bound else '/'}{event.total}"


def found(count: int, total: int, is_bound: bool = False) -> str:
    """Say how much of a repeated sweep there was to keep; never more than there is.

    >>> found(3, 9), found(24, 30, is_bound=True), found(32, 30)
    ('3 of 9 runs were done before', '24 of at most 30 runs were done before', '32 of 32 runs were done before')
    """  # noqa: E501
    most = "at most " if is_bound and count < total else ""
    return f"{count} of {most}{max(count, total)} runs were done before"

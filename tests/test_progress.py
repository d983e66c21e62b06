"""Progress: sparse lines in a log, bars on a terminal, nothing on stdout."""

import io
import sys
from types import SimpleNamespace

import pytest

from idim.cli.progress import Bars, Lines, follow, label
from idim.config import RunSpec

FULL = RunSpec(method="full", lr=3e-5)
SMALL = RunSpec(d=1000, lr=0.03, seed=2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def event(kind: str, spec: RunSpec = SMALL, **facts) -> SimpleNamespace:
    """Make an event with the fields of `idim.sweeps.Event`."""
    blank = {"step": 0, "steps": 300, "loss": None, "score": None, "message": "", "eta_s": None}
    about = {"finished": 1, "total": 5, "is_bound": False}
    return SimpleNamespace(kind=kind, run=spec, **about | blank | facts)


def test_a_run_is_named_by_what_varies_in_a_sweep():
    assert [label(FULL), label(SMALL)] == ["full lr=3e-05 seed 0", "d=1000 lr=0.03 seed 2"]


def test_a_log_gets_a_line_a_finished_run_and_a_heartbeat_every_30_s(capsys):
    now = 0.0
    with Lines(clock=lambda: now) as progress:
        progress(event("skipped", FULL))
        progress(event("skipped", FULL))
        progress(event("start"))
        progress(event("step", step=10, loss=0.7))
        now = 31.0
        progress(event("step", step=20, loss=0.6931, eta_s=8100, finished=2))
        progress(event("step", step=21, loss=0.6, finished=2))
        progress(event("failed", message="the loss is NaN at step 22.", finished=3))
        progress(event("done", score=0.8123, eta_s=4, finished=4))
    assert capsys.readouterr() == (
        "",
        "2 of 5 runs were done before\n"
        "[2/5] d=1000 lr=0.03 seed 2: step 20/300, loss 0.6931; 2 h 15 min left\n"
        "[3/5] d=1000 lr=0.03 seed 2: failed: the loss is NaN at step 22.\n"
        "[4/5] d=1000 lr=0.03 seed 2: score 0.8123; 4 s left\n",
    )


def test_a_sweep_that_has_nothing_to_do_says_so(capsys):
    with Lines() as progress:
        progress(event("skipped"))
    assert capsys.readouterr().err == "1 of 5 runs were done before\n"


def test_a_terminal_shows_bars_and_keeps_the_failures(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with follow() as progress:
        assert isinstance(progress, Bars)
        progress(event("start"))
        progress(event("step", step=120, loss=0.5, eta_s=200))
        progress(event("failed", message="[NaN] at step 130."))
        progress(event("skipped", FULL, score=0.8))
    assert "1 of 5 runs were done before" in terminal.getvalue()
    assert "d=1000 lr=0.03 seed 2: failed: [NaN] at step 130." in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb")])
def test_anything_but_a_capable_terminal_gets_lines(monkeypatch, stream, term):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    assert isinstance(follow(), Lines)


def test_a_search_tells_what_it_makes_at_most(capsys):
    with Lines() as progress:
        early = RunSpec(d=1000, lr=0.03, stop_at=0.25)
        progress(event("done", early, score=0.5, eta_s=200, total=100, is_bound=True))
    assert capsys.readouterr().err == (
        "[1 of at most 100] d=1000 lr=0.03 seed 0, first 25%: score 0.5000; "
        "at most 3 min 20 s left\n"
    )

"""Progress: sparse lines in a log, bars on a terminal, nothing on stdout."""

import io
import sys
from types import SimpleNamespace

import pytest
from made_results import without_runs
from rich.console import Console
from test_report import summary

from idim.cli.live import Live
from idim.cli.progress import Lines, SoFar, follow
from idim.cli.voice import Voice
from idim.cli.words import label
from idim.config import RunSpec
from idim.errors import IdimError

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


def test_a_terminal_keeps_the_failures_above_what_it_draws(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with follow(Voice()) as progress:
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
    with follow(Voice()) as progress:
        progress(event("done", score=0.5, eta_s=4))
    assert stream.getvalue() == "[1/5] d=1000 lr=0.03 seed 2: score 0.5000; 4 s left\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_quiet_of_how_the_work_goes(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with follow(Voice(loud=False)) as progress:
        progress(event("start"))
        progress(event("done", score=0.5))
    assert stream.getvalue() == ""


def sweep_at_work(so_far: SoFar, columns: int) -> Live:
    """Return the view of a sweep in its middle: runs that ended, some at work, one stopped."""
    live = Live(so_far)
    live._console.width = columns
    large = {"d": 446_498, "lr": 0.000123}
    early = RunSpec(**large, seed=11, stop_at=0.25)
    kinds = [event("done", FULL, score=0.9871), event("done", early, score=0.5123)]
    kinds += [event("done", RunSpec(d=10, lr=0.1, seed=s), score=0.3 * s) for s in range(4)]
    kinds += [
        event("step", RunSpec(**large, seed=s), step=1150, steps=12000, loss=0.412345, eta_s=8100,
              finished=9, total=24, is_bound=True)
        for s in range(9)
    ]  # fmt: skip
    for one in kinds:
        live(one)
    live._failed = 3
    return live


@pytest.mark.parametrize("columns", [100, 80, 60])
def test_the_view_fits_the_terminal_and_breaks_no_word(columns):
    found = summary()
    so_far = SoFar(lambda: found)
    so_far.heed(event("done"))
    so_far.heed(event("start"))
    live = sweep_at_work(so_far, columns)
    screen = Console(file=io.StringIO(), width=columns)
    screen.print(live._drawn())
    said = screen.file.getvalue()
    assert all(len(line) <= columns for line in said.splitlines())
    words = {word.strip(",;") for word in said.split()}
    assert {"d=446498", "lr=0.000123", "seed", "1150/12000", "0.6000"} <= words
    assert {"fails", "passes", "failed", "left"} <= words
    assert ("0.4123" in words) == (columns >= 72)
    assert " ".join(said.split()).endswith(so_far.words)
    assert so_far.words == (
        "d90 = 186 so far; 95% interval 134-316; 133 fails, 207 passes; line 0.792"
    )


def test_the_runs_so_far_are_read_when_some_ended_and_others_are_at_work():
    now, reads = 0.0, []

    def look():
        nonlocal now
        now += 0.5
        reads.append(now)
        return summary()

    so_far = SoFar(look, clock=lambda: now)
    for kind in ("start", "step", "done", "done"):
        so_far.heed(event(kind))
    assert reads == []
    so_far.heed(event("step"))
    so_far.heed(event("done"))
    so_far.heed(event("step"))  # a reading took 0.5 s: none for the next 10
    assert reads == [0.5]
    now = 10.4
    so_far.heed(event("step"))
    now = 10.6
    so_far.heed(event("step"))
    assert reads == [0.5, 11.1]


def test_a_folder_that_cannot_be_read_just_then_shows_what_it_showed():
    def look():
        raise IdimError("damaged")

    so_far = SoFar(look)
    so_far.heed(event("done"))
    so_far.heed(event("step"))
    assert (so_far.found, so_far.words) == (None, "")


def test_a_log_tells_d90_so_far_where_it_has_moved(capsys):
    found = iter([without_runs(summary()), summary(), summary()])
    now = 0.0
    so_far = SoFar(lambda: next(found), clock=lambda: now)
    with Lines(so_far=so_far) as lines:
        for kind in ("done", "step") * 3:
            now += 100.0
            so_far.heed(event(kind))
            lines(event(kind, score=0.5))
    said = [line for line in capsys.readouterr().err.splitlines() if "score 0.5" not in line]
    assert said == [
        "[1/5] no score of full fine-tuning yet",
        "[1/5] d90 = 186 so far; 95% interval 134-316; 133 fails, 207 passes; line 0.792",
    ]


def test_a_search_tells_what_it_makes_at_most(capsys):
    with Lines() as progress:
        early = RunSpec(d=1000, lr=0.03, stop_at=0.25)
        progress(event("done", early, score=0.5, eta_s=200, total=100, is_bound=True))
    assert capsys.readouterr().err == (
        "[1 of at most 100] d=1000 lr=0.03 seed 0, first 25%: score 0.5000; "
        "at most 3 min 20 s left\n"
    )

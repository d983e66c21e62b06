"""What is on the screen: live on a terminal, whole at any width, short with -q, full with -v."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from fcntl import ioctl
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from idim.cli import after, app
from idim.cli.voice import Voice
from idim.config import SweepSpec, load
from idim.report import table
from idim.store import alone
from idim.sweeps import plan, reduce, setting, summarise

SWEEP = [
    "sweep", "--model", "toy", "--steps", "60", "--baseline", "1", "--seeds", "2", "--max-runs",
    "5", "--jobs", "1", "--out", "s",
]  # fmt: skip
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def idim(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="idim")


class Terminal:
    """A pseudo-terminal of some width, and all that was written to it."""

    def __init__(self, columns: int) -> None:
        self.ours, self.theirs = pty.openpty()
        ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self.ours, 65536)
            except OSError:  # the other end is closed
                return
            self._parts.append(part)

    def close(self) -> str:
        """Return what was written, without the codes that move and colour."""
        os.close(self.theirs)
        self._reader.join()
        os.close(self.ours)
        return _CONTROL.sub("", b"".join(self._parts).decode()).replace("\r", "\n")


def on_terminal(words: list[str], columns: int, *, result: bool) -> tuple[str, str]:
    """Run a command with stderr on a terminal; return what that shows, and stdout.

    Args:
        words: of the command.
        columns: of the terminal.
        result: whether stdout is the terminal too, and not a pipe.
    """
    terminal = Terminal(columns)
    known = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-m", "idim", *words], stderr=terminal.theirs, env=known, check=True,
        stdout=terminal.theirs if result else subprocess.PIPE,
    )  # fmt: skip
    return terminal.close(), (done.stdout or b"").decode()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return a small sweep's folder, what a terminal of 80 columns showed of it, and its stdout."""
    here = tmp_path_factory.mktemp("told")
    known = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(here)
        patched.setenv("PYTHONPATH", f"{Path(__file__).parents[1]}{os.pathsep}{known}")
        live, stdout = on_terminal(SWEEP, 80, result=False)
    return here / "s", live, stdout


@pytest.fixture
def here(shown, monkeypatch) -> Path:
    monkeypatch.chdir(shown[0].parent)
    return shown[0]


def test_a_terminal_shows_scores_and_d90_as_they_come_and_breaks_no_word(shown):
    _, live, _ = shown
    lines = live.split("\n")
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"runs +\S+ +[0-5] of at most 5", line) for line in lines)
    assert any(re.match(r"d=\d+ +lr=\S+ +seed \d +\d\.\d{4}", line) for line in lines)
    assert "writing to s" in lines


def test_the_answer_comes_first_and_what_to_do_next_last(here, shown):
    lines = shown[2].splitlines()
    assert re.match(r"d90 (=|>|<=|is) ", lines[0])
    again = f"  idim {' '.join(SWEEP[:9])} --jobs 1 --out s --max-runs 10"
    report = ["next, a page with methods and protocol:", "  idim report s"]
    assert lines[-5:] == ["figure: s/curve.png", lines[-4], again, *report]
    assert lines[-4].startswith("next, more runs to ")
    assert not any(line.startswith("protocol:") for line in lines)
    assert max(len(line) for line in lines if line != again) <= 80


def test_the_command_of_more_runs_goes_on_in_the_same_folder(here):
    words = after.stored_again(here)(5).split()
    given = dict(pairwise(words))
    assert (given["--model"], given["--out"], given["--max-runs"]) == ("toy", str(here), "5")
    assert "--threads" not in words
    assert "--d-max" not in words  # the model's own
    done = idim(*words[1:], "--jobs", "1", "-q")
    assert done.exit_code == 0, done.stderr
    assert "5 of 5 runs were done before" in (here / "sweep.log").read_text()


def test_a_terminal_and_a_pipe_end_in_the_same_text(here):
    pipe = idim("estimate", "s").stdout
    narrow, _ = on_terminal(["estimate", "s"], 60, result=True)
    assert narrow.split() == pipe.split()
    commands = [line for line in pipe.splitlines() if line.startswith("  idim")]
    rest = [line for line in narrow.split("\n") if not any(line in c for c in commands)]
    assert max(map(len, rest)) <= 60


def test_quiet_is_the_answer_alone(here):
    done = idim(*SWEEP, "-q")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == table.verdict(summarise(here)) + "\n"
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    assert idim("estimate", "s", "--quiet").stdout == done.stdout


def test_verbose_adds_protocol_methods_and_every_note(here):
    short, full = idim("estimate", "s").stdout, idim("estimate", "s", "-v").stdout
    said = " ".join(full.split())
    assert "protocol: baseline " in said
    assert "projection: theta = theta_0 + P theta_d" in said
    assert all(" ".join(note.split()) in said for note in summarise(here).notes)
    kept = [line for line in short.splitlines() if not line.startswith(("usual:", "  "))]
    assert set(kept) <= set(full.splitlines())
    assert "protocol: baseline" not in short


def test_json_is_the_same_however_loud(here):
    texts = {idim("estimate", "s", "--json", *flag).stdout for flag in ((), ("-q",), ("-v",))}
    assert len(texts) == 1


# --- the log ---


def test_the_log_keeps_what_was_said_with_times_and_goes_on(here):
    log = here / "sweep.log"
    before = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ ", line) for line in before)
    said = [line[21:] for line in before]
    assert said[0] == f"$ idim {' '.join(SWEEP)}"
    assert "writing to s" in said
    assert any(
        re.match(r"\[\d of at most 5\] d=\d+ lr=.* seed \d.*: score ", line) for line in said
    )
    assert table.verdict(summarise(here)) in said
    assert idim(*SWEEP, "-q").exit_code == 0
    after_it = log.read_text().splitlines()
    assert after_it[: len(before)] == before
    assert any("runs were done before" in line for line in after_it[len(before) :])


def test_a_folder_with_a_log_alone_is_free_and_one_at_work_is_not_written_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = ["sweep", "--model", "toy", "--d", "5", "--steps", "1", "--baseline", "1", "--seeds", "1"]
    log = tmp_path / "new" / "sweep.log"
    log.parent.mkdir()
    log.write_text("of old\n")
    assert idim(*toy, "--lr", "0.1", "--out", "new").exit_code == 0
    assert log.read_text().startswith("of old\n2")
    whole = log.read_text()
    with alone(Path("new")):
        refused = idim(*toy, "--lr", "0.1", "--out", "new")
    other = idim(*toy, "--lr", "0.2", "--out", "new")
    assert (refused.exit_code, other.exit_code) == (2, 2)
    assert "another idim is at work" in refused.stderr
    assert log.read_text() == whole


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "hard link"])
def test_a_log_that_is_somebody_elses_is_left_alone_and_said(tmp_path, capsys, kind):
    other, log = tmp_path / "theirs", tmp_path / "sweep.log"
    other.write_text("x")
    make = {
        "link": lambda: log.symlink_to(other), "folder": log.mkdir,
        "pipe": lambda: os.mkfifo(log), "hard link": lambda: log.hardlink_to(other),
    }  # fmt: skip
    make[kind]()
    with Voice() as voice:
        voice.log_to(log, "idim sweep")
        voice.say("on we go")
    assert other.read_text() == "x"
    assert capsys.readouterr().err == (
        f"'{log}' cannot be written to; there will be no log.\non we go\n"
    )


def test_what_stopped_a_command_is_the_last_line_of_its_log(tmp_path):
    log = tmp_path / "sweep.log"
    voice = Voice(loud=False)
    voice.say("before there is a folder")
    voice.log_to(log, "idim sweep")
    voice.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    first, second, last = (line[21:] for line in log.read_text().splitlines())
    assert (first, second) == ("$ idim sweep", "before there is a folder")
    assert "interrupted" in last


# --- what to do next ---


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"epochs": 200.0, "max_runs": 60}, ["--train-samples", "--epochs", "--max-runs"]),
        ({"epochs": 2000.0, "max_runs": 24}, ["--epochs"]),
        ({"steps": 20_000, "d": (10, 20)}, ["--steps"]),
        ({"steps": 4_000, "d": (10, 20), "seeds": 9, "lr": (0.1,)}, ["--steps", "--seeds"]),
    ],
)
def test_a_dry_run_of_more_than_a_day_names_what_alone_makes_it_less(words, named):
    planned = plan(load(SweepSpec, None, {"model": "digits-mlp", **words}))
    times = {"full": 0.4, "subspace": 0.6}
    assert planned.seconds(times) > reduce.DAY_S
    (said,) = reduce.reductions(planned, times)
    found = re.findall(r"(--[a-z-]+) (\S+)", said)
    assert [name for name, _ in found] == named
    for name, value in found:
        instead = {name[2:].replace("-", "_"): value}
        dropped = {"epochs", "steps"} & instead.keys() and {"epochs", "steps"}
        fewer = {k: v for k, v in words.items() if k not in (dropped or instead)} | instead
        again = plan(load(SweepSpec, None, {"model": "digits-mlp", **fewer}))
        assert 0.5 * reduce.DAY_S < again.seconds(times) <= reduce.DAY_S, name


def test_what_nothing_alone_makes_short_is_said_so():
    planned = plan(SweepSpec(model="digits-mlp", epochs=1.0))
    (said,) = reduce.reductions(planned, {"full": 1e5, "subspace": 1e5})
    assert said.startswith("no single setting brings it below a day: ")
    assert reduce.reductions(planned, {"full": 1e-3, "subspace": 1e-3}) == []


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--max-runs", "14", "--seeds", "2"], "--seeds 2"),
        (["--max-runs=14", "max_runs=3", "max-runs=3"], ""),
        (["--out", "a b", "--model", "max-runs"], "--out 'a b' --model"),
    ],
)
def test_the_command_typed_again_has_one_bound(words, kept):
    said = after.typed_again(["sweep", *words])(28)
    assert said == " ".join([*f"idim sweep {kept}".split(), "--max-runs", "28"])


def test_more_runs_are_as_many_as_the_search_wants(here):
    space = setting(here)
    assert after.enough(space, 1) >= 1
    assert after.spent(summarise(here), space) == 5

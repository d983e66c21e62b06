"""What the machine refuses, and signals at any instant: one line, and nothing left running."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from idim.cli import app
from idim.cli.failure import explain
from idim.cli.progress import Lines
from idim.config import RunSpec
from idim.errors import MACHINE
from idim.store import Failed, Result
from idim.sweeps.execute import _Watch
from idim.sweeps.outcomes import Outcome, distinct_runs

# What the installed `idim` does, with a sign from where on both signals are in its hands.  A shell
# has Ctrl-C ignored in what it starts in the background, which these tests may be part of.
ENTRY = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from idim.__main__ import main; os.write(int(sys.argv.pop(1)), b'x'); main()"
)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def shell(line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh in which `idim` is the command."""
    known = f"idim() {{ '{sys.executable}' -m idim \"$@\"; }}\n"
    return subprocess.run(["bash", "-c", known + line], capture_output=True, env=os.environ | env)


# --- streams ---


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("idim models >&-", 1, "error: standard output is closed"),
        ("idim models >/dev/full", 1, "error: the disk is full"),
        ("idim nothing 2>&-", 2, ""),
        ("idim models 2>/dev/full >/dev/null", 0, ""),
        ("idim nothing <&-", 2, "error: no such command"),
        ("idim models >&- 2>&- <&-", 1, ""),
        ("set -o pipefail; idim models --json | head -c 1 >/dev/null", None, ""),
    ],
)
def test_streams_may_be_closed_full_or_left(line, code, said):
    done = shell(line)
    assert code is None or done.returncode == code
    assert done.stderr.decode().startswith(said)
    assert done.stderr.count(b"\n") == (1 if said else 0)


def test_an_ascii_terminal_gets_letters_for_what_it_lacks():
    env = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    python = f"'{sys.executable}' -c"
    line = (
        "from idim import terminal; terminal.prepare();"
        "print('0.9 \\u00b1 0.1 \\u2264 1 \\u4e2d'); import sys; print('\\u03c1', file=sys.stderr)"
    )
    done = shell(f'{python} "{line}"', **env)
    assert (done.returncode, done.stdout) == (0, b"0.9 +- 0.1 <= 1 \\u4e2d\n")
    assert done.stderr == b"rho\n"


def test_nothing_is_printed_into_a_file_that_took_a_closed_streams_number(tmp_path):
    line = (
        "from idim import terminal; terminal.prepare();"
        f"f = open('{tmp_path}/store', 'w'); import os; os.write(1, b'lost'); os.write(2, b'lost')"
    )
    done = shell(f"'{sys.executable}' -c \"{line}\" >&- 2>&- <&-")
    assert (done.returncode, (tmp_path / "store").read_text()) == (0, "")


# --- faults of the machine ---


@pytest.mark.parametrize("number", sorted(n for n in errno.errorcode if n != errno.EPIPE))
def test_no_refusal_of_the_machine_is_internal(number):
    line, code = explain(OSError(number, os.strerror(number), "out/\x1bx"))
    assert line.startswith("error: ")
    assert "internal" not in line
    assert "out/\\x1bx" in line
    assert code == (1 if number in MACHINE else 2) or number == errno.EINTR
    assert line.count(".") >= 2  # what it is, and what to do


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "memory"),
        (RuntimeError("can't start new thread"), "no further thread may be started"),
        (RuntimeError("CUDA out of memory. Tried"), "not enough memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "enough memory"),
        (ImportError("No module named 'x'"), "a package is missing or broken"),
    ],
)
def test_faults_that_libraries_word_are_the_machines_too(fault, said):
    line, code = explain(fault)
    assert (code, said in line, "internal" in line) == (1, True, False)


@pytest.mark.parametrize("out", ["/proc/x", "/dev/null", "loop/x", "file", "a" * 300, "file/x"])
def test_a_folder_that_cannot_be_is_one_line(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", tmp_path / "loop")
    (tmp_path / "file").write_text("")
    words = ["run", "--model", "toy", "--d", "5", "--steps", "1", "--out", out]
    done = CliRunner().invoke(app, words, prog_name="idim")
    *notes, last = done.stderr.splitlines()
    assert done.exit_code in (1, 2)
    assert last.startswith("error: ")
    assert "internal" not in last
    assert all(note.startswith("writing to") for note in notes)


@pytest.mark.parametrize("words", [("report",), ("compare", "b"), ("plot",)], ids=" ".join)
def test_a_place_that_cannot_be_is_the_users_choice(tmp_path, monkeypatch, words):
    """No folder can be made below /proc: another one would do, so it is no fault of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        sweep = ["sweep", "--model", "toy", "--steps", "1", "--d", "5", "--baseline", "1"]
        assert CliRunner().invoke(app, [*sweep, "--seeds", "1", "--out", name]).exit_code == 0
    command, *more = words
    done = CliRunner().invoke(app, [command, "a", *more, "--out", "/proc/x/y"], prog_name="idim")
    line = "error: '/proc/x{}' cannot be made; choose another --out.\n"
    assert done.stderr == line.format("" if command == "plot" else "/y")
    assert (done.exit_code, done.stdout) == (2, "")


# --- signals ---


def interrupted(words: list[str], delay_s: float, number: signal.Signals) -> tuple[int, list[str]]:
    """Send a signal some time after the first line of our own; return code and stderr's lines."""
    ready, told = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, str(told), *words],
        pass_fds=(told,), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(delay_s)
    if number == signal.SIGINT:  # a terminal sends Ctrl-C to all
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    stderr = process.communicate(timeout=60)[1]
    for _ in range(100):  # a worker may take a moment to see that its parent is gone
        if not alive(process.pid):
            break
        time.sleep(0.1)
    assert not alive(process.pid), "a process was left"
    return process.returncode, stderr.splitlines()


def alive(session: int) -> bool:
    """Whether any process of a session that we began is left."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


TOY = ["sweep", "--model", "toy", "--steps", "20000", "--lr", "0.1,0.2", "--d", "10,12",
       "--baseline", "1"]  # fmt: skip
MOMENTS = [*(0.03 * i for i in range(10)), *(0.5 + 0.35 * i for i in range(10))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", CODES)
def test_a_signal_at_any_instant_is_one_line_and_its_code(tmp_path, jobs, number):
    for i, delay_s in enumerate(MOMENTS[(number == signal.SIGTERM) + 2 * (jobs == "2") :: 4]):
        out = str(tmp_path / f"{i}")
        code, lines = interrupted([*TOY, "--jobs", jobs, "--out", out], delay_s, number)
        told = [line for line in lines if not line.startswith(("writing to", "["))]
        assert code == CODES[number] or (code == 0 and told == []), (delay_s, lines)
        assert len(told) <= 1, (delay_s, lines)
        assert code == 0 or told[0].endswith("the same command continues where it stopped.")


# --- counts ---


FINISHED = Result(
    score={"performance": 0.5}, select=None, D=9, trainable=1, steps=2, loss=0.7, seconds=0.1
)
ENDS = st.sampled_from(["done", "failed", "diverged", "early"])
RUNS = st.dictionaries(st.tuples(st.integers(1, 6), st.integers(0, 3)), ENDS, max_size=12)


@settings(max_examples=100, deadline=None)
@given(held=RUNS, asked=RUNS, most=st.integers(1, 12), is_bound=st.booleans())
def test_no_more_runs_are_done_than_there_are(held, asked, most, is_bound):
    """Whatever a folder holds: runs of a wider search, early stops, failures."""
    events = []
    stored = SimpleNamespace(result=lambda: FINISHED, last_metrics=lambda: None)
    store = SimpleNamespace(run=lambda spec: stored)
    watch = _Watch(store, events.append, most, is_bound=is_bound)  # type: ignore[arg-type]
    ended = {}
    for (d, seed), end in held.items():
        run = RunSpec(d=d, seed=seed, stop_at=0.25 if end == "early" else None)
        result = {"failed": None, "diverged": Failed(error="x", diverged=True)}.get(end, FINISHED)
        ended[run.id] = Outcome(run, result, "x" if end == "failed" else None)
    for outcome in distinct_runs(ended).values():
        watch.found(outcome)
    begun = {i for i, o in ended.items() if o.result is not None}
    batch = [RunSpec(d=d, seed=seed) for d, seed in asked]
    batch = [run for run in batch if run.id not in begun]
    watch.expect(batch)
    for run, end in zip(batch, asked.values(), strict=False):
        watch.started(run)
        watch.ended(run, "x" if end == "failed" else None)
    assert all(0 <= e.finished <= e.total for e in events)
    assert all((e.eta_s or 0) >= 0 for e in events)


def test_what_was_done_before_is_never_more_than_all(capsys):
    run = RunSpec(d=5)
    with Lines() as progress:
        for i in range(32):
            progress(SimpleNamespace(kind="skipped", run=run, finished=i, total=30, is_bound=True))
    assert capsys.readouterr().err == "32 of 32 runs were done before\n"


# --- secrets ---


def test_a_token_is_neither_said_nor_stored(monkeypatch, tmp_path):
    from idim.store import provenance

    secret = "hf_abcdefghijklmnopqrst"
    monkeypatch.setattr(sys, "argv", ["idim", f"https://me:pw123456@x/y?token={secret}", secret])
    stored = json.dumps(provenance())
    assert secret not in stored
    assert "pw123456" not in stored
    monkeypatch.setenv("HF_TOKEN", "an-odd-token-of-mine")
    line, _ = explain(OSError(errno.EACCES, "no", "x/an-odd-token-of-mine/y"))
    assert "an-odd-token-of-mine" not in line

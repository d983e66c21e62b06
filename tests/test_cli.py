"""The command line: what is typed becomes one library call, and its outcome stdout and a code."""

import errno
import json
import shlex
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from made_results import DONE, RUNS, made
from typer.testing import CliRunner, Result

from idim.cli import app, options
from idim.config import RunSpec, SweepSpec
from idim.errors import IdimError, OffLine, RunFailed
from idim.estimate import estimate
from idim.results import Summary
from idim.sweeps import default_out

COMMANDS = ["sweep", "run", "estimate", "plot", "tasks", "models", "info"]


def idim(*words: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="idim", env={"COLUMNS": "100"} | env)


class Library(SimpleNamespace):
    """Stands for the rooms that train: remembers the calls, answers with a made summary."""

    def __init__(self) -> None:
        super().__init__(spec=None, out=None, jobs=None, written=[], failure=None, failed=0)

    def plan(self, spec: SweepSpec, out: Path) -> SimpleNamespace:
        self.spec = spec
        print("a library prints where it should not")
        runs = [RunSpec(d=10, lr=0.03), RunSpec(method="full", lr=1e-3)]
        return SimpleNamespace(
            spec=spec,
            specs=runs,
            most=2,
            D=99,
            trainable=lambda run: run.d or 99,
            lines=lambda: ["2 runs"],
            step_seconds={"full": 0.2},
        )

    def execute(self, plan, out, *, jobs, progress, tell) -> Summary:
        self.out, self.jobs = out, jobs
        if self.failure:
            raise self.failure
        return self.summarise(out)

    def summarise(self, out: Path, threshold: float | None = None) -> Summary:
        if out.name == "nothing":
            raise IdimError(f"'{out}' holds no sweep.")
        runs = replace(RUNS, total=2, done=2 - self.failed, failed=self.failed)
        found = estimate([], threshold=threshold or 0.9)
        return made(found, seconds=float("nan"), runs=runs, out=out)

    def run(self, spec, out, progress, tell) -> object:
        self.spec, self.out = spec, out
        return replace(DONE, score={"accuracy": 0.5}, trainable=2)


@pytest.fixture
def library(monkeypatch, tmp_path) -> Library:
    fake = Library()
    rooms = {
        "idim.sweeps": {
            "plan": fake.plan,
            "default_out": default_out,
            "plan_run": lambda spec, tell: spec,
            "run": fake.run,
            "folder_of": lambda spec, out: out / "runs" / spec.id,
            "execute": fake.execute,
            "summarise": fake.summarise,
            "write": lambda summary, out: fake.written.append(out),
        },
        "idim.report.table": {"text": lambda summary: "the table\n"},
        "idim.report.figure": {"draw": lambda summary, stem: fake.written.append(stem)},
    }
    for name, content in rooms.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IDIM_HOME", str(tmp_path))
    return fake


# --- sweep and run ---


def test_options_and_words_win_over_the_file_and_the_rest_keeps_its_default(library):
    Path("rte.toml").write_text('task = "rte"\nseeds = 7\nthreshold = 0.5\nd = [5]\n')
    result = idim("sweep", "--config", "rte.toml", "--d", "10,100", "seeds=2", "weight-decay=0.5")
    assert result.exit_code == 0, result.stderr
    assert library.spec == SweepSpec(
        task="rte", seeds=2, threshold=0.5, d=(10, 100), weight_decay=0.5
    )


def test_json_is_all_that_stdout_carries_and_holds_no_nan(library):
    result = idim("sweep", "--json", "--out", "here")
    assert json.loads(result.stdout)["seconds"] is None
    assert "a library prints" in result.stderr


def test_sweep_prints_the_table_and_writes_where_it_says(library):
    result = idim("sweep", "--task", "mrpc", "--model", "FacebookAI/roberta-base", "--jobs", "2")
    out = Path("idim-out/mrpc-roberta-base-fastfood-did")
    assert result.stdout == "the table\n"
    assert f"writing to {out}" in result.stderr
    assert (library.out, library.jobs, library.written) == (out, 2, [out])


def test_the_default_folder_is_named_by_what_is_measured():
    spec = SweepSpec(model="models/My Net", task="own/task.toml", structure="said")
    assert default_out(spec) == Path("idim-out/task-my-net-fastfood-said")


def test_dry_run_lists_the_runs_and_does_none(library):
    assert idim("sweep", "--dry-run").stdout == "2 runs\n"
    record = json.loads(idim("sweep", "--dry-run", "--json").stdout)
    assert [run["trainable"] for run in record["runs"]] == [10, 99]
    assert library.out is None


def test_failed_runs_make_the_exit_code_1_after_the_table(library):
    library.failed = 1
    result = idim("sweep", "--out", "here")
    assert (result.exit_code, result.stdout) == (1, "the table\n")
    assert "error: 1 of 2 runs failed; the reasons are in here" in result.stderr


def test_run_prints_its_result_as_text_or_one_object(library):
    words = ["run", "--d", "20", "--lr", "0.1", "--seed", "3", "--steps", "9"]
    lines = idim(*words).stdout.splitlines()
    assert lines[1:4] == ["score accuracy  0.5", "D               9", "trainable       2"]
    found = json.loads(idim(*words, "--json").stdout)
    assert list(found) == [
        "id", "score", "select", "D", "trainable", "steps", "loss", "seconds", "out",
    ]  # fmt: skip
    assert found["score"] == {"accuracy": 0.5}
    assert (library.spec.d, library.spec.lr, library.spec.seed) == (20, 0.1, 3)
    assert library.out == Path("idim-out")


def test_the_commands_and_the_library_fit_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = ["--model", "toy", "--task", "toy", "--steps", "2", "--lr", "0.1", "--d", "10"]
    grid = [*toy, "--seeds", "1", "--baseline", "1", "--jobs", "1", "--out", "s"]
    assert json.loads(idim("sweep", *grid, "--dry-run", "--json").stdout)["D"] == 1000
    assert "2 steps" in idim("sweep", *grid, "--dry-run").stdout
    summary = json.loads(idim("sweep", *grid, "--json").stdout)
    counts = {"total": 1, "done": 1, "failed": 0, "diverged": 0, "stopped_early": 0}
    assert summary["runs"] == counts
    assert "1 of 1 runs were done before" in idim("sweep", *grid).stderr
    assert json.loads(idim("estimate", "s", "--json").stdout) == summary
    assert all(Path(name).exists() for name in idim("plot", "s").stdout.split())
    assert "score performance" in idim("run", *toy).stdout
    again = [word if word != "s" else "t" for word in grid]
    idim("sweep", *again, "projection=dense")
    paths = idim("report", "s", "--out", "deep/er").stdout.split()
    assert [Path(path).name for path in paths[:2]] == ["report.html", "report.md"]
    assert all(Path(path).stat().st_size for path in paths)
    assert json.loads(idim("report", "s", "--json").stdout)["report.md"] == "s/report.md"
    compared = json.loads(idim("compare", "s", "t", "--json").stdout)
    assert [s["name"] for s in compared["sweeps"]] == ["fastfood", "dense"]
    assert [p["verdict"] for p in compared["pairs"]] == ["no interval"]
    assert compared["files"] == ["compare.png", "compare.svg"]
    assert "A and B are not told apart" in idim("compare", "s", "t", "--out", "deep/er").stdout
    for words in (["compare", "s"], ["compare", "s", "s"], ["compare", "s", "deep"]):
        result = idim(*words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1


def test_the_command_of_a_report_is_the_same_sweep(tmp_path, monkeypatch):
    from idim.sweeps import evidence, execute, plan

    monkeypatch.chdir(tmp_path)
    given = {"model": "toy", "steps": 2, "d": (3, 5), "lr": (0.1, 0.25), "seeds": 1}
    given |= {"baseline": 0.5, "structure": "said", "said_lr": 0.02, "threshold": 0.8}
    planned = plan(SweepSpec(**given))
    execute(planned, Path("with spaces"))
    typed = options.command(asdict(evidence(Path("with spaces")).setting))
    done = idim(*shlex.split(typed)[1:], "--out", "with spaces", "--json")
    assert done.exit_code == 0, done.stderr
    assert "2 of 4" not in done.stderr
    assert "4 of 4 runs were done before" in done.stderr


# --- the others ---


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_each_command_can_be_typed(library, command):
    example = idim(command, "-h").stdout.splitlines()[-1]
    result = idim(*shlex.split(example)[1:])
    assert result.exit_code == 0, result.stderr


def test_estimate_and_plot_read_the_folder(library):
    assert idim("estimate", "x").stdout == "the table\n"
    assert json.loads(idim("estimate", "x", "--json").stdout)["out"] == "x"
    assert (
        json.loads(idim("estimate", "x", "--threshold", "0.8", "--json").stdout)["threshold"] == 0.8
    )
    assert idim("plot", "x").stdout == "x/curve.png\nx/curve.svg\n"
    assert idim("plot", "x", "--out", "fig").stdout == "fig.png\nfig.svg\n"
    assert library.written == [Path("x/curve"), Path("fig")]
    for command in ("estimate", "plot"):
        result = idim(command, "nothing")
        assert (result.exit_code, result.stderr) == (2, "error: 'nothing' holds no sweep.\n")


def test_tasks_and_models_are_listed(library):
    assert "mrpc" in idim("tasks").stdout
    assert json.loads(idim("tasks", "--json").stdout)["mrpc"]["hub"] == "nyu-mll/glue"
    assert "lenet       Li et al.'s LeNet" in idim("models").stdout
    assert "D = 199,210" in json.loads(idim("models", "--json").stdout)["mnist-fc"]


def test_info_names_versions_devices_kernels_and_pins(library, tmp_path):
    record = json.loads(idim("info", "--json").stdout)
    assert record["versions"]["python"] == sys.version.split()[0]
    assert record["devices"]["cores"] >= 1
    assert record["pins"] == str(tmp_path / "pins.json")
    on_cpu = record["kernels"]["cpu"]
    assert on_cpu.startswith(("cpu (fused C", "reference (plain torch)"))
    lines = [line.split(maxsplit=3) for line in idim("info").stdout.splitlines()]
    assert ["kernels", "on", "cpu", on_cpu] in lines


def test_prefetch_asks_the_hub_only_for_what_it_has(library, monkeypatch):
    asked = []
    monkeypatch.setattr("idim.hub.prefetch", lambda *wanted: asked.append(wanted) or [])
    idim("prefetch", "--model", "roberta-base", "--task", "mrpc")
    assert asked.pop() == ("roberta-base", ("nyu-mll/glue", "mrpc"))
    result = idim("prefetch", "--model", "toy", "--task", "digits")
    assert (result.exit_code, asked) == (0, [])
    assert "task digits needs nothing from the hub" in result.stderr
    assert idim("prefetch").stderr == "error: nothing to fetch; give --model, --task or both.\n"


# --- failures ---


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("swep", "no such command 'swep'. Did you mean 'sweep'?"),
        ("sweep --modle x", "no such option: --modle; did you mean --model?"),
        ("sweep --d", "option '--d' requires an argument"),
        ("sweep --d 10 100", "cannot read '100'; overrides are written key=value."),
        ("sweep --lr 1 lr=2", "lr is given twice: --lr 1 and lr=2."),
        ("sweep --projection fastfod", "unknown projection 'fastfod'; did you mean 'fastfood'?"),
        ("sweep --d ten", "d: expected int, got 'ten'."),
        ("sweep sed=1", "unknown key 'sed'; did you mean 'seeds'?"),
        ("sweep --jobs 0", "--jobs must be at least 1, got 0."),
        ("sweep --config none.toml", "cannot read config 'none.toml'"),
        ("run", "a subspace run needs d; give --d."),
        ("estimate", "missing argument 'DIR'; see 'idim estimate -h'."),
        ("estimate x --threshold 0", "--threshold must be above 0, got 0."),
        ("sweep --search adaptive --d 10", "an adaptive search chooses d itself; give d_min and"),
        ("prefetch --task digist", "unknown task 'digist'; did you mean 'digits'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(library, words, line):
    result = idim(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {line}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (IdimError("d=9 exceeds D=5."), 2, "error: d=9 exceeds D=5."),
        (RunFailed("out of memory."), 1, "error: out of memory."),
        (OffLine("no network."), 1, "error: no network."),
        (KeyboardInterrupt(), 130, "interrupted; the same command continues where it stopped."),
        (OSError(errno.ENOSPC, "No space", "o/x"), 1, "error: the disk is full: 'o/x'. Free"),
        (OSError(errno.EROFS, "Read-only", "o/x"), 2, "error: Read-only: 'o/x'. Give a folder"),
        (FileExistsError(errno.EEXIST, "File exists", "o"), 2, "error: File exists: 'o'. Give"),
        (ValueError("a\nb"), 1, "error: internal: ValueError: a b (run with IDIM_DEBUG=1"),
        (BrokenPipeError("worker"), 1, "error: internal: BrokenPipeError: worker"),
    ],
)
def test_a_failure_is_one_line_and_its_code(library, monkeypatch, failure, code, line):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    library.failure = failure
    result = idim("sweep", "--out", "o", IDIM_DEBUG="")
    last = result.stderr.splitlines()[-1]
    assert (result.exit_code, result.stdout) == (code, "")
    assert last.startswith(line)
    assert "Traceback" not in result.stderr


def test_debugging_shows_the_traceback(library):
    library.failure = ValueError("deep")
    assert idim("sweep", "--out", "o", IDIM_DEBUG="1").exception is library.failure


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m idim tasks --json | {sys.executable} -c 'pass'"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_kernels_that_cannot_run_are_refused_before_any_run(tmp_path, monkeypatch):
    monkeypatch.setenv("IDIM_KERNELS", "fast")
    result = idim("sweep", "--model", "toy", "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "unknown IDIM_KERNELS=fast" in result.stderr
    assert not (tmp_path / "out").exists()

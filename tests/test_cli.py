"""The command line: what is typed becomes one library call, and its outcome stdout and a code."""

import errno
import json
import shlex
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import pytest
from hubclient import program, write_stubs
from hubserver import serve
from typer.main import get_command
from typer.testing import CliRunner, Result

from idim import launch
from idim.cli import after, app, options
from idim.config import RunSpec, SweepSpec
from idim.errors import IdimError, OffLine, RunFailed
from idim.launch import worker
from idim.report import table
from idim.store import Store
from idim.sweeps import default_out, evidence, execute, plan, setting, summarise

COMMANDS = list(get_command(app).commands)
TOY = [
    "--model", "toy", "--steps", "2", "--lr", "0.1", "--d", "10,20", "--seeds", "1",
    "--baseline", "1",
]  # fmt: skip


def idim(*words: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="idim", env={"COLUMNS": "100"} | env)


def printed(folder: Path) -> str:
    summary = summarise(folder)
    return table.text(summary, after=after.lines(summary, setting(folder), str))


class Placed:
    """A launcher of a test's own: workers in this process, or none where it is to fail."""

    def __init__(self) -> None:
        self.jobs, self.failure, self.lost = 0, None, None

    def __call__(self, jobs: int) -> AbstractContextManager:
        self.jobs = jobs
        return nullcontext(self)

    def run_all(self, specs: list[RunSpec], root: Path, watch: launch.Watch) -> None:
        print("a library prints where it should not")
        if self.failure:
            raise self.failure
        for spec in specs:
            watch.started(spec)
            watch.ended(spec, self.work(spec, root))

    def work(self, spec: RunSpec, root: Path) -> str | None:
        if spec.d != self.lost:
            return worker.run_stack([spec], root)[0]
        run = Store(root).run(spec)
        run.fail(run.begin(spec, "none", []), "lost", "no traceback")
        return "lost"


@pytest.fixture
def here(monkeypatch, tmp_path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def placed(monkeypatch, here) -> Placed:
    ours = Placed()
    monkeypatch.setitem(launch.LAUNCHERS, "local", ours)
    return ours


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The folder of a sweep of two runs."""
    out = tmp_path_factory.mktemp("swept") / "s"
    assert idim("sweep", *TOY, "--jobs", "1", "--out", str(out)).exit_code == 0
    return out


# --- sweep and run ---


def test_options_and_words_win_over_the_file_and_the_rest_keeps_its_default(here):
    file = (
        'model = "toy"\nsteps = 2\nbaseline = 1\nlr = [0.1]\nseeds = 7\nthreshold = 0.5\nd = [5]\n'
    )
    Path("toy.toml").write_text(file)
    words = ["--config", "toy.toml", "--d", "3,10", "seeds=1", "weight-decay=0.5"]
    result = idim("sweep", *words, "--jobs", "1", "--out", "s")
    assert result.exit_code == 0, result.stderr
    expected = SweepSpec(
        model="toy", steps=2, baseline=1.0, lr=(0.1,), seeds=1, threshold=0.5, d=(3, 10),
        weight_decay=0.5,
    )  # fmt: skip
    assert evidence(Path("s")).setting == plan(expected).spec


def test_json_is_all_that_stdout_carries_and_holds_no_nan(placed):
    result = idim("sweep", *TOY, "--json", "--out", "s")
    found = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
    assert (found["d90"], found["runs"]["done"]) == (None, 2)
    assert "a library prints" in result.stderr


def test_sweep_prints_the_table_and_writes_where_it_says(placed):
    result = idim("sweep", *TOY, "--jobs", "2")
    out = Path("idim-out/toy-toy-fastfood-did")
    assert result.stdout == printed(out)
    assert f"writing to {out}" in result.stderr
    assert placed.jobs == 2
    assert {p.name for p in out.iterdir()} >= {
        "summary.json", "points.csv", "curve.png", "curve.svg", "runs",
    }  # fmt: skip


def test_the_default_folder_is_named_by_what_is_measured():
    spec = SweepSpec(model="models/My Net", task="mrpc", structure="said")
    assert default_out(spec) == Path("idim-out/mrpc-my-net-fastfood-said")


def test_dry_run_lists_the_runs_and_does_none(here):
    lines = idim("sweep", *TOY, "--dry-run", "--out", "s").stdout.splitlines()
    assert [line.split()[:4] for line in lines[:2]] == [
        ["d=10", "10", "trained", "1"],
        ["d=20", "20", "trained", "1"],
    ]
    assert lines[2].startswith("2 runs of 2 steps, about ")
    record = json.loads(idim("sweep", *TOY, "--dry-run", "--json", "--out", "s").stdout)
    assert [run["trainable"] for run in record["runs"]] == [10, 20]
    assert not any(here.iterdir())


@pytest.mark.parametrize(
    "out", ["other", "file", "file/below", "foreign", "s", "new", "new/below", "damaged"]
)
def test_a_dry_run_refuses_what_the_sweep_would_and_nothing_is_said_of_writing(here, out, swept):
    """The command itself is the oracle: its code and last line, in a folder of each kind."""
    for name in ("other", "s", "damaged"):
        shutil.copytree(swept, here / name)
    (here / "file").write_text("")
    (here / "foreign").mkdir()
    (here / "foreign" / "summary.json").write_text("{}")
    for result in (here / "damaged").rglob("result.json"):
        result.write_text("{")
    words = ["sweep", *TOY, "--jobs", "1", "--out", out]
    words += ["--projection", "dense"] if out == "other" else []
    before = {p: p.is_file() and p.read_bytes() for p in here.rglob("*")}
    dry, listed = idim(*words, "--dry-run"), idim(*words, "--dry-run", "--json")
    assert before == {p: p.is_file() and p.read_bytes() for p in here.rglob("*")}
    real = idim(*words)
    assert (dry.exit_code, listed.exit_code) == (real.exit_code,) * 2
    if real.exit_code:
        assert dry.stderr == listed.stderr == real.stderr
        assert real.stderr.startswith("error: ")
        assert real.stderr.count("\n") == 1
        return
    assert f"writing to {out}\n" in real.stderr
    done = {"s": 2, "damaged": None}.get(out, 0)
    assert json.loads(listed.stdout)["already"] == done
    assert dry.stdout.count("s holds 2 runs of it already\n") == (done == 2)
    assert ("is damaged" in dry.stderr) == (out == "damaged")


@pytest.mark.parametrize("command", ["sweep", "run", "trajectory", "pretrain"])
def test_nothing_is_said_of_writing_where_no_folder_can_be(here, command):
    (here / "file").write_text("")
    toy = ["--model", "toy", "--steps", "1", "--lr", "0.1"]
    words = {
        "sweep": [*toy, "--d", "5", "--baseline", "1"], "run": [*toy, "--d", "5"],
        "trajectory": ["--models", "tiny@0,tiny@300", "--tasks", "paraphrase"],
        "pretrain": ["paragraphs=20", "--steps", "1", "threads=1"],
    }  # fmt: skip
    result = idim(command, *words[command], "--out", "file")
    assert result.exit_code == 2, result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "writing to" not in result.stderr


def test_failed_runs_make_the_exit_code_1_after_the_table(placed):
    placed.lost = 20
    result = idim("sweep", *TOY, "--out", "here")
    assert result.exit_code == 1
    assert result.stdout == printed(Path("here"))
    assert "error: 1 of 2 runs failed; the reasons are in here" in result.stderr


def test_run_prints_its_result_as_text_or_one_object(here):
    words = ["run", "--model", "toy", "--d", "20", "--lr", "0.1", "--seed", "3", "--steps", "9"]
    first = idim(*words)
    found = json.loads(idim(*words, "--json").stdout)
    assert list(found) == [
        "id", "score", "select", "D", "trainable", "steps", "loss", "seconds", "out",
    ]  # fmt: skip
    assert (found["D"], found["trainable"], found["steps"]) == (1000, 20, 9)
    score = found["score"]["performance"]
    shown = dict(line.rsplit(maxsplit=1) for line in first.stdout.splitlines())
    assert shown["score performance"] == f"{score:.6g}"
    assert (shown["id"], shown["out"]) == (found["id"], found["out"])
    spec = json.loads(Path(found["out"], "spec.json").read_text())
    assert (spec["d"], spec["lr"], spec["seed"]) == (20, 0.1, 3)
    assert Path("idim-out/runs") in Path(found["out"]).parents
    assert f"writing to {found['out']}" in first.stderr
    quiet, full = idim(*words, "-q"), idim(*words, "-v")
    assert (quiet.stdout, quiet.stderr) == (f"score performance  {score:.6g}\n", "")
    assert full.stdout.split()[: len(first.stdout.split())] == first.stdout.split()
    assert {"optimizer", "adamw", "dtype"} <= set(full.stdout.split())


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
    assert compared["files"] == []
    assert not Path("compare.png").exists()
    assert "A and B: cannot be told apart" in idim("compare", "s", "t", "--out", "deep/er").stdout
    for words in (["compare", "s"], ["compare", "s", "s"], ["compare", "s", "deep"]):
        result = idim(*words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1


def test_the_command_of_a_report_is_the_same_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"model": "toy", "steps": 2, "d": (3, 5), "lr": (0.1, 0.25), "seeds": 1}
    given |= {"baseline": 0.5, "structure": "said", "said_lr": 0.02, "threshold": 0.8}
    planned = plan(SweepSpec(**given))
    execute(planned, Path("with spaces"), jobs=1)
    typed = options.command(asdict(evidence(Path("with spaces")).setting))
    done = idim(*shlex.split(typed)[1:], "--out", "with spaces", "--jobs", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert "2 of 4" not in done.stderr
    assert "4 of 4 runs were done before" in done.stderr


# --- the others ---


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_each_command_can_be_typed(name):
    """Its words are read as the command reads them, whose work needs hubs and hours."""
    example = idim(name, "-h").stdout.splitlines()[-1]
    command = get_command(app).commands[name]
    read = command.make_context(f"idim {name}", shlex.split(example)[2:])
    assert read.args == []
    assert set(read.params) == {p.name for p in command.params}


def test_estimate_and_plot_read_the_folder(swept, tmp_path):
    summary = summarise(swept)
    assert idim("estimate", str(swept)).stdout == printed(swept)
    assert json.loads(idim("estimate", str(swept), "--json").stdout) == summary.to_json()
    lower = json.loads(idim("estimate", str(swept), "--threshold", "0.0001", "--json").stdout)
    assert (lower["threshold"], lower["line"]) == (0.0001, 0.0001)
    assert idim("plot", str(swept)).stdout == f"{swept}/curve.png\n{swept}/curve.svg\n"
    stem = tmp_path / "fig"
    assert idim("plot", str(swept), "--out", str(stem)).stdout == f"{stem}.png\n{stem}.svg\n"
    assert Path(f"{stem}.png").read_bytes()[1:4] == b"PNG"
    paper = idim("plot", str(swept), "--out", f"{tmp_path}/paper.pdf", "--no-title")
    assert paper.stdout == f"{tmp_path}/paper.pdf\n"
    assert [p.name for p in tmp_path.glob("paper*")] == ["paper.pdf"]
    refused = idim("plot", str(swept), "--format", "png,eps")
    assert refused.stderr == "error: --format: no figure is a 'eps'; give png, svg, pdf.\n"
    assert "d" in Path(f"{stem}.svg").read_text()
    (tmp_path / "nothing").mkdir()
    for command in ("estimate", "plot", "report"):
        result = idim(command, str(tmp_path / "nothing"))
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: '{tmp_path}/nothing' holds no sweep")


def test_report_writes_the_sweep_up_where_it_says(swept, tmp_path):
    paths = [
        Path(line) for line in idim("report", str(swept), "--out", str(tmp_path)).stdout.split()
    ]
    assert {p.name for p in paths} == {p.name for p in tmp_path.iterdir() if p.is_file()}
    command = options.command(asdict(evidence(swept).setting))
    assert f"{command} --out again" in (tmp_path / "report.md").read_text()


def test_compare_sets_sweeps_side_by_side(swept, tmp_path):
    other = tmp_path / "t"
    idim("sweep", *TOY, "projection=dense", "--jobs", "1", "--out", str(other))
    words = ["compare", str(swept), str(other), "--out", str(tmp_path / "deep/er")]
    lines = idim(*words).stdout.splitlines()
    figures = [str(tmp_path / "deep/er" / f"compare.{kind}") for kind in ("png", "svg")]
    assert lines[-2:] == figures
    assert all(Path(figure).stat().st_size for figure in figures)
    found = json.loads(idim(*words, "--json").stdout)
    assert [s["name"] for s in found["sweeps"]] == ["fastfood", "dense"]
    (pair,) = found["pairs"]
    assert pair["matched"][0]["seeds"] == 1
    quiet, full = idim(*words, "-q").stdout.splitlines(), idim(*words, "-v").stdout
    assert quiet[-2:] == figures
    assert quiet[0].startswith("A and B: ")
    assert full.count("protocol: baseline") == 2


def test_trajectory_measures_each_checkpoint(here):
    words = ["--d", "5", "--seeds", "1", "--steps", "1", "--lr", "0.1", "--baseline", "0.9",
             "--lines", "own"]  # fmt: skip
    rows = ["--train-samples", "32", "--eval-samples", "16", "--jobs", "1", "--device", "cpu"]
    models = ["--models", "tiny@0,tiny@300", "--tasks", "sentiment"]
    done = idim("trajectory", *models, *words, *rows, "--out", "t")
    assert done.exit_code == 0, done.stderr
    assert "rank correlation" in done.stdout
    record = json.loads(Path("t/trajectory.json").read_text())
    # of d, and of the untrained model
    assert [row["runs"]["done"] for row in record["tasks"][0]["rows"]] == [2, 2]
    assert {p.suffix for p in Path("t").glob("trajectory.*")} == {
        ".json", ".csv", ".png", ".svg", ".log",
    }  # fmt: skip


def test_pretrain_keeps_the_checkpoints_that_it_prints(here):
    words = ["paragraphs=200", "hidden_size=16", "layers=1", "heads=2", "--steps", "3"]
    more = ["batch_size=4", "--checkpoints", "0,2", "threads=1", "--out", "p"]
    first = idim("pretrain", *words, *more)
    assert first.exit_code == 0, first.stderr
    assert "writing to p" in first.stderr
    shown = dict(line.split(maxsplit=1) for line in first.stdout.splitlines())
    kept = sorted(p.name for p in Path("p").glob("step-*"))
    assert shown["checkpoints"].split(", ") == kept
    assert len(kept) == 3
    again = json.loads(idim("pretrain", *words, *more, "--json").stdout)
    assert [Path(p).name for p in again["checkpoints"]] == kept
    assert all((Path(p) / "model.safetensors").exists() for p in again["checkpoints"])


def test_tasks_and_models_are_listed():
    assert "mrpc" in idim("tasks").stdout
    assert json.loads(idim("tasks", "--json").stdout)["mrpc"]["hub"] == "nyu-mll/glue"
    assert "lenet       Li et al.'s LeNet" in idim("models").stdout
    assert "D = 199,210" in json.loads(idim("models", "--json").stdout)["mnist-fc"]


def test_info_names_versions_devices_kernels_and_pins(monkeypatch, tmp_path):
    monkeypatch.setenv("IDIM_HOME", str(tmp_path))
    record = json.loads(idim("info", "--json").stdout)
    assert record["versions"]["python"] == sys.version.split()[0]
    assert record["devices"]["cores"] >= 1
    assert record["pins"] == str(tmp_path / "pins.json")
    on_cpu = record["kernels"]["cpu"]
    assert on_cpu.startswith(("cpu (fused C", "reference (plain torch)"))
    lines = [line.split(maxsplit=3) for line in idim("info").stdout.splitlines()]
    assert ["kernels", "on", "cpu", on_cpu] in lines


CLI = "import sys; from idim.__main__ import main; sys.argv[0] = 'idim'; main()"


def test_prefetch_asks_the_hub_only_for_what_it_has_and_once(tmp_path):
    words = ["prefetch", "--model", "roberta-base", "--task", "mrpc"]
    with serve(write_stubs(tmp_path / "hub")) as hub:
        env = hub.env(tmp_path)
        first = program(env, CLI, *words)
        assert first.returncode == 0, first.stderr
        commits = [
            hub.commit("models", "FacebookAI/roberta-base"),
            hub.commit("datasets", "nyu-mll/glue"),
        ]
        assert [line.split()[-1] for line in first.stdout.splitlines()] == commits
        assert {"model.safetensors", "mrpc/train-00000-of-00001.parquet"} <= hub.fetched()
        hub.requests.clear()
        again = json.loads(program(env, CLI, *words, "--json").stdout)
        assert [pin["commit"] for pin in again["pins"]] == commits
        assert hub.requests == []


def test_prefetch_needs_nothing_for_what_is_here():
    result = idim("prefetch", "--model", "toy", "--task", "digits")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "model toy needs nothing from the hub" in result.stderr
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
        ("estimate x --threshold 1.5", "--threshold must be at most 1, got 1.5: it is a share"),
        ("compare x --threshold 1.01", "--threshold must be at most 1, got 1.01: it is a share"),
        ("sweep --search adaptive --d 10", "an adaptive search chooses d itself; give d_min and"),
        ("prefetch --task digist", "unknown task 'digist'; did you mean 'digits'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(here, words, line):
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
def test_a_failure_is_one_line_and_its_code(placed, monkeypatch, failure, code, line):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    placed.failure = failure
    result = idim("sweep", *TOY, "--out", "o", IDIM_DEBUG="")
    last = result.stderr.splitlines()[-1]
    assert (result.exit_code, result.stdout) == (code, "")
    assert last.startswith(line)
    assert "Traceback" not in result.stderr


def test_debugging_shows_the_traceback(placed):
    placed.failure = ValueError("deep")
    done = idim("sweep", *TOY, "--out", "o", IDIM_DEBUG="1")
    assert done.exception is placed.failure


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

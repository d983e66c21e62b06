"""Every refusal is one line: what was typed, set or stored amiss, and what is said of it."""

import os
import random
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from idim.cli import app

TOY = "--model toy --task toy --steps 2"


def idim(words: list[str]) -> Result:
    return CliRunner().invoke(app, words, prog_name="idim", env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder of things that are not what is wanted."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "file").write_text("x")
    (folder / "empty").mkdir()
    os.symlink("loop", folder / "loop")
    os.mkfifo(folder / "pipe.toml")
    os.symlink("/dev/zero", folder / "zero.toml")
    (folder / "folder.toml").mkdir()
    (folder / "large.toml").write_bytes(b"#" * 2_000_000)
    (folder / "list.toml").write_text('model = ["toy"]')
    (folder / "deep.toml").write_text("d = " + "[" * 5000 + "]" * 5000)
    (folder / "digits.toml").write_text("seeds = " + "9" * 5000)
    (folder / "twice.toml").write_text("seeds = 1\nseeds = 2")
    (folder / "latin.toml").write_bytes(b'model = "\xe9"')
    (folder / "zero byte.toml").write_text('task = "a\\u0000b"\nmodel="tiny"')
    for name, text in CONFIGS.items():
        (folder / f"{name}.toml").write_text(text)
    for name, (text, _) in TASK_FILES.items():
        (folder / f"task-{name}.toml").write_text(text)
    return folder


CONFIGS = {
    "nan": "threshold = nan",
    "inf": "lr = [inf]",
    "wide": "d = [1e400]",
    "date": "seeds = 2020-01-01",
    "table": "[seeds]\nx = 1",
    "true": "seeds = true",
    "text": 'seeds = "3"',
    "no list": "d = []",
    "blank": 'model = ""',
    "mixed": "d = [1, 'a']",
    "nested": "d = [[1]]",
    "kind": "projection = ['dense']",
    "number": "warmup = 'x'",
    "unused": "d = [5]\nmax_runs = 9",
    "unknown": "lrs = 3",
}
TASK_FILES = {
    "no-columns": ('labels = ["a", "b"]', "columns is missing"),
    "number": ("columns = 3", "columns: expected a text or a list of texts, got 3"),
    "null": ('columns = "a"\nlabels = [1, 2]', "labels: expected a text or a list of texts"),
    "zero": ('columns = "a\\u0000"', "columns: expected a text"),
    "nan": ('columns = "a"\nlabel = nan', "label: expected a text, got nan"),
    "deep": ("columns = " + "[" * 3000 + "]" * 3000, "nested too deep"),
    "unknown": ('columns = "a"\ncolour = "b"', "unknown key 'colour'"),
    "one-label": ('columns = "a"\nlabels = ["x"]', "two or more different class names"),
    "shared": ('columns = "a"\ntrain = "x"\nevaluation = "x"', "'x' is in train and in eval"),
}

# what is typed, and a part of what is said
NUMBERS = {
    "--baseline": [
        ("nan", "baseline must be above 0, got nan"), ("0", "baseline must be above 0, got 0"),
        ("-1", "baseline must be above 0, got -1"), ("inf", "baseline must be at most 1, got inf"),
        ("90", "at most 1, got 90: it is a score, 0.9 and not 90"), ("own1", "'own' or a number"),
    ],
    "--threshold": [
        ("90", "at most 1, got 90: it is a share, 0.9 and not 90"), ("1e308", "threshold must be"),
        ("0", "above 0, got 0"), ("-0.9", "above 0"), ("nan", "above 0, got nan"),
        ("1e999", "at most 1, got inf"), ("1.5", "at most 1, got 1.5"),
        ("x", "threshold: expected float, got 'x'"),
        ("1_0", "expected float"), ("\u0661", "expected float"), ("0x1", "expected float"),
    ],
    "--d": [
        ("", "d is empty"), (",", "d is empty"), ("[]", "d is empty"),
        ("5,,6", "d: a value is missing between the commas of '5,,6'"),
        ("0", "d must be at least 1"), ("-5", "at least 1"), ("1" * 30, "d must be at most"),
        ("1" * 400, "d must be at most"),
        ("9" * 5000, "d: expected int"),
        ("1e3", "d: expected int, got '1e3'"), ("1.5", "expected int"), ("nan", "expected int"),
        ("1_000", "expected int"), ("\u0663", "expected int"), ("none", "int"), ("5;6", "int"),
    ],
    "--seeds": [
        ("0", "seeds must be at least 1"), ("10000000", "seeds must be at most 10,000"),
        ("-3", "at least 1"), ("1.0", "expected int"), ("", "seeds is empty"), ("nan", "int"),
        ("1e1", "int"), ("9" * 401, "expected int"),
    ],
    "--points": [("0", "at least 1"), ("99999999", "points must be at most 1,000"), ("x", "int")],
    "--max-runs": [("0", "at least 1"), ("1" * 12, "max_runs must be at most 100,000"), ("", "")],
    "--batch-size": [("0", "at least 1"), ("10000000", "batch_size must be at most"), ("-1", "1")],
    "--max-length": [("1", "at least 2"), ("100000000", "max_length must be at most"), ("x", "")],
    "--epochs": [
        ("0", "above 0"), ("1e300", "epochs must be at most"), ("nan", "above 0, got nan"),
        ("inf", "epochs must be at most"), ("-1", "above 0"), ("1e-300", "at least 1e-30"),
    ],
    "--lr": [
        ("0", "lr must be above 0"), ("nan", "above 0"), ("inf", "at most"), ("1e-320", "at least"),
        ("-1", "above 0"), ("1,nan", "above 0, got nan"), ("1e999", "at most 1e+38, got inf"),
        ("", "lr is empty"), ("1 2", "expected float"),
    ],
    "--tolerance": [("1", "above 1"), ("nan", "above 1"), ("inf", "at most"), ("0", "above 1")],
    "--train-samples": [("1", "at least 2"), ("1" * 40, "at most"), ("x", "expected int")],
    "--d-min": [("0", "at least 1"), ("1" * 40, "d_min must be at most"), ("2.5", "int")],
    "--d-max": [("0", "at least 1"), ("1" * 300, "d_max must be at most"), ("x", "int")],
    "--jobs": [
        ("0", "--jobs must be at least 1"), ("99999", "--jobs must be at most 1,024"),
        ("two", "--jobs: expected int, got 'two'"), ("", "--jobs: expected int"), ("-1", "least"),
        ("1e0", "--jobs: expected int"), ("nan", "--jobs: expected int"),
    ],
    "--out": [("", "a path is empty"), ("  ", "a path is empty")],
    "--config": [("", "a path is empty"), ("none.toml", "cannot read config 'none.toml'")],
}  # fmt: skip
WORDS = {
    "sweep --d 5 --max-runs 9": "max_runs would not be used: the search is a grid",
    "sweep --points 5 --tolerance 1.2": "tolerance would not be used",
    "sweep --d 5 lr_transfer=0.5": "lr_transfer would not be used",
    "sweep --d 5 pruning=none": "pruning would not be used",
    "sweep --search grid --max-runs 9": "max_runs would not be used",
    "sweep --lr 0.1 lr_multiples=4": "lr_multiples would not be used: lr is given",
    "sweep --lr 0.1 lr_transfer=0.5": "lr_transfer would not be used: lr is given",
    "sweep --lr 0.1 --baseline 0.9 --baseline-lr 0.1": "baseline_lr would not be used",
    "sweep said_lr=0.1": "said_lr would not be used: it is for structure said",
    "sweep momentum=0.5": "momentum would not be used: it is for optimizer sgd",
    "sweep --optimizer sgd beta2=0.9": "beta2 would not be used: optimizer sgd has momentum",
    "sweep decay_to=zero": "decay_to would not be used: it is for weight_decay above 0",
    "run --d 5 momentum=0.5": "momentum would not be used: it is for optimizer sgd",
    "run --d 5 --optimizer sgd beta2=0.9": "beta2 would not be used: optimizer sgd has momentum",
    "run --d 5 decay_to=zero": "decay_to would not be used: it is for weight_decay above 0",
    "trajectory momentum=0.5": "momentum would not be used: it is for optimizer sgd",
    "trajectory --optimizer sgd beta2=0.9": "beta2 would not be used: optimizer sgd has momentum",
    "trajectory decay_to=zero": "decay_to would not be used: it is for weight_decay above 0",
    "sweep --said-groups tensor": "said_groups would not be used",
    "sweep head_lr=0.1": "head_lr would not be used: it is for head free",
    "sweep --model toy --max-length 9": "max_length would not be used: the model reads no text",
    "sweep --model toy --train-samples 9": "train_samples would not be used: toy has no rows",
    "sweep --search adaptive --d 5": "an adaptive search chooses d itself",
    "sweep --d 5 --d-min 2": "give d, or d_min / d_max / points, not both",
    "sweep --d-min 9 --d-max 2": "d_min 9 exceeds d_max 2",
    "sweep --epochs 1 --steps 1": "give epochs or steps, not both",
    "sweep --points 900 --seeds 900": "this grid is 3,240,000 runs",
    "sweep --d 1,2 --lr 1,2 --seeds 9999 baseline_lr=1,2,3,4,5,6,7": "this grid is 109,989 runs",
    "sweep seeds=1 seeds=2": "seeds is given twice: seeds=1 and seeds=2",
    "sweep --seeds 1 seeds=2": "seeds is given twice: --seeds 1 and seeds=2",
    "sweep copies=3": "copies must be at most 2",
    "sweep copies=0": "copies must be at least 1",
    "sweep warmup=2": "warmup must be at most 1, got 2: it is a share of the steps",
    "sweep weight_decay=-1": "weight_decay must be at least 0",
    "sweep =3": "cannot read '=3'",
    "sweep seeds": "cannot read 'seeds'",
    "sweep --projection Dense": "unknown projection 'Dense'; did you mean 'dense'?",
    "sweep --head none": "unknown head 'none'",
    "sweep --device gpu": "unknown device 'gpu'",
    "sweep --dtype float16": "unknown dtype 'float16'",
    "sweep --select x": "unknown select 'x'",
    "sweep --search x": "unknown search 'x'",
    "run": "a subspace run needs d; give --d",
    "run --method full --d 5": "d would not be used: the method has no d",
    "run --d 0": "d must be at least 1",
    "run --d 5 --lr nan": "lr must be above 0, got nan",
    "run --d 5 --seed -1": "seed must be at least 0",
    "run --d 5 --seed 1e3": "seed: expected int",
    "run --d 5 --seed 99999999999999999999": "seed must be at most",
    "run --d 5 stop_at=1": "stop_at is a share",
    "run --d 5 stop_at=0": "stop_at must be above 0",
    "run --d 5 said_lr=1": "said_lr would not be used",
    "run --d 5 head_lr=1": "head_lr would not be used",
    "run --d 5,6": "d: expected int, got '5,6'",
    "run --d 5 --head x": "unknown head",
    "trajectory --jobs 0": "--jobs must be at least 1",
    "trajectory --lines none": "unknown lines",
    "trajectory --models ,": "models is empty",
    "trajectory --d 5 --max-runs 3": "max_runs would not be used",
    "trajectory pretrained=-1": "pretrained must be at least 0",
    "trajectory model=tiny": "unknown key 'model'; did you mean 'models'?",
    "pretrain --steps 0": "steps must be at least 1",
    "pretrain --lr inf": "lr must be at most",
    "pretrain --hidden-size 7": "hidden_size 7 is not a multiple of heads 4",
    "pretrain heads=0": "heads must be at least 1",
    "pretrain --layers 1000 --hidden-size 100000 heads=1": "at most 10,000,000,000",
    "pretrain mask=1": "mask is a share and must be below 1",
    "pretrain mask=0": "mask must be above 0",
    "pretrain dropout=nan": "dropout must be at least 0, got nan",
    "pretrain cloze_from=0.5": "cloze_from would not be used",
    "pretrain tokens=50": "tokens would not be used",
    "pretrain --text nowhere --tokenizer bpe paragraphs=5": "paragraphs would not be used",
    "pretrain --checkpoints 99999": "come after the last step",
    "pretrain --seed x": "seed: expected int",
    "pretrain --tokenizer none": "unknown tokenizer",
    "pretrain --text nowhere": "a text folder needs tokenizer bpe or wordpiece",
    "estimate": "missing argument 'DIR'",
    "estimate x y": "unexpected extra argument",
    "plot": "missing argument 'DIR'",
    "compare": "missing argument 'DIR...'",
    "report --out": "requires an argument",
    "prefetch": "nothing to fetch",
    "prefetch --task digist": "did you mean 'digits'",
    "tasks x": "unexpected extra argument",
    "nothing": "no such command",
    "sweep --modle x": "did you mean --model",
    "sweep --json=1": "does not take a value",
}  # fmt: skip
PLACES = {
    "file": "sweep", "loop": "", "empty": "no sweep", "nowhere": "no sweep", "a" * 300: "no sweep",
    "\udcff": "\\udcff", "esc\x1b[31m": "\\x1b[31m", "new\nline": "new\\nline",
    "bidi\u202e": "bidi\\u202e", "file/under": "", "/proc": "no sweep", "/dev/null": "",
}  # fmt: skip
CASES = [
    *(([command, flag, text], said)
      for flag, rows in NUMBERS.items() for text, said in rows
      for command in ("sweep", "trajectory") if flag != "--config" or command == "sweep"),
    *((["estimate", "x", "--threshold", text], said) for text, said in NUMBERS["--threshold"]),
    *((["compare", "x", "y", "--threshold", t], said) for t, said in NUMBERS["--threshold"]),
    *((line.split(), said) for line, said in WORDS.items()),
    *(([command, name], said) for name, said in PLACES.items()
      for command in ("estimate", "plot", "report")),
    *(([command, ""], "a path is empty") for command in ("estimate", "plot", "report", "compare")),
    *((["sweep", "--config", f"{name}.toml"], "") for name in CONFIGS),
    (["sweep", "--config", "pipe.toml"], "it is a pipe, not a file"),
    (["sweep", "--config", "zero.toml"], "it is a device, not a file"),
    (["sweep", "--config", "folder.toml"], "it is a folder, not a file"),
    (["sweep", "--config", "empty"], "it is a folder, not a file"),
    (["sweep", "--config", "loop"], "cannot read config 'loop'"),
    (["sweep", "--config", "file/x"], "Not a directory"),
    (["sweep", "--config", "a" * 300], "File name too long"),
    (["sweep", "--config", "large.toml"], "holds 2 MB; at most 1 MB are read"),
    (["sweep", "--config", "deep.toml"], "nested too deep"),
    (["sweep", "--config", "digits.toml"], "not valid TOML"),
    (["sweep", "--config", "twice.toml"], "not valid TOML"),
    (["sweep", "--config", "latin.toml"], "not valid TOML"),
    (["sweep", "--config", "list.toml"], "model: expected str, got ('toy',)"),
    (["sweep", "--config", "zero byte.toml"], "holds a zero byte"),
    *((["prefetch", "--task", f"task-{name}.toml"], said)
      for name, (_, said) in TASK_FILES.items()),
    (["prefetch", "--task", "pipe.toml"], "cannot read task file 'pipe.toml': it is a pipe"),
    (["prefetch", "--task", "large.toml"], "at most 1 MB are read"),
    (["prefetch", "--task", "gone.toml"], "cannot read task file 'gone.toml'"),
    (["prefetch", "--task", "~nobody-here/x.toml"], "cannot read task file"),
]  # fmt: skip


def is_one_line(result: Result) -> bool:
    line = result.stderr
    active = re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", line)
    return (
        result.exit_code in (1, 2)
        and result.stdout == ""
        and line.startswith("error: ")
        and line.count("\n") == 1
        and "internal" not in line
        and "Traceback" not in line
        and active is None
        and len(line) < 2100
    )


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_there_are_at_least_three_hundred_cases():
    assert len(CASES) >= 300


@pytest.mark.parametrize("part", range(8))
def test_a_refusal_is_one_line_that_says_what_is_wrong_and_leaves_nothing(place, monkeypatch, part):
    monkeypatch.chdir(place)
    before, wrong = listing(place), []
    for words, said in CASES[part::8]:
        result = idim(words)
        if not is_one_line(result) or said not in result.stderr:
            wrong.append((words, said, result.exit_code, result.stderr[:300], result.stdout[:99]))
    assert wrong == []
    assert listing(place) == before


NASTY = [
    "", " ", "0", "-1", "nan", "inf", "-inf", "1e999", "1e308", "9" * 25, "9" * 500, "1_000",
    "\u0663", "0x10", "1e-400", "true", "null", "[]", "{}", ",", ",,", "a" * 300, "\x1b[2J",
    "\u202ex", "a\nb", "\udcff", "`x`", "<b>", "../..", "/proc/self/mem", "~nobody", "%s%n", "$(x)",
    "'", '"', "\\", "hf_abcdefghijklmnop", "https://u:pass@h/x?token=abcdefgh", "=1+1", "--", "-",
    "NaN", "1e3.5",
]  # fmt: skip
FLAGS = {
    "sweep": [*NUMBERS, "--task", "--data", "--projection", "--structure", "--said-groups",
              "--norm", "--head", "--search", "--select", "--device", "--dtype", "--eval-samples"],
    "trajectory": ["--models", "--tasks", "--pretrained", "--lines", "--d", "--seeds", "--jobs"],
    "run": ["--d", "--lr", "--seed", "--method", "--steps", "--epochs", "--out", "--task"],
    "pretrain": ["--text", "--tokenizer", "--hidden-size", "--layers", "--steps", "--batch-size",
                 "--lr", "--checkpoints", "--seed", "--out"],
    "estimate": ["--threshold"], "plot": ["--out"], "report": ["--out"], "compare": ["--out"],
    "prefetch": ["--task"],
}  # fmt: skip
SECRETS = ("hf_abcdefghijklmnop", "u:pass", "=abcdefgh")


def test_no_random_option_and_value_gets_past_the_one_line(tmp_path, monkeypatch):
    """Values that may be good ones meet a wrong setting or folder too, so that nothing trains."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(12)
    wrong, last = (
        [],
        {"run": ["--d", "none"], "trajectory": ["lines=no"], "prefetch": ["--nothing"]},
    )
    for _ in range(500):
        command = draw.choice(list(FLAGS))
        words = [command, *(["nowhere"] if command in ("estimate", "plot", "report") else [])]
        words += ["nowhere", "neither"] if command == "compare" else []
        for flag in draw.sample(FLAGS[command], min(len(FLAGS[command]), draw.randint(1, 3))):
            words += [flag, draw.choice(NASTY)]
        if command in ("sweep", "run", "trajectory", "pretrain") and draw.random() < 0.3:
            words += [f"{draw.choice(['seeds', 'warmup', 'copies', 'x'])}={draw.choice(NASTY)}"]
        words += last.get(command, ["steps=0"] if command in ("sweep", "pretrain") else [])
        result = idim(words)
        if not is_one_line(result) or any(s in result.stderr for s in SECRETS):
            wrong.append((words, result.exit_code, result.stderr[:300], result.stdout[:99]))
    assert wrong == []
    assert listing(tmp_path) == []

"""The options that set a spec: one table, from which the commands' signatures are made.

An option that was not given stays out of the spec, so a `--config` file keeps its say; what was
given is passed on as text, and `config.load` parses, checks and names the nearest known value.
"""

import inspect
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from idim.cli import screen
from idim.cli.retyped import option, typed
from idim.config import (
    Conditions,
    PretrainSpec,
    RunSpec,
    SweepSpec,
    TrajectorySpec,
    parse_overrides,
)
from idim.config.checks import JOBS, SHARE, Bound, choices
from idim.config.load import parse_number
from idim.config.unused import unused
from idim.errors import IdimError
from idim.plain import brief

AnySpec = Conditions | PretrainSpec
# What the user set, by field name: the first parameter of a command with such options.
Given = dict[str, Any]


def place(text: str | Path) -> Path:
    """Read a path from the command line.

    Raises:
        IdimError: it is empty, which would be this folder.
    """
    if not str(text).strip():
        raise IdimError("a path is empty; give the name of a file or folder ('.' is this folder).")
    return Path(text)


def share(text: str) -> float:
    """Read a share of the baseline.

    Raises:
        IdimError: it is no number, or no share.
    """
    return _number("--threshold", text, float, SHARE)


def processes(text: str) -> int:
    """Read a number of processes.

    Raises:
        IdimError: it is no number, or not at least 1.
    """
    return int(_number("--jobs", text, int, JOBS))


def formats(text: str) -> tuple[str, ...]:
    """Read the kinds of file of a figure.

    Raises:
        IdimError: a kind that there is not.
    """
    from idim.report.canvas import KINDS

    kinds = tuple(dict.fromkeys(part.strip().lower().lstrip(".") for part in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise IdimError(f"--format: no figure is a {brief(kind)}; give {', '.join(KINDS)}.")
    return kinds


def _number(flag: str, text: str, kind: type, bound: Bound) -> Any:
    value = parse_number(text.strip(), kind)
    if value is None:
        raise IdimError(f"{flag}: expected {kind.__name__}, got {brief(text)}.")
    if (problem := bound.problem(flag, value)) is not None:
        raise IdimError(f"{problem}.")
    return value


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        parser=place,
        metavar="FILE",
        help="TOML file of settings; what is given here wins over it",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text")]


@dataclass(frozen=True, slots=True)
class Row:
    """One option: a field of the spec, its placeholder and its help."""

    name: str
    metavar: str
    help: str
    # Said in place of the field's own default where that is "open" (None or empty).
    default: str = ""

    @property
    def flag(self) -> str:
        """How it is written on the command line."""
        return "--" + self.name.replace("_", "-")


MEASURED = [
    Row("model", "NAME", "Hub id, local folder, or a name of `idim models`"),
    Row("task", "NAME", "A name of `idim tasks`, your own TOML file, or rows", "by model"),
    Row("data", "DIR", "The task's rows: a folder or a file of your own", "from the hub"),
    Row("train_samples", "N", "Train on N rows of a fixed shuffle", "all"),
    Row("eval_samples", "N", "Score on N rows of a fixed shuffle", "all"),
    Row("max_length", "N", "Cut texts after N tokens"),
    Row("select", "KIND", "Choose the lr on held-out training rows or on the evaluation set"),
]
METHOD = Row("method", "KIND", "What is trained; d is then its size")
SUBSPACE = [
    Row("projection", "KIND", "How P is drawn"),
    Row("structure", "KIND", "One P for all, or also a trained scale a group"),
    Row("said_groups", "KIND", "What shares one scale in said"),
    Row("norm", "KIND", "Columns of P have norm 1 overall or in each tensor"),
    Row("head", "KIND", "Train the new head inside P, beside it or not at all"),
    Row("keep_head", "", "Start from the head a fine-tuned model stores, not from a new one"),
]
GRID = [
    Row("search", "KIND", "Which runs come next; auto: grid with --d or --points, else adaptive"),
    Row("d_min", "N", "Smallest d", "by model"),
    Row("d_max", "N", "Largest d", "by model"),
    Row("tolerance", "X", "Adaptive: stop when the interval's ends are within a factor X"),
    Row("max_runs", "N", "Adaptive: stop after N runs in any case", "by model"),
    Row("d", "LIST", "Grid: subspace dimensions, e.g. 10,100,1000", "a log grid"),
    Row("points", "N", "Grid: number of d on a log grid", "by model"),
    Row(
        "lr",
        "LIST",
        "All learning rates of d; left out, first ones and more as needed",
        "1,4,16,64 x lr_full*sqrt(D/d)",
    ),
    Row(
        "seeds",
        "N",
        "Seeds of each d (adaptive: that decides); each redraws P, data order and head",
    ),
]
VERDICT = [
    Row("baseline", "own|SCORE", "Score to compare with; own: fine-tune all D first"),
    Row(
        "baseline_lr",
        "LIST",
        "First learning rates of that fine-tuning; others beyond where the best is at an end",
        "by model",
    ),
    Row(
        "threshold", "SHARE", "d90 is the least d that scores SHARE of the baseline, or of its gain"
    ),
    Row("target", "KIND", "SHARE of the score, or of its gain over chance and the untrained model"),
]
TRAINING = [
    Row("epochs", "X", "Passes over the training rows", "by model"),
    Row("steps", "N", "Optimizer steps, instead of epochs"),
    Row("batch_size", "N", "Rows a step", "by model"),
    Row("optimizer", "KIND", "What takes the steps"),
    Row("schedule", "KIND", "The learning rate after its rise"),
    Row("checkpoint", "KIND", "Score the last step, or the best end of an epoch"),
    Row("device", "KIND", "Where to train"),
    Row("dtype", "KIND", "Precision of the forward and backward pass"),
    Row("threads", "N", "Threads of a run on the CPU; they decide its bits", "by model"),
]
ONE_RUN = [
    Row("method", "KIND", "What is trained: theta_d, all D parameters, or as installed"),
    Row("d", "N", "Subspace dimension", "required by --method subspace"),
    Row("size", "N", "Size of a method of another kind", "required by it"),
    Row("lr", "X", "Learning rate"),
    Row("seed", "N", "Fixes P, data order and head"),
]

PRETRAINING = [
    Row("text", "DIR", "Folder of UTF-8 .txt files to read", "the package's own language"),
    Row("tokenizer", "KIND", "Words of the own language; trained on a text folder"),
    Row("hidden_size", "N", "Width"),
    Row("layers", "N", "Depth"),
    Row("steps", "N", "Optimizer steps"),
    Row("batch_size", "N", "Rows a step"),
    Row("lr", "X", "Highest learning rate"),
    Row("checkpoints", "LIST", "Keep the model after these steps and the last", "0,100,300,..."),
    Row("seed", "N", "Fixes text, weights, order and masks"),
]

Panels = dict[str, list[Row]]

SWEEP: Panels = {
    "Measured": [*MEASURED, METHOD],
    "Subspace": SUBSPACE,
    "Search": GRID,
    "Verdict": VERDICT,
    "Training": TRAINING,
}
RUN: Panels = {"Measured": MEASURED, "Run": ONE_RUN, "Subspace": SUBSPACE, "Training": TRAINING}
TRAJECTORY: Panels = {
    "Measured": [
        Row("models", "LIST", "Checkpoints: hub ids with @revision, folders, or a shipped family"),
        Row("tasks", "LIST", "Names of `idim tasks`", "the embedded text tasks"),
        Row("pretrained", "LIST", "Steps of pretraining behind each model", "read off its name"),
        *(row for row in MEASURED if row.name not in ("model", "task")),
    ],
    **{name: rows for name, rows in SWEEP.items() if name != "Measured"},
    "Verdict": [
        Row("lines", "KIND", "One line a task, the last checkpoint's, or each one's own"),
        *VERDICT,
    ],
}
# Fields of a spec that are never given: computed.
NOT_GIVEN: dict[type[AnySpec], set[str]] = {
    RunSpec: {"model_fingerprint", "data_fingerprint", "changed", "kernels", "stacked"},
}


def takes(
    spec: type[AnySpec], panels: Panels
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put the options of `panels` and KEY=VALUE words before a command's own parameters.

    The command receives them as its first argument: a dict of what was given, by field name.
    """
    names = [row.name for rows in panels.values() for row in rows]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(words: list[str] | None, **values: Any) -> None:
            options = {name: values.pop(name) for name in names}
            command(_merge(options, parse_overrides(words or [])), **values)

        own = list(inspect.signature(command).parameters.values())[1:]
        made = [_words(spec, names), *_parameters(spec, panels)]
        with_options.__signature__ = inspect.Signature([*made, *own])  # type: ignore[attr-defined]
        return with_options

    return decorate


def _merge(options: dict[str, str | bool | None], words: dict[str, str]) -> Given:
    given = {name: text for name, text in options.items() if text is not None}
    for name in given.keys() & words.keys():
        flag = option(Row(name, "", "").flag, given[name])
        raise IdimError(f"{name} is given twice: {flag} and {name}={words[name]}.")
    return given | words


def _parameters(spec: type[AnySpec], panels: Panels) -> list[inspect.Parameter]:
    known = {f.name: f for f in fields(spec)}
    return [
        _keyword(
            row.name,
            Annotated[
                # a flag when it may only be true or false
                bool | None if known[row.name].type is bool else str | None,
                typer.Option(
                    row.flag,
                    metavar=row.metavar or None,
                    help=_help(row, known[row.name]),
                    rich_help_panel=panel,
                ),
            ],
        )
        for panel, rows in panels.items()
        for row in rows
    ]


def _words(spec: type[AnySpec], names: list[str]) -> inspect.Parameter:
    """Build the KEY=VALUE argument; its help lists the settings that have no option."""
    left_out = {*names, *NOT_GIVEN.get(spec, ())}
    rest = [f"{f.name}={f.default}" for f in fields(spec) if f.name not in left_out]
    text = f"Any setting by its name, also those without an option: {', '.join(rest)}"
    argument = typer.Argument(metavar="KEY=VALUE", help=text, show_default=False)
    return _keyword("words", Annotated[list[str] | None, argument])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _help(row: Row, field: Field[Any]) -> str:
    text = row.help
    if (names := choices(field.type)) is not None:
        text += f": {screen.later(names)}"
    is_open = field.default in (None, (), "") or field.type is bool
    default = row.default if is_open else typed(field.default)
    return f"{text}  [default: {default}]" if default else text


def sweep(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a SweepSpec."""
    return takes(SweepSpec, SWEEP)(command)


def run(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a RunSpec."""
    return takes(RunSpec, RUN)(command)


def pretrain(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a PretrainSpec."""
    return takes(PretrainSpec, {"Pretraining": PRETRAINING})(command)


def trajectory(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a TrajectorySpec."""
    return takes(TrajectorySpec, TRAJECTORY)(command)


def command(setting: Given) -> str:
    """Write the `idim sweep` that has these settings, as a shell reads it.

    Settings at their default are left out, and those that the others leave without use, but not
    those that a recipe filled in: it may change.

    >>> command({"model": "toy", "d": (9, 10), "lr_multiples": (4.0,), "seeds": 3})
    'idim sweep --model toy --d 9,10 lr_multiples=4'
    """
    flags = {row.name: row.flag for rows in SWEEP.values() for row in rows}
    default = {f.name: f.default for f in fields(SweepSpec)}
    given = {k: v for k, v in setting.items() if k in default and v != default[k]}
    spec = SweepSpec(**{k: v for k, v in setting.items() if k in default})
    given = {k: v for k, v in given.items() if k not in unused(spec)}
    given = {"model": setting["model"]} | given
    words = [option(flags[k], v) for k, v in given.items() if k in flags]
    words += [f"{k}={typed(v)}" for k, v in given.items() if k not in flags]
    return " ".join(["idim sweep", *words])


def flags(setting: Given) -> str:
    """Write settings of the verdict as options of a command that reads a folder."""
    known = {row.name: row.flag for row in VERDICT}
    return " ".join(option(known[k], v) for k, v in setting.items() if v is not None)

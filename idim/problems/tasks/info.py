"""The tasks as data: where the rows come from, which columns are read, what is measured.

A published task is one row of `TASKS`; a user's own task is a TOML file (see `own`).  Label order,
columns and row counts of the GLUE tasks are those of the hub's `nyu-mll/glue` card.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from idim.config import slug
from idim.errors import unknown
from idim.hub.layout import form, stem
from idim.reading import expanded, is_folder

Kind = Literal["text", "image", "vector", "toy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskInfo:
    """What a task is, before a row of it has been read."""

    name: str
    kind: Kind
    about: str
    # Where the rows lie: a hub data set (and its config), or a local folder or file; neither:
    # `--data`.
    hub: str | None = None
    config: str | None = None
    data: str | None = None
    # The columns of text; none: guessed, like the label's.
    columns: tuple[str, ...] = ()
    label: str = "label"
    # Class names in the order of their codes; empty means regression.
    labels: tuple[str, ...] = ()
    # The first is the one that d90 uses; none: as the labels that are found ask for.
    metrics: tuple[str, ...] = ("accuracy",)
    # Whether the evaluation split may be held out of the training rows where it is missing.
    may_hold_out: bool = True
    # Written by the package itself, from its own language (`idim.builtin.language`).
    is_generated: bool = False
    # Names of the splits, concatenated in this order.
    train: tuple[str, ...] = ("train",)
    evaluation: tuple[str, ...] = ("validation",)
    # Published row counts by split, where known.
    rows: dict[str, int] = field(default_factory=dict, hash=False)

    @property
    def is_builtin(self) -> bool:
        """Whether the rows come with an installed package, so that no folder is read."""
        return self.is_generated or self.kind in ("toy", "vector")


_NLI = ("entailment", "neutral", "contradiction")
_SENTIMENT = ("negative", "positive")
_NUMERALS = tuple("0123456789")
_CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def _glue(
    name: str,
    about: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    rows: tuple[int, int],
    metrics: tuple[str, ...] = ("accuracy",),
    evaluation: str = "validation",
) -> TaskInfo:
    return TaskInfo(
        name=name,
        kind="text",
        about=about,
        hub="nyu-mll/glue",
        config=name,
        columns=columns,
        labels=labels,
        metrics=metrics,
        evaluation=(evaluation,),
        rows={"train": rows[0], evaluation: rows[1]},
    )


def _made(
    name: str,
    about: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    metrics: tuple[str, ...] = ("accuracy",),
) -> TaskInfo:
    return TaskInfo(
        name=name,
        kind="text",
        about=about,
        is_generated=True,
        columns=columns,
        labels=labels,
        metrics=metrics,
        rows={"train": 3000, "validation": 1000},
    )


_PAIR = ("sentence1", "sentence2")
_ALL = (
    _made(
        "paraphrase", "made: do two sentences say the same", _PAIR,
        ("not_equivalent", "equivalent"),
    ),
    _made("sentiment", "made: was the speaker pleased", ("sentence",), _SENTIMENT),
    _made(
        "entailment", "made: does a premise entail a hypothesis", ("premise", "hypothesis"), _NLI
    ),
    _made(
        "acceptability", "made: is a sentence without a flaw", ("sentence",),
        ("unacceptable", "acceptable"), ("accuracy", "mcc"),
    ),
    _glue(
        "mrpc", "do two news sentences say the same", _PAIR, ("not_equivalent", "equivalent"),
        (3668, 408), ("accuracy", "f1"),
    ),
    _glue(
        "qqp", "do two questions ask the same", ("question1", "question2"),
        ("not_duplicate", "duplicate"), (363_846, 40_430), ("accuracy", "f1"),
    ),
    _glue("sst2", "sentiment of film review sentences", ("sentence",), _SENTIMENT, (67_349, 872)),
    _glue(
        "mnli", "does a premise entail a hypothesis (matched)", ("premise", "hypothesis"), _NLI,
        (392_702, 9815), evaluation="validation_matched",
    ),
    _glue(
        "rte", "textual entailment, small", _PAIR, ("entailment", "not_entailment"), (2490, 277)
    ),
    _glue(
        "cola", "is a sentence acceptable English", ("sentence",), ("unacceptable", "acceptable"),
        (8551, 1043), ("mcc",),
    ),
    _glue(
        "qnli", "does a sentence answer a question", ("question", "sentence"),
        ("entailment", "not_entailment"), (104_743, 5463),
    ),
    _glue(
        "wnli", "Winograd sentences: what a pronoun means", _PAIR, ("not_entailment", "entailment"),
        (635, 71),
    ),
    _glue(
        "stsb", "how similar are two sentences, 0 to 5", _PAIR, (), (5749, 1500),
        ("pearson", "spearman"),
    ),
    TaskInfo(
        name="anli", kind="text", about="adversarial entailment, all three rounds",
        hub="facebook/anli", config="plain_text", columns=("premise", "hypothesis"), labels=_NLI,
        train=("train_r1", "train_r2", "train_r3"), evaluation=("dev_r1", "dev_r2", "dev_r3"),
        rows={"train_r1": 16_946, "train_r2": 45_460, "train_r3": 100_459,
              "dev_r1": 1000, "dev_r2": 1000, "dev_r3": 1200},
    ),
    TaskInfo(
        name="yelp_polarity", kind="text", about="sentiment of a Yelp review",
        hub="fancyzhx/yelp_polarity", config="plain_text", columns=("text",), labels=_SENTIMENT,
        evaluation=("test",), rows={"train": 560_000, "test": 38_000},
    ),
    TaskInfo(
        name="digits", kind="vector", about="8 x 8 handwritten digits that come with scikit-learn",
        labels=_NUMERALS, evaluation=("test",),
    ),
    TaskInfo(
        name="mnist", kind="image", about="28 x 28 handwritten digits, from --data",
        columns=("image",), labels=_NUMERALS, evaluation=("test",),
        rows={"train": 60_000, "test": 10_000},
    ),
    TaskInfo(
        name="cifar10", kind="image", about="32 x 32 colour photographs, from --data",
        columns=("image",), labels=_CIFAR10, evaluation=("test",),
        rows={"train": 50_000, "test": 10_000},
    ),
    TaskInfo(
        name="toy", kind="toy", about="Li et al.'s ten block sums: no data, d90 = 10 is known",
        metrics=("performance",), evaluation=("train",),
    ),
)  # fmt: skip
TASKS: dict[str, TaskInfo] = {task.name: task for task in _ALL}


def own_name(task: str) -> str:
    """Return what a task's file calls itself, as ids write it; empty where that leaves nothing.

    Raises:
        IdimError: a bad file.
    """
    if not task.endswith(".toml"):
        return ""
    # ids hold ASCII
    name = info(task).name.replace("/", "-")
    return slug(name) if re.search("[A-Za-z0-9]", name) else ""


def info(name: str) -> TaskInfo:
    """Return the task of a name in `TASKS`, or what a user's file is: a `.toml`, or rows.

    Raises:
        IdimError: an unknown name (with the nearest known one), or a bad file.
    """
    if name in TASKS:
        return TASKS[name]
    if name.endswith(".toml"):
        from idim.problems.tasks.own import from_file

        return from_file(expanded(name))
    if form(name) or is_folder(expanded(name)):
        return TaskInfo(
            name=stem(name) or name,
            kind="text",
            about=f"your own rows, {name}",
            data=str(expanded(name)),
            metrics=(),
        )
    raise unknown(
        "task", name, TASKS,
        hint="Your own task is a .toml file, or rows (.csv, .jsonl, .parquet), given by its path.",
    )  # fmt: skip

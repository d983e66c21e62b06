"""A user's own task: ten lines of TOML become a `TaskInfo`."""

from pathlib import Path
from typing import Any

from idim.config.load import toml
from idim.errors import IdimError, unknown
from idim.plain import brief
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.metrics import METRICS, OF_CLASSES, OF_VALUES
from idim.reading import expanded

KEYS = (
    "name", "data", "hub", "config", "columns", "label", "labels", "metric", "train", "evaluation",
)  # fmt: skip
LONGEST_NAME = 100
_LISTS = ("columns", "labels", "metric", "train", "evaluation")


def from_file(path: Path) -> TaskInfo:
    """Read a task file; relative `data` is taken from the file's folder.

    Raises:
        IdimError: a missing or malformed file, or every wrong key of it in one message.
    """
    table = toml(path, "task file")
    values, problems = _values(table)
    if not problems:
        problems = _contradictions(values)
    if problems:
        raise IdimError(f"task file '{path}': {' '.join(problems)}")
    labels = values.get("labels", ())
    data = values.get("data")
    return TaskInfo(
        name=values.get("name", path.stem),
        kind="text",
        about=f"your own task, {path}",
        hub=values.get("hub"),
        config=values.get("config"),
        data=None if data is None else str(path.parent / expanded(data)),
        columns=values["columns"],
        label=values.get("label", "label"),
        labels=labels,
        metrics=values.get("metric", ("accuracy",) if labels else ()),
        train=values.get("train", ("train",)),
        evaluation=values.get("evaluation", ("validation",)),
        may_hold_out="evaluation" not in values,
    )


def _values(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Sort the given keys into values of the right type and one sentence a problem."""
    values: dict[str, Any] = {}
    problems = []
    for key, value in table.items():
        if key not in KEYS:
            problems.append(str(unknown("key", key, KEYS)))
        elif _is_name(value):
            values[key] = (value,) if key in _LISTS else value
        elif key in _LISTS and _is_names(value):
            values[key] = tuple(value)
        else:
            wanted = "a text or a list of texts" if key in _LISTS else "a text"
            problems.append(f"{key}: expected {wanted}, got {brief(value)}.")
    return values, problems


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_name, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _contradictions(values: dict[str, Any]) -> list[str]:
    problems = []
    if "hub" in values and "data" in values:
        problems.append("give hub or data, not both (--data overrides either).")
    if len(values.get("name", "")) > LONGEST_NAME:
        problems.append(f"name stands in folders' names; {LONGEST_NAME} characters at most.")
    if "columns" not in values:
        problems.append("columns is missing: name the text column, or the two of a sentence pair.")
    shared = set(values.get("train", ("train",))) & set(values.get("evaluation", ("validation",)))
    if shared:
        problems.append(f"'{min(shared)}' is in train and in evaluation; scores need unseen rows.")
    if values.get("label", "label") in values.get("columns", ()):
        problems.append("label is one of the text columns; a model would read the answer.")
    labels = values.get("labels", ())
    if labels and (len(labels) < 2 or len(set(labels)) < len(labels)):
        problems.append("labels needs two or more different class names.")
    return problems + _metric_problems(values.get("metric", ()), labels)


def _metric_problems(metrics: tuple[str, ...], labels: tuple[str, ...]) -> list[str]:
    known = [name for name in METRICS if name != "performance"]
    problems = [str(unknown("metric", m, known)) for m in metrics if m not in known]
    for metric in metrics:
        if metric in OF_VALUES and (labels or set(metrics) & OF_CLASSES):
            problems.append(f"{metric} is for regression: leave out labels, or use accuracy.")
        elif metric == "f1" and labels and len(labels) != 2:
            problems.append(f"f1 is for two classes, got {len(labels)} labels; use macro_f1.")
    if metrics[:1] == ("rmse",):
        problems.append(
            "rmse falls as a model gets better, and d90 needs a metric that rises: put pearson or "
            "spearman first, rmse after it."
        )
    return problems

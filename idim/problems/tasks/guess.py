"""What a task leaves open, found in its training rows, and said: columns, classes, metrics.

By fixed rules over names and values, so that the same rows always make the same task; what is not
plain is refused in one line that says how to say it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from idim.errors import IdimError
from idim.problems.tasks import read
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.metrics import OF_CLASSES
from idim.problems.tasks.tables import Table, few

# Names of columns, the usual one first.
_LABELS = (
    "label", "labels", "target", "class", "category", "gold_label", "is_duplicate", "quality",
    "sentiment", "emotion", "intent", "topic", "score", "rating", "stars", "y",
)  # fmt: skip
_PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("question", "sentence"), ("text1", "text2"), ("text_a", "text_b"), ("#1 string", "#2 string"),
)  # fmt: skip
_SINGLES = ("text", "sentence", "review", "content", "comment", "tweet", "body", "document")
# Rows that a column is judged by.
_SAMPLE = 200
# More different whole numbers than this are values, not classes.
_MOST_CODES = 20
_MOST_NAMES = 1000
_HOW = "say which in a task file (.toml): columns = [...], label = ..."


def columns(task: TaskInfo, tables: Sequence[Table], notes: list[str]) -> TaskInfo:
    """Find a task's text columns and label by their names, else by what stands in them.

    Raises:
        IdimError: none, or too many, can be meant.
    """
    if task.columns:
        return task
    first = tables[0]
    sample = {n: list(islice(_filled(v), _SAMPLE)) for n, v in first.columns.items()}
    label = _label(first, sample)
    texts = _texts(first, {n: v for n, v in sample.items() if n != label})
    read_as = f"'{texts[0]}'" if len(texts) == 1 else f"the pair '{texts[0]}', '{texts[1]}'"
    notes.append(f"columns by guess: the text is {read_as}, the label '{label}'.")
    return replace(task, columns=texts, label=label)


def _filled(values: list[Any]) -> Iterator[Any]:
    return (v for v in values if v is not None)


def _label(table: Table, sample: dict[str, list[Any]]) -> str:
    by_name = _by_name(sample)
    found = [by_name[name] for name in _LABELS if name in by_name] or list(table.names)
    if not found:
        raise IdimError(
            f"'{table.path}' has no column called label; its columns are {few(list(sample))}; "
            f"{_HOW}."
        )
    return found[0]


def _texts(table: Table, sample: dict[str, list[Any]]) -> tuple[str, ...]:
    by_name = _by_name(sample)
    for names in (*_PAIRS, *((name,) for name in _SINGLES)):
        if all(name in by_name for name in names):
            return tuple(by_name[name] for name in names)
    found = tuple(name for name, values in sample.items() if _is_prose(values))
    if len(found) in (1, 2):
        return found
    told = f"{len(found)} columns of text ({few(list(found))})" if found else "no column of text"
    lists = any(isinstance(value, list | dict) for values in sample.values() for value in values)
    why = f" ({read.ONE_LABEL})" if lists else ""
    raise IdimError(f"'{table.path}' has {told}; one is wanted, or two; {_HOW}.{why}")


def _by_name(sample: dict[str, list[Any]]) -> dict[str, str]:
    """Map columns in small letters to what they are; one that is so written comes first."""
    return {name.lower(): name for name in reversed(sample)} | {name: name for name in sample}


def _is_prose(values: list[Any]) -> bool:
    """Whether half of the values are texts of two words or more."""
    spoken = sum(isinstance(value, str) and " " in value.strip() for value in values)
    return 2 * spoken >= len(values) > 0


def labels(
    task: TaskInfo,
    tables: Sequence[Table],
    classes: tuple[str, ...],
    notes: list[str],
    *,
    codes: bool,
) -> TaskInfo:
    """Find the classes of a task that gives none, or that it is a regression.

    Args:
        task: with its columns.
        tables: the training rows.
        classes: names that the data set's card gives the label's codes.
        notes: told what is found.
        codes: whether up to 20 different whole numbers are classes; else they are values.

    Raises:
        IdimError: so many different texts that they are no classes, or lists.
    """
    asked = bool(set(task.metrics) & OF_CLASSES)
    if task.labels or (task.metrics and not asked):
        return task
    names = tables[0].names.get(task.label) or classes or _found(task, tables, asked or codes)
    if names:
        notes.append(f"classes by guess, from the training rows: {few([*names])}.")
    else:
        notes.append(
            f"'{task.label}' is a number by guess, from the training rows, and no class: a "
            "regression (labels = [...] in a task file makes it classes)."
        )
    if len(names) == 1:
        raise IdimError(
            f"'{tables[0].path}': every training row has the label {names[0]}; there is nothing "
            "to learn."
        )
    if names and "f1" in task.metrics and len(names) != 2:
        raise IdimError(f"f1 is for two classes, {len(names)} were found; use macro_f1.")
    own = ("accuracy", "macro_f1") if names else ("pearson", "spearman", "rmse")
    if not codes:  # a task file: as one that names them
        own = own[:1]
    return replace(task, labels=names, metrics=task.metrics or own)


def _found(task: TaskInfo, tables: Sequence[Table], codes: bool) -> tuple[str, ...]:
    """List the different labels: whole numbers in order, else names; none: they are values."""
    for rows in tables:
        read.refuse_lists(task.label, rows)
    for rows in tables:
        read.refuse_no_label(task.label, rows)
    values = [str(v).strip() for rows in tables for v in rows.columns[task.label]]
    different = set(values)
    if {name.lower() for name in different} <= {"true", "false"}:
        return ("False", "True")
    whole = {read.whole_number(name) for name in different}
    if read.numerals(sorted(whole)):
        many = len(whole) > _MOST_CODES
        # a row of -1 is unlabelled, but where it makes the second class
        classes = whole - {"-1"} if len(whole) != 2 else whole
        return () if many or not codes else tuple(sorted(classes, key=_in_order))
    if all(map(_is_number, different)):
        return ()
    if len(different) > min(_MOST_NAMES, max(_MOST_CODES, len(values) // 2)):
        raise IdimError(
            f"'{tables[0].path}': column '{task.label}' has {len(different):,} different texts in "
            f"{len(values):,} rows, which are no classes; {read.ONE_LABEL}."
        )
    return tuple(sorted(different))


def _in_order(whole: str) -> tuple[int, str]:
    """Order by value, and 1 before 01: a set lists what ties otherwise in each process."""
    return int(whole), whole


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

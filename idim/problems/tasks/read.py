"""Columns to texts and targets, with each row checked: an error names file and row.

ClassLabel names survive: parquet and Arrow files of `datasets` carry them in their schema, and a
card may give them for CSV and JSON.
"""

import math
import re
import reprlib
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from idim.errors import IdimError
from idim.problems.tasks import glue
from idim.problems.tasks.data import Split
from idim.problems.tasks.formats import table
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.tables import Table

# Values are trained on and scored as float32.
LARGEST = float(np.finfo(np.float32).max)
ONE_LABEL = (
    "token, multi-label and sequence-to-sequence tasks are not measured: a row has one or two "
    "texts and one class, or one number"
)


def tables(
    task: TaskInfo, split: str, files: Sequence[Path], notes: list[str], separator: str = ""
) -> list[Table]:
    """Read the files of one split of a text task: what the task names, or all columns.

    Raises:
        IdimError: a malformed or empty file, or a missing column.
    """
    wanted = [*task.columns, task.label] if task.columns else []
    if len(files) == 2 and files[0].suffix == ".txt":
        return [_mrpc(task, split, files[0], files[1])]
    found = [table(task, file, wanted, separator) for file in files]
    notes += [
        f"{rows.short:,} row(s) of '{rows.path.name}' lack cells and are left out, as the hub does."
        for rows in found
        if rows.short
    ]
    return found


def _mrpc(task: TaskInfo, split: str, rows: Path, held: Path) -> Table:
    """Read MRPC's training file without the pairs that GLUE held out, or these alone."""
    pairs = glue.held_ids(held)
    wanted = [*task.columns, task.label]
    whole = table(task, rows, [*wanted, *glue.MRPC_ID])
    ids = zip(*(whole.columns[name] for name in glue.MRPC_ID), strict=True)
    kept = [(pair in pairs) != (split == "train") for pair in ids]
    if not any(kept):
        raise IdimError(f"'{held}' holds no pair of '{rows}', or all of them.")
    return Table(rows, {name: list(compress(whole.columns[name], kept)) for name in wanted})


def texts(task: TaskInfo, rows: Table, classes: tuple[str, ...] = ()) -> Split:
    """Turn a table into inputs and targets: of more than two texts, all but the first are joined.

    Args:
        task: with columns, label and labels known.
        rows: has these columns.
        classes: names of the label's codes, where the file itself does not say them.

    Raises:
        IdimError: a bad row.
    """
    for name in task.columns:
        for i, value in enumerate(rows.columns[name]):
            if not _is_text(value):
                why = f"; {ONE_LABEL}" if isinstance(value, list | dict) else ""
                told = f"has {reprlib.repr(value)} in column '{name}', not text{why}"
                raise bad_row(rows, i, told)
    columns = [rows.columns[name] for name in task.columns]
    if len(columns) > 2:
        columns = [columns[0], [" ".join(rest) for rest in zip(*columns[1:], strict=True)]]
    return Split(list(zip(*columns, strict=True)), targets(task, rows, classes))


def _is_text(value: Any) -> bool:
    """Whether a tokenizer can read it; JSON may escape half of a surrogate pair."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def targets(task: TaskInfo, rows: Table, classes: tuple[str, ...] = ()) -> np.ndarray:
    """Turn the label column into class codes, or into values for regression."""
    values = rows.columns[task.label]
    refuse_lists(task.label, rows)
    if not task.labels:
        return np.array([_number(rows, i, v) for i, v in enumerate(values)], dtype=np.float32)
    codes = _codes(task, rows, classes)
    spelled = [str(value).strip() for value in values]
    known = {value: _code(codes, value) for value in set(spelled)}
    found = [known[value] for value in spelled]
    for i, code in enumerate(found):
        if code is None:
            raise _bad_label(task, rows, i)
    return np.array(found, dtype=np.int64)


def refuse_lists(label: str, rows: Table) -> None:
    """Refuse a row with several labels."""
    for i, value in enumerate(rows.columns[label]):
        if isinstance(value, list | dict):
            raise bad_row(rows, i, f"has {reprlib.repr(value)} as its label; {ONE_LABEL}")


def refuse_no_label(label: str, rows: Table) -> None:
    """Refuse a row without a label, which would make a class of its own."""
    for i, value in enumerate(rows.columns[label]):
        if value is None or value != value or not str(value).strip():
            raise bad_row(rows, i, f"has no label: {reprlib.repr(value)} in column '{label}'")


def _codes(task: TaskInfo, rows: Table, classes: tuple[str, ...]) -> dict[str, int]:
    """Map each spelling of a label that the file may use to its class code."""
    names = {name: i for i, name in enumerate(task.labels)}
    positions = {str(i): i for i in range(len(task.labels))}
    declared = rows.names.get(task.label) or classes
    truths = {name.lower(): i for name, i in names.items()}
    if set(truths) == {"true", "false"}:  # a Boolean is meant by name, whatever the order
        return positions | truths | names
    if not declared:
        # a name that is a number would be taken for a place, of another class
        is_number = numerals(task.labels) or positions.keys() & names.keys()
        return names if is_number else positions | names
    if set(declared) == set(names):  # by name: the file may order its classes otherwise
        return names | {str(i): names[name] for i, name in enumerate(declared)}
    if numerals(declared) and len(declared) == len(names):
        return positions  # names like '0' and '1' say nothing
    raise IdimError(
        f"'{rows.path}' names its labels {', '.join(declared)}; task '{task.name}' wants "
        f"{', '.join(task.labels)}."
    )


def _code(codes: dict[str, int], spelled: str) -> int | None:
    """Look up a label as it is spelled, then as a Boolean, then as a whole number."""
    names = (spelled, spelled.lower(), whole_number(spelled))
    return next((codes[name] for name in names if name in codes), None)


def whole_number(spelled: str) -> str:
    """Write a Boolean or a number without a fraction as a whole number; others stay.

    >>> whole_number("True"), whole_number("3.0"), whole_number("3.5"), whole_number("+1")
    ('1', '3', '3.5', '1')
    """
    truth = {"true": "1", "false": "0"}.get(spelled.lower())
    return truth or re.sub(r"(?<=\d)\.0+$", "", re.sub(r"^\+(?=\d)", "", spelled))


def numerals(names: Sequence[str]) -> bool:
    """Whether all names are whole numbers, written out."""
    return all(re.fullmatch("-?[0-9]+", name) for name in names)


def _number(rows: Table, i: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise bad_row(rows, i, f"has label {reprlib.repr(value)} where a number is wanted")
    return number


def _bad_label(task: TaskInfo, rows: Table, i: int) -> IdimError:
    value = rows.columns[task.label][i]
    if re.fullmatch(r"-1(\.0+)?", str(value).strip()):
        told = "has label -1, an unlabelled row; remove it or name another split"
        return bad_row(rows, i, f"{told} (if it is a class, put it into labels in a task file)")
    known = ", ".join(task.labels)
    by_code = "" if numerals(task.labels) else f" or 0 to {len(task.labels) - 1}"
    return bad_row(
        rows, i, f"has label {reprlib.repr(value)}; task '{task.name}' wants {known}{by_code}"
    )


def bad_row(rows: Table, i: int, what: str) -> IdimError:
    """Build the error for one row."""
    return IdimError(f"'{rows.path}': row {i + 1} {what}.")

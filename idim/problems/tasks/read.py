"""Data files to splits, with each row checked.

Parquet goes through pyarrow, JSON and CSV through the standard library.  The `datasets` library
would read the same files, but copies them into its arrow cache, costs 1.4 s to import in each
worker, and answers a bad row with a stack of exceptions; here an error can name file and row.
ClassLabel names survive: the hub's parquet files carry them in their schema.
"""

import csv
import json
import math
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idim import reading
from idim.errors import IdimError, unreadable
from idim.problems.tasks.data import Split, concatenate
from idim.problems.tasks.info import TaskInfo

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one file; `classes` are the label names that the file itself declares."""

    path: Path
    columns: Columns
    classes: tuple[str, ...] = ()


def texts(task: TaskInfo, files: tuple[Path, ...]) -> Split:
    """Read and join the files of one split of a text task.

    Raises:
        IdimError: a malformed or empty file, a missing column, or a bad row.
    """
    return concatenate([_texts(task, table(task, file, task.columns)) for file in files])


def _texts(task: TaskInfo, rows: Table) -> Split:
    for name in task.columns:
        for i, value in enumerate(rows.columns[name]):
            if not _is_text(value):
                raise _bad_row(rows, i, f"has {reprlib.repr(value)} in column '{name}', not text")
    columns = [rows.columns[name] for name in task.columns]
    return Split(list(zip(*columns, strict=True)), targets(task, rows))


def _is_text(value: Any) -> bool:
    """Whether a tokenizer can read it; JSON may escape half of a surrogate pair."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def table(task: TaskInfo, path: Path, columns: tuple[str, ...]) -> Table:
    """Read the given columns and the label of one file."""
    wanted = [*columns, task.label]
    if reading.check(path, reading.ROWS) == 0:
        raise IdimError(f"'{path}' is empty.")
    try:
        rows = _READERS[path.suffix](path, wanted, task.label)
    except OSError as e:
        raise unreadable(f"'{path}'", e) from None
    except UnicodeDecodeError as e:
        raise _malformed(path, f"not UTF-8 text at byte {e.start}") from None
    if not rows.columns[task.label]:
        raise IdimError(f"'{path}' has no rows.")
    return rows


def targets(task: TaskInfo, rows: Table) -> np.ndarray:
    """Turn the label column into class codes, or into values for regression."""
    values = rows.columns[task.label]
    if not task.labels:
        return np.array([_number(rows, i, v) for i, v in enumerate(values)], dtype=np.float32)
    codes = _codes(task, rows)
    found = [codes.get(_spelling(value)) for value in values]
    for i, code in enumerate(found):
        if code is None:
            raise _bad_label(task, rows, i)
    return np.array(found, dtype=np.int64)


def _codes(task: TaskInfo, rows: Table) -> dict[str, int]:
    """Map each spelling of a label that the file may use to its class code."""
    names = {name: i for i, name in enumerate(task.labels)}
    positions = {str(i): i for i in range(len(task.labels))}
    if not rows.classes:
        return names if _numerals(task.labels) else positions | names
    if set(rows.classes) == set(names):  # by name: the file may order its classes otherwise
        return {str(i): names[name] for i, name in enumerate(rows.classes)}
    if _numerals(rows.classes) and len(rows.classes) == len(names):
        return positions  # names like '0' and '1' say nothing
    raise IdimError(
        f"'{rows.path}' names its labels {', '.join(rows.classes)}; task '{task.name}' wants "
        f"{', '.join(task.labels)}."
    )


def _numerals(names: tuple[str, ...]) -> bool:
    return all(name.lstrip("-").isdigit() for name in names)


def _spelling(value: Any) -> str:
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return str(value).strip()


def _number(rows: Table, i: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _bad_row(rows, i, f"has label {reprlib.repr(value)} where a number is wanted")
    return number


def _bad_label(task: TaskInfo, rows: Table, i: int) -> IdimError:
    value = rows.columns[task.label][i]
    if _spelling(value) == "-1":
        return _bad_row(rows, i, "has label -1, an unlabelled row; remove it or name another split")
    known = ", ".join(task.labels)
    by_code = "" if _numerals(task.labels) else f" or 0 to {len(task.labels) - 1}"
    return _bad_row(
        rows, i, f"has label {reprlib.repr(value)}; task '{task.name}' wants {known}{by_code}"
    )


def _bad_row(rows: Table, i: int, what: str) -> IdimError:
    return IdimError(f"'{rows.path}': row {i + 1} {what}.")


def _malformed(path: Path, why: str) -> IdimError:
    with reading.opened(path) as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            return IdimError(f"'{path}' is a Git LFS pointer, not the data; run 'git lfs pull'.")
    return IdimError(f"'{path}' is not a good {path.suffix} file: {why.strip().rstrip('.')}.")


def _check_columns(path: Path, wanted: list[str], there: list[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise IdimError(f"'{path}' has no column '{missing[0]}'; its columns are {_few(there)}.")


def _few(names: list[str]) -> str:
    return ", ".join([*names[:20], *["..."] * (len(names) > 20)]) or "none"


def _parquet(path: Path, wanted: list[str], label: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_columns(path, wanted, schema.names)
            columns = _columns(path, file, wanted)
    except (pa.ArrowException, OSError, RecursionError) as e:
        raise _malformed(path, (str(e).splitlines() or ["no reason given"])[0]) from None
    except MemoryError:
        raise reading.too_large(f"'{path}'", reading.ROWS, "unpacks to more") from None
    return Table(path, columns, _classes((schema.metadata or {}).get(b"huggingface"), label))


def _columns(path: Path, file: Any, wanted: list[str]) -> Columns:
    """Read columns part by part: a few kB of parquet may unpack to more than there is memory."""
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    chunks = [g.column(i) for g in groups for i in range(g.num_columns)]
    most = max((c.total_uncompressed_size for c in chunks if _top(c) in wanted), default=0)
    columns: Columns = {name: [] for name in wanted}
    left = reading.ROWS
    # a value that stands once in a dictionary may fill every row: no batch can be far too large
    for batch in file.iter_batches(
        max(256, min(8192, reading.ROWS // max(most, 1))), columns=wanted
    ):
        left -= batch.nbytes
        if left < 0:
            raise reading.too_large(f"'{path}'", reading.ROWS, "unpacks to more")
        for name, values in batch.to_pydict().items():
            columns[name] += values
    return columns


def _top(chunk: Any) -> str:
    return chunk.path_in_schema.partition(".")[0]


def _classes(metadata: bytes | None, label: str) -> tuple[str, ...]:
    """Return the ClassLabel names that the `datasets` library wrote into the schema."""
    try:
        names = json.loads(metadata or b"{}")["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _jsonl(path: Path, wanted: list[str], label: str) -> Table:
    lines = enumerate(reading.lines(path), 1)
    rows = [_parse(path, line.rstrip(), i) for i, line in lines if line.strip()]
    return _from_rows(path, wanted, rows)


def _json(path: Path, wanted: list[str], label: str) -> Table:
    """Read a list of objects, or else one object a line."""
    with reading.opened(path) as file:
        is_list = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    if not is_list:
        return _jsonl(path, wanted, label)
    whole = reading.content(path, reading.LIST).decode("utf-8-sig")
    return _from_rows(path, wanted, _parse(path, whole, 1))


def _parse(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        at = line + getattr(e, "lineno", 1) - 1
        raise _malformed(path, f"line {at}: {getattr(e, 'msg', e)}") from None


def _from_rows(path: Path, wanted: list[str], rows: list[Any]) -> Table:
    for i, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise _malformed(path, f"row {i} is not an object with named columns")
    if rows:
        _check_columns(path, wanted, list(rows[0]))
    return Table(path, {name: [row.get(name) for row in rows] for name in wanted})


def _csv(path: Path, wanted: list[str], label: str) -> Table:
    # Strict: an unclosed quote is an error, not a cell that swallows the rest of the file.
    return _delimited(path, wanted, delimiter=",", strict=True)


def _tsv(path: Path, wanted: list[str], label: str) -> Table:
    # GLUE's files do not quote: a lone quotation mark is part of the sentence.
    return _delimited(path, wanted, delimiter="\t", quoting=csv.QUOTE_NONE)


def _delimited(path: Path, wanted: list[str], **dialect: Any) -> Table:
    lines = csv.reader(reading.lines(path), **dialect)
    try:
        header = next(lines, [])
        _check_columns(path, wanted, header)
        rows = list(_cells(path, header, lines))
    except csv.Error as e:
        raise _malformed(path, f"line {lines.line_num}: {e}") from None
    return Table(path, {name: [row[header.index(name)] for row in rows] for name in wanted})


def _cells(path: Path, header: list[str], lines: Iterator[list[str]]) -> Iterator[list[str]]:
    for i, cells in enumerate((cells for cells in lines if cells), 1):
        if len(cells) != len(header):
            raise _malformed(path, f"row {i} has {len(cells)} cells, the header {len(header)}")
        yield cells


_READERS = {".parquet": _parquet, ".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _tsv}

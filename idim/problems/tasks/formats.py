"""A file of rows to columns, of whatever format, within bounds.

Parquet and Arrow (also what `save_to_disk` wrote) go through the builders of the `datasets`
library, streaming: no copy in its cache, none that could be stale, and the temporary folder it
asks for is gone when the file is read.  JSON and CSV go through the standard library line by line,
since `datasets` 5.2, tried on the same files, changed rows in silence: a CSV row with a cell too
few got an empty text, one cell too many in every row moved all columns by one, a JSON text
"2020-01-01" became "2020-01-01 00:00:00", and one number among the texts put all others into
quotation marks.  Of 100,000 pairs it reads CSV in 0.4 s and JSON in 0.3 s, this 0.55 s and 0.65 s;
parquet takes 0.35 s through it and 0.3 s without, and its import 1.4 s once a process.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from idim import reading
from idim.errors import IdimError, unreadable
from idim.hub.layout import form
from idim.problems.tasks import columnar, glue
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.tables import Table, check_columns, malformed


def table(
    task: TaskInfo,
    path: Path,
    wanted: Iterable[str] = (),
    separator: str = "",
    most: int = reading.ROWS,
) -> Table:
    """Read the given columns of one file, or all of them.

    Args:
        task: which downloads of GLUE's it may be.
        path: the file.
        wanted: names of columns; none: all.
        separator: between the cells of a CSV file; empty: a comma.
        most: bytes that it may hold, also once unpacked; of one JSON list, a quarter of them.

    Raises:
        IdimError: it is malformed, empty or too large, or a column is missing.
    """
    if reading.check(path, most) == 0:
        raise IdimError(f"'{path}' is empty.")
    reader = _READERS[form(path.name) or path.suffix]
    if separator and reader is _csv:
        reader = partial(_csv, separator=separator)
    try:
        found = reader(task, path, list(wanted), most)
    except OSError as e:
        raise unreadable(f"'{path}'", e) from None
    except UnicodeDecodeError as e:
        raise malformed(path, f"not UTF-8 text at byte {e.start}") from None
    if not any(found.columns.values()):
        raise IdimError(f"'{path}' has no rows.")
    return found


def _jsonl(task: TaskInfo, path: Path, wanted: list[str], most: int) -> Table:
    lines = enumerate(reading.lines(path, whole=most), 1)
    rows = [_parse(path, line.rstrip(), i) for i, line in lines if line.strip()]
    return _from_rows(path, wanted, rows)


def _json(task: TaskInfo, path: Path, wanted: list[str], most: int) -> Table:
    """Read a list of objects, or else one object a line."""
    with reading.stream(path) as file:
        is_list = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    if not is_list:
        return _jsonl(task, path, wanted, most)
    whole = reading.unpacked(path, most // reading.LIST_SHARE).decode("utf-8-sig")
    return _from_rows(path, wanted, _parse(path, whole, 1))


def _parse(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        at = line + getattr(e, "lineno", 1) - 1
        raise malformed(path, f"line {at}: {getattr(e, 'msg', e)}") from None


def _from_rows(path: Path, wanted: list[str], rows: list[Any]) -> Table:
    for i, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise malformed(path, f"row {i} is not an object with named columns")
    if rows:
        check_columns(path, wanted, list(rows[0]))
    names = wanted or (list(rows[0]) if rows else [])
    return Table(path, {name: [row.get(name) for row in rows] for name in names})


def _csv(task: TaskInfo, path: Path, wanted: list[str], most: int, separator: str = ",") -> Table:
    # Strict: an unclosed quote is an error, not a cell that swallows the rest of the file.
    return _delimited(task, path, wanted, most, delimiter=separator, strict=True)


def _tsv(task: TaskInfo, path: Path, wanted: list[str], most: int) -> Table:
    # GLUE's files do not quote: a lone quotation mark is part of the sentence.
    return _delimited(task, path, wanted, most, delimiter="\t", quoting=csv.QUOTE_NONE)


def _delimited(task: TaskInfo, path: Path, wanted: list[str], most: int, **dialect: Any) -> Table:
    csv.field_size_limit(reading.ROW)  # Python's own is 131,072 characters
    lines = csv.reader(reading.lines(path, whole=most), **dialect)
    try:
        first = next(lines, [])
        header = glue.header(task, first) or first
        names = glue.renamed(task, header)
        wanted = wanted or header
        check_columns(path, [names.get(name, name) for name in wanted], header)
        rows = [first] if header is not first else []
        rows += _cells(path, header, lines, skip=glue.drops_short_rows(task))
    except csv.Error as e:
        raise malformed(path, f"line {lines.line_num}: {e}") from None
    whole = [row for row in rows if row]
    at = {name: header.index(names.get(name, name)) for name in wanted}
    columns = {name: [row[i] for row in whole] for name, i in at.items()}
    return Table(path, columns, short=len(rows) - len(whole))


def _cells(
    path: Path, header: list[str], lines: Iterator[list[str]], *, skip: bool
) -> Iterator[list[str]]:
    """Yield rows as long as the header, an empty one for each shorter one that is skipped."""
    for i, cells in enumerate((cells for cells in lines if cells), 1):
        if skip and len(cells) < len(header):
            yield []
        elif len(cells) != len(header):
            raise malformed(path, f"row {i} has {len(cells)} cells, the header {len(header)}")
        else:
            yield cells


_READERS: dict[str, Callable[[TaskInfo, Path, list[str], int], Table]] = {
    ".parquet": lambda _, path, wanted, most: columnar.parquet(path, wanted, most),
    ".arrow": lambda _, path, wanted, most: columnar.arrow(path, wanted, most),
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _tsv,
}

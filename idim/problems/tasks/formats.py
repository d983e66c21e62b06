"""A file of rows to columns, of whatever format, within bounds.

Parquet and Arrow (also what `save_to_disk` wrote) go through the builders of the `datasets`
library, streaming: no copy in its cache, none that could be stale, and the temporary folder it
asks for is gone when the file is read.  JSON and CSV go through the standard library line by line,
since `datasets` 5.2, tried on the same files, changed rows in silence: a CSV row with a cell too
few got an empty text, one cell too many in every row moved all columns by one, a JSON text
"2020-01-01" became "2020-01-01 00:00:00", and one number among the texts put all others into
quotation marks.  100,000 pairs: parquet 0.24 s (pyarrow alone 0.23 s, and 1.4 s once a process to
import `datasets`), CSV 0.4 s against 0.8 s here, JSON 0.3 s against 1.0 s; right comes first.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from idim import reading
from idim.errors import IdimError, unreadable
from idim.hub.layout import form
from idim.problems.tasks import glue
from idim.problems.tasks.info import TaskInfo

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one file, and what it says of them."""

    path: Path
    columns: Columns
    # Rows that lacked cells and were left out.
    short: int = 0
    # By column: the names of its classes, in a file that declares them.
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)


def table(task: TaskInfo, path: Path, wanted: Iterable[str] = (), separator: str = "") -> Table:
    """Read the given columns of one file, or all of them.

    Args:
        task: which downloads of GLUE's it may be.
        path: the file.
        wanted: names of columns; none: all.
        separator: between the cells of a CSV file; empty: a comma.

    Raises:
        IdimError: it is malformed, empty or too large, or a column is missing.
    """
    if reading.check(path, reading.ROWS) == 0:
        raise IdimError(f"'{path}' is empty.")
    reader = _READERS[form(path.name) or path.suffix]
    if separator and reader is _csv:
        reader = partial(_csv, separator=separator)
    try:
        found = reader(task, path, list(wanted))
    except OSError as e:
        raise unreadable(f"'{path}'", e) from None
    except UnicodeDecodeError as e:
        raise malformed(path, f"not UTF-8 text at byte {e.start}") from None
    if not any(found.columns.values()):
        raise IdimError(f"'{path}' has no rows.")
    return found


def malformed(path: Path, why: str) -> IdimError:
    """Build the error for a file that is not what its name says."""
    with reading.opened(path) as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            return IdimError(f"'{path}' is a Git LFS pointer, not the data; run 'git lfs pull'.")
    kind = form(path.name) or path.suffix
    return IdimError(f"'{path}' is not a good {kind} file: {why.strip().rstrip('.')}.")


def _check_columns(path: Path, wanted: list[str], there: list[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise IdimError(f"'{path}' has no column '{missing[0]}'; its columns are {few(there)}.")


def few(names: list[str]) -> str:
    """Write up to 20 names."""
    return ", ".join([*names[:20], *["..."] * (len(names) > 20)]) or "none"


# Columns as they lie on disk


def _parquet(task: TaskInfo, path: Path, wanted: list[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features
    from datasets.packaged_modules.parquet.parquet import Parquet

    with _one_line(path):
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_columns(path, wanted, schema.names)
            wanted = wanted or schema.names
            size = _measured(path, file, wanted)
        # of what is read only: a map or a union elsewhere in the file is nothing to `datasets`
        read = pa.schema([schema.field(name) for name in wanted], schema.metadata)
        features = Features.from_arrow_schema(read)
        made = {"columns": wanted, "batch_size": size, "features": features}
        return _streamed(path, Parquet, wanted, size, made)


def _measured(path: Path, file: Any, wanted: list[str]) -> int:
    """Return how many rows to read at once, once all are seen to unpack to no more than is read.

    `datasets` unpacks a whole row group, and a few kB may unpack to more than there is memory.
    """
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    chunks = [g.column(i) for g in groups for i in range(g.num_columns)]
    most = max((c.total_uncompressed_size for c in chunks if _top(c) in wanted), default=0)
    # a value that stands once in a dictionary may fill every row: no batch can be far too large
    size = max(256, min(8192, reading.ROWS // max(most, 1)))
    left = reading.ROWS
    for batch in file.iter_batches(size, columns=wanted):
        left = _less(path, left, batch.nbytes)
    return size


def _top(chunk: Any) -> str:
    return chunk.path_in_schema.partition(".")[0]


def _less(path: Path, left: int, count: int) -> int:
    if count > left:
        raise reading.too_large(f"'{path}'", reading.ROWS, "unpacks to more")
    return left - count


def _arrow(task: TaskInfo, path: Path, wanted: list[str]) -> Table:
    import pyarrow as pa
    from datasets.packaged_modules.arrow.arrow import Arrow

    with _one_line(path):
        with pa.memory_map(str(path)) as file:
            packed = any(map(_is_packed, _messages(file)))
        if packed:  # a few kB may say that they unpack to any size
            raise malformed(path, "its buffers are compressed; save it as parquet")
        return _streamed(path, Arrow, wanted, 8192, {})


def _messages(file: Any) -> Iterator[bytes]:
    """Yield the head of each message; the file format is a stream behind eight bytes."""
    import pyarrow as pa

    file.seek(8 if file.read(6) == b"ARROW1" else 0)
    for message in pa.MessageReader.open_stream(file):
        yield message.metadata.to_pybytes()


def _is_packed(head: bytes) -> bool:
    """Whether a message's record batch says that its buffers are compressed.

    Source:
        Arrow's format/Message.fbs, a flatbuffer: Message.header is field 2, of the type that
        field 1 names (2 a dictionary batch, whose field 1 is a record batch, 3 a record batch);
        RecordBatch.compression is field 3.
    """

    def at(place: int, size: int, signed: bool = False) -> int:
        return int.from_bytes(head[place : place + size], "little", signed=signed)

    def field(table: int, i: int) -> int:
        fields = table - at(table, 4, signed=True)
        offset = at(fields + 4 + 2 * i, 2) if 4 + 2 * i < at(fields, 2) else 0
        return table + offset if offset else 0

    def below(table: int, i: int) -> int:
        place = field(table, i)
        return place + at(place, 4) if place else 0

    message = at(0, 4)
    kind, batch = field(message, 1), below(message, 2)
    if kind and head[kind] == 2 and batch:
        batch = below(batch, 1)
    is_batch = kind and head[kind] in (2, 3)
    return bool(is_batch and batch and field(batch, 3))


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn whatever Arrow or `datasets` says of a bad file into one line."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:
        raise reading.too_large(f"'{path}'", reading.ROWS, "unpacks to more") from None
    except (pa.ArrowException, OSError, RecursionError, ValueError, TypeError, LookupError) as e:
        raise malformed(path, (str(e).splitlines() or ["no reason given"])[0]) from None


def _streamed(
    path: Path, builder: Callable[..., Any], wanted: list[str], size: int, options: dict[str, Any]
) -> Table:
    """Let a builder of `datasets` read one file, by a name of ours: it takes names for patterns."""
    from datasets import ClassLabel
    from datasets import logging as said

    loudness = said.get_verbosity()
    with TemporaryDirectory(prefix="idim-rows-") as own:
        link = Path(own, f"rows{path.suffix}")
        link.symlink_to(path.resolve())
        said.set_verbosity(said.CRITICAL)  # what it logs of a bad file is raised as well
        try:
            made = builder(cache_dir=own, data_files={"rows": str(link)}, **options)
            stream = made.as_streaming_dataset("rows")
            features = stream.features or {}
            _check_columns(path, wanted, list(features))
            columns: Columns = {name: [] for name in wanted or features}
            left = reading.ROWS
            for batch in stream.with_format("arrow").iter(size):
                left = _less(path, left, batch.nbytes)
                for name, values in columns.items():
                    values += batch.column(name).to_pylist()
        finally:
            said.set_verbosity(loudness)
    names = {n: tuple(f.names) for n, f in features.items() if isinstance(f, ClassLabel)}
    return Table(path, columns, names=names)


# Rows as they are written in text


def _jsonl(task: TaskInfo, path: Path, wanted: list[str]) -> Table:
    lines = enumerate(reading.lines(path, whole=reading.ROWS), 1)
    rows = [_parse(path, line.rstrip(), i) for i, line in lines if line.strip()]
    return _from_rows(path, wanted, rows)


def _json(task: TaskInfo, path: Path, wanted: list[str]) -> Table:
    """Read a list of objects, or else one object a line."""
    with reading.stream(path) as file:
        is_list = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    if not is_list:
        return _jsonl(task, path, wanted)
    whole = reading.unpacked(path, reading.LIST).decode("utf-8-sig")
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
        _check_columns(path, wanted, list(rows[0]))
    names = wanted or (list(rows[0]) if rows else [])
    return Table(path, {name: [row.get(name) for row in rows] for name in names})


def _csv(task: TaskInfo, path: Path, wanted: list[str], separator: str = ",") -> Table:
    # Strict: an unclosed quote is an error, not a cell that swallows the rest of the file.
    return _delimited(task, path, wanted, delimiter=separator, strict=True)


def _tsv(task: TaskInfo, path: Path, wanted: list[str]) -> Table:
    # GLUE's files do not quote: a lone quotation mark is part of the sentence.
    return _delimited(task, path, wanted, delimiter="\t", quoting=csv.QUOTE_NONE)


def _delimited(task: TaskInfo, path: Path, wanted: list[str], **dialect: Any) -> Table:
    csv.field_size_limit(reading.ROW)  # Python's own is 131,072 characters
    lines = csv.reader(reading.lines(path, whole=reading.ROWS), **dialect)
    try:
        first = next(lines, [])
        header = glue.header(task, first) or first
        names = glue.renamed(task, header)
        wanted = wanted or header
        _check_columns(path, [names.get(name, name) for name in wanted], header)
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


_READERS: dict[str, Callable[[TaskInfo, Path, list[str]], Table]] = {
    ".parquet": _parquet, ".arrow": _arrow, ".jsonl": _jsonl, ".json": _json, ".csv": _csv,
    ".tsv": _tsv, ".txt": _tsv,
}  # fmt: skip

"""Parquet and Arrow files through the builders of `datasets`, unpacked within bounds.

The builders unpack whatever they are given, so each file is first seen to hold no more than is
read: nothing here takes much more memory than its rows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from idim import reading
from idim.errors import IdimError
from idim.problems.tasks.tables import Columns, Table, check_columns, malformed


def parquet(path: Path, wanted: list[str], most: int) -> Table:
    """Read columns of a parquet file, none: all; it may unpack to so many bytes at most."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features
    from datasets.packaged_modules.parquet.parquet import Parquet

    with _one_line(path, most):
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            check_columns(path, wanted, schema.names)
            wanted = wanted or schema.names
            size = _measured(path, file, wanted, most)
        # of what is read only: a map or a union elsewhere in the file is nothing to `datasets`
        read = pa.schema([schema.field(name) for name in wanted], schema.metadata)
        features = Features.from_arrow_schema(read)
        made = {"columns": wanted, "batch_size": size, "features": features}
        return _streamed(path, Parquet, wanted, most, size, made)


def _measured(path: Path, file: Any, wanted: list[str], most: int) -> int:
    """Return how many rows to read at once, once all are seen to unpack to no more than is read.

    `datasets` unpacks a whole row group, and a few kB may unpack to more than there is memory.
    """
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    chunks = [g.column(i) for g in groups for i in range(g.num_columns)]
    largest = max((c.total_uncompressed_size for c in chunks if _top(c) in wanted), default=0)
    # a value that stands once in a dictionary may fill every row: no batch can be far too large
    size = max(256, min(8192, most // max(largest, 1)))
    count = _counter(path, most)
    for batch in file.iter_batches(size, columns=wanted):
        count(batch.nbytes)
    return size


def _top(chunk: Any) -> str:
    return chunk.path_in_schema.partition(".")[0]


def _counter(path: Path, most: int) -> Callable[[int], None]:
    """Return what is told of each part's bytes, and refuses the file once they are too many."""
    left = most

    def count(part: int) -> None:
        nonlocal left
        left -= part
        if left < 0:
            raise _too_large(path, most)

    return count


def _too_large(path: Path, most: int) -> IdimError:
    return reading.too_large(f"'{path}'", most, "unpacks to more")


def arrow(path: Path, wanted: list[str], most: int) -> Table:
    """Read columns of an Arrow file or stream, none: all; texts of so many bytes at most."""
    import pyarrow as pa
    from datasets.packaged_modules.arrow.arrow import Arrow

    with _one_line(path, most):
        with pa.memory_map(str(path)) as file:
            if any(map(_is_packed, _messages(file))):  # a few kB may unpack to any size
                raise malformed(path, "its buffers are compressed; save it as parquet")
            _check_dictionaries(path, file, most)
        return _streamed(path, Arrow, wanted, most, 8192, {})


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


def _check_dictionaries(path: Path, file: Any, most: int) -> None:
    """Refuse codes that would be more than is read once `datasets` has written out their texts."""
    import pyarrow as pa

    file.seek(0)
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    opened = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
    count = _counter(path, most)
    for i in range(opened.num_record_batches if is_file else 1 << 62):
        try:
            batch = opened.get_batch(i) if is_file else opened.read_next_batch()
        except StopIteration:
            return
        for column in filter(lambda c: pa.types.is_dictionary(c.type), batch.columns):
            each = column.dictionary
            longest = max((len(t) for t in each.to_pylist() if isinstance(t, str)), default=8)
            count(longest * len(column))


@contextmanager
def _one_line(path: Path, most: int) -> Iterator[None]:
    """Turn whatever Arrow or `datasets` says of a bad file into one line."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:
        raise _too_large(path, most) from None
    except (pa.ArrowException, OSError, RecursionError, ValueError, TypeError, LookupError) as e:
        raise malformed(path, (str(e).splitlines() or ["no reason given"])[0]) from None


def _streamed(
    path: Path,
    builder: Callable[..., Any],
    wanted: list[str],
    most: int,
    size: int,
    options: dict[str, Any],
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
            check_columns(path, wanted, list(features))
            columns: Columns = {name: [] for name in wanted or features}
            count = _counter(path, most)
            for batch in stream.with_format("arrow").iter(size):
                count(batch.nbytes)
                for name, values in columns.items():
                    values += _listed(batch.column(name), _counter(path, most))
        finally:
            said.set_verbosity(loudness)
    names = {n: tuple(f.names) for n, f in features.items() if isinstance(f, ClassLabel)}
    return Table(path, columns, names=names)


def _listed(column: Any, count: Callable[[int], None]) -> list[Any]:
    """Turn a column into a list; many rows may be views of one long text, each a copy here."""
    if "view" not in str(column.type):
        return column.to_pylist()
    values: list[Any] = []
    for cell in column:
        values.append(cell.as_py())
        count(len(values[-1] or ""))
    return values

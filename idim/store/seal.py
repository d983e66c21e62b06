"""Seals: a file that a number comes from says what it is, whose it is, and its checksum.

A flipped bit, a file of another run copied in, an edit by hand: each is told from what was written.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from idim.store.files import Damaged, parse, read_bytes, write_bytes, write_json

Record = dict[str, Any]
# Hex digits of the checksum of one line of metrics.
_LINE_DIGITS = 16
_META = "idim.seal."
# Bytes that hold a few lines of metrics.
_TAIL = 4096


def write_sealed(path: Path, record: Record, kind: str, owner: str) -> None:
    """Write a JSON record with its seal, so that the file is whole or absent.

    Args:
        path: of the file.
        record: finite numbers only.
        kind: what it is: a result, a spec, ...
        owner: whose: the id of a run, or the name of what else it is of.
    """
    seal = {"kind": kind, "of": owner, "sha256": _digest(record, kind, owner)}
    write_json(path, record | {"seal": seal})


def read_sealed(path: Path, kind: str, owner: str) -> Record | None:
    """Return a sealed record without its seal, None if there is no such file.

    Raises:
        Damaged: not as it was written, or of another run.
    """
    content = read_bytes(path)
    return None if content is None else unsealed(path, parse(path, content), kind, owner)


def unsealed(path: Path, record: Any, kind: str, owner: str) -> Record:
    """Check a record's seal and take it off.

    Raises:
        Damaged: not as it was written, or of another run.
    """
    seal = record.get("seal") if isinstance(record, dict) else None
    if not isinstance(seal, dict):
        raise Damaged(path, "it has no checksum")
    if seal.get("kind") != kind or seal.get("of") != owner:
        raise Damaged(path, "it is of something else")
    content = {k: v for k, v in record.items() if k != "seal"}
    if seal.keys() != {"kind", "of", "sha256"} or seal["sha256"] != _digest(content, kind, owner):
        raise Damaged(path, "its checksum is wrong")
    return content


def _digest(record: Record, kind: str, owner: str) -> str:
    text = json.dumps([kind, owner, record], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def sealed_line(record: Record, owner: str) -> str:
    """Return a record as one line with its seal."""
    seal = _digest(record, "line", owner)[:_LINE_DIGITS]
    return json.dumps(record | {"seal": seal}) + "\n"


def read_lines(path: Path, owner: str) -> list[Record]:
    """Return the records of a file of sealed lines; lines that are not whole are left out."""
    lines = (read_bytes(path) or b"").splitlines()
    found = (_line(path, line, owner) for line in lines)
    return [record for record in found if record is not None]


def read_last_line(path: Path, owner: str) -> Record | None:
    """Return the newest record of a file of sealed lines, None before the first.

    Reads the end of the file, which is asked for twice a second and grows: twice as much of it
    each time that no line there is whole.
    """
    tail = _TAIL
    while True:
        content = read_bytes(path, tail) or b""
        lines = content.splitlines()
        is_all = len(content) < tail
        for line in reversed(lines if is_all else lines[1:]):  # the first may be cut
            if (record := _line(path, line, owner)) is not None:
                return record
        if is_all:
            return None
        tail *= 2


def _line(path: Path, line: bytes, owner: str) -> Record | None:
    try:
        record = parse(path, line)
    except Damaged:  # a kill can cut the last line
        return None
    seal = record.pop("seal", None) if isinstance(record, dict) else None
    is_whole = seal is not None and seal == _digest(record, "line", owner)[:_LINE_DIGITS]
    return record if is_whole else None


def write_tensors(
    path: Path, tensors: Record, kind: str, owner: str, header: dict[str, str] | None = None
) -> None:
    """Write tensors with their seal, so that the file is whole or absent.

    Args:
        path: of the file.
        tensors: contiguous, on the CPU, by name.
        kind: what it is.
        owner: whose.
        header: further metadata; sealed too.
    """
    from safetensors.torch import save

    meta = header or {}
    seal = {"kind": kind, "of": owner, "sha256": _tensor_digest(tensors, meta, kind, owner)}
    metadata = meta | {_META + name: value for name, value in seal.items()}
    content = save(tensors, metadata=metadata)
    # the library writes metadata in an order of its own each time: equal runs have equal files
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(path, len(text).to_bytes(8, "little"), text, memoryview(content)[8 + size :])


def read_tensors(path: Path, kind: str, owner: str) -> Record | None:
    """Return the tensors of a sealed file, None if there is no such file.

    Raises:
        Damaged: not as it was written, or of another run.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = read_bytes(path)
    if content is None:
        return None
    try:
        tensors = load(content)
        metadata = _metadata(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(path, "not a file of tensors") from None
    seal = {k.removeprefix(_META): v for k, v in metadata.items() if k.startswith(_META)}
    if not seal:
        raise Damaged(path, "it has no checksum")
    if (seal.get("kind"), seal.get("of")) != (kind, owner):
        raise Damaged(path, "it is of something else")
    rest = {k: v for k, v in metadata.items() if not k.startswith(_META)}
    if seal.get("sha256") != _tensor_digest(tensors, rest, kind, owner):
        raise Damaged(path, "its checksum is wrong")
    return tensors


def _metadata(content: bytes) -> dict[str, str]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]).get("__metadata__", {})


def _tensor_digest(tensors: Record, header: dict[str, str], kind: str, owner: str) -> str:
    total = hashlib.sha256(json.dumps([kind, owner, sorted(header.items())]).encode())
    for part in _parts(tensors):
        total.update(part)
    return total.hexdigest()


def _parts(tensors: Record) -> Iterable[Any]:
    import torch

    for name in sorted(tensors):
        t = tensors[name]
        yield json.dumps([name, str(t.dtype), list(t.shape)]).encode()
        yield t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data

"""Dataclasses as JSON and back: one writer, and one reader that takes nothing else.

A field is a key of its name, or of `key` in its metadata.  One at its default is left out, and may
be missing.
"""

import math
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin

from idim.errors import IdimError
from idim.plain import brief

T = TypeVar("T")
_SAID = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_SAID |= {Path: "text", tuple: "a list", dict: "an object", NoneType: "null"}


class _Unfit(Exception):
    """A value is not of its type."""


def keys(cls: type) -> tuple[str, ...]:
    """Return the keys of a record, in their order."""
    return tuple(map(_key, fields(cls)))


def to_json(value: Any) -> Any:
    """Return a record as what `json` writes: objects, lists, texts and numbers."""
    if is_dataclass(value):
        held = ((f, getattr(value, f.name)) for f in fields(value))
        return {_key(f): to_json(v) for f, v in held if f.default is MISSING or v != f.default}
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    # a note may be a kind of text; what is written is the text
    return str(value) if isinstance(value, Path | str) else value


def from_json(cls: type[T], value: Any, what: str) -> T:
    """Return the record that `to_json` wrote.

    Args:
        cls: a dataclass of texts, numbers, paths, and tuples, dictionaries and dataclasses of them.
        value: as `json` reads it.
        what: what it is called in an error.

    Raises:
        IdimError: a key that is missing or unknown, or a value of another type; the line names it.
    """
    try:
        return _read(cls, value, "")
    except _Unfit as e:
        raise IdimError(f"{what} {e}.") from None


class Written:
    """A record that is an object of some command's --json: writes and reads itself."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything, by the keys of that object."""
        return to_json(self)

    @classmethod
    def from_json(cls, record: Any, what: str = "") -> Self:
        """Read what `to_json` wrote.

        Args:
            record: as `json` reads it.
            what: what it is called in an error; by default by its class.

        Raises:
            IdimError: a key is missing or unknown, or holds a value of another type.
        """
        return from_json(cls, record, what or f"the {cls.__name__.lower()}")


def _read(kind: Any, value: Any, at: str) -> Any:
    """Read a value of a type; `at` is where it stands."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (other,) = (k for k in inner if k is not NoneType)
        return None if value is None else _read(other, value, at)
    if origin is Literal and type(value) is str and value in inner:
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value, at)
    if origin is dict and isinstance(value, dict):
        return {k: _read(inner[1], v, f"{at}.{k}".lstrip(".")) for k, v in value.items()}
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(
                _read(k, v, f"{at}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True))
            )
    if kind is Path and type(value) is str:
        return Path(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    if kind is float and isinstance(value, int | float) and _is_finite(value):
        return float(value)
    raise _Unfit(f"has {brief(value)}{f' at {at}' * bool(at)}, not {_said(kind)}")


def _record(cls: Any, value: dict[str, Any], at: str) -> Any:
    place = f"{at}." if at else ""
    known = {_key(f): f for f in fields(cls)}
    if strange := sorted(value.keys() - known.keys()):
        raise _Unfit(f"has the key '{place}{strange[0]}', which this version does not know")
    lacking = (k for k, f in known.items() if k not in value and f.default is MISSING)
    if (missing := next(lacking, None)) is not None:
        raise _Unfit(f"has no key '{place}{missing}'")
    return cls(**{known[k].name: _read(known[k].type, v, place + k) for k, v in value.items()})


def _key(f: Field[Any]) -> str:
    return f.metadata.get("key", f.name)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value) and not isinstance(value, bool)
    except OverflowError:  # an int beyond all floats
        return False


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) is tuple and get_args(kind)[-1] is not Ellipsis:
        return f"a list of {len(get_args(kind))}"
    return _SAID.get(get_origin(kind) or kind, "an object")

"""The name of a user's function, and a hash of what it is: its source and what it is bound to."""

import hashlib
import inspect
import linecache
import pickle
import sys
import textwrap
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from idim.errors import IdimError

_PLAIN = (bool, int, float, complex, str, bytes, range, type(None), Path)


def name_of(code: Any) -> str:
    """Name a function by its module and its own name: what ids and titles hold."""
    code = code.func if isinstance(code, partial) else code
    code = code if hasattr(code, "__qualname__") else type(code)
    module = code.__module__
    if module == "__main__":  # a program, by the name of its file
        module = Path(main_file() or "program").stem
    return f"{module}:{code.__qualname__.replace('<locals>.', '')}"


def main_file() -> str | None:
    """Return the file of the program that runs; None where it was typed in."""
    return getattr(sys.modules["__main__"], "__file__", None)


def unsendable(value: Any, code: Any) -> str:
    """Say why a value cannot go to another process; empty where it can.

    Args:
        value: what would be sent.
        code: the function or class that it needs there.
    """
    try:
        pickle.dumps(value)
    except Exception:  # whatever a user's object raises
        return "it is a closure or holds what cannot be copied"
    if code.__module__ == "__main__" and not main_file():
        return "it was typed in, not read from a file"
    return ""


def fingerprint(*codes: Any, version: str = "") -> str:
    """Hash the source of functions, what they are bound to, and a version that the user gives.

    Bound are defaults, what a closure or a partial holds, what a decorator wraps, and the
    attributes of an object that is called or whose method it is: numbers, texts, arrays, and
    functions and objects of the same module, to any depth.  What they call in turn is not seen:
    that is what `version` is for.

    Raises:
        IdimError: there is no source, and no version.
    """
    digest = hashlib.sha256(version.encode())
    for code in codes:
        digest.update(_Spelled(code, version).source(code).encode())
    return digest.hexdigest()[:16]


class _Spelled:
    """Spells values so that what decides a training is in the text, and no address is."""

    def __init__(self, code: Any, version: str) -> None:
        self.version = version
        # the user's own: others' functions and objects are no more than their names
        self.home = _module(code)
        self.inside: list[int] = []

    def source(self, code: Any) -> str:
        """Spell a function or an object that is called."""
        if isinstance(code, partial):
            return f"{self.source(code.func)}{self.value((code.args, code.keywords))}"
        if isinstance(code, MethodType):
            return f"{self.source(code.__func__)}{self.value(code.__self__)}"
        wrapped = getattr(code, "__wrapped__", None)
        if not isinstance(code, FunctionType):
            if wrapped is not None:  # as functools.cache leaves it
                return self.source(wrapped)
            kind = code if isinstance(code, type) else type(code)
            return f"{name_of(code)}\n{self._text(code, kind)}{self._held(code)}"
        cells = [_content(cell) for cell in code.__closure__ or ()]
        bound = self.value((code.__defaults__, code.__kwdefaults__, cells))
        below = "" if wrapped is None else self.source(wrapped)
        return f"{name_of(code)}\n{self._text(code, code.__code__)}{bound}{below}"

    def value(self, value: Any) -> str:
        """Spell what a function is bound to."""
        if isinstance(value, _PLAIN):
            return repr(value)
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return _array(value)
        if id(value) in self.inside:
            return "itself"
        self.inside.append(id(value))
        try:
            return self._compound(value)
        finally:
            self.inside.pop()

    def _compound(self, value: Any) -> str:
        if isinstance(value, dict):
            return (
                "{" + ",".join(f"{self.value(k)}:{self.value(v)}" for k, v in value.items()) + "}"
            )
        if isinstance(value, list | tuple):
            return "[" + ",".join(map(self.value, value)) + "]"
        if isinstance(value, set | frozenset):
            return "{" + ",".join(sorted(map(self.value, value))) + "}"
        if isinstance(value, partial | MethodType):
            return self.source(value)
        if isinstance(value, FunctionType | type) or hasattr(value, "__wrapped__"):
            return self.source(value) if _module(value) == self.home else name_of(value)
        if isinstance(value, ModuleType):
            return value.__name__
        kind = type(value)
        return kind.__qualname__ + (self._held(value) if kind.__module__ == self.home else "")

    def _held(self, value: Any) -> str:
        """Spell the attributes of an object; a class has its source."""
        if isinstance(value, type):
            return ""
        slots = [n for k in type(value).__mro__ for n in getattr(k, "__slots__", ())]
        held = {n: getattr(value, n) for n in slots if hasattr(value, n)}
        return self.value(held | getattr(value, "__dict__", {}))

    def _text(self, code: Any, where: Any) -> str:
        try:
            text = textwrap.dedent(inspect.getsource(where))
        except (OSError, TypeError):
            if not self.version:
                raise IdimError(
                    f"'{name_of(code)}' has no source to tell a change by; give version=."
                ) from None
            return ""
        return text + (_segment(where) if getattr(where, "co_name", "") == "<lambda>" else "")


def _module(code: Any) -> str:
    code = code.func if isinstance(code, partial) else code
    return getattr(code, "__module__", None) or type(code).__module__


def _segment(code: CodeType) -> str:
    """Return the part of its lines that a lambda is: two of them may share a line."""
    spots = [(a, b, c, d) for a, b, c, d in code.co_positions() if a and b and c is not None and d]
    if not spots:
        return ""
    begin, end = min((a, c) for a, _, c, _ in spots), max((b, d) for _, b, _, d in spots)
    lines = [linecache.getline(code.co_filename, i).encode() for i in range(begin[0], end[0] + 1)]
    lines[-1] = lines[-1][: end[1]]
    lines[0] = lines[0][begin[1] :]
    return b"".join(lines).decode(errors="replace")


def _array(value: Tensor | np.ndarray | np.generic) -> str:
    """Spell an array by its type, its shape and a hash of its numbers."""
    told = f"{value.dtype}{tuple(value.shape)}"
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.is_meta:
            return told
        value = value.detach().resolve_conj().cpu().contiguous().flatten().view(torch.uint8).numpy()
    elif value.dtype.hasobject:  # its bytes are addresses
        return told
    return told + hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None

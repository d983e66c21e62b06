"""The code of a user's function or class: its name, its text, and where it is at home."""

import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from tokenize import TokenError
from types import CodeType, FunctionType, MethodType
from typing import Any

import idim


def name_of(code: Any) -> str:
    """Name a function by its module and its own name: what ids and titles hold."""
    code = code.func if isinstance(code, partial) else code
    code = code if hasattr(code, "__qualname__") else type(code)
    module = module_of(code)
    if module == "__main__":  # a program, by the name of its file
        module = Path(main_file() or "program").stem
    return f"{module}:{code.__qualname__.replace('<locals>.', '')}"


def main_file() -> str | None:
    """Return the file of the program that runs; None where it was typed in."""
    return getattr(sys.modules["__main__"], "__file__", None)


def module_of(code: Any) -> str:
    """Return the name of the module that made a function, a class or an object."""
    return getattr(code, "__module__", None) or type(code).__module__


def homes(code: Any) -> set[str]:
    """Return the modules whose functions and classes are the user's own, to be told by source."""
    if isinstance(code, partial):
        return homes(code.func)
    if isinstance(code, MethodType):  # it may come from the module of a base class
        held = code.__self__
        kind = held if isinstance(held, type) else type(held)
        return homes(code.__func__) | homes(kind)
    kind = type(code)
    is_object = not isinstance(code, FunctionType | type) and not hasattr(code, "__wrapped__")
    return {module_of(code), *([module_of(kind)] if is_object else [])} - {"builtins"}


def is_imported(value: Any) -> bool:
    """Whether a function or class is what its module has under its name."""
    found = sys.modules.get(module_of(value))
    try:
        for part in value.__qualname__.split("."):
            found = getattr(found, part)
    except Exception:  # whatever a module's or a class's __getattr__ raises
        return False
    return getattr(found, "__func__", found) is value


def text_of(where: CodeType | type) -> str | None:
    """Return the source of a function's code or of a class, as indented there; None: it has none.

    Of a lambda the lines come first, then the part of them that it is.
    """
    try:
        text = inspect.getsource(where)
    except (OSError, TypeError, SyntaxError, TokenError):
        return None
    if getattr(where, "co_name", "") == "<lambda>":
        return textwrap.dedent(text) + _segment(where)
    return text


def is_stale(where: CodeType | type) -> bool:
    """Whether the file of a function or a class was edited after it was loaded.

    Its text is then not that of the code which runs.
    """
    codes = [where] if isinstance(where, CodeType) else _codes_of(where)
    return any(map(_is_edited, codes))


def _codes_of(kind: type) -> list[CodeType]:
    held = [code.__code__ for entry in vars(kind).values() for code in functions(entry)]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return [code for code in held if code.co_filename == file]


def _is_edited(code: CodeType) -> bool:
    path = Path(code.co_filename)
    try:
        if path.stat().st_mtime <= idim.LOADED:
            return False
        whole = compile(path.read_bytes(), code.co_filename, "exec", dont_inherit=True)
    except (OSError, ValueError):  # typed in, or in an archive
        return False
    except SyntaxError:
        return True
    return code not in _within(whole)


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _within(part)


def _segment(where: Any) -> str:
    """Return the part of its lines that a lambda is: two of them may share a line."""
    spots = [(a, b, c, d) for a, b, c, d in where.co_positions() if a and b and c is not None and d]
    if not spots:
        return ""
    begin, end = min((a, c) for a, _, c, _ in spots), max((b, d) for _, b, _, d in spots)
    lines = [linecache.getline(where.co_filename, i).encode() for i in range(begin[0], end[0] + 1)]
    lines[-1] = lines[-1][: end[1]]
    lines[0] = lines[0][begin[1] :]
    return b"".join(lines).decode(errors="replace")


def bound(code: FunctionType) -> list[tuple[str, Any]]:
    """Return by name what a function closes over."""
    cells = zip(code.__code__.co_freevars, code.__closure__ or (), strict=True)
    return [(name, _content(cell)) for name, cell in cells]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def functions(attribute: Any) -> list[FunctionType]:
    """Return the functions that an entry of a class stands for; none where it is a value."""
    if isinstance(attribute, property):
        found = [attribute.fget, attribute.fset, attribute.fdel]
    elif isinstance(attribute, staticmethod | classmethod):
        found = [attribute.__func__]
    elif isinstance(attribute, cached_property):
        found = [attribute.func]
    else:
        found = [attribute]
    return [code for code in found if isinstance(code, FunctionType)]

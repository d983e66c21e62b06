"""A function as a text: its source, and what it is bound to."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING
from functools import _lru_cache_wrapper, partial
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType
from typing import Any

from idim.errors import IdimError
from idim.problems.code import bound, functions, is_stale, module_of, name_of, text_of
from idim.problems.values import Values


class Spelled(Values):
    """Spells one function and what it is bound to."""

    def __init__(self, code: Any, version: str) -> None:
        super().__init__(code, version)
        self.texts: dict[int, tuple[str | None, Any]] = {}

    def text_of(self, where: Any) -> str | None:
        """Read the source of a function's code or of a class once."""
        if id(where) not in self.texts:
            if not self.version and is_stale(where):
                file = inspect.getfile(where)
                raise IdimError(
                    f"'{file}' was edited after it was loaded; start the program again."
                )
            self.texts[id(where)] = text_of(where), where
        return self.texts[id(where)][0]

    def source(self, code: Any) -> str:
        """Spell a function or an object that is called.

        Raises:
            IdimError: it has no source, or is bound to what cannot be spelled; no version.
        """
        if isinstance(code, partial):
            return f"{self.source(code.func)}{self._arguments(code)}"
        if isinstance(code, MethodType):
            return f"{self.source(code.__func__)}{self.value(code.__self__, '.self')}"
        if not isinstance(code, FunctionType):
            return self._called(code)
        text = self.text_of(code.__code__)
        if text is None:
            self._refuse_source(code)
        wrapped = getattr(code, "__wrapped__", None)
        below = "" if wrapped is None else self.source(wrapped)
        return f"{name_of(code)}\n{textwrap.dedent(text or '')}{self._bound(code)}{below}"

    def code(self, value: Any) -> str | None:
        """Spell a function, a class, a partial or a method: others' by name, where that is all."""
        if type(value) is partial:
            return f"{self._of(value.func)}{self._arguments(value)}"
        if type(value) is MethodType:
            return f"{self._of(value.__func__)}{self.value(value.__self__, '.self')}"
        if isinstance(value, type):
            return self._own(self._class, value)
        if isinstance(value, FunctionType | _lru_cache_wrapper):
            return self._own(self.source, value)
        return None

    def _of(self, value: Any) -> str:
        """Spell the function of a partial or a method: it is anew what that is, so is told anew."""
        if isinstance(value, FunctionType) and not self.is_others(value):
            return self.source(value)
        return self.value(value)

    def _own(self, spell: Any, value: Any) -> str:
        if self.is_others(value):
            return name_of(value)
        if seen := self.once(value):
            return seen
        return self.at_home(spell, value) if module_of(value) in self.home else spell(value)

    def _called(self, code: Any) -> str:
        """Spell a class or an object that is called, by the text of its class."""
        kind = code if isinstance(code, type) else type(code)
        method = "__init__" if kind is code else "__call__"
        if self.text_of(kind) is None and not functions(inspect.getattr_static(kind, method, None)):
            if (wrapped := getattr(code, "__wrapped__", None)) is not None:
                return self.source(wrapped)  # as functools.cache leaves it
            self._refuse_source(code)
            return name_of(code)
        return self._class(kind) if kind is code else f"{self._class(kind)}{self.content(code)}"

    def _refuse_source(self, code: Any) -> None:
        if not self.version:
            raise IdimError(f"'{name_of(code)}' has no source to tell a change by; give version=.")

    def _arguments(self, code: partial) -> str:
        return f"[{self.row(code.args, '.argument')},{self.pairs(code.keywords.items(), '.{}')}]"

    def _bound(self, code: FunctionType) -> str:
        defaults = self.value(code.__defaults__, ".default")
        more = self.value(code.__kwdefaults__, ".default")
        cells = ",".join(self.value(held, f".{name}") for name, held in bound(code))
        own = {k: v for k, v in vars(code).items() if k != "__wrapped__"}
        return f"[{defaults},{more},[{cells}]]" + (self.pairs(own.items(), ".{}") if own else "")

    def _class(self, kind: type) -> str:
        """Spell a class by its text, its bases of that kind, and what its text does not say."""
        text = self.text_of(kind)
        parts = [self.value(base) for base in _untold_kinds(kind, text, self.is_others)]
        for name, held in vars(kind).items():
            if codes := functions(held):
                # one def of the name for each: else the text does not say which of them it is
                is_clear = text is not None and text.count(f"def {name}(") == len(codes)
                told = (self._member(kind, code, text, is_clear=is_clear) for code in codes)
                parts += [f"{name}={t}" for t in told if t]
            elif not _is_made(name, held):
                parts.append(f"{name}={self.value(held, f'.{name}')}")
        parts += [f"{name}={self.value(held, f'.{name}')}" for name, held in _defaults(kind)]
        return f"{name_of(kind)}\n{textwrap.dedent(text or '')}{''.join(parts)}"

    def _member(self, kind: type, code: FunctionType, text: str | None, *, is_clear: bool) -> str:
        """Spell what the text of a class does not say of a function in it."""
        if _is_written(kind, code):
            return "" if text else self._bound(inspect.unwrap(code))
        own = self.text_of(code.__code__)
        if own is None or text is None or own not in text:
            return self.value(code, f".{code.__name__}")
        cells = any(name != "__class__" for name, _ in bound(code))
        is_bound = cells or code.__defaults__ or code.__kwdefaults__ or vars(code)
        return f"{'' if is_clear else own}{self._bound(code) if is_bound else ''}"


def _untold_kinds(
    kind: type, text: str | None, is_others: Callable[[type], bool]
) -> Iterator[type]:
    """Yield the bases of a class, and its metaclass, that its text does not tell by their names."""
    for base in kind.__bases__:
        if text is None or not is_others(base) or base.__name__ not in (*_head(text), "object"):
            yield base
    own = type(kind)
    if own not in map(type, kind.__bases__) and own.__name__ not in _head(text or ""):
        yield own


def _head(text: str) -> list[str]:
    """Return the names between a class's own and its first line of content."""
    return re.findall(r"\w+", text.partition("class ")[2].partition(":")[0])


def _defaults(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield by name what the fields of a dataclass are by default and its class does not hold."""
    for name, field in vars(kind).get("__dataclass_fields__", {}).items():
        is_slot = isinstance(vars(kind).get(name), MemberDescriptorType)
        if is_slot and field.default is not MISSING:
            yield name, field.default
        if isinstance(field.default_factory, FunctionType):
            yield name, field.default_factory


def _is_made(name: str, held: Any) -> bool:
    """Whether an entry of a class is Python's own, which follows from the others."""
    is_slot = isinstance(held, GetSetDescriptorType | MemberDescriptorType)
    return is_slot or name == "_abc_impl" or (name.startswith("_") and name.endswith("_"))


def _is_written(kind: type, code: FunctionType) -> bool:
    """Whether a method follows from the fields of a dataclass or a named tuple."""
    is_special = code.__name__.startswith("__") and code.__name__ != "__call__"
    has_fields = "__dataclass_fields__" in vars(kind) or "_fields" in vars(kind)
    inner = inspect.unwrap(code)
    return is_special and has_fields and text_of(getattr(inner, "__code__", kind)) is None

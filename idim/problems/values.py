"""Values as texts that hold all of their content, and no address, order of hashes or handle."""

import copyreg
import hashlib
import re
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from idim.errors import IdimError
from idim.plain import shown
from idim.problems.code import homes, is_imported, module_of, name_of

_PLAIN = (bool, float, complex, str, bytes, range, type(None), type(Path()))
_PLAIN_TOO = (np.float64, np.complex128, np.str_, np.bytes_)
_NAMED = (torch.dtype, torch.layout, torch.memory_format)
_SETS = (set, frozenset, weakref.WeakSet)
# Things one in the other: some seven calls each, of the thousand that Python has.
_DEEPEST = 100
# Objects met while members of sets are spelled, each for itself: they may hold one another.
_MOST = 20_000


class Unspelled(Exception):
    """What is met has no content that could be told."""


class Values:
    """Spells what a function is bound to; how code is spelled is left to a subclass.

    Args:
        code: the function, or an object that is called.
        version: the user's; empty: what cannot be spelled is refused.
    """

    def __init__(self, code: Any, version: str) -> None:
        self.whose, self.version = name_of(code), version
        # the user's own: others' functions and classes are no more than their names
        self.home = homes(code)
        # what is being spelled, from the outside in, and by which name each is reached
        self.inside: list[int] = []
        self.path: list[tuple[str, Any]] = []
        # objects that are spelled, by id: kept, or another could have that id
        self.seen: dict[int, tuple[int, Any]] = {}
        # how many objects of other modules are around, up to the next one of the user's
        self.around = 0
        self.is_apart, self.met = False, 0

    def code(self, value: Any) -> str | None:
        """Spell a function, a class or what else is called; None: it is none."""
        raise NotImplementedError

    def value(self, value: Any, name: str = "", key: Any = None) -> str:
        """Spell a value; the name, which may have a place for a key, says in a message where it is.

        Raises:
            IdimError: it cannot be spelled, and there is no version.
        """
        if type(value) is int:  # one of many digits has no decimal text
            return repr(value) if value.bit_length() < 10_000 else hex(value)
        if type(value) in _PLAIN or isinstance(value, _PLAIN_TOO):
            return repr(value)
        if id(value) in self.inside:
            up = len(self.inside) - self.inside.index(id(value))
            return "itself" if up == 1 else f"itself^{up}"
        self.inside.append(id(value))
        self.path.append((name, key))
        try:
            if len(self.inside) > _DEEPEST:
                raise Unspelled
            return self._compound(value)
        except Unspelled:
            return self._unspelled(value)
        finally:
            self.inside.pop()
            self.path.pop()

    def is_others(self, code: Any) -> bool:
        """Whether a function or class can be told by its name: another module's, found there."""
        return module_of(code) not in self.home and is_imported(code)

    def at_home(self, spell: Callable[[Any], str], value: Any) -> str:
        """Spell what is the user's own: what it holds is told apart from what is around it."""
        around, self.around = self.around, 0
        try:
            return spell(value)
        finally:
            self.around = around

    def once(self, value: Any) -> str:
        """Say which one it is of an object that was met before; empty where it is new."""
        if id(value) in self.seen:
            return f"seen{self.seen[id(value)][0]}"
        self.seen[id(value)] = len(self.seen), value
        self.met += self.is_apart
        if self.met > _MOST:
            raise Unspelled
        return ""

    def row(self, values: Iterable[Any], name: str = "") -> str:
        """Spell values in their order."""
        place = name + "[{}]"
        told = (self.value(v, place, i) for i, v in enumerate(values))
        return "[" + ",".join(told) + "]"

    def pairs(self, pairs: Iterable[tuple[Any, Any]], name: str) -> str:
        """Spell keys and values in their order; the name has a place for the key."""
        told = (f"{self.value(k)}:{self.value(v, name, k)}" for k, v in pairs)
        return "{" + ",".join(told) + "}"

    def _unspelled(self, value: Any) -> str:
        if not self.version:
            path = shown("".join(name.format(key) for name, key in self.path).lstrip("."), 200)
            raise IdimError(
                f"'{self.whose}' is bound to '{path}', of type '{name_of(type(value))}', in which "
                "no change can be told; give version=."
            )
        if self.around:  # the rest of such an object is likely to be of this process only
            raise Unspelled
        return name_of(type(value))

    def _compound(self, value: Any) -> str:
        kind = type(value)
        if kind is dict or kind is types.MappingProxyType:
            return self.pairs(value.items(), "[{!r:.40}]")
        if kind is list or kind is tuple:
            return self.row(value)
        if kind in _SETS:
            return self._set(value)
        if (code := self.code(value)) is not None:
            return code
        if isinstance(value, types.ModuleType):
            return value.__name__
        if isinstance(value, weakref.ref):
            return f"weak {self.value(value())}"
        if isinstance(value, _NAMED):
            return repr(value)
        if kind is np.ndarray or isinstance(value, np.generic):
            return self._array(value)
        if isinstance(value, Tensor):
            return self._tensor(value)
        return self.once(value) or self._object(value)

    def _set(self, values: Iterable[Any]) -> str:
        """Spell each member as if it were alone, so that their order says nothing."""
        seen, is_apart, self.is_apart = self.seen, self.is_apart, True
        told = []
        try:
            for value in values:
                self.seen = dict(seen)
                told.append(self.value(value, "{{}}"))
        finally:
            self.seen, self.is_apart = seen, is_apart
        return "{" + ",".join(sorted(told)) + "}"

    def _object(self, value: Any) -> str:
        kind = type(value)
        if module_of(kind) in self.home:
            return f"{kind.__qualname__}{self.at_home(self.content, value)}{self.value(kind)}"
        self.around += 1
        try:
            return f"{self.value(kind)}{self.content(value)}"
        finally:
            self.around -= 1

    def content(self, value: Any) -> str:
        """Spell what a copy of an object would need, by the protocol of pickle and copy."""
        made = _reduced(value)
        if isinstance(made, str):
            return _global(value, made)
        function, args = made[:2]
        state, items, pairs, setter = (*made[2:], None, None, None, None)[:4]
        if function is copyreg.__newobj__:  # type: ignore[attr-defined]
            function, args = None, args[1:]
            if isinstance(state, tuple) and type(value).__getstate__ is object.__getstate__:
                state = {k: v for part in reversed(state) if part for k, v in part.items()}
        told = self._state(value, {} if state is None else state)
        told += "".join(self.value(part) for part in (function, setter) if part is not None)
        told += self.row(args) if args else ""
        told += self.row(items) if items is not None else ""
        return told + (self.pairs(pairs, "[{!r:.40}]") if pairs is not None else "")

    def _state(self, value: Any, state: Any) -> str:
        if not isinstance(state, dict):
            return self.value(state)
        if isinstance(value, nn.Module):
            state = _renumbered(state)
        if module_of(type(value)) not in self.home:
            state = {k: type(v) if _is_hash(k, v) else v for k, v in state.items()}
        return self.pairs(state.items(), ".{}")

    def _array(self, value: np.ndarray | np.generic) -> str:
        """Spell an array by its type, its shape and a hash of its numbers."""
        told = f"{value.dtype}{tuple(value.shape)}"
        if value.dtype.hasobject:  # its bytes are addresses
            return told + self.value(value.tolist())
        return told + hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()

    def _tensor(self, value: Tensor) -> str:
        kind = type(value)
        if kind is nn.Parameter and (seen := self.once(value)):  # tied
            return seen
        if value.is_quantized or value.is_nested:
            raise Unspelled
        told = "" if kind in (Tensor, nn.Parameter) else self.value(kind)
        if is_lazy(value):
            return f"{told}{value.dtype}"
        told += f"{value.dtype}{tuple(value.shape)}"
        if value.layout is not torch.strided:
            told += self.content(value)
        elif not value.is_meta:
            told += _bytes_of(value)
        told += "" if value.requires_grad == (kind is nn.Parameter) else " grad"
        own = vars(value)
        return told + (self.pairs(own.items(), ".{}") if own else "")


def _bytes_of(value: Tensor) -> str:
    try:
        plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous().flatten()
        return hashlib.sha256(plain.view(torch.uint8).numpy().tobytes()).hexdigest()
    except Exception:  # a subclass without bytes of its own
        raise Unspelled from None


def _is_hash(name: Any, value: Any) -> bool:
    """Whether an attribute is kept from hash(), whose numbers each process has anew."""
    return type(value) is int and re.fullmatch("_.*hash", str(name)) is not None


def _renumbered(state: dict[str, Any]) -> dict[str, Any]:
    """Number a module's hooks anew: torch counts those of all modules of a process."""
    tables = {k: v for k, v in state.items() if "_hooks" in k and isinstance(v, dict)}
    ids = sorted({i for table in tables.values() for i in table if isinstance(i, int)})
    new = {old: n for n, old in enumerate(ids)}
    return state | {k: {new.get(i, i): v for i, v in t.items()} for k, t in tables.items() if t}


def _reduced(value: Any) -> Any:
    """Ask an object what a copy of it would need; nothing is copied."""
    if isinstance(value, torch.UntypedStorage | torch.TypedStorage):
        raise Unspelled  # its answer holds addresses
    if isinstance(value, RemovableHandle):  # its number is of this process; its module has the hook
        return copyreg.__newobj__, (type(value),)  # type: ignore[attr-defined]
    special = copyreg.dispatch_table.get(type(value))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return special(value) if special else value.__reduce_ex__(2)
    except Exception:  # it says that it cannot be copied, each in its own way
        if isinstance(value, nn.Module):  # with parametrizations; its attributes are all of it
            return copyreg.__newobj__, (type(value),), vars(value)  # type: ignore[attr-defined]
        raise Unspelled from None


def _global(value: Any, name: str) -> str:
    """Spell what is told by a name, if the name does lead to it."""
    held = (getattr(module, "__dict__", {}) for module in [*sys.modules.values()])
    if not any(names.get(name) is value for names in held) and not is_imported(value):
        raise Unspelled
    # such names are not unique: math and cmath each have a sin
    return f"{getattr(value, '__module__', None)}:{name}{getattr(value, '__doc__', None)!r}"

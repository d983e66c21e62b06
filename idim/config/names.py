"""Tables of names for code that lies further right: known here, imported when it is asked for.

So that `idim --help` can list names, and a spec refuse others, without importing torch.
"""

import inspect
import pkgutil
import re
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from idim.errors import IdimError, code_error, unknown


class _NotKnown(IdimError, KeyError):
    """A mapping's own error, which reads as a mistake of the user's where nobody expects it."""

    __str__ = Exception.__str__


class Names(MutableMapping[str, Any]):
    """What a field of a spec may name, with the class behind each name.

    Beside the package's own there are those that a program enters (`table["mine"] = Mine`; a
    sweep's other processes are sent them), and those that installed packages have as entry
    points, known to every program and the command line.  A name goes into run ids: code that
    comes to mean something else needs another name.

    Args:
        kind: what one is called in errors.
        base: "module:class" that each must be a concrete subclass of.
        own: name -> "module:class".
        plural: of the kind; the entry points' group, after "idim.".
        word: what the field may also hold and stands for none of them; "" if there is no such.
    """

    def __init__(
        self, kind: str, base: str, own: dict[str, str], plural: str = "", word: str = ""
    ) -> None:
        self.kind, self.base, self.own, self.word = kind, base, own, word
        self.group = f"idim.{plural or f'{kind}s'}"
        self._entered: dict[str, Any] = {}
        self._found: dict[str, Any] = {}

    @cached_property
    def _installed(self) -> dict[str, str]:
        # its import alone is a seventh of the time of `idim --help`
        from importlib.metadata import entry_points

        return {e.name: e.value for e in entry_points(group=self.group)}

    @property
    def elsewhere(self) -> str:
        """Say how a name that is not known here may be known elsewhere, as one a folder holds."""
        return (
            f"One from outside is known where its package is installed (an entry point in the "
            f"group {self.group}), and in a program that enters it first and then calls idim."
        )

    def listed(self) -> str:
        """List all that can be typed, those of installed packages too: for a command's help."""
        words = [self.word] if self.word else []
        return ", ".join(dict.fromkeys([*words, *self, *self._installed]))

    def __getitem__(self, name: str) -> Any:
        for known in (self._entered, self._found):
            if name in known:
                return known[name]
        at = self.own.get(name) or self._installed.get(name)
        if at is None:
            raise _NotKnown(str(unknown(self.kind, name, self, self.elsewhere)))
        try:
            found = pkgutil.resolve_name(at)
        except (ImportError, AttributeError, ValueError) as e:
            raise IdimError(f"{self.kind} '{name}' cannot be imported from {at}: {e}.") from None
        self._check(name, found)
        self._found[name] = found
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise IdimError(f"'{name}' is no name for a {self.kind}: use letters, digits and _.")
        if name == self.word:
            raise IdimError(f"'{name}' is no name for a {self.kind}: it stands for none of them.")
        if name in self.own:
            raise IdimError(f"{self.kind} '{name}' is idim's own; choose another name.")
        self._check(name, value)
        self._entered[name] = value

    @contextmanager
    def answerable(self, name: str, whose: str, *, is_phrased: bool = False) -> Iterator[None]:
        """Make what code from outside raises here an error that says whose it is.

        Args:
            name: whose code runs; the package's own raises as it does, a bug like others.
            whose: says it, for the error.
            is_phrased: an IdimError is its answer, and goes on as it is.
        """
        try:
            yield
        except (Exception, SystemExit) as e:
            if name in self.own or (is_phrased and isinstance(e, IdimError)):
                raise
            raise code_error(whose, e) from e

    @property
    def entered(self) -> dict[str, Any]:
        """Those that this program has entered."""
        return dict(self._entered)

    def __delitem__(self, name: str) -> None:
        del self._entered[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._entered or name in self._installed

    def __iter__(self) -> Iterator[str]:
        """List the names; those of installed packages once a name was looked for among them."""
        return iter({**self.own, **self._entered, **self.__dict__.get("_installed", {})})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _check(self, name: str, value: Any) -> None:
        base, said = pkgutil.resolve_name(self.base), f"{self.kind} '{name}'"
        if not (isinstance(value, type) and issubclass(value, base)):
            raise IdimError(f"{said} must be a subclass of {base.__module__}.{base.__name__}.")
        if inspect.isabstract(value):
            missing = ", ".join(sorted(value.__abstractmethods__))
            raise IdimError(f"{said} lacks {missing}, which {base.__name__} leaves to it.")
        if why := getattr(base, "unfit", lambda _: None)(value):
            raise IdimError(f"{said}: {why}.")


class Choices(Collection[str]):
    """The word of a table, and the names after it."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def __contains__(self, name: object) -> bool:
        return name == self.names.word or name in self.names

    def __iter__(self) -> Iterator[str]:
        yield self.names.word
        yield from self.names

    def __len__(self) -> int:
        return 1 + len(self.names)


PROJECTIONS = Names(
    "projection",
    "idim.projection.base:Projection",
    {
        "dense": "idim.projection.dense:Dense",
        "sparse": "idim.projection.sparse:Sparse",
        "fastfood": "idim.projection.fastfood:Fastfood",
        "orthogonal": "idim.projection.orthogonal:Orthogonal",
        "onehot": "idim.projection.onehot:OneHot",
    },
)
METHODS = Names(
    "method",
    "idim.methods.base:Method",
    {
        "subspace": "idim.methods.subspace:InSubspace",
        "full": "idim.methods.full:Full",
        "untrained": "idim.methods.untrained:Untrained",
    },
)
STRATEGIES = Names(
    "strategy",
    "idim.search.strategy:Strategy",
    {"adaptive": "idim.search.adaptive:Adaptive", "grid": "idim.search.grid:Grid"},
    plural="strategies",
    word="auto",
)
TABLES = {table.kind: table for table in (PROJECTIONS, METHODS, STRATEGIES)}

# What `task` says where a user's own code is the problem: a function that trains by itself, or a
# module with its loss.
OBJECTIVE, MODULE = "objective", "module"

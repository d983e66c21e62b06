"""How the commands look: help in panels that ends in its example, results on stdout."""

import json
import math
import sys
from collections.abc import Collection, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from idim.cli.failure import reported
from idim.config.names import Choices, Names
from idim.plain import harmless, harmless_json, shown
from idim.terminal import COLUMNS, fitted, width

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


# Tables whose names are listed when a help is printed, by what stands for them until then: to ask
# installed packages for theirs takes time at every start.
_LATER: dict[str, Names] = {}


def later(names: Collection[str]) -> str:
    """Write names, or what a command's help puts in their place."""
    table = names.names if isinstance(names, Choices) else names
    if not isinstance(table, Names):
        return ", ".join(names)
    mark = f"{{{table.group}}}"
    _LATER[mark] = table
    return mark


# Stands for a hyphen while a help is broken into lines: there it is no place for a break.
_HYPHEN = "\ue000"


class _Formatter(typer.Context.formatter_class):
    """Breaks lines between words, never in one."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Any, *args: Any, **settings: Any) -> None:
        kept = [(name, text.replace("-", _HYPHEN)) for name, text in rows]
        super().write_dl(kept, *args, **settings)

    def getvalue(self) -> str:
        return super().getvalue().replace(_HYPHEN, "-")


def _help(command: TyperCommand | TyperGroup, ctx: Any) -> str:
    formatter = _Formatter(width=ctx.terminal_width, max_width=ctx.max_content_width)
    command.format_help(ctx, formatter)
    return formatter.getvalue().rstrip("\n")


# Where a context keeps the words that its command was called with.
_WORDS = "idim.words"


def typed(context: Any) -> list[str]:
    """Return what was typed after `idim`: a command's name and its words."""
    return [context.info_name, *context.meta[_WORDS]]


class Command(TyperCommand):
    """A command whose options are listed by panel and whose help ends in its example."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        _set_example_apart(self)

    def get_help(self, ctx: Any) -> str:
        """As `_Formatter` breaks it."""
        return _help(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words, to tell a user which command to type next."""
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Print the example as it is written: it is there to be copied."""
        formatter.write(f"\nExample:\n{self.epilog}\n")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List arguments first, then each `rich_help_panel` under its name, in one column."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            name, text = parameter.get_help_record(ctx) or ("", "")
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
            if parameter.param_type_name == "argument":
                # typer adds the type (`DIR <path>`), which says nothing here.
                panel, name = "Arguments", name.split()[0]
            for mark, names in _LATER.items():
                text = text.replace(mark, names.listed())
            panels.setdefault(panel, []).append((name, text))
        width = max(len(name) for rows in panels.values() for name, _ in rows)
        for panel, rows in panels.items():
            with formatter.section(panel):
                aligned = [(name.ljust(width), text) for name, text in rows]
                formatter.write_dl(aligned, col_max=width)


class Group(TyperGroup):
    """The `idim` command: bare, it shows its help; every failure leaves through `reported`."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        _set_example_apart(self)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """As a command's."""
        formatter.write(f"\nExample:\n{self.epilog}\n")

    def get_help(self, ctx: Any) -> str:
        """As `_Formatter` breaks it."""
        return _help(self, ctx)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Parse what stands before the command's name."""
        with reported():
            return super().make_context(info_name, args or ["--help"], parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse and run the command."""
        with reported():
            return super().invoke(ctx)


def _set_example_apart(command: TyperCommand | TyperGroup) -> None:
    """A docstring's example goes below the options, where the eye is when the text has scrolled."""
    command.help, _, command.epilog = (command.help or "").partition("\n\nExample:\n")


def note(text: str) -> None:
    """Print a line to stderr: what a person wants to know and a program must not read."""
    print(fitted(shown(text), width(sys.stderr)), file=sys.stderr, flush=True)


def span() -> int | None:
    """Return how wide a table may be: as a terminal, and any width for a pipe."""
    return width(sys.stdout)


def room() -> int:
    """Return how wide a text may be: as wide for a pipe as for a terminal, if that is so wide."""
    return min(width(sys.stdout) or COLUMNS, COLUMNS)


def show(data: Any, *, as_json: bool) -> None:
    """Print the result to stdout: text as it is, anything else as one JSON object."""
    if as_json:
        data = json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)
        print(harmless_json(data))
    else:
        print(fitted(harmless(str(data), keep="\n").rstrip("\n"), width(sys.stdout)))


def columns(rows: Iterable[Iterable[str]]) -> str:
    """Align rows of words under each other; the last of a row goes on below itself.

    >>> print(columns([("toy", "10 sums"), ("digits", "8 x 8 images")]))
    toy     10 sums
    digits  8 x 8 images
    """
    table = [[harmless(word) for word in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    start = sum(widths[:-1]) + 2 * (len(widths) - 1)
    space = (width(sys.stdout) or sys.maxsize) - start
    lines = []
    for row in table:
        first, *more = fitted(row[-1], space).split("\n") if space > 0 else row[-1:]
        cells = [*(w.ljust(n) for w, n in zip(row, widths[:-1], strict=False)), first]
        lines += ["  ".join(cells), *(" " * start + word.strip() for word in more)]
    return "\n".join(line.rstrip() for line in lines)


def _plain(data: Any) -> Any:
    """JSON has no NaN: a number that is not finite is missing, so null."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data

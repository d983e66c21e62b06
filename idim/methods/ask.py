"""What a method's class says of its sizes, checked where it is asked: it may be anyone's code."""

import math
from collections.abc import Callable
from typing import Any

from idim.config.names import METHODS
from idim.errors import Misled
from idim.plain import brief


def _is_whole(n: Any) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 1


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


# By what is asked: whether it is an answer, and what would be one.
ANSWERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sizes": (_is_whole, "a whole number of 1 or more"),
    "trained": (lambda n: n is None or _is_whole(n), "a whole number of 1 or more, or None"),
    "matched_rate": (lambda x: _is_number(x) and x > 0, "a learning rate above 0"),
    "transfer": (_is_number, "a number"),
    "check": (lambda found: found is None, "None; a size that does not fit is an IdimError"),
}


def ask(method: str, what: str, *about: Any) -> Any:
    """Ask a method's class one of `ANSWERS`.

    Args:
        method: its name.
        what: which classmethod.
        about: its arguments.

    Raises:
        Misled: what it says is none.
        CodeFailed: it raised.
        IdimError: what it says by this, as `check` does of a size out of range.
    """
    if what == "check":  # which compares with it
        ask(method, "sizes", about[1])
    whose = f"{what}() of method '{method}'"
    with METHODS.answerable(method, whose, is_phrased=True):
        found = getattr(METHODS[method], what)(*about)
    is_one, wanted = ANSWERS[what]
    if not is_one(found):
        raise Misled(f"{whose} gives {brief(found)}; it must be {wanted}.")
    return found

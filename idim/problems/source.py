"""A hash of what a user's function is: its source and what it is bound to."""

import hashlib
import pickle
from typing import Any

from idim.errors import IdimError
from idim.problems.code import main_file, name_of
from idim.problems.spelled import Spelled

__all__ = ["fingerprint", "main_file", "name_of", "unsendable"]


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


def fingerprint(*codes: Any, version: str = "", asked: str = "") -> str:
    """Hash the source of functions, what they are bound to, and a version that the user gives.

    Bound are defaults, what a closure or a partial holds, what a decorator wraps, and the
    attributes of an object that is called or whose method it is, to any depth: numbers, texts and
    arrays by their content; functions and classes of the same module by their source; those of
    other modules by name; any other object by its class and by what a copy of it would need (its
    attributes, or what its __reduce__ says).  An object that its own use changes, as a
    random.Random, is told by how it stands at this call.  What functions call in turn is not
    seen: that is what `version` is for.

    Args:
        codes: functions, or objects that are called.
        version: the user's own; with one, what has no source and what cannot be spelled (a lock,
            an open file) counts by its name or its type's, with the objects of other modules that
            hold it.
        asked: what else decides the runs.

    Raises:
        IdimError: something has no source or cannot be spelled, and there is no version.
    """
    digest = hashlib.sha256(f"{version}{asked}".encode())
    for code in codes:
        try:
            text = Spelled(code, version).source(code)
        except RecursionError:
            raise IdimError(
                f"'{name_of(code)}' is called too deep, or bound to itself too often, to be told; "
                "call measure from fewer functions."
            ) from None
        digest.update(text.encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]

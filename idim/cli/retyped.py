"""Settings as a user would type them."""

import shlex
from typing import Any

from idim.plain import harmless


def option(flag: str, value: Any) -> str:
    """Write an option and its value."""
    return flag if value is True else f"{flag} {typed(value)}"


def typed(value: Any) -> str:
    """Write a value as a shell reads it."""
    many = value if isinstance(value, tuple) else (value,)
    text = ",".join(str(v).removesuffix(".0") for v in many)
    if harmless(text) == text:
        return shlex.quote(text)
    # as bash writes what cannot be shown; other signs as they are
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(sign: str) -> str:
    if sign in "\\'":
        return "\\" + sign
    if harmless(sign) == sign:
        return sign
    return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))

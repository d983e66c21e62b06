"""Text that others wrote, made fit to be shown: on one line, without control codes or secrets.

And a count with its noun, words as a list, and a score by its scale.
"""

import math
import os
import re
from collections.abc import Iterable
from typing import Any

# Controls, line and paragraph ends, what is invisible or turns the direction of reading, and
# halves of surrogate pairs, by which Python spells the bytes of names that are not UTF-8.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SECRETS = (
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), "hf_***"),
    (re.compile(r"(?<=://)[^/\s'\"]+@"), "***@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)([?&;](?:[\w-]*(?:token|key|secret|password|passwd|signature|credential)[\w-]*|"
            r"sig|auth|pw)=)[^&\s'\"#]+"
        ),
        r"\1***",
    ),
)
_TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def many(n: float, what: str) -> str:
    """Write a count and what is counted.

    >>> many(1, "run"), many(2000, "step"), many(1.5, "epoch")
    ('1 run', '2,000 steps', '1.5 epochs')
    """
    shown = f"{n:,}" if isinstance(n, int) else f"{n:g}"
    return f"{shown} {what}{'' if n == 1 else 's'}"


def number(value: float, scale: float | None = None, digits: int = 3) -> str:
    """Write a score, or a spread of scores, as exactly as numbers of its scale ask for.

    Args:
        value: the number.
        scale: of what stands beside it, so that all of one table are as exact; by default its own.
        digits: after the point of numbers from 0.1 to 10; smaller and larger ones have as many
            that count.

    >>> number(0.98765), number(0.0012, 0.988), number(-1.0), number(0)
    ('0.988', '0.001', '-1.000', '0.000')
    >>> number(12.3456), number(123.456), number(1234567.8), number(1.5e9)
    ('12.35', '123.5', '1,234,568', '1.500e+09')
    >>> number(0.0123456), number(1.23456e-5), number(4e-7, 1.23456e-5)
    ('0.0123', '1.235e-05', '0.040e-05')
    """
    if not math.isfinite(value):
        return f"{value}"
    size = abs(value if scale is None else scale) or abs(value)
    if abs(value) > 1e4 * size:
        size = abs(value)
    power = math.floor(math.log10(size)) if size else 0
    if abs(power) > 300:  # the power of ten itself is hardly a number
        return f"{value:.{digits}e}"
    if not -4 <= power <= digits + 3:
        return f"{value / 10.0**power:.{digits}f}e{power:+03d}"
    after = digits - power if power >= 0 else digits - 1 - power
    return f"{value:,.{max(0, after)}f}"


def harmless(text: str, keep: str = "") -> str:
    r"""Spell out every character that moves, hides or reorders others.

    Args:
        text: of any origin.
        keep: such characters that stay, e.g. a newline.

    >>> print(harmless("a\x1b[31m\u202eb\nc"))
    a\x1b[31m\u202eb\nc
    """

    def spelled(found: re.Match[str]) -> str:
        sign = found[0]
        return sign if sign in keep else sign.encode("unicode_escape").decode("ascii")

    return _ACTIVE.sub(spelled, text)


def harmless_json(text: str) -> str:
    r"""Spell such characters of a JSON text as JSON does; the value it stands for is the same.

    >>> print(harmless_json('"\u202eb"'))
    "\u202eb"
    """
    return _ACTIVE.sub(lambda f: f[0] if f[0] == "\n" else _json_escape(f[0]), text)


def _json_escape(sign: str) -> str:
    pair = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[i : i + 4]}" for i in range(0, len(pair), 4))


def scrubbed(text: str) -> str:
    """Leave out what opens a door: tokens, and users and passwords in addresses.

    >>> scrubbed("https://me:word@hub.co/x?token=abc&n=1 with hf_abcdefgh")
    'https://***@hub.co/x?token=***&n=1 with hf_***'
    """
    for name in _TOKEN_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= 8:
            text = text.replace(value, "***")
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def shown(text: str, most: int = 2000) -> str:
    """Make a text one harmless line without secrets, cut where it is longer than `most`."""
    line = harmless(scrubbed(text))
    return line if len(line) <= most else line[: most - 3] + "..."


def brief(value: Any, most: int = 60) -> str:
    """Write a value into a message, cut; a text in quotes.

    >>> brief(90.0), brief("a" * 99, 9), brief(10**5000)
    ('90', "'aaaaa...", 'a number of 5001 digits')
    """
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return f"a number of {int(value.bit_length() * 0.30103) + 1} digits"
    if isinstance(value, str | list | tuple):
        value = value[:most]
    try:
        text = f"{value:.12g}" if isinstance(value, float) else repr(value)
    except (ValueError, RecursionError):  # an endless number, or lists all the way down
        return f"a {type(value).__name__}"
    return text if len(text) <= most else text[: most - 3] + "..."


def listed(words: Iterable[str]) -> str:
    """Write words as a list; empty ones are left out.

    >>> listed(["P", "", "data order", "dropout"]), listed(["data order"])
    ('P, data order and dropout', 'data order')
    """
    known = [word for word in words if word]
    return " and ".join([", ".join(known[:-1]), known[-1]] if known[1:] else known)

"""Pins: what a hub name stands for on this machine, kept in $IDIM_HOME/pins.json."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from idim import reading
from idim.errors import IdimError, RunFailed

Kind = Literal["model", "dataset"]
# Bytes of pins.json.
MOST = 10 * reading.MB

# Names from before the hub had owners.  The hub redirects them; a cache without a network cannot.
CANONICAL = {
    "albert-base-v2": "albert/albert-base-v2",
    "albert-large-v2": "albert/albert-large-v2",
    "bert-base-cased": "google-bert/bert-base-cased",
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "bert-large-cased": "google-bert/bert-large-cased",
    "bert-large-uncased": "google-bert/bert-large-uncased",
    "distilbert-base-cased": "distilbert/distilbert-base-cased",
    "distilbert-base-uncased": "distilbert/distilbert-base-uncased",
    "distilgpt2": "distilbert/distilgpt2",
    "distilroberta-base": "distilbert/distilroberta-base",
    "gpt2": "openai-community/gpt2",
    "roberta-base": "FacebookAI/roberta-base",
    "roberta-large": "FacebookAI/roberta-large",
    "xlm-roberta-base": "FacebookAI/xlm-roberta-base",
    "xlnet-base-cased": "xlnet/xlnet-base-cased",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: a hub repository at a revision and, of a data set, one configuration."""

    kind: Kind
    repo: str
    revision: str = "main"
    config: str | None = None
    # As the user wrote it.
    name: str = ""

    @property
    def key(self) -> str:
        """Its name in pins.json: `models/FacebookAI/roberta-base@main`."""
        of = f":{self.config}" if self.config else ""
        return f"{self.kind}s/{self.repo}@{self.revision}{of}"

    @property
    def spellings(self) -> list[str]:
        """Repository names under which another program may have cached it."""
        return [self.repo, *(old for old, new in CANONICAL.items() if new == self.repo)]

    def __str__(self) -> str:
        if self.kind == "dataset":
            return f"data set '{self.name}'" + (f" ({self.config})" if self.config else "")
        return f"model '{self.name}'"


@dataclass(frozen=True, slots=True)
class Pin:
    """What a name stands for on this machine, for good: one commit and the files needed of it."""

    key: str
    kind: Kind
    repo: str
    commit: str
    files: tuple[str, ...]


def home() -> Path:
    """Return the folder of pins.json: $IDIM_HOME, else idim in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(os.environ.get("IDIM_HOME") or f"{cache}/idim"))


def read_pins() -> dict[str, Pin]:
    """Return every pin by key; none where the file does not exist yet."""
    path = home() / "pins.json"
    try:
        path.stat()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):  # said below
        pass
    try:
        table = json.loads(reading.content(path, MOST, "pins"))["pins"]
        pins = {
            key: Pin(key, p["kind"], p["repo"], p["commit"], _names(p["files"]))
            for key, p in table.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pins = None
    if pins is None or not all(map(_is_sound, pins.values())):
        raise IdimError(f"'{path}' is not a list of pins; delete it and run `idim prefetch` again.")
    return pins


def _names(files: object) -> tuple[str, ...]:
    if not isinstance(files, list):  # a text would be taken apart letter by letter
        raise TypeError
    return tuple(files)


def _is_sound(pin: Pin) -> bool:
    """Whether a pin can be what was written: its names become folders and files."""
    texts = (pin.repo, pin.commit, *pin.files)
    if pin.kind not in ("model", "dataset") or not all(isinstance(t, str) and t for t in texts):
        return False
    return not any(t.startswith("/") or ".." in t.split("/") or "\0" in t for t in texts)


def write_pin(pin: Pin) -> None:
    """Add one pin under a lock: two commands may fetch at once."""
    from filelock import FileLock

    path = home() / "pins.json"
    beside = path.with_name(f"pins.json.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name("pins.lock"), timeout=10):
            table = {key: asdict(p) for key, p in (read_pins() | {pin.key: pin}).items()}
            for entry in table.values():
                del entry["key"]
            text = json.dumps({"version": 1, "pins": table}, indent=2, sort_keys=True)
            beside.write_text(text + "\n", encoding="utf-8")
            beside.replace(path)
    except OSError as e:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        why = e.strerror or "its lock is held"
        raise RunFailed(f"cannot write '{path}': {why}; set IDIM_HOME to another folder.") from None

"""Which files of a data set hold which split, by their names alone: on the hub or in a folder.

The layouts are those that `datasets` documents ("Structure your repository"), besides them GLUE's
own folders and the hub's converted parquet.  Patterns are matched against a listing and never
given to a file system: no card can name a file outside its own data set.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePosixPath

from idim.hub import card as cards
from idim.hub.card import Card

# Split names to the files that hold them, in the order in which they are read.
Listing = dict[str, list[str]]

# In order of preference where a split is there in several formats.
FORMATS = (".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv")
_TEXT = (".jsonl", ".json", ".csv", ".tsv")
SHARD = re.compile(r"(?P<split>.+?)-(?P<index>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]+)?")
# What `datasets` and the hub write beside the rows.
_BESIDE = {
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json",
}  # fmt: skip
_ALIASES = {"dev": "validation", "val": "validation", "valid": "validation", "training": "train"}
# Words in a file's or folder's name that tell its split.
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_STORAGE = ("", "data", "default", "plain_text")
# The longest pattern that is looked for.
_LONGEST = 500


def form(name: str) -> str:
    """Return the format of a file of rows, as `.jsonl` of `a.jsonl.gz`; empty where it is none."""
    bare = name.removesuffix(".gz")
    end = PurePosixPath(bare).suffix.lower()
    return end if end in (FORMATS if bare == name else _TEXT) else ""


def stem(name: str) -> str:
    """Return a file's name without folder and format."""
    return PurePosixPath(name.removesuffix(".gz")).stem


def split_of(name: str) -> str:
    """Return the split that a file's name says, the shard's number left out."""
    shard = SHARD.fullmatch(stem(name))
    return shard["split"] if shard else stem(name)


def key(split: str) -> str:
    """Spell a split one way: `dev-r1`, `dev_r1` and `validation_r1` are the same.

    >>> key("Dev-r1")
    'validation_r1'
    """
    words = re.split(r"[-_.]", split.lower())
    return "_".join(_ALIASES.get(word, word) for word in words)


def is_known(split: str) -> bool:
    """Whether a key is a usual name of a split, or one with a word after it (`train_r1`)."""
    return split.split("_")[0] in _KEYWORDS


def preferred(files: Iterable[str]) -> list[str]:
    """Return the files of the first format that is there: others are copies of the same rows."""
    files = list(files)
    best = min((FORMATS.index(form(name)) for name in files), default=0)
    return [name for name in files if form(name) == FORMATS[best]]


def rows(names: Iterable[str]) -> list[str]:
    """Return the files of rows, sorted; hidden ones and what lies beside rows are none."""
    return sorted(name for name in names if form(name) and not _is_beside(name))


def _is_beside(name: str) -> bool:
    *_, last = parts = name.split("/")
    cached = last.startswith("cache-") and last.endswith(".arrow")
    return last in _BESIDE or cached or any(part.startswith((".", "__")) for part in parts)


def listings(names: Collection[str], card: Card, config: str | None) -> Iterator[Listing]:
    """Yield what each way of reading the names finds, the one with the first word first.

    These are the card's entry; the configuration's own folder; files or folders that are called
    as a split is; and `datasets`' rules.

    Args:
        names: paths of files, relative to the data set's folder, with slashes.
        card: front matter of README.md, `{}` where there is none.
        config: None takes the card's default, or its only one.
    """
    names = rows(names)
    entry = cards.entry(card, config)
    below = entry.get("data_dir")
    if found := _matching(names, cards.patterns(entry)):
        yield found  # nothing beside them is meant
        return
    if isinstance(below, str) and below:
        yield by_keyword(names, f"{below.strip('/')}/")
    for place in _places(names, config):
        if found := _in(names, place):
            yield found
            if place not in _STORAGE:
                yield by_keyword(names, f"{place}/")
    yield by_keyword(names)


def _places(names: list[str], config: str | None) -> list[str]:
    """List the folders that may hold the splits; GLUE spells a configuration as `SST-2`."""
    if not config:
        return [*_STORAGE]
    tops = dict.fromkeys(name.split("/")[0] for name in names if "/" in name)
    alike = [top for top in tops if top != config and _plain(top) == _plain(config)]
    return [config, f"data/{config}", *alike, *_STORAGE]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _matching(names: list[str], patterns: Listing) -> Listing:
    found = {split: matching(names, wanted) for split, wanted in patterns.items()}
    return {key(split): files for split, files in found.items() if files}


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that each pattern matches, pattern after pattern, each name once."""
    names = list(names)
    return list(dict.fromkeys(n for p in patterns for n in names if matches(n, p)))


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern with `*`, `?`, `[...]` in a folder, `**` over folders, is a name's.

    >>> matches("data/a/train.csv", "data/**/*.csv"), matches("data/a/x.csv", "data/*.csv")
    (True, False)
    """
    parts, wanted = name.split("/"), pattern.removeprefix("./").split("/")

    @cache
    def fits(i: int, j: int) -> bool:
        if j == len(wanted):
            return i == len(parts)
        if wanted[j] == "**":
            return i < len(parts) and (fits(i + 1, j) or fits(i, j + 1) or j == len(wanted) - 1)
        return i < len(parts) and fnmatchcase(parts[i], wanted[j]) and fits(i + 1, j + 1)

    return len(pattern) <= _LONGEST and fits(0, 0)


def _in(names: list[str], place: str) -> Listing:
    """Map split keys to a folder's files: by file name, else by the name of a folder in it."""
    found: Listing = {}
    folders: Listing = {}
    for name in names:
        folder, _, _ = name.rpartition("/")
        above, _, last = folder.rpartition("/")
        if folder == place:
            found.setdefault(key(split_of(name)), []).append(name)
        elif folder and above == place:
            folders.setdefault(key(last), []).append(name)
    return folders | found


def by_keyword(names: Collection[str], below: str = "") -> Listing:
    """Tell splits as `datasets` does, by words in the names of folders, else of files.

    First `data/<any split>-00000-of-00001`, and at last all files are the split `train`.
    """
    names = [name for name in rows(names) if name.startswith(below)]
    for rule in (_sharded, _folder_words, _file_words):
        found: Listing = {}
        for name in names:
            for split in rule(name.removeprefix(below)):
                found.setdefault(key(split), []).append(name)
        if found:
            return found
    return {"train": names} if names else {}


def _sharded(name: str) -> list[str]:
    folder, _, _ = name.rpartition("/")
    shard = SHARD.match(stem(name)) if folder == "data" else None
    return [shard["split"]] if shard else []


def _folder_words(name: str) -> list[str]:
    return _words(name.split("/")[:-1])


def _file_words(name: str) -> list[str]:
    return _words([stem(name)])


def _words(parts: list[str]) -> list[str]:
    words = {word for part in parts for word in re.split(r"[-._ 0-9]+", part)}
    return [split for split, known in _KEYWORDS.items() if words & set(known)]

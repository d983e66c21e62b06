"""Which files of a folder hold which split.

One code path serves a folder of `train.parquet` and friends, a mirror of a hub data set (sub
folder = config, files `train-00000-of-00002.parquet`), the hub's own converted layout
(`train/0000.parquet`), GLUE's `dev.tsv`, and a snapshot that `hub` fetched.  A data set's card has
the first word.
"""

import contextlib
import os
import re
from pathlib import Path

from idim.errors import IdimError
from idim.problems.tasks.card import declared
from idim.problems.tasks.info import TaskInfo
from idim.reading import is_folder

# In order of preference where a split is there in several formats.
SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv")
_SHARD = re.compile(r"(?P<split>.+?)-(?P<index>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]+)?")
_ALIASES = {"dev": "validation", "val": "validation", "valid": "validation", "training": "train"}
_IDX_STEMS = {"train": "train", "test": "t10k"}


def find(task: TaskInfo, folder: Path) -> dict[str, tuple[Path, ...]]:
    """Map each split of the task to its files, shards in order.

    Raises:
        IdimError: no such folder, no file for a split, shards missing, or two candidates.
    """
    check_folder(folder)
    if task.kind == "image" and any(folder.glob("*-ubyte*")):
        return {split: _idx_pair(folder, split) for split in _IDX_STEMS}
    wanted = dict.fromkeys((*task.train, *task.evaluation))
    listing = _best_listing(task, folder, [_key(split) for split in wanted])
    return {split: _files(task, split, folder, listing) for split in wanted}


def check_folder(folder: Path) -> None:
    """Refuse a data folder that is not one."""
    if not os.path.lexists(folder):
        raise IdimError(f"data folder '{folder}' does not exist.")
    if not is_folder(folder):
        with contextlib.suppress(FileNotFoundError):
            os.stat(folder)  # a link in a circle, a name too long, a folder that may not be seen
        raise IdimError(f"'{folder}' is a file; give the folder that holds train{SUFFIXES[0]}.")


def _best_listing(task: TaskInfo, folder: Path, keys: list[str]) -> dict[str, list[Path]]:
    """List the first place that holds any wanted split: all splits must come from one place."""
    by_card = {_key(split): files for split, files in declared(folder, task.config).items()}
    places = [folder / task.config, folder / "data" / task.config] if task.config else []
    places += [folder, folder / "data", folder / "default", folder / "plain_text"]
    listings = [by_card] + [_listing(place) for place in places if is_folder(place)]
    # Next best is the fullest one, so that the error can say which splits are there.
    return next((x for x in listings if x.keys() & set(keys)), max(listings, key=len))


def _listing(place: Path) -> dict[str, list[Path]]:
    """Map split keys to data files: by file name, else by the name of a sub folder of shards."""
    found: dict[str, list[Path]] = {}
    for file in _data_files(place):
        found.setdefault(_key(_split_of(file)), []).append(file)
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        if _key(folder.name) not in found and (shards := _data_files(folder)):
            found[_key(folder.name)] = shards
    return found


def _data_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix in SUFFIXES and f.is_file())


def _split_of(path: Path) -> str:
    shard = _SHARD.fullmatch(path.stem)
    return shard["split"] if shard else path.stem


def _key(split: str) -> str:
    """Spell a split one way: `dev-r1`, `dev_r1` and `validation_r1` are the same."""
    words = re.split(r"[-_.]", split.lower())
    return "_".join(_ALIASES.get(word, word) for word in words)


def _files(
    task: TaskInfo, split: str, folder: Path, listing: dict[str, list[Path]]
) -> tuple[Path, ...]:
    if Path(split).suffix in SUFFIXES:  # a user's task may name a file instead of a split
        if not (folder / split).is_file():
            raise IdimError(f"'{folder}' has no file '{split}', which task '{task.name}' names.")
        return (folder / split,)
    files = listing.get(_key(split), [])
    for suffix in SUFFIXES:
        same = [file for file in files if file.suffix == suffix]
        if same:
            _check_shards(same, split)
            _check_rivals(same, split)
            return tuple(same)
    there = ", ".join(sorted(listing)) or "none"
    raise IdimError(
        f"'{folder}' has no file for split '{split}' of task '{task.name}' (found: {there}); "
        f"expected {split}.parquet, .jsonl, .json, .csv or .tsv."
    )


def _check_shards(files: list[Path], split: str) -> None:
    """Refuse a split of which some `name-00000-of-00002` are missing, or there twice."""
    shards = [shard for file in files if (shard := _SHARD.fullmatch(file.stem))]
    if not shards:
        return
    count = max(int(shard["count"]) for shard in shards)
    indices = [int(shard["index"]) for shard in shards]
    if len(files) > len(shards) or sorted(indices) != list(range(count)):
        names = ", ".join(file.name for file in files)
        raise IdimError(
            f"split '{split}' in '{files[0].parent}' should be {count} shard(s) of one name; "
            f"found {names}."
        )


def _check_rivals(files: list[Path], split: str) -> None:
    """Refuse `dev.csv` beside `validation.csv`: which is meant?"""
    rivals = {file.name for file in files if _key(file.stem) == _key(split)}
    if len(rivals) > 1:
        names = " and ".join(sorted(rivals))
        raise IdimError(f"'{files[0].parent}': {names} both hold split '{split}'; keep one.")


def _idx_pair(folder: Path, split: str) -> tuple[Path, Path]:
    """Return images and labels of MNIST's own format, compressed or not."""
    found = []
    for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        stem = f"{_IDX_STEMS[split]}-{name}"
        file = next((f for f in (folder / f"{stem}.gz", folder / stem) if f.is_file()), None)
        if file is None:
            raise IdimError(f"'{folder}' has no {stem}.gz, which the {split} split needs.")
        found.append(file)
    return found[0], found[1]

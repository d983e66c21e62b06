"""Which files of a folder hold which split, and which split a task may do without.

One code path (`idim.hub.layout`) serves a folder of `train.parquet` and friends, any layout that
`datasets` documents, what `save_to_disk` wrote, a mirror or snapshot of a hub data set, GLUE's own
downloads and a single file.  Only names of the folder's own listing are ever opened, and of these
no link that leads out of it, but to the hub cache's blobs.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from idim.errors import IdimError, unknown
from idim.hub import card as cards
from idim.hub import layout
from idim.hub.files import is_inside
from idim.hub.layout import Listing, key
from idim.problems.tasks import glue
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.slices import bases
from idim.problems.tasks.tables import few
from idim.reading import is_folder

_IDX_STEMS = {"train": "train", "test": "t10k"}
# A data set's own folder has fewer; somebody's home has more.
MOST_FILES = 100_000
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Found:
    """The files of each split that is there, and what the data set's card says of them."""

    splits: tuple[tuple[str, tuple[Path, ...]], ...]
    # Names of the label's codes.
    classes: tuple[str, ...] = ()
    # Between the cells of a CSV file; empty: a comma.
    separator: str = ""
    # What a reader of the results must know, one sentence each.
    notes: tuple[str, ...] = ()

    def paths(self) -> Iterator[Path]:
        """Yield every file that is read."""
        return (path for _, paths in self.splits for path in paths)


def find(task: TaskInfo, place: Path) -> Found:
    """Map each split of the task to its files, shards in order.

    The evaluation split may be missing where the task did not name it itself: it is then held out.

    Raises:
        IdimError: no such folder, no file for a split, shards missing, two candidates, or a link
            out of the folder.
    """
    check_place(place)
    if not is_folder(place):
        return Found(((_only(task, place), (_single(place),)),))
    if task.kind == "image" and any(place.glob("*-ubyte*")):
        return Found(tuple((split, _idx_pair(place, split)) for split in _IDX_STEMS))
    (names, links), card = _names(place), cards.read(place)
    if own := glue.listing(task, names):
        return Found(tuple((s, tuple(_checked(place, n) for n in own[s])) for s in own))
    _check_config(task, place, names, cards.configurations(card))
    needs, judges = bases(task.train), bases(task.evaluation)
    listing = _best_listing(task, names, card, needs, judges)
    missing = [s for s in (*needs, *judges) if key(s) not in listing and not layout.form(s)]
    _check_named(task, place, names, card, missing)
    if missing and links:
        raise IdimError(
            f"'{place / links[0]}' is a link to a folder, which is not followed, and no other file "
            f"holds split '{missing[0]}'; put the folder itself there."
        )
    if task.may_hold_out and set(judges) <= set(missing):
        judges = []
    wanted = dict.fromkeys((*needs, *judges))
    splits = tuple((s, _files(task, s, place, listing)) for s in wanted)
    _check_once(splits)
    return Found(
        splits,
        cards.classes(card, task.config, task.label),
        cards.separator(cards.entry(card, task.config)),
        tuple(note for s in wanted for note in _left_out(s, listing.get(key(s), []))),
    )


def _only(task: TaskInfo, file: Path) -> str:
    """Return the split that a single file is: the one to learn from.

    Raises:
        IdimError: the task learns from several, or names another to evaluate on.
    """
    needs, judges = bases(task.train), bases(task.evaluation)
    others = [s for s in judges if s not in needs and not task.may_hold_out]
    if len(needs) > 1 or others:
        raise IdimError(
            f"'{file}' is one file, and task '{task.name}' reads the splits "
            f"{few([*needs, *others])}; give a folder with a file for each."
        )
    return needs[0]


def _check_named(
    task: TaskInfo, place: Path, names: list[str], card: cards.Card, missing: list[str]
) -> None:
    """Refuse a folder that lacks some of the files that its card names, as one half fetched does.

    A folder with none of them is laid out otherwise.
    """
    patterns = cards.patterns(cards.entry(card, task.config))
    if not any(layout.matching(names, wanted) for wanted in patterns.values()):
        return
    for split, wanted in patterns.items():
        if key(split) in map(key, missing):
            raise IdimError(
                f"'{place}' has no file '{wanted[0]}', which its README.md names for split "
                f"'{split}'."
            )


def _check_once(splits: tuple[tuple[str, tuple[Path, ...]], ...]) -> None:
    """Refuse a file that would be two splits: the same rows to learn from and to score."""
    held: dict[Path, str] = {}
    for split, paths in splits:
        for path in paths:
            other = held.setdefault(path.resolve(), split)
            if other != split:
                raise IdimError(
                    f"'{path}' would be both split '{other}' and split '{split}'; scores need "
                    "unseen rows: give each split a file of its own, or this file alone."
                )


def _left_out(split: str, files: list[str]) -> list[str]:
    """Say which files of a split are not read, for they are of another format."""
    read = layout.preferred(files)
    if len(read) == len(files):
        return []
    others = few([name for name in files if name not in read])
    return [f"split '{split}' is read from {few(read)}; left out: {others}."]


def _check_config(
    task: TaskInfo, place: Path, names: list[str], declared: dict[str, cards.Card]
) -> None:
    """Refuse to choose between configurations, or to mix them."""
    if len(declared) < 2 or task.config in declared:
        return
    if task.config is None and cards.default(declared) is None:
        raise IdimError(
            f"'{place}' has several configurations; choose one: {few(list(declared))} "
            "(config = ... in the task file)."
        )
    own = any(name.startswith((f"{task.config}/", f"data/{task.config}/")) for name in names)
    if task.config is not None and not own:
        raise unknown(f"configuration of '{place}'", task.config, declared)


def check_place(place: Path) -> None:
    """Refuse a data folder, or a file of rows, that is not there."""
    if not os.path.lexists(place):
        raise IdimError(f"data folder '{place}' does not exist.")
    if not is_folder(place):
        os.stat(place)  # a link in a circle, a name too long, a folder that may not be seen


def _single(path: Path) -> Path:
    if not layout.form(path.name):
        raise IdimError(
            f"'{path}' is a file that no rows are read from; give a folder, or a file of "
            f"{', '.join(layout.FORMATS)}."
        )
    return path


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """List the files below a folder, and the links to folders, which are not followed."""
    found: list[str] = []
    links: list[str] = []
    for here, folders, files in os.walk(folder):
        below = Path(here).relative_to(folder)
        seen = [f for f in folders if not f.startswith((".", "__"))]
        folders[:] = sorted(seen) if len(below.parts) < DEEPEST else []
        links += ((below / f).as_posix() for f in seen if os.path.islink(os.path.join(here, f)))
        found += ((below / f).as_posix() for f in sorted(files) if _is_file(os.path.join(here, f)))
        if len(found) > MOST_FILES:
            raise IdimError(
                f"'{folder}' holds more than {MOST_FILES:,} files; give the data set's own folder."
            )
    return found, links


def _is_file(path: str) -> bool:
    """Whether it is one, or a broken link, which is said where it is needed."""
    return os.path.isfile(path) or not os.path.exists(path)


def _best_listing(
    task: TaskInfo, names: list[str], card: cards.Card, needs: list[str], judges: list[str]
) -> Listing:
    """Choose the first listing with all splits, else with those to learn from, else the fullest.

    So all splits come from one place, and an error can say which splits are there.
    """
    found = list(layout.listings(names, card, task.config))
    first, all_of_them = (
        {key(split) for split in splits if not layout.form(split)}  # or else a file is named
        for splits in (needs, [*needs, *judges])
    )
    for wanted in (all_of_them, first):
        for listing in found:
            if wanted <= listing.keys():
                return listing
    return max([x for x in found if x.keys() & all_of_them] or found, key=len)


def _files(task: TaskInfo, split: str, folder: Path, listing: Listing) -> tuple[Path, ...]:
    if layout.form(split):  # a user's task may name a file instead of a split
        if not (folder / split).is_file():
            raise IdimError(f"'{folder}' has no file '{split}', which task '{task.name}' names.")
        return (_checked(folder, split),)
    if files := layout.preferred(listing.get(key(split), [])):
        _check_shards(folder, files, split)
        _check_rivals(folder, files, split)
        return tuple(_checked(folder, name) for name in files)
    there = ", ".join(sorted(listing)) or "none"
    raise IdimError(
        f"'{folder}' has no file for split '{split}' of task '{task.name}' (found: {there}); "
        f"expected {split}.parquet, .arrow, .jsonl, .json, .csv or .tsv."
    )


def _checked(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise IdimError(f"'{folder / name}' is a link to nothing.")
    if not is_inside(folder, folder / name):
        raise IdimError(f"'{name}' leads out of '{folder}'; put the file itself there.")
    return folder / name


def _check_shards(folder: Path, files: Sequence[str], split: str) -> None:
    """Refuse a split of which some `name-00000-of-00002` are missing, or there twice."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in files:
        groups.setdefault((name.rpartition("/")[0], key(layout.split_of(name))), []).append(name)
    for (below, _), same in groups.items():
        shards = [s for name in same if (s := layout.SHARD.fullmatch(layout.stem(name)))]
        count = max((int(shard["count"]) for shard in shards), default=0)
        indices = sorted(int(shard["index"]) for shard in shards)
        if shards and (len(same) > len(shards) or indices != list(range(count))):
            there = ", ".join(name.rpartition("/")[2] for name in same)
            raise IdimError(
                f"split '{split}' in '{folder / below}' should be {count} shard(s) of one name; "
                f"found {there}."
            )


def _check_rivals(folder: Path, files: Sequence[str], split: str) -> None:
    """Refuse `dev.csv` beside `validation.csv`: which is meant?"""
    rivals = {name.rpartition("/")[2] for name in files if key(layout.stem(name)) == key(split)}
    if len(rivals) > 1:
        place = (folder / files[0]).parent
        names = " and ".join(sorted(rivals))
        raise IdimError(f"'{place}': {names} both hold split '{split}'; keep one.")


def _idx_pair(folder: Path, split: str) -> tuple[Path, Path]:
    """Return images and labels of MNIST's own format, compressed or not."""
    found = []
    for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        stem = f"{_IDX_STEMS[split]}-{name}"
        file = next((f for f in (f"{stem}.gz", stem) if (folder / f).is_file()), None)
        if file is None:
            raise IdimError(f"'{folder}' has no {stem}.gz, which the {split} split needs.")
        found.append(_checked(folder, file))
    return found[0], found[1]

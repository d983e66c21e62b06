"""What a data set's own README.md says: its configurations, their files, the names of its classes.

Read by hand and not by `datasets`, whose reader of cards follows absolute paths and addresses and
writes a wrong entry out in full, which a few nested YAML anchors make larger than any memory.
"""

from pathlib import Path
from typing import Any

from idim import reading

Card = dict[str, Any]
# Labels that a card may name; a class list longer than this is no classification.
MOST_CLASSES = 10_000


def read(folder: Path) -> Card:
    """Return the front matter of a folder's README.md; empty where there is none to be read."""
    import yaml

    readme = folder / "README.md"
    if not readme.is_file():
        return {}
    try:
        head, *rest = reading.text(readme, reading.SETTINGS).split("\n---", maxsplit=1)
        card = yaml.safe_load(head.removeprefix("---")) if rest and head.startswith("---") else {}
    # YAML's own errors, and what Python makes of its dates, numbers and depth
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, RecursionError, TypeError):
        return {}
    return card if isinstance(card, dict) else {}


def configurations(card: Card) -> dict[str, Card]:
    """Map the names of the configurations that the card declares to their entries."""
    found = {}
    for entry in _dicts(card.get("configs")):
        name = entry.get("config_name", "default")
        if isinstance(name, str):
            found[name] = entry
    return found


def default(declared: dict[str, Card]) -> str | None:
    """Return the configuration that is meant where none is named: the marked or the only one."""
    marked = [n for n, entry in declared.items() if entry.get("default") is True]
    marked += ["default"] * ("default" in declared)
    return (marked or [*declared, None])[0] if marked or len(declared) < 2 else None


def patterns(entry: Card) -> dict[str, list[str]]:
    """Map the splits of a configuration to the patterns of their files, `data_dir` in front.

    `data_files` is a pattern, a list of patterns (both of the split `train`), or a list of
    {split, path}; empty where there is none, or nothing that can name files.
    """
    below = entry.get("data_dir") or ""
    given = entry.get("data_files")
    if not isinstance(below, str):
        return {}
    found: dict[str, list[str]] = {}
    for item in given if isinstance(given, list) else [given]:
        split, paths = "train", item
        if isinstance(item, dict):
            split, paths = item.get("split"), item.get("path")
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(split, str) and isinstance(path, str) and path:
                found.setdefault(split, []).append(f"{below.strip('/')}/{path}" if below else path)
    return found


def separator(entry: Card) -> str:
    """Return what parts the cells of a configuration's CSV files; empty where it says nothing."""
    given = entry.get("sep") or entry.get("delimiter")
    return given if isinstance(given, str) and len(given) == 1 and given not in '"\r\n\0' else ""


def entry(card: Card, config: str | None) -> Card:
    """Return the entry of a configuration, None for the default one; empty where there is none."""
    declared = configurations(card)
    return declared.get(config or default(declared) or "", {})


def classes(card: Card, config: str | None, label: str) -> tuple[str, ...]:
    """Return the class names that a card gives a column in `dataset_info`, by their codes."""
    infos = card.get("dataset_info")
    entries = _dicts(infos if isinstance(infos, list) else [infos])
    wanted = [e for e in entries if e.get("config_name", "default") == config] or entries[:1]
    for feature in (f for entry in wanted for f in _dicts(entry.get("features"))):
        kind = feature.get("dtype")
        label_of = kind.get("class_label") if isinstance(kind, dict) else None
        names = label_of.get("names") if isinstance(label_of, dict) else None
        if feature.get("name") == label and isinstance(names, dict):
            by_code = {str(code): name for code, name in names.items()}
            ordered = [by_code.get(str(i)) for i in range(min(len(by_code), MOST_CLASSES))]
            if all(isinstance(name, str) for name in ordered):
                return tuple(map(str, ordered))
    return ()


def _dicts(values: Any) -> list[Card]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []

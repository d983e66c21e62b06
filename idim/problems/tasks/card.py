"""The files of each split as a hub data set's own README.md declares them.

Most data sets need no card, their file names say it; but a card may put any name anywhere.
"""

from pathlib import Path
from typing import Any

from idim import reading

# The longest pattern that is looked for.
LONGEST = 500


def declared(folder: Path, config: str | None) -> dict[str, list[Path]]:
    """Map split names to the files that are there; empty where no card says so.

    Args:
        folder: a mirror or snapshot of a hub data set.
        config: None takes the card's default, or its only one.
    """
    found: dict[str, list[Path]] = {}
    entry = _entry(_front_matter(folder / "README.md").get("configs"), config)
    items, inside = entry.get("data_files"), entry.get("data_dir") or ""
    if not isinstance(inside, str) or _leaves(inside):
        return {}
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and isinstance(item.get("split"), str):
            paths = item.get("path")
            for pattern in paths if isinstance(paths, list) else [paths]:
                found.setdefault(item["split"], []).extend(_glob(folder / inside, pattern))
    return {split: files for split, files in found.items() if files}


def _front_matter(readme: Path) -> dict[str, Any]:
    import yaml

    if not readme.is_file():
        return {}
    try:
        head, *rest = reading.text(readme, reading.SETTINGS).split("\n---", maxsplit=1)
        card = yaml.safe_load(head.removeprefix("---")) if rest and head.startswith("---") else {}
    # YAML's own errors, and what Python makes of its dates, numbers and depth
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}


def _entry(configs: Any, config: str | None) -> dict[str, Any]:
    entries = [c for c in configs if isinstance(c, dict)] if isinstance(configs, list) else []
    if config is None and len(entries) == 1:
        return entries[0]
    for entry in entries:
        name = entry.get("config_name", "default")
        if name == config or (config is None and (entry.get("default") or name == "default")):
            return entry
    return {}


def _glob(base: Path, pattern: Any) -> list[Path]:
    """Match below the folder only: a card must not name files elsewhere on this machine."""
    if not isinstance(pattern, str) or not pattern or _leaves(pattern):
        return []
    if len(pattern) > LONGEST or pattern.count("**") > 1:  # each more looks through everything
        return []
    try:
        return sorted(path for path in base.glob(pattern) if path.is_file())
    except (ValueError, NotImplementedError, RecursionError):  # no pattern
        return []


def _leaves(pattern: str) -> bool:
    return pattern.startswith(("/", "~")) or ".." in pattern or "://" in pattern or "\0" in pattern

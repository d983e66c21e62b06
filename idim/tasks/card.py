"""The files of each split as a hub data set's own README.md declares them.

Most data sets need no card, their file names say it; but a card may put any name anywhere.
"""

from pathlib import Path
from typing import Any


def declared(folder: Path, config: str | None) -> dict[str, list[Path]]:
    """Map split names to the files that are there; empty where no card says so.

    Args:
        folder: a mirror or snapshot of a hub data set.
        config: None takes the card's default, or its only one.
    """
    found: dict[str, list[Path]] = {}
    entry = _entry(_front_matter(folder / "README.md").get("configs"), config)
    items = entry.get("data_files")
    base = folder / str(entry.get("data_dir") or "")
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and isinstance(item.get("split"), str):
            paths = item.get("path") or []
            for pattern in [paths] if isinstance(paths, str) else paths:
                found.setdefault(item["split"], []).extend(_glob(base, str(pattern)))
    return {split: files for split, files in found.items() if files}


def _front_matter(readme: Path) -> dict[str, Any]:
    import yaml

    try:
        head, *rest = readme.read_text(encoding="utf-8").split("\n---", maxsplit=1)
        card = yaml.safe_load(head.removeprefix("---")) if rest and head.startswith("---") else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
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


def _glob(base: Path, pattern: str) -> list[Path]:
    """Match below the folder only: a card must not name files elsewhere on this machine."""
    if pattern.startswith("/") or ".." in pattern or "://" in pattern:
        return []
    return sorted(path for path in base.glob(pattern) if path.is_file())

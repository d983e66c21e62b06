"""Which files of a repository or folder are needed, and whether they are all there."""

import json
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from idim.errors import IdimError, unknown
from idim.hub.pins import CANONICAL, Wanted

WEIGHTS, INDEX, SHARDS = "model.safetensors", "model.safetensors.index.json", "model-*.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth")
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model", "*.bpe.model", "*.spm")
BESIDE_TOKENIZER = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt",
)  # fmt: skip
# Files of a model folder that decide what is loaded: by what their names end or begin with.
ENDS = (".json", ".safetensors", ".txt", ".model", ".spm", ".bpe", ".tiktoken", ".codes", ".vocab")
BEGINS = ("tokenizer.", "vocab.")
# Parquet folders of these names are splits or plain storage, not configurations.
PLAIN_FOLDERS = {"data", "train", "validation", "test"}


def check_model(folder: Path, name: str) -> None:
    """Refuse a folder that transformers could not load, or only by unpickling.

    Raises:
        IdimError: what is missing, leads out of the folder, or is an adapter.
    """
    names = [p.name for p in entries(folder, name) if p.is_file()]
    missing = [] if "config.json" in names else ["config.json"]
    missing += shards_missing(folder) if _weights(names) else [WEIGHTS]
    if "adapter_config.json" in names:
        raise IdimError(
            f"model folder '{name}' holds an adapter (adapter_config.json); merge it once into its "
            "model with peft's merge_and_unload(), save that, and pass its folder."
        )
    if not missing:
        deciding(folder, name)
        return
    hub = CANONICAL.get(name)
    aside = f" (The hub's model of that name is '{hub}'.)" if hub else ""
    if missing == [WEIGHTS] and _pickles(names):
        raise IdimError(
            f"model folder '{name}' holds only {_pickles(names)[0]}{_NO_PICKLES}{aside}"
        )
    raise IdimError(f"model folder '{name}' lacks {' and '.join(missing)}.{aside}")


_NO_PICKLES = (
    ", a pickle, which idim never opens; rewrite it once with transformers' "
    "from_pretrained(...).save_pretrained(FOLDER), which saves safetensors, and pass that folder."
)


def _pickles(names: Iterable[str]) -> list[str]:
    return [n for n in names if any(fnmatchcase(n, p) for p in PICKLES)]


def _weights(names: Collection[str]) -> list[str]:
    """Choose the weight files transformers would load; a repository may hold several formats."""
    if WEIGHTS in names:
        return [WEIGHTS]
    return [INDEX, *(n for n in names if fnmatchcase(n, SHARDS))] if INDEX in names else []


def shards_missing(folder: Path) -> list[str]:
    """Name the weight files that the folder's index lists and the folder lacks."""
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return []
    try:
        shards = _shards(folder)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return [f"a readable {INDEX}"]
    for shard in shards:
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            return [f"an {INDEX} of *.safetensors files beside it (it names '{shard}')"]
    return [s for s in shards if not (folder / s).is_file()]


def _shards(folder: Path) -> list[str]:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    shards = set(index["weight_map"].values())
    if not shards or not all(isinstance(s, str) for s in shards):
        raise ValueError("no names of files")
    return sorted(shards)


def entries(folder: Path, name: str) -> list[Path]:
    """List a model folder.

    Raises:
        IdimError: it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as e:
        raise IdimError(f"cannot read model folder '{name}': {e.strerror}.") from None


def deciding(folder: Path, name: str) -> list[Path]:
    """Return the files of a model folder that decide what is loaded: weights, config, tokenizer.

    Raises:
        IdimError: one is no file, or a link out of the folder other than to the hub cache's blobs.
    """
    paths = [p for p in entries(folder, name) if p.name.endswith(ENDS) or p.name.startswith(BEGINS)]
    here = folder.resolve()
    blobs = [here.parent.parent / "blobs"] if here.parent.name == "snapshots" else []
    for path in paths:
        if not path.is_file():
            kind = "a link to nothing" if path.is_symlink() else "not a file"
            raise IdimError(f"'{path.name}' in model folder '{name}' is {kind}.")
        real = path.resolve()
        if path.is_symlink() and not any(real.is_relative_to(top) for top in (here, *blobs)):
            raise IdimError(
                f"'{path.name}' in model folder '{name}' is a link out of the folder; "
                "put the file itself there."
            )
    return paths


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return a model folder's safetensors files, as transformers would choose them.

    Raises:
        IdimError: none, or an index that names other than files of this folder.
    """
    names = [p.name for p in deciding(folder, name)]
    missing = shards_missing(folder) if _weights(names) else [WEIGHTS]
    if missing:
        raise IdimError(f"model folder '{name}' lacks {' and '.join(missing)}.")
    return [folder / s for s in ([WEIGHTS] if WEIGHTS in names else _shards(folder))]


def needed(wanted: Wanted, names: Collection[str], card: dict[str, Any]) -> list[str]:
    """Choose file patterns: enough to load, and no second format, language or configuration."""
    if wanted.kind == "dataset":
        return ["README.md"] * ("README.md" in names) + _data_patterns(wanted, names, card)
    if "config.json" not in names:
        raise IdimError(f"{wanted} has no config.json on the hub: not a transformers model.")
    top = [n for n in names if "/" not in n]
    if not _weights(top):
        raise _no_weights(wanted, top)
    wishes = (*TOKENIZER, *BESIDE_TOKENIZER)
    tokens = [n for n in top if any(fnmatchcase(n, w) for w in wishes)]
    return ["config.json", *_weights(top), *tokens]


def _no_weights(wanted: Wanted, names: list[str]) -> IdimError:
    if not _pickles(names):
        return IdimError(f"{wanted} has no {WEIGHTS} on the hub.")
    tip = f" The hub's own conversion may lie at '{wanted.repo}@refs/pr/N': see its pull requests."
    return IdimError(f"{wanted} has only {_pickles(names)[0]} on the hub{_NO_PICKLES}{tip}")


def _data_patterns(wanted: Wanted, names: Collection[str], card: dict[str, Any]) -> list[str]:
    """Find a configuration's files: as the card declares, else its folder, else all parquet."""
    declared = {c.get("config_name", "default"): c for c in card.get("configs") or ()}
    config = wanted.config or _default(wanted, declared)
    if declared and config not in declared:
        raise unknown(f"configuration of {wanted.repo}", config or "", declared)
    if declared and (patterns := _declared_patterns(declared[config])):
        return patterns
    parquet = [n for n in names if n.endswith(".parquet")]
    if not parquet:
        raise IdimError(
            f"{wanted} has no parquet files on the hub; try '{wanted.repo}@refs/convert/parquet', "
            "the hub's own conversion, or give them with --data FOLDER."
        )
    folders = {n.split("/")[0] for n in parquet if "/" in n}
    if config in folders:
        return [f"{config}/*.parquet"]
    if wanted.config and folders - PLAIN_FOLDERS:
        raise unknown(f"configuration of {wanted.repo}", wanted.config, sorted(folders))
    return ["*.parquet"]


def _default(wanted: Wanted, declared: dict[str, dict[str, Any]]) -> str | None:
    marked = [n for n, c in declared.items() if c.get("default") or n == "default"]
    if len(declared) > 1 and not marked:
        raise IdimError(f"{wanted} has several configurations; choose one: {', '.join(declared)}.")
    return next(iter(marked or declared), None)


def _declared_patterns(entry: dict[str, Any]) -> list[str]:
    """Flatten a card's `data_files`: a pattern, a list, or a list of {split, path}."""
    given = entry.get("data_files") or []
    patterns: list[str] = []
    for item in given if isinstance(given, list) else [given]:
        paths = item.get("path", []) if isinstance(item, dict) else item
        patterns += paths if isinstance(paths, list) else [paths]
    below = entry.get("data_dir")
    if below:
        return [f"{below}/{p}" for p in patterns or ["*"]]
    return patterns


def matching(wanted: Wanted, names: Collection[str], patterns: list[str]) -> tuple[str, ...]:
    """Return the names that match; a pattern that matches none is an error."""
    chosen = set()
    for pattern in patterns:
        found = [n for n in names if fnmatchcase(n, pattern.replace("**/", "*"))]
        if not found:
            raise IdimError(f"{wanted} has no file '{pattern}' though its card names it.")
        chosen.update(found)
    return tuple(sorted(chosen))

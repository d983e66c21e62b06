"""Which files of a repository or folder are needed, and whether they are all there."""

import json
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any

from idim.errors import IdimError, unknown
from idim.hub import card as cards
from idim.hub import layout
from idim.hub.card import Card
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
# Folders of these names are splits or plain storage, not configurations.
PLAIN_FOLDERS = {"data", "train", "validation", "test"}
# The branch on which the hub keeps its own conversion, as CONFIG/SPLIT/0000.parquet.
CONVERTED = "refs/convert/parquet"


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
    for path in paths:
        if not path.is_file():
            kind = "a link to nothing" if path.is_symlink() else "not a file"
            raise IdimError(f"'{path.name}' in model folder '{name}' is {kind}.")
        if path.is_symlink() and not is_inside(folder, path):
            raise IdimError(
                f"'{path.name}' in model folder '{name}' is a link out of the folder; "
                "put the file itself there."
            )
    return paths


def is_inside(folder: Path, path: Path) -> bool:
    """Whether a file, its links followed, lies in a folder or in the hub's cache around it."""
    here = folder.resolve()
    snapshots = [top.parent for top in (here, *here.parents) if top.parent.name == "snapshots"]
    tops = (here, *(place.parent / "blobs" for place in snapshots))
    return any(path.resolve().is_relative_to(top) for top in tops)


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
        return ["README.md"] * ("README.md" in names) + _data_files(wanted, names, card)
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


def _data_files(wanted: Wanted, names: Collection[str], card: Card) -> list[str]:
    """Find all splits of a configuration: as the card declares them, else as the names say."""
    declared = cards.configurations(card)
    config = wanted.config or cards.default(declared)
    if len(declared) > 1 and config is None:
        raise _several(wanted, declared)
    if declared and config not in declared:
        raise unknown(f"configuration of {wanted.repo}", config or "", declared)
    data = layout.rows(names)
    for pattern in (
        p for ps in cards.patterns(declared.get(config or "", {})).values() for p in ps
    ):
        if not layout.matching(data, [pattern]):
            if other := layout.matching(names, [pattern]):
                raise _no_rows(wanted, other)
            raise IdimError(f"{wanted} has no file '{pattern}' though its card names it.")
    if not data:
        raise _no_rows(wanted, names)
    tops = sorted({n.split("/")[0] for n in data if "/" in n} - PLAIN_FOLDERS)
    if wanted.config and not declared and tops and wanted.config not in tops:
        raise unknown(f"configuration of {wanted.repo}", wanted.config, tops)
    if wanted.revision == CONVERTED and not config and len(tops) > 1:
        raise _several(wanted, tops)
    found = layout.listings(data, card, config)
    chosen = next(x for x in found if declared or any(layout.is_known(split) for split in x))
    return [escape(n) for files in chosen.values() for n in layout.preferred(files)]


def _several(wanted: Wanted, names: Iterable[str]) -> IdimError:
    return IdimError(f"{wanted} has several configurations; choose one: {', '.join(names)}.")


def _no_rows(wanted: Wanted, names: Collection[str]) -> IdimError:
    if wanted.revision == CONVERTED:
        return IdimError(f"{wanted} has no rows on the hub.")
    packed = next((n for n in names if n.endswith((".zip", ".tar", ".tar.gz", ".tgz"))), None)
    why = f"has its rows in an archive, {packed}" if packed else "has no file of rows on the hub"
    if any(n.endswith(".py") for n in names):
        why = "is made by code of its own, which idim never runs"
    return IdimError(
        f"{wanted} {why}; try '{wanted.repo}@{CONVERTED}', the hub's own conversion, or give its "
        f"rows with --data FOLDER ({', '.join(layout.FORMATS)})."
    )


def matching(wanted: Wanted, names: Collection[str], patterns: list[str]) -> tuple[str, ...]:
    """Return the names that match; a pattern that matches none is an error."""
    chosen = set()
    for pattern in patterns:
        found = [n for n in names if fnmatchcase(n, pattern.replace("**/", "*"))]
        if not found:
            raise IdimError(f"{wanted} has no file '{pattern}' though its card names it.")
        chosen.update(found)
    return tuple(sorted(chosen))

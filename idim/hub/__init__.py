"""Hub names become local folders, once: fetched, pinned to a commit, never resolved in a run."""

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from idim.errors import IdimError, OffLine
from idim.hub.cache import pin_from_cache, pinned_folder
from idim.hub.files import check_model, deciding, weight_files
from idim.hub.network import fetch, probe
from idim.hub.pins import CANONICAL, Kind, Pin, Wanted, read_pins, write_pin

__all__ = [
    "Pin",
    "deciding",
    "fingerprint",
    "prefetch",
    "resolve_dataset",
    "resolve_model",
    "weight_files",
]


def resolve_model(name: str, known: Iterable[str] = ()) -> Path:
    """Return the local folder of a model; only a hub id not yet fetched costs a request.

    Args:
        name: a folder, or a hub id as `roberta-base`, `owner/name` or `owner/name@revision`.
        known: other names the caller accepts, for near matches.

    Raises:
        IdimError: no such folder or hub id, a gated one, or one without safetensors weights.
        OffLine: the id is not on this machine and the hub does not answer.
    """
    if (folder := _local_folder(name)) is not None:
        check_model(folder, name)
        return folder
    return _resolve(_wanted("model", name, None), known)[0]


def resolve_dataset(repo: str, config: str | None) -> Path:
    """Return the local snapshot of a hub data set with the files of one configuration.

    The folder has the hub's layout (README.md and data files), as `load_dataset` reads it.
    A local folder is returned as it is.

    Raises:
        IdimError: no such data set, a gated one, or no such configuration.
        OffLine: it is not on this machine and the hub does not answer.
    """
    return _local_folder(repo) or _resolve(_wanted("dataset", repo, config))[0]


def prefetch(model: str | None, dataset: tuple[str, str | None] | None = None) -> list[Pin]:
    """Fetch a model and a data set where they are not yet local, and pin their commits.

    Args:
        model: as for `resolve_model`; a local folder is checked and needs no pin.
        dataset: hub repository and configuration.

    Returns:
        The pins, new or old, of what was asked for.
    """
    pins = []
    if model is not None and _local_folder(model) is not None:
        resolve_model(model)
    elif model is not None:
        pins.append(_resolve(_wanted("model", model, None))[1])
    if dataset is not None and _local_folder(dataset[0]) is None:
        pins.append(_resolve(_wanted("dataset", *dataset))[1])
    return pins


def fingerprint(files: Iterable[Path]) -> str:
    """Hash the bytes of files and their names below their common folder: 16 hex digits.

    The order of `files` and where the folder lies do not matter.
    """
    paths = sorted(set(files))
    if not paths:
        raise IdimError("nothing to fingerprint: no files were given.")
    top = os.path.commonpath([p.absolute().parent for p in paths])
    total = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
            digest = _digest(path.absolute(), (stat.st_size, stat.st_mtime_ns, stat.st_ino))
        except OSError as e:
            raise IdimError(f"cannot read '{path}': {e.strerror}.") from None
        total.update(f"{digest} {path.absolute().relative_to(top).as_posix()}\n".encode())
    return total.hexdigest()[:16]


@lru_cache(maxsize=256)  # every run asks whether its model is still what it was
def _digest(path: Path, _: tuple[int, ...]) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _local_folder(name: str) -> Path | None:
    path = os.path.expanduser(name)
    return Path(path) if os.path.isdir(path) else None


def _wanted(kind: Kind, name: str, config: str | None) -> Wanted:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    repo, _, revision = name.partition("@")
    what = "model folder" if kind == "model" else "data folder"
    if name.startswith((".", "/", "~")) or repo.count("/") > 1:
        state = "is not a folder" if os.path.exists(os.path.expanduser(name)) else "does not exist"
        raise IdimError(f"{what} '{name}' {state}.")
    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise IdimError(f"'{name}' is neither a {what} nor a hub id (owner/name).") from None
    if kind == "model":
        repo = CANONICAL.get(repo, repo)
    return Wanted(kind, repo, revision or "main", config, name)


def _resolve(wanted: Wanted, known: Iterable[str] = ()) -> tuple[Path, Pin]:
    """Pinned and cached: no request.  Cached: pin it, no request.  Else probe, fetch, pin."""
    pin = read_pins().get(wanted.key)
    if pin is not None and (folder := pinned_folder(pin)) is not None:
        return folder, pin
    new = pin_from_cache(wanted) if pin is None else None
    if new is None:
        probe(wanted, pin, known)
        new = fetch(wanted, pin, known)
    folder = pinned_folder(new)
    if folder is None:
        raise OffLine(f"{wanted} came down incomplete; run the same command again.")
    if new != pin:
        write_pin(new)
    return folder, new

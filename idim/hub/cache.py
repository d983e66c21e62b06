"""The hub's cache on this machine: finds whole snapshots and makes no request."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path

from idim.errors import IdimError
from idim.hub import card, layout
from idim.hub.files import TOKENIZER, matching, needed, shards_missing
from idim.hub.pins import Kind, Pin, Wanted


def pinned_folder(pin: Pin) -> Path | None:
    """Return the pinned snapshot if each of its files is there."""
    folder = _snapshot(pin.kind, pin.repo, pin.commit, [escape(name) for name in pin.files])
    whole = folder is not None and all((folder / name).is_file() for name in pin.files)
    return folder if whole else None


def _snapshot(kind: Kind, repo: str, revision: str, patterns: Sequence[str]) -> Path | None:
    """Find a snapshot in the hub's cache; None also when it is known to lack a pattern's file."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repo,
            repo_type=kind,
            revision=revision,
            local_files_only=True,
            allow_patterns=list(patterns),
        )
    except LocalEntryNotFoundError:
        return None
    return Path(folder)


def pin_from_cache(wanted: Wanted) -> Pin | None:
    """Pin what another program, or a run with other pins, left whole in the hub's cache."""
    for repo in wanted.spellings:
        folder = _snapshot(wanted.kind, repo, wanted.revision, [])
        if folder is None:
            continue
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        said = card.read(folder)
        try:
            patterns = needed(wanted, names, said)
            files = matching(wanted, names, patterns)
        except IdimError:  # not whole; the hub has the rest
            continue
        has_tokenizer = any(fnmatchcase(f, p) for f in files for p in TOKENIZER)
        if wanted.kind == "model" and (not has_tokenizer or shards_missing(folder)):
            continue
        if wanted.kind == "dataset" and not card.configurations(said):
            patterns = _of_one_kind(wanted, files)
        if _snapshot(wanted.kind, repo, folder.name, patterns) is not None:
            return Pin(wanted.key, wanted.kind, repo, folder.name, files)
    return None


def _of_one_kind(wanted: Wanted, files: Sequence[str]) -> list[str]:
    """Match all that names alone tell to belong together: a split that is not there has none."""
    below = f"{wanted.config}/" * all(f.startswith(f"{wanted.config}/") for f in layout.rows(files))
    return [f"{below}*{form}" for form in {layout.form(name) for name in files} - {""}]

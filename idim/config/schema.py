"""Specs on disk: their versions, oldest first, and how each becomes the next.

A record is what `dataclasses.asdict` made of a spec, with the number of its schema; schema 1 did
not note it.  Records of older schemas are read as what they were, never as what the same words
would mean today.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any

from idim.config.recipes import recipe
from idim.errors import IdimError

Record = dict[str, Any]

# Raised when a default changes or a field comes to mean something else; with it goes a function
# in UPGRADES.
SCHEMA = 2
# What a baseline has no use for, so that sweeps of one model share it.
ONLY_IN_SUBSPACE = (
    "projection", "structure", "said_groups", "norm", "head", "said_lr", "head_lr", "copies",
    "kernels",
)  # fmt: skip
# Fields that schema 1 did not know.
_NEW_IN_2 = (
    "threads", "changed", "kernels", "stacked", "full_stacked", "keep_head", "optimizer", "beta1",
    "beta2", "momentum", "clip", "decay_to", "schedule", "checkpoint",
    "size", "task_name",
)  # fmt: skip


def current(record: Record, known: Collection[str], what: str) -> Record:
    """Bring a stored record to today's schema.

    Args:
        record: as it was stored.
        known: the keys it may have today.
        what: what it is called in an error.

    Raises:
        IdimError: of a newer schema, or with a key that this version does not know.
    """
    schema = record.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise IdimError(f"{what} has no schema that is known: {schema!r}.")
    if schema > SCHEMA:
        raise IdimError(f"{what} was written by a newer idim (schema {schema}); update idim.")
    if schema == 1 and (odd := sorted(record.keys() & set(_NEW_IN_2))):
        raise IdimError(f"{what} has the key '{odd[0]}', which its schema does not know.")
    for upgrade in UPGRADES[schema - 1 :]:
        record = upgrade(record)
    strange = sorted(record.keys() - known - {"schema"})
    if strange:
        raise IdimError(f"{what} has the key '{strange[0]}', which this version does not know.")
    return {k: v for k, v in record.items() if k != "schema"}


def _to_2(record: Record) -> Record:
    """Say what schema 1 left open: threads, and what trained as a stack."""
    own = {"threads": recipe(str(record.get("model"))).threads}
    if "D" in record:  # a sweep's
        return (
            record | own | {"full_stacked": _stacked_in_1(record), "changed": [], "kernels": None}
        )
    return record | own | {"stacked": _stacked_in_1(record)}


def _stacked_in_1(record: Record) -> bool:
    """Schema 1 trained a baseline as a stack only where its sweep's subspaces were plain."""
    names = ("structure", "head", "dtype", "device", "weight_decay", "copies")
    plain = ("did", "subspace", "float32", "cpu", 0.0, 2)
    is_plain = tuple(record.get(n) for n in names) == plain
    return recipe(str(record.get("model"))).stack > 0 and is_plain


UPGRADES = (_to_2,)


def older_id(record: Record, slug: Callable[[str], str]) -> str:
    """Return the id that schema 1 gave a run: 8 digits of the hash of all its fields.

    Args:
        record: the run's fields.
        slug: shortens `model` and `task` to what ids hold.
    """
    record = record | {name: slug(str(record.get(name))) for name in ("model", "task")}
    hashed = {k: v for k, v in record.items() if k not in ("data", *_NEW_IN_2)} | {"version": 1}
    is_full = record.get("method") == "full"
    if record.get("stop_at") is None:
        hashed.pop("stop_at", None)
    for name in ONLY_IN_SUBSPACE if is_full else ():
        hashed.pop(name, None)
    size = "full" if is_full else f"{record.get('projection')}-d{record.get('d')}"
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{record.get('task')}-{record.get('model')}-{size}-s{record.get('seed')}-{digest}"

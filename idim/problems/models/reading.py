"""A folder's config and tokenizer, read by transformers; what it cannot read is one line."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from idim.errors import IdimError
from idim.problems.models.stored import one_line

Made = TypeVar("Made")

# A config says how often a layer is repeated; more than there are tensors is no model's.
MANY = 1000
COUNTS = ("layers", "layer", "experts", "blocks")
# A model without a layer would be built, and its weights left out.
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")


def quiet_transformers() -> Any:
    """Import transformers without its progress bars and load reports on the user's terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def attempt(name: str, what: str, make: Callable[[], Made]) -> Made:
    """Call what reads an outsider's files: whatever it raises is about them.

    Raises:
        IdimError: with the first line of the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()
    except IdimError:
        raise
    except (Exception, SystemExit) as e:
        raise IdimError(f"{what} of model '{name}' cannot be loaded: {one_line(e)}.") from None


def read_config(name: str, folder: Path, classes: int, tensors: int) -> Any:
    """Read config.json for a classifier.

    Args:
        name: what the user called the model.
        folder: where config.json is.
        classes: outputs of the head.
        tensors: how many the weight files hold.

    Raises:
        IdimError: no JSON object, one that names other files or code, a quantised or adapted
            model, sizes that no model of these weights has, or what transformers refuses.
    """
    table = _table(folder / "config.json")
    _refuse_unread(name, table)
    for key, number in _counts(table):
        if not (key in LAYERS) <= number <= max(MANY, tensors):
            raise IdimError(
                f"config.json of model '{name}' says {key} = {number:,}, but its weights hold "
                f"{tensors:,} tensors; they do not belong together."
            )
    auto = quiet_transformers().AutoConfig
    return attempt(
        name,
        "config.json",
        lambda: auto.from_pretrained(
            folder, num_labels=classes, local_files_only=True, trust_remote_code=False
        ),
    )


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"), parse_constant=_constant)
    except OSError as e:
        raise IdimError(f"cannot read '{path}': {e.strerror}.") from None
    except (ValueError, RecursionError) as e:
        raise IdimError(f"'{path}' is not valid JSON: {one_line(e)}.") from None
    if not isinstance(table, dict):
        raise IdimError(f"'{path}' must hold a JSON object, not {type(table).__name__}.")
    return table


def _constant(text: str) -> float:
    if text == "NaN":
        raise ValueError("it holds NaN")
    return float(text)


def _refuse_unread(name: str, table: dict[str, Any]) -> None:
    """Refuse what would make transformers load something else than the folder's weights."""
    if not isinstance(table.get("model_type"), str):
        raise IdimError(
            f"config.json of model '{name}' has no model_type; add it, e.g. "
            '"model_type": "bert", as transformers\' save_pretrained writes it.'
        )
    quantised = [k for k in ("quantization_config", "compression_config") if table.get(k)]
    if quantised:
        raise IdimError(
            f"model '{name}' is quantised ({quantised[0]} in config.json); idim trains plain "
            "float weights: give the model it was made from."
        )
    if table.get("transformers_weights") is not None:
        raise IdimError(
            f"config.json of model '{name}' names other weights (transformers_weights); "
            "call the file model.safetensors and remove that line."
        )


def _counts(table: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _counts(value)
        elif isinstance(value, int) and key.rpartition("_")[2] in COUNTS:
            yield key, value


def read_tokenizer(name: str, folder: Path, module: Any) -> Any:
    """Read the tokenizer that stands beside the config.

    Args:
        name: what the user called the model.
        folder: where its files are.
        module: the model that will read its tokens.

    Raises:
        IdimError: none there, one that transformers cannot read, or one of another model.
    """
    auto = quiet_transformers().AutoTokenizer

    def make() -> tuple[Any, int]:
        tokenizer = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        ids = set(tokenizer.get_vocab().values())
        if ids <= set(tokenizer.all_special_ids):
            raise ValueError("it has no words; its vocabulary file is missing or empty")
        return tokenizer, max(len(tokenizer), max(ids) + 1)

    tokenizer, tokens = attempt(name, "the tokenizer", make)
    if not isinstance(tokenizer.model_max_length, int | float):
        raise IdimError(f"the tokenizer of model '{name}' has no number as model_max_length.")
    rows = _rows(module)
    if rows is not None and tokens > rows:
        raise IdimError(
            f"the tokenizer of '{name}' has {tokens} tokens but its model only {rows}; "
            "they do not belong together."
        )
    return tokenizer


def _rows(module: Any) -> int | None:
    """Count the tokens of a model's embedding; None where it has no such table (CANINE)."""
    try:
        table = module.get_input_embeddings()
    except NotImplementedError:
        table = None
    weight = getattr(table, "weight", None)
    return getattr(module.config, "vocab_size", None) if weight is None else len(weight)

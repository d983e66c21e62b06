"""Every family of transformers: a row's logits are its own, and a step is plain transformers'.

The whole table takes minutes: IDIM_SLOW=1 runs it, and IDIM_FAMILIES_TABLE=FILE writes it down.
"""

import os
import random
from functools import cache
from pathlib import Path

import families
import numpy as np
import pytest
import torch
from torch.nn import functional

from idim.errors import IdimError
from idim.problems import models
from idim.problems.tasks import Split, TaskData, TaskInfo

# One of each kind, and whom its rows go with: absolute, offset and relative positions, no mask, a
# convolution, no token to pad with, padding on the left, a part of its own for text, an encoder
# with a decoder, experts, a recurrence.
FAST = {
    "bert": "padded", "camembert": "padded", "xlnet": "padded", "fnet": "equal",
    "convbert": "equal", "gpt2": "padded", "gemma": "padded", "gemma3": "padded", "bart": "padded",
    "mixtral": "padded", "jamba": "padded",
}  # fmt: skip
# Refused, and why: in training it takes rows of one length alone, the product of its axes.
REFUSED = {"reformer": "multiply to sequence length"}
# Share of the logits' size, and of the largest gradient, that rounding may take.
CLOSE = 1e-5


@cache
def rows(columns: int) -> TaskData:
    """Rows of 2 to 20 words, some of them of one length."""
    dice = random.Random(columns)
    texts = [
        tuple(
            " ".join(dice.choices(families.WORDS, k=dice.choice(LENGTHS))) for _ in range(columns)
        )
        for _ in range(24)
    ]
    targets = np.arange(24) % 2
    info = TaskInfo(
        name="words", kind="text", about="", labels=families.LABELS, metrics=("accuracy",)
    )
    train, held = Split(texts[:16], targets[:16]), Split(texts[16:], targets[16:])
    return TaskData(info=info, train=train, select=None, evaluation=held, fingerprint="", chance={})


LENGTHS = (2, 3, 4, 5, 5, 5, 8, 13, 20)


def plainly(made, module, row: tuple[str, ...]) -> torch.Tensor:
    """Call a plain model on one row as its tokenizer writes it, or with an end between two."""
    told = dict(made(*row, truncation=True, return_tensors="pt"))
    bare = [made(text, add_special_tokens=False).input_ids for text in row]
    if len(row) == 2 and told["input_ids"][0].tolist() == bare[0] + bare[1]:
        ids = [*bare[0], made.eos_token_id, *bare[1]]
        return module(input_ids=torch.tensor([ids])).logits
    if not _is_read(module, told):
        told.pop("token_type_ids")
    return module(**told).logits


@cache
def _has_types(module) -> bool:
    import inspect

    return "token_type_ids" in inspect.signature(type(module).forward).parameters


def _is_read(module, told) -> bool:
    if "token_type_ids" not in told:
        return True
    if hasattr(module.config, "type_vocab_sizes"):  # of a table's cells, not of two texts
        return False
    most = getattr(module.config, "type_vocab_size", None) or 1 << 30
    return _has_types(module) and int(told["token_type_ids"].max()) < most


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def check(family: str, folder: Path, columns: int) -> str:
    """Hold a family to its rows alone and to plain transformers; return how it reads."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    data = rows(columns)
    built = models.build(str(folder), folder, data, max_length=128, seed=0)
    module, made = built.module, AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(families.LABELS), dtype=torch.float32
    )
    plain.load_state_dict(module.state_dict())
    encoded = built.encode(data.train)
    everything = range(len(encoded))
    for mode in (False, True):
        module.train(mode), plain.train(mode)
        with torch.no_grad():
            together = built.outputs(encoded.batch(everything))
            alone = torch.cat([built.outputs(encoded.batch([i])) for i in everything])
            told = torch.cat([plainly(made, plain, row) for row in data.train.inputs])
        assert distance(together, alone) < CLOSE
        assert distance(together, told) < CLOSE
        # equal answers, but where two classes are as good as one
        margin = (told[:, 0] - told[:, 1]).abs()
        sure = margin > CLOSE * told.abs().max()
        assert torch.equal(together.argmax(1)[sure], told.argmax(1)[sure])
    batch = encoded.batch(everything)
    ours = built.loss(built.outputs(batch), batch)
    ours.backward()
    told = torch.cat([plainly(made, plain, row) for row in data.train.inputs])
    theirs = functional.cross_entropy(told, torch.as_tensor(data.train.targets))
    theirs.backward()
    assert abs(ours.item() - theirs.item()) < CLOSE * theirs.item()
    pairs = zip(module.named_parameters(), plain.named_parameters(), strict=True)
    grads = [(n, p.grad, q.grad) for (n, p), (_, q) in pairs]
    largest = max(float(q.abs().max()) for _, _, q in grads if q is not None)
    for name, p, q in grads:
        assert (p is None) == (q is None), name
        assert p is None or float((p - q).abs().max()) < 10 * CLOSE * largest, name
    return f"{built.outputs.company}, {' '.join(built.changed) or 'as before'}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAST)
def test_a_rows_logits_are_its_own_and_a_step_is_plain_transformers(family, tmp_path):
    families.make(family, tmp_path / family)
    for columns in (1, 2):
        told = check(family, tmp_path / family, columns)
        assert told.startswith(FAST[family])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_family_passes_or_is_refused_in_one_line(tmp_path):
    wanted = os.environ.get("IDIM_FAMILIES", "").split() or families.names()
    written = Path(os.environ.get("IDIM_FAMILIES_TABLE", tmp_path / "table"))
    table: dict[str, str] = {}
    for family in wanted:
        table[family] = _outcome(family, tmp_path / family)
        lines = [f"| {name} | {told} |" for name, told in table.items()]
        written.write_text("\n".join(["| family | outcome |", "|---|---|", *lines]) + "\n")
    print(written.read_text())
    wrong = {f: told for f, told in table.items() if told.startswith("WRONG")}
    refused = {f: told for f, told in table.items() if told.startswith("refused")}
    assert not wrong
    assert refused.keys() <= REFUSED.keys()
    assert all(REFUSED[family] in told for family, told in refused.items())


def _outcome(family: str, folder: Path) -> str:
    try:
        families.make(family, folder)
    except Exception as e:
        return f"not built: {type(e).__name__}: {' '.join(str(e).split())[:120]}"
    try:
        single, pair = (check(family, folder, columns) for columns in (1, 2))
    except IdimError as e:
        return f"refused: {str(e).replace(str(folder), family)}"
    except Exception as e:
        return f"WRONG: {type(e).__name__}: {' '.join(str(e).split())[:200]}"
    return f"pass  one text: {single}; pairs: {pair}"

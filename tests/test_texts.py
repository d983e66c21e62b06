"""How rows of text become batches: nothing of a row is lost unsaid, and its company is nothing."""

import copy
from types import SimpleNamespace
from typing import Any

import families
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig

from idim.errors import IdimError
from idim.problems.models import company, tokens
from idim.problems.models.texts import Reader
from idim.problems.tasks import Split, TaskData, TaskInfo

W = families.WORDS


def task(train: list[tuple[str, ...]], evaluation: list[tuple[str, ...]] | None = None) -> TaskData:
    held = train if evaluation is None else evaluation
    splits = [Split(list(rows), np.arange(len(rows)) % 2) for rows in (train, held)]
    return TaskData(
        info=TaskInfo(name="words", kind="text", about="", labels=families.LABELS),
        train=splits[0], select=None, evaluation=splits[1], fingerprint="", chance={},
    )  # fmt: skip


def lengths(*counts: int) -> list[tuple[str, ...]]:
    return [(" ".join(W[i : i + n]),) for i, n in enumerate(counts)]


class Bag(nn.Module):
    """The mean of a row's embeddings; each kind of fault is a switch."""

    def __init__(self, fault: str = "", positions: int = 200, first: int = 0) -> None:
        super().__init__()
        self.config: Any = PreTrainedConfig(pad_token_id=0)
        torch.manual_seed(0)
        self.words, self.places = nn.Embedding(500, 8), nn.Embedding(positions, 8)
        self.head = nn.Linear(8, 2)
        self.register_buffer("steps", torch.zeros(()))
        self.fault, self.first, self.calls = fault, first, 0

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids, attention_mask):
        self.calls += 1
        if self.training:
            self.steps += torch.rand(())
        mask = attention_mask.unsqueeze(-1).float()
        if self.fault == "no mask":
            mask = torch.ones_like(mask)
        count = torch.arange(input_ids.shape[1]) + self.first
        words = self.words(input_ids)
        x = (words + self.places(count) * (self.fault != "no places")).tanh()
        x = (x * mask).sum(1) / mask.sum(1)
        if self.fault == "slight":
            x = x + 1e-7 * ((1 - mask) * words**2).sum(1)
        if self.fault == "width":
            x = x + 1e-3 * input_ids.shape[1]
        if self.fault == "mixes":
            x = x - x.mean(0) * (len(x) > 1)
        if self.fault == "random":
            x = x + torch.rand(())
        if self.fault == "counts":
            x = x + self.calls
        if self.fault == "nan":
            x = x * float("nan")
        if self.fault == "last":  # asks for padding on the left, its positions for the right
            x = self.words(input_ids[:, -1]) + x
        return SimpleNamespace(logits=self.head(x))


def read(module, kind: str, data: TaskData, folder, max_length: int = 128) -> company.Reading:
    return company.reading("m", module, copy.deepcopy(families.tokenizer(kind)), folder, data,
                           max_length)  # fmt: skip


def ids(reading: company.Reading, split: Split, i: int) -> list[int]:
    batch = reading.encode(split).batch([i])
    return batch["input_ids"][0][batch["attention_mask"][0] > 0].tolist()


# --- company ----------------------------------------------------------------------------------

MIXED = lengths(1, 2, 3, 5, 5, 5, 9, 14)


@pytest.mark.parametrize(
    ("fault", "side", "kind"),
    [("", "right", "padded"), ("no mask", "right", "equal"), ("mixes", "right", "alone"),
     ("width", "right", "equal"), ("last", "right", "equal")],
)  # fmt: skip
def test_the_company_a_row_may_keep_is_found_by_trying(fault, side, kind, tmp_path):
    module, data = Bag(fault), task(MIXED)
    found = read(module, "bert", data, tmp_path)
    assert (found.outputs.side, found.outputs.company) == (side, kind)
    assert ("batches:2" in found.changed) == (kind != "padded")
    module.eval()
    rows = found.encode(data.train)
    together = found.outputs(rows.batch(range(len(MIXED))))
    alone = torch.cat([found.outputs(rows.batch([i])) for i in range(len(MIXED))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_padding_on_the_other_side_is_taken_where_it_is_right(tmp_path):
    module, data = Bag(), task(MIXED)
    found = read(module, "gemma", data, tmp_path)  # pads left, and positions count from the left
    assert (found.outputs.side, found.outputs.company) == ("right", "padded")
    assert "pad:2" in found.changed


@pytest.mark.parametrize("kind", ["equal", "alone"])
def test_a_step_in_groups_is_the_step_of_the_mean_over_rows(kind, tmp_path):
    module, data = Bag("no mask"), task(MIXED)
    found = read(module, "bert", data, tmp_path)
    rows, reader = found.encode(data.train), Reader(module, "right", kind)
    order = [7, 2, 3, 0, 5, 1, 6, 4]
    batch = rows.batch(order)
    functional.cross_entropy(reader(batch), batch["targets"]).backward()
    ours = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    losses = []
    for i in order:
        one = torch.tensor([ids(found, data.train, i)])
        logits = module(one, torch.ones_like(one)).logits
        losses.append(functional.cross_entropy(logits, rows.batch([i])["targets"]))
    torch.stack(losses).mean().backward()
    for mine, p in zip(ours, module.parameters(), strict=True):
        torch.testing.assert_close(mine, p.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("fault", "told"),
    [("random", "other logits each time"), ("counts", "other logits each time"),
     ("nan", "puts out nan")],
)  # fmt: skip
def test_a_model_whose_scores_would_be_chance_is_refused(fault, told, tmp_path):
    with pytest.raises(IdimError, match=told) as refused:
        read(Bag(fault), "bert", task(MIXED), tmp_path)
    assert "\n" not in str(refused.value)


def test_trying_leaves_the_module_and_the_dice_as_they_were(tmp_path):
    module = Bag().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    read(module, "bert", task(MIXED), tmp_path)
    assert module.training
    assert torch.equal(state, torch.get_rng_state())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not module.words._forward_hooks


def test_the_part_that_reads_text_is_told_what_fills_rows_up(tmp_path):
    module = Bag()
    module.config.text_config = PreTrainedConfig(pad_token_id=7)
    found = read(module, "roberta", task(MIXED), tmp_path)
    assert module.config.text_config.pad_token_id == module.config.pad_token_id == 1
    assert "pad:2" in found.changed


def test_ends_within_a_text_do_not_stop_an_encoder_with_a_decoder(tmp_path):
    families.make("bart", tmp_path / "bart")
    from transformers import AutoModelForSequenceClassification

    module = AutoModelForSequenceClassification.from_pretrained(tmp_path / "bart", num_labels=2)
    data = task([*MIXED, ("time </s> year",)])
    found = read(module, "roberta", data, tmp_path / "bart")
    rows = found.encode(data.train)
    module.eval()
    with torch.no_grad():
        together = found.outputs(rows.batch(range(len(rows))))
        alone = torch.cat([found.outputs(rows.batch([i])) for i in range(len(rows))])
    assert found.outputs.company == "padded"
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_a_process_tries_a_model_on_the_same_rows_once(tmp_path):
    data, calls = task(lengths(3, 5, 30)), []
    for _ in range(2):
        module = Bag("no mask", positions=24)
        found = read(module, "bert", data, tmp_path)
        calls.append(module.calls)
        assert found.outputs.company == "equal"
        assert max(found.encode(data.train).encoded.lengths) == 24
    assert calls[0] > 0
    assert calls[1] == 0
    other = type("Other", (Bag,), {})(positions=24)
    assert read(other, "bert", data, tmp_path).outputs.company == "padded"


def test_a_leak_too_small_to_see_in_one_batch_is_seen_with_other_padding(tmp_path):
    found = read(Bag("slight"), "bert", task(MIXED), tmp_path)
    assert found.outputs.company == "equal"


def test_a_model_that_is_right_with_padding_on_the_left_keeps_it(tmp_path):
    module, data = Bag("no places"), task(MIXED)
    found = read(module, "gemma", data, tmp_path)
    batch = found.encode(data.train).batch([0, 7])
    assert (found.outputs.side, found.outputs.company, found.changed) == ("left", "padded", ())
    assert batch["attention_mask"][:, 0].tolist() == [0, 0]
    assert batch["attention_mask"][:, -1].tolist() == [1, 1]


# --- what the module can read -------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 2])
def test_the_longest_row_is_what_the_positions_serve(first, tmp_path):
    data = task(lengths(3, 5, 30), lengths(4, 35, 2))
    found = read(Bag(positions=20, first=first), "bert", data, tmp_path)
    longest = max(len(ids(found, data.train, i)) for i in range(3))
    assert longest == 20 - first
    assert found.notes == (
        f"1 of 3 training rows and 1 of 3 evaluation rows were cut after {20 - first} tokens; "
        "the model reads no more.",
    )


@pytest.mark.parametrize("stated", [-1, 0, None, 10**6])
def test_a_stated_limit_that_is_none_is_none(stated, tmp_path):
    module, data = Bag(), task(MIXED)
    module.config.max_position_embeddings = stated
    assert read(module, "bert", data, tmp_path).notes == ()


def test_token_types_beyond_the_models_are_left_out(tmp_path):
    families.make("roberta", tmp_path / "roberta")
    from transformers import RobertaConfig, RobertaForSequenceClassification

    module = RobertaForSequenceClassification(RobertaConfig(
        vocab_size=500, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, type_vocab_size=1, max_position_embeddings=99,
    ))  # fmt: skip
    data = task([(a[0], b[0]) for a, b in zip(MIXED, MIXED[::-1], strict=True)])
    found = read(module, "bert", data, tmp_path)
    assert found.outputs.types == "left out"
    assert found.outputs(found.encode(data.train).batch([0, 1])).shape == (2, 2)


def test_tokens_without_an_embedding_are_refused(tmp_path):
    module = Bag()
    module.words = nn.Embedding(50, 8)
    with pytest.raises(IdimError, match=r"has \d+ tokens but its model only 50; they do not"):
        read(module, "bert", task(MIXED), tmp_path)


def test_a_row_that_cannot_be_read_is_one_line(tmp_path):
    module = Bag()
    module.head = nn.Linear(9, 2)
    with pytest.raises(IdimError, match="cannot read a row of this task") as refused:
        read(module, "bert", task(MIXED), tmp_path)
    assert "\n" not in str(refused.value)


# --- tokens -------------------------------------------------------------------------------------


def test_two_texts_are_kept_apart_where_the_tokenizer_joins_them(tmp_path):
    data = task([("time year", "people way"), ("", "day"), ("man " * 40, "time " * 5)])
    found = read(Bag(), "gpt", data, tmp_path, max_length=16)
    made = families.tokenizer("gpt")
    first, second = made("time year").input_ids, made("people way").input_ids
    assert ids(found, data.train, 0) == [*first, made.eos_token_id, *second]
    assert ids(found, data.train, 1) == [made.eos_token_id, *made("day").input_ids]
    assert found.changed == ("pairs:2",)
    # the longer text gives way, and the second is whole
    cut = ids(found, data.train, 2)
    tail = made("time " * 5).input_ids
    assert len(cut) == 16
    assert cut[-len(tail) - 1 :] == [made.eos_token_id, *tail][-len(cut) :]
    assert found.notes[0].startswith("1 of 3 training rows and 1 of 3 evaluation rows were cut")


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama", "t5", "xlnet"])
def test_two_texts_are_joined_by_the_tokenizer_where_it_keeps_them_apart(kind, tmp_path):
    data = task([("time year", "people way"), ("day", "man")])
    found = read(Bag(), kind, data, tmp_path)
    made = families.tokenizer(kind)
    assert ids(found, data.train, 0) == made("time year", "people way").input_ids
    assert "pairs:2" not in found.changed


@pytest.mark.parametrize("missing", [(), ("eos_token",), ("eos_token", "unk_token")])
def test_a_tokenizer_without_a_token_to_pad_with_gets_one(missing, tmp_path):
    made = copy.deepcopy(families.tokenizer("llama"))
    for name in missing:
        setattr(made, name, None)
    data = task(MIXED)
    found = company.reading("m", Bag(), made, tmp_path, data, 128)
    batch = found.encode(data.train).batch([0, 7])
    expected = [made.convert_tokens_to_ids("</s>"), 0, 0][len(missing)]
    assert set(batch["input_ids"][batch["attention_mask"] == 0].tolist()) == {expected}


@pytest.mark.parametrize("kind", ["gpt", "llama", "bert"])
def test_an_empty_text_is_a_row(kind, tmp_path):
    data = task([("",), *MIXED])
    found = read(Bag(), kind, data, tmp_path)
    assert len(ids(found, data.train, 0)) >= 1
    assert ("empty:2" in found.changed) == (kind == "gpt")
    assert torch.isfinite(found.outputs(found.encode(data.train).batch([0, 8]))).all()


def test_rows_that_are_cut_are_counted(tmp_path):
    data = task(lengths(2, 3, 20, 25), lengths(1, 40, 4))
    found = read(Bag(), "bert", data, tmp_path, max_length=12)
    assert found.notes == (
        "2 of 4 training rows and 1 of 3 evaluation rows were cut after 12 tokens; "
        "a larger --max-length keeps them whole.",
    )
    assert read(Bag(), "bert", data, tmp_path).notes == ()


def test_a_row_of_just_the_longest_length_is_not_cut(tmp_path):
    data = task(lengths(3, 4, 5))
    whole = max(len(families.tokenizer("bert")(*row).input_ids) for row in data.train.inputs)
    assert read(Bag(), "bert", data, tmp_path, max_length=whole).notes == ()
    pair, made = task([("time year", "people")]), families.tokenizer("gpt")
    both = len(made("time year").input_ids + made("people").input_ids) + 1
    assert read(Bag(), "gpt", pair, tmp_path, max_length=both).notes == ()
    assert "1 of 1" in read(Bag(), "gpt", pair, tmp_path, max_length=both - 1).notes[0]
    cut = read(Bag(), "bert", data, tmp_path, max_length=whole - 1).notes[0]
    assert cut.startswith("1 of 3 training rows and 1 of 3 evaluation rows were cut")


def test_rows_cut_by_a_tokenizer_in_python_are_counted_too(tmp_path):
    made = copy.deepcopy(families.tokenizer("bert"))

    class Plain(type(made)):
        def __call__(self, *texts, **kw):
            out = super().__call__(*texts, **kw)
            return type("Out", (dict,), {"encodings": None})(out)

    made.__class__ = Plain
    data = task(lengths(2, 3, 20, 25), lengths(1, 40, 4))
    found = company.reading("m", Bag(), made, tmp_path, data, 12)
    assert found.notes[0].startswith("2 of 4 training rows and 1 of 3 evaluation rows were cut")


def test_a_length_without_room_for_a_text_is_refused(tmp_path):
    data = task([("time year", "people way"), ("day", "man")])
    with pytest.raises(IdimError, match="2 tokens leave no room for a text"):
        read(Bag(), "bert", data, tmp_path, max_length=2)


def test_a_process_tokenises_a_split_once_until_a_file_changes(tmp_path):
    made, given = copy.deepcopy(families.tokenizer("bert")), []

    class Counting(type(made)):
        def __call__(self, texts, *more, **how):
            given.append(list(texts))
            return super().__call__(texts, *more, **how)

    made.__class__ = Counting
    (tmp_path / "tokenizer.json").write_text("1")
    data = task(MIXED, lengths(3, 4))
    splits = [[text for (text,) in split.inputs] for split in (data.train, data.evaluation)]
    for _ in range(2):
        found = company.reading("m", Bag(), made, tmp_path, data, 128)
        found.encode(data.train), found.encode(data.evaluation)
    assert [given.count(texts) for texts in splits] == [1, 1]
    (tmp_path / "tokenizer.json").write_text("22")
    company.reading("m", Bag(), made, tmp_path, data, 128)
    assert [given.count(texts) for texts in splits] == [2, 2]


def test_a_split_in_chunks_is_the_split(tmp_path):
    n = len(W)
    places = ((i % n, i // n % n, i // n // n)[: 1 + i % 3] for i in range(tokens.CHUNK + 10))
    rows = [(" ".join(W[at] for at in found),) for found in places]
    many = task(rows, rows[:2])
    parts = read(Bag(), "bert", many, tmp_path).encode(many.train)
    for first in (0, tokens.CHUNK - 4, len(rows) - 8):
        few = task(rows[first : first + 8])
        whole = read(Bag(), "bert", few, tmp_path).encode(few.train).batch(range(8))
        for name, value in parts.batch(range(first, first + 8)).items():
            assert torch.equal(value, whole[name]), (first, name)

"""Pretraining: same bits after a kill, checkpoints that load, and every bad input in one line."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hurried import hurried
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from idim.cli import app
from idim.config import PretrainSpec
from idim.errors import IdimError
from idim.pretrain import corpus, folder_of, learn, pretrain, tokenizer

SMALL = PretrainSpec(
    paragraphs=300, hidden_size=16, layers=1, heads=2, steps=12, batch_size=8, checkpoints=(0, 5),
    threads=1, dropout=0.1,
)  # fmt: skip


def digests(out: Path) -> dict[str, str]:
    return {
        str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(out.glob("step-*/*"))
    }


class Killed(BaseException):
    pass


def test_a_killed_pretraining_ends_in_the_same_bits(tmp_path):
    looked_at = replace(SMALL, checkpoints=(0, 3, 5, 9))
    whole = pretrain(looked_at, tmp_path / "whole")
    for stop in (0, 3, 5, 9):

        def kill(step, steps, loss, at=stop):
            if step >= at:
                raise Killed

        with hurried(), pytest.raises(Killed):
            pretrain(looked_at, tmp_path / "killed", kill)
        assert (tmp_path / "killed" / "state.safetensors").exists()
    went_on = []
    result = pretrain(looked_at, tmp_path / "killed", lambda step, *_: went_on.append(step))
    assert went_on == [12]
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    kept = [str(folder_of(tmp_path / "killed", s)) for s in (0, 3, 5, 9, 12)]
    assert result["checkpoints"] == kept
    assert not (tmp_path / "killed" / "state.safetensors").exists()
    assert whole["parameters"] == result["parameters"]
    assert pretrain(looked_at, tmp_path / "killed") == result


def test_how_often_a_pretraining_is_looked_at_changes_no_bit(tmp_path):
    pretrain(SMALL, tmp_path / "few")
    pretrain(replace(SMALL, checkpoints=tuple(range(12))), tmp_path / "many")
    few, many = digests(tmp_path / "few"), digests(tmp_path / "many")
    assert few == {name: many[name] for name in few}


def test_attention_starts_by_looking_for_likeness():
    model = learn.build(replace(SMALL, hidden_size=64, heads=4), 50)
    own = model.roberta.encoder.layer[0].attention.self
    query, key = (w.weight.detach().view(4, 16, 64) for w in (own.query, own.key))
    for h in range(4):
        product = query[h].T @ key[h]
        off = product - torch.diag(product.diagonal())
        assert product.diagonal().mean() > 10 * off.mean().abs()
        assert product.diagonal().mean() > 0.1
    noted = model.roberta.encoder.layer[0].attention.output.dense.weight @ own.value.weight
    assert noted.diagonal().mean().item() == pytest.approx(-0.4, abs=0.05)


def test_each_checkpoint_loads_and_differs(tmp_path):
    result = pretrain(SMALL, tmp_path / "out")
    first = []
    for folder in result["checkpoints"]:
        model = AutoModel.from_pretrained(folder)
        assert model.dtype == torch.float16
        read = AutoTokenizer.from_pretrained(folder)
        row = read("The dog slept.", "The hound dozed.")["input_ids"]
        assert row[:2] == [0, read.convert_tokens_to_ids("the")]
        assert (
            model(**read("The dog slept.", return_tensors="pt")).last_hidden_state.isfinite().all()
        )
        first.append(next(model.parameters()).detach().float())
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


def test_another_pretraining_in_the_same_place_is_refused(tmp_path):
    pretrain(SMALL, tmp_path / "out")
    with pytest.raises(IdimError, match=r"lr=0.002 there, 0.1 here\); choose another --out"):
        pretrain(replace(SMALL, lr=0.1), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(IdimError, match="holds something else"):
        pretrain(SMALL, tmp_path / "mine")


def test_masks_are_drawn_anew_and_never_hide_what_is_no_word():
    tokens = torch.tensor([[0, 7, 8, 9, 10, 11, 2, 1, 1]] * 400)
    shown, asked, wanted = learn.masked(SMALL, tokens, 3, 50)
    again = learn.masked(SMALL, tokens, 3, 50)
    other = learn.masked(SMALL, tokens, 4, 50)
    assert torch.equal(shown, again[0])
    assert not torch.equal(asked, other[1])
    assert not asked[:, [0, 6, 7, 8]].any()
    assert asked[:, 1:6].float().mean().item() == pytest.approx(SMALL.mask, abs=0.03)
    assert torch.equal(wanted, tokens[asked])
    assert torch.equal(shown[~asked], tokens[~asked])
    is_masked = (shown[asked] == learn.MASK).float().mean().item()
    assert is_masked == pytest.approx(learn.SHOWN_MASKED, abs=0.06)


@pytest.mark.parametrize(
    ("row", "hidden"),
    [
        ([0, 7, 8, 9, 5, 6, 5, 2, 1], [5]), ([0, 7, 8, 9, 9, 5, 6, 8, 5, 2, 1], [6, 7]),
        ([0, 7, 8, 5, 2, 1, 1, 1, 1], [1, 2]), ([0, 7, 8, 9, 2, 1, 1, 1, 1], [1, 2, 3]),
    ],
)  # fmt: skip
def test_a_cloze_hides_the_shortest_sentence_whole(row, hidden):
    spec = replace(SMALL, cloze=1.0)
    shown, asked, _ = learn.masked(spec, torch.tensor([row] * 20), 3, 50, stop=5)
    assert asked[:, hidden].all()
    assert asked.sum() == 20 * len(hidden)
    assert (shown[asked] == learn.MASK).all()


def test_a_cloze_needs_a_short_sentence_and_its_time():
    long = torch.tensor([[0, *range(7, 12), 5, *range(20, 24), 5, 2]] * 500)
    short = torch.tensor([[0, *range(7, 12), 5, 20, 5, 2]] * 500)
    spec = replace(SMALL, cloze=0.4, mask=0.5, cloze_from=0.5)

    def untouched(rows, step):
        asked = learn.masked(spec, rows, step, 50, stop=5)[1]
        return (asked[:, 1:6].sum(dim=1) == 0).float().mean().item()

    assert untouched(short, 6) == pytest.approx(0.4 + 0.6 * 0.5**5, abs=0.08)
    assert untouched(short, 5) == pytest.approx(0.5**5, abs=0.03)
    assert untouched(long, 6) == pytest.approx(0.5**5, abs=0.03)


def test_an_epoch_reads_every_row_once():
    tokens = np.arange(50, dtype=np.int32)[:, None].repeat(4, axis=1)
    rows = corpus.Rows(tokens, np.full(50, 4, np.int32))
    per_epoch = 7  # of 8 rows
    epochs = [
        torch.cat([learn.batch(SMALL, rows, e * per_epoch + i)[:, 0] for i in range(per_epoch)])
        for e in range(2)
    ]
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == list(range(50))
    assert epochs[0].tolist() != epochs[1].tolist()


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_a_text_folder_trains_its_own_tokenizer(kind, tmp_path):
    text = tmp_path / "my text"
    text.mkdir()
    (text / "a.txt").write_text("The café was closed.\n\n" * 40, encoding="utf-8")
    (text / "b.txt.gz").write_bytes(gzip.compress(b"A longer line of text, word by word.\n" * 40))
    spec = replace(SMALL, text=str(text), tokenizer=kind, tokens=300, max_length=12, steps=2,
                   checkpoints=(0,))  # fmt: skip
    result = pretrain(spec, tmp_path / "out")
    assert result["rows"] == 80
    folder = result["checkpoints"][-1]
    assert AutoModel.from_pretrained(folder).config.vocab_size == result["tokens"] <= 300
    read = AutoTokenizer.from_pretrained(folder)
    ids = read("The café was closed.")["input_ids"]
    assert read.unk_token_id not in ids
    said = read.decode(ids, skip_special_tokens=True).strip().lower()
    assert said.replace(" ", "").replace("é", "e") == "thecafewasclosed."


def test_a_long_paragraph_becomes_several_rows():
    made = tokenizer.make(SMALL, ["the dog slept"])
    rows = corpus.encode(["the dog slept " * 10, "the dog"], made, 12)
    assert rows.lengths.tolist() == [12, 12, 12, 4]
    assert rows.tokens[3].tolist()[4:] == [learn.PAD] * 8


def failing(*words: str) -> str:
    done = CliRunner().invoke(app, ["pretrain", *words], prog_name="idim")
    assert done.exit_code == 2
    assert done.stderr.count("error:") == 1
    return done.stderr


def test_a_bad_text_folder_is_told_in_one_line(tmp_path):
    out = ["--tokenizer", "bpe", "--out", str(tmp_path / "out")]
    assert "does not exist" in failing("--text", str(tmp_path / "none"), *out)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no .txt or .txt.gz file" in failing("--text", str(empty), *out)
    (empty / "a.txt").write_text("\n \n")
    assert "are empty" in failing("--text", str(empty), *out)
    (empty / "a.txt").write_bytes("Das Café".encode("latin-1"))
    assert "a.txt' is not UTF-8 text (byte 7)" in failing("--text", str(empty), *out)
    (empty / "a.txt").unlink()
    (empty / "a.txt.gz").write_bytes(b"no gzip")
    assert "cannot read" in failing("--text", str(empty), *out)


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path):
    out = ["--out", str(tmp_path / "out")]
    line = failing("vocab_size=100", "paragraphs=50", *out)
    assert "tokens but the model only 100 embeddings" in line
    assert "exceeds the model's vocab_size" in failing("vocab_size=100", "tokens=200", *out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["heads=3"], "not a multiple of heads"),
        (["--steps", "10", "--checkpoints", "0,20"], "checkpoints 20 come after the last step"),
        (["mask=1"], "below 1"),
        (["--text", "."], "needs tokenizer bpe or wordpiece"),
        (["hiden_size=3"], "did you mean 'hidden_size'"),
    ],
)
def test_a_mistake_in_the_settings_is_told(words, says, tmp_path):
    assert says in failing(*words, "--out", str(tmp_path))

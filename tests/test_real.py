"""Real pretrained weights and real text, where the shared folder lies beside the clone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from idim.builtin import weights
from idim.config import RunSpec
from idim.problems import models, tasks

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.mark.parametrize(
    ("model", "task", "D"),
    [("minilm-l3-h384", "sst2", 17_390_594), ("minilm-l6-h384", "mrpc", 22_713_986)],
)
def test_a_pretrained_encoder_takes_its_first_steps(model, task, D, tmp_path):
    folder, rows = SHARED / "models" / model, SHARED / "data" / task
    if not (folder.is_dir() and rows.is_dir()):
        pytest.skip(f"the real data is not here: {folder} and {rows}")
    command = [
        sys.executable, "-m", "idim", "sweep", "--model", str(folder), "--task", task,
        "--data", str(rows), "--d", "100", "--lr", "0.1", "--baseline-lr", "1e-4", "--seeds", "1",
        "--steps", "3", "--train-samples", "64", "--eval-samples", "64", "--max-length", "48",
        "--out", str(tmp_path), "--json",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["D"] == D
    assert summary["runs"] == {
        "total": 2,
        "done": 2,
        "failed": 0,
        "diverged": 0,
        "stopped_early": 0,
    }
    assert all(0.3 < p["mean"] < 1 for p in (summary["baseline"], *summary["points"]))


@pytest.mark.parametrize(
    ("model", "joined"),
    [
        ("minilm-l3-h384", "[CLS] {} [SEP] {} [SEP]"),
        ("roberta-bpe-tokenizer", "<s>{}</s></s>{}</s>"),
        ("tiny", "<s> {} </s> </s> {} </s>"),
    ],
)
def test_pairs_are_joined_as_the_model_was_pretrained(model, joined, tmp_path):
    folder = model if model == "tiny" else _complete(SHARED / "models" / model, tmp_path)
    spec = RunSpec(model=str(folder), task="paraphrase", lr=0.1, d=10, train_samples=50)
    data = tasks.load(spec)
    made = models.build(spec.model, models.source(spec.model), data, max_length=48, seed=0)
    rows = made.encode(data.train)
    batch = rows.batch([0])
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        weights.shared(models.source(spec.model))
    )
    ids, kept = batch["input_ids"][0], batch["attention_mask"][0].bool()
    told = tokenizer.decode(ids[kept], clean_up_tokenization_spaces=False)
    first, second = (tokenizer.decode(tokenizer(t, add_special_tokens=False).input_ids,
                     clean_up_tokenization_spaces=False) for t in data.train.inputs[0])  # fmt: skip
    assert told == joined.format(first, second)
    # BERT tells the second text by its token type; RoBERTa has one type
    is_bert = "minilm" in model
    assert ("token_type_ids" in batch) == is_bert
    pieces = len(tokenizer(data.train.inputs[0][1]).input_ids) - 1  # with [SEP], without [CLS]
    assert not is_bert or batch["token_type_ids"][0].sum() == pieces
    assert made.outputs(batch).shape == (1, 2)


def _complete(folder: Path, beside: Path) -> Path:
    """Return a folder of weights and tokenizer; random weights where there is a tokenizer alone."""
    if not folder.is_dir():
        pytest.skip(f"the real data is not here: {folder}")
    if list(folder.glob("*.safetensors")):
        return folder
    made = beside / folder.name
    shutil.copytree(folder, made)
    transformers = models.quiet_transformers()
    config = transformers.AutoConfig.from_pretrained(
        folder, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.RobertaForMaskedLM(config).save_pretrained(made)
    return made

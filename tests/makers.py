"""Tiny models with random weights and a made-up MRPC, laid out as on the hub."""

import json
import random
from pathlib import Path
from typing import Any

ANIMALS = [
    "cat", "dog", "horse", "mouse", "owl", "fox", "bear", "hen",
    "goat", "crow", "wolf", "frog", "seal", "duck", "hare", "lamb",
]  # fmt: skip
WEATHER = [
    "rain", "snow", "hail", "fog", "wind", "storm", "frost", "sun",
    "cloud", "mist", "sleet", "thaw", "heat", "dew", "gale", "ice",
]  # fmt: skip
LABELS = ("not_equivalent", "equivalent")
# Room for the default max_length of 128, and for RoBERTa's two unused positions.
POSITIONS = 160


def make_tiny_roberta(folder: Path) -> Path:
    """Write a two-layer RoBERTa with a masked-LM head and a byte-level BPE, as roberta-base has."""
    from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    special: list[Any] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        iter(_corpus()), vocab_size=400, special_tokens=special, show_progress=False
    )
    bpe.save_model(str(folder))  # vocab.json, merges.txt
    RobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=bpe.get_vocab_size(),
        max_position_embeddings=POSITIONS,
        type_vocab_size=1,
        **_SIZE,
    )
    _save(RobertaForMaskedLM, config, folder)
    return folder


def make_tiny_bert(folder: Path) -> Path:
    """Write a two-layer uncased BERT with a masked-LM head and a WordPiece vocabulary."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [c for letter in "abcdefghijklmnopqrstuvwxyz" for c in (letter, f"##{letter}")]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = [*special, ".", ",", *ANIMALS, *WEATHER, *letters]
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocab), max_position_embeddings=POSITIONS, **_SIZE)
    _save(BertForMaskedLM, config, folder)
    return folder


def make_mrpc(folder: Path, rows: int = 64) -> Path:
    """Write an MRPC of made-up sentences: `rows` to train on, half as many in each other split.

    A paraphrase has the same animals in another order; any other pair goes on about the weather.
    A bag of words decides, so that the tiniest network learns it.
    """
    (folder / "mrpc").mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(_splits(rows).items()):
        write_pairs(folder / "mrpc" / f"{split}-00000-of-00001.parquet", count, seed)
    write_card(folder, {"mrpc": list(_splits(rows))})
    return folder


def write_pairs(file: Path, count: int, seed: int) -> None:
    """Write GLUE's columns (sentence1, sentence2, label, idx), classes in balance."""
    from datasets import ClassLabel, Dataset, Features, Value

    rng = random.Random(seed)
    rows = [_pair(rng, i % 2) | {"label": i % 2, "idx": i} for i in range(count)]
    features = Features(
        sentence1=Value("string"), sentence2=Value("string"),
        label=ClassLabel(names=list(LABELS)), idx=Value("int32"),
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=features).to_parquet(file)


def write_card(folder: Path, configs: dict[str, list[str]]) -> None:
    """Write README.md with the front matter that maps configurations and splits to files."""
    entries = [
        {
            "config_name": name,
            "data_files": [{"split": s, "path": f"{name}/{s}-*"} for s in splits],
        }
        for name, splits in configs.items()
    ]
    # JSON is YAML.
    front = json.dumps({"configs": entries}, indent=1)
    (folder / "README.md").write_text(f"---\n{front}\n---\nMade up.\n", encoding="utf-8")


_SIZE: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip


def _splits(rows: int) -> dict[str, int]:
    return {"train": rows, "validation": rows // 2, "test": rows // 2}


def _pair(rng: random.Random, label: int) -> dict[str, str]:
    first = rng.sample(ANIMALS, 5)
    second = rng.sample(first, 5) if label else rng.sample(WEATHER, 5)
    return {"sentence1": f"{' '.join(first)}.", "sentence2": f"{' '.join(second)}."}


def _corpus() -> list[str]:
    rng = random.Random(0)
    return [s for i in range(200) for s in _pair(rng, i % 2).values()]


def _save(cls: Any, config: Any, folder: Path) -> None:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        cls(config).save_pretrained(folder)

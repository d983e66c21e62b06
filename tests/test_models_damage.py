"""A damaged model folder is one line that says what is wrong, and nothing in it is run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import make_tiny_bert, make_tiny_roberta
from safetensors.torch import load_file, save_file

from idim.config import Setup
from idim.errors import IdimError
from idim.problems import models, tasks
from idim.problems.reach import unreached

WEIGHTS = "model.safetensors"
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("models")
    make_tiny_bert(top / "bert")
    make_tiny_roberta(top / "roberta")
    return top


@pytest.fixture(scope="module")
def rows():
    return tasks.load(Setup(task="paraphrase", train_samples=16, eval_samples=16))


def read(folder: Path, rows: tasks.TaskData) -> models.Model:
    """Do with a folder what a plan does."""
    source = models.source(str(folder))
    model = models.build(str(folder), source, rows, max_length=32, seed=0)
    models.fingerprint(str(folder), source)
    unreached(str(folder), model, rows.train)
    return model


def config(**changes: Any) -> Damage:
    """Write other values into config.json; `...` takes a key away."""

    def damage(folder: Path) -> None:
        path = folder / "config.json"
        table = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in table.items() if v is not ...}))

    return damage


def text(name: str, content: str | bytes) -> Damage:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw) and None


def tokenizer(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def tensors(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Damage:
    def damage(folder: Path) -> None:
        held = change(load_file(folder / WEIGHTS))
        save_file(held, folder / WEIGHTS, metadata={"format": "pt"})

    return damage


def renamed(old: str, new: str) -> Damage:
    return tensors(lambda held: {k.replace(old, new, 1): v for k, v in held.items()})


def prefixed(by: str) -> Damage:
    return tensors(lambda held: {by + k: v for k, v in held.items()})


def without(part: str) -> Damage:
    return tensors(lambda held: {k: v for k, v in held.items() if part not in k})


def one(change: Callable[[torch.Tensor], torch.Tensor], part: str = "word_emb") -> Damage:
    return tensors(lambda held: {k: change(v) if part in k else v for k, v in held.items()})


def spoilt(value: float) -> Damage:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[-1] = value
        return tensor

    return one(change, "layer.1.output.dense.weight")


def cut(name: str, size: int) -> Damage:
    return lambda folder: os.truncate(folder / name, size)


def gone(*names: str) -> Damage:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def no_tokenizer(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("config.json", WEIGHTS):
            path.unlink()


def directory(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return damage


def link(name: str, to: str) -> Damage:
    def damage(folder: Path) -> None:
        if (folder / name).exists():
            shutil.copy(folder / name, folder.parent / "outside")
            (folder / name).unlink()
        (folder / name).symlink_to(to)

    return damage


def fifo(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def index(content: Any) -> Damage:
    """Put an index in place of the weights, and the weights where some of them lead."""

    def damage(folder: Path) -> None:
        (folder.parent / "x.safetensors").write_bytes((folder / WEIGHTS).read_bytes())
        (folder / "part.bin").write_bytes(b"\x80\x04.")
        (folder / WEIGHTS).rename(folder / "a.safetensors")
        raw = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{WEIGHTS}.index.json").write_text(raw)

    return damage


def shards(*names: str) -> dict[str, Any]:
    return {"metadata": {}, "weight_map": {f"t{i}": n for i, n in enumerate(names)}}


def twice(folder: Path) -> None:
    shutil.copy(folder / WEIGHTS, folder / "b.safetensors")
    index(shards("a.safetensors", "b.safetensors"))(folder)


def odd(table: dict[str, Any], length: int) -> bytes:
    head = json.dumps(table).encode()
    return len(head).to_bytes(8, "little") + head + b"\0" * length


DAMAGES: dict[str, Damage] = {
    # config.json
    "config null": text("config.json", "null"),
    "config list": text("config.json", "[]"),
    "config number": text("config.json", "5"),
    "config text": text("config.json", '"bert"'),
    "config empty": text("config.json", ""),
    "config empty object": text("config.json", "{}"),
    "config not JSON": text("config.json", "{'model_type': 'bert'}"),
    "config not UTF-8": text("config.json", b"\xff\xfe{}"),
    "config deep": text("config.json", "[" * 100_000),
    "config gone": gone("config.json"),
    "config a folder": directory("config.json"),
    "config a FIFO": fifo("config.json"),
    "config a dangling link": link("config.json", "nowhere"),
    "config a link out": link("config.json", "../outside"),
    "config a loop": link("config.json", "config.json"),
    "no model_type": config(model_type=...),
    "model_type null": config(model_type=None),
    "model_type list": config(model_type=["bert"]),
    "model_type unknown": config(model_type="bort"),
    "model_type with escapes": config(model_type="b\x1b[31m\nrt"),
    "model_type of pictures": config(model_type="vit"),
    "another family": config(model_type="gpt2"),
    "a near family": config(model_type="distilbert"),
    "code of its own": config(
        model_type="mine", auto_map={"AutoModelForSequenceClassification": "m.M"}
    ),
    "quantised": config(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
    "quantised oddly": config(quantization_config="int8"),
    "other weights": config(transformers_weights="a.safetensors"),
    "weights outside": config(transformers_weights="../x.safetensors"),
    "hidden size text": config(hidden_size="32"),
    "hidden size null": config(hidden_size=None),
    "hidden size list": config(hidden_size=[32]),
    "hidden size 0": config(hidden_size=0),
    "hidden size negative": config(hidden_size=-32),
    "hidden size other": config(hidden_size=64),
    "hidden size odd": config(hidden_size=33),
    "hidden size huge": config(hidden_size=2**40),
    "hidden size fraction": config(hidden_size=32.5),
    "layers text": config(num_hidden_layers="two"),
    "layers negative": config(num_hidden_layers=-1),
    "layers 0": config(num_hidden_layers=0),
    "layers more": config(num_hidden_layers=3),
    "layers fewer": config(num_hidden_layers=1),
    "layers huge": config(num_hidden_layers=10**9),
    "heads 0": config(num_attention_heads=0),
    "heads odd": config(num_attention_heads=5),
    "vocabulary negative": config(vocab_size=-1),
    "vocabulary huge": config(vocab_size=10**12),
    "vocabulary small": config(vocab_size=3),
    "positions none": config(max_position_embeddings=0),
    "positions huge": config(max_position_embeddings=10**13),
    "pad beyond the vocabulary": config(pad_token_id=10**6),
    "pad text": config(pad_token_id="<pad>"),
    "activation unknown": config(hidden_act="wish"),
    "dropout above 1": config(hidden_dropout_prob=7),
    "epsilon NaN": config(layer_norm_eps=float("nan")),
    "epsilon text": config(layer_norm_eps="small"),
    "attention unknown": config(attn_implementation="wish"),
    # weights
    "weights gone": gone(WEIGHTS),
    "weights of no bytes": text(WEIGHTS, b""),
    "weights of zeros": text(WEIGHTS, b"\0" * 4096),
    "weights text": text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\nsize 1\n"),
    "weights a pickle": text(WEIGHTS, b"\x80\x04K\x01."),
    "weights cut in the header": cut(WEIGHTS, 100),
    "weights cut in the data": cut(WEIGHTS, 20_000),
    "weights without tensors": text(WEIGHTS, odd({}, 0)),
    "header no object": text(WEIGHTS, odd([], 0)),  # type: ignore[arg-type]
    "header too long": text(WEIGHTS, b"\xff" * 16),
    "weights a folder": directory(WEIGHTS),
    "weights a FIFO": fifo(WEIGHTS),
    "weights a dangling link": link(WEIGHTS, "nowhere"),
    "weights a link out": link(WEIGHTS, "../outside"),
    "wrapped in module": prefixed("module."),
    "wrapped by compile": prefixed("_orig_mod."),
    "wrapped in model": prefixed("model."),
    "another family's names": renamed("embeddings.", "embedded."),
    "a layer renamed": renamed("layer.1.", "block.1."),
    "a layer missing": without("layer.1."),
    "a tensor missing": without("layer.0.attention.self.query.bias"),
    "only the head": tensors(lambda held: {"lm_head.bias": torch.zeros(3)}),
    "another width": one(lambda t: t[:, :16].contiguous()),
    "another shape": one(lambda t: t.flatten()),
    "integers": one(lambda t: (t * 100).to(torch.int8)),
    "bytes": one(lambda t: (t * 100).to(torch.uint8)),
    "eight-bit floats": one(lambda t: t.to(torch.float8_e4m3fn)),
    "complex": one(lambda t: t.to(torch.complex64)),
    "NaN": spoilt(float("nan")),
    "infinity": spoilt(float("inf")),
    "minus infinity": spoilt(float("-inf")),
    # indices
    "index null": index("null"),
    "index list": index([]),
    "index not JSON": index("{"),
    "index empty": index({"metadata": {}, "weight_map": {}}),
    "index of a list": index({"weight_map": ["a.safetensors"]}),
    "index of numbers": index(shards(5)),  # type: ignore[arg-type]
    "index of a pickle": index(shards("part.bin")),
    "index of a shard and a pickle": index(shards("a.safetensors", "part.bin")),
    "index that leads out": index(shards("../x.safetensors")),
    "index that leads below": index(shards("sub/a.safetensors")),
    "index from the root": index(shards("/etc/x.safetensors")),
    "index of a missing shard": index(shards("a.safetensors", "c.safetensors")),
    "two shards with one tensor": twice,
    # other things in a model folder
    "an adapter": text("adapter_config.json", '{"base_model_name_or_path": "bert-base-uncased"}'),
    "only a GGUF": lambda folder: (folder / WEIGHTS).rename(folder / "model-Q4_0.gguf") and None,
    "only a pickle": lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin") and None,
    # tokenizer
    "no tokenizer": no_tokenizer,
    "only a tokenizer's settings": lambda folder: no_tokenizer(folder)
    or text("tokenizer_config.json", '{"tokenizer_class": "RobertaTokenizer"}')(folder),
    "vocabulary missing": gone("tokenizer.json", "vocab.json"),
    "vocabulary of nothing": lambda folder: no_tokenizer(folder)
    or text("vocab.json", "{}")(folder) or text("merges.txt", "")(folder),
    "tokenizer not JSON": text("tokenizer.json", "{"),
    "tokenizer null": text("tokenizer.json", "null"),
    "tokenizer list": text("tokenizer.json", "[]"),
    "tokenizer empty": text("tokenizer.json", ""),
    "tokenizer empty object": text("tokenizer.json", "{}"),
    "tokenizer not UTF-8": text("tokenizer.json", b"\xff\xff"),
    "tokenizer a folder": directory("tokenizer.json"),
    "tokenizer a dangling link": link("tokenizer.json", "nowhere"),
    "tokenizer without a model": tokenizer(model=None),
    "tokenizer of an unknown model": tokenizer(model={"type": "Wish"}),
    "tokenizer too large": tokenizer(
        added_tokens=[
            {"id": 99_999, "content": "[PAD]", "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False}
        ]
    ),
    "tokenizer config null": text("tokenizer_config.json", "null"),
    "tokenizer config list": text("tokenizer_config.json", "[]"),
    "tokenizer config not JSON": text("tokenizer_config.json", "{"),
    "tokenizer class a number": text("tokenizer_config.json", '{"tokenizer_class": 5}'),
    "tokenizer length a text": text("tokenizer_config.json", '{"model_max_length": "long"}'),
    "tokenizer length a list": text("tokenizer_config.json", '{"model_max_length": [1]}'),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_folder_is_one_line(case, folders, rows, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders / "roberta", folder)
    DAMAGES[case](folder)
    with pytest.raises(IdimError) as caught:
        read(folder, rows)
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert line.isprintable()
    assert "internal" not in line
    assert 20 < len(line.replace(str(folder), "")) < 400

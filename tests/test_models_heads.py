"""The head is what no pretrained model of the family has; each seed draws it anew."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from makers import make_tiny_bert, make_tiny_roberta
from torch import Tensor

from idim.config import RunSpec, Setup, SweepSpec, load
from idim.errors import IdimError
from idim.problems import kinds
from idim.problems.models.loading import Loaded
from idim.problems.models.loading import load as load_model

WIDE: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip
GPT: dict[str, Any] = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
# family: sizes, the pretraining's class, the classifier's head
FAMILIES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "bert": (WIDE, "BertForPreTraining", ("classifier",)),
    "roberta": (WIDE, "RobertaForMaskedLM", ("classifier",)),
    "distilbert": (
        {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
        "DistilBertForMaskedLM",
        ("pre_classifier", "classifier"),
    ),
    "albert": (WIDE | {"embedding_size": 8}, "AlbertForPreTraining", ("classifier",)),
    "electra": (WIDE | {"embedding_size": 8}, "ElectraForPreTraining", ("classifier",)),
    "mpnet": (WIDE, "MPNetForMaskedLM", ("classifier",)),
    "deberta-v2": (WIDE | {"pooler_hidden_size": 16}, "DebertaV2ForMaskedLM",
                   ("pooler", "classifier")),
    "xlnet": (
        {"vocab_size": 40, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24},
        "XLNetLMHeadModel",
        ("sequence_summary", "logits_proj"),
    ),
    # its prediction head is pretrained, and stays in the classifier
    "modernbert": (WIDE | {"global_attn_every_n_layers": 2, "bos_token_id": 1, "eos_token_id": 2,
                           "cls_token_id": 1, "sep_token_id": 2},
                   "ModernBertForMaskedLM", ("classifier",)),
    # its head lies below the base model's name
    "perceiver": (
        {"vocab_size": 40, "d_model": 16, "d_latents": 16, "num_latents": 4,
         "num_self_attends_per_block": 1, "num_self_attention_heads": 2,
         "num_cross_attention_heads": 2, "max_position_embeddings": 32},
        "PerceiverForMaskedLM",
        ("perceiver.decoder",),
    ),
    "gpt2": (GPT, "GPT2LMHeadModel", ("score",)),
    "llama": (WIDE | {"num_key_value_heads": 2}, "LlamaForCausalLM", ("score",)),
    "bart": (
        {"vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
         "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24,
         "decoder_ffn_dim": 24, "max_position_embeddings": 32},
        "BartForConditionalGeneration",
        ("classification_head",),
    ),
    "t5": (
        {"vocab_size": 40, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2},
        "T5ForConditionalGeneration",
        ("classification_head",),
    ),
}  # fmt: skip


def pretrained(family: str, folder: Path) -> Path:
    sizes, kind, _ = FAMILIES[family]
    config = transformers.AutoConfig.for_model(family, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        getattr(transformers, kind)(config).save_pretrained(folder)
    return folder


def drawn(folder: Path, seed: int, classes: int = 2, *, keep_head: bool = False) -> Loaded:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return load_model("m", folder, classes, keep_head=keep_head)


def parts(loaded: Loaded) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split the parameters into the head's and the others."""
    named = dict(loaded.module.named_parameters())
    head = {k for k in named if any(k.startswith(f"{h}.") or k == h for h in loaded.head)}
    return {k: named[k] for k in head}, {k: named[k] for k in named.keys() - head}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_seed_draws_the_head_and_reads_the_rest(family, tmp_path):
    transformers.utils.logging.disable_progress_bar()
    folder = pretrained(family, tmp_path / "pretrained")
    first = drawn(folder, 0)
    assert first.head == FAMILIES[family][2]
    assert first.changed == (("heads:2",) if family in ("modernbert", "perceiver") else ())
    assert not any("stores a head" in note for note in first.notes)

    tuned = tmp_path / "tuned"
    with torch.no_grad():
        for p in first.module.parameters():
            p.add_(0.5)
    first.module.save_pretrained(tuned)
    redrawn, other, wider = drawn(tuned, 0), drawn(tuned, 1), drawn(tuned, 0, classes=5)
    (new, rest), (kept, all_rest) = parts(redrawn), parts(drawn(tuned, 3, keep_head=True))
    wanted, body = parts(first)
    assert redrawn.head == other.head == wider.head == first.head
    assert redrawn.changed == ("head:2", *first.changed)
    assert "head:2" not in wider.changed
    for loaded in (redrawn, wider):
        assert any("stores a head" in note for note in loaded.notes)
    assert same(rest, body)
    assert same(parts(other)[1], body)
    assert same(all_rest, body)
    assert same(kept, wanted), "a kept head is the stored one"
    matrices = {k for k, p in new.items() if p.ndim > 1}
    assert matrices
    for k in matrices:
        assert not torch.equal(new[k], wanted[k]), f"{k} was read"
        assert not torch.equal(new[k], parts(other)[0][k]), f"{k} is one for all seeds"
    with pytest.raises(IdimError, match="stores no head of 5 outputs to keep; drop --keep-head"):
        drawn(tuned, 0, classes=5, keep_head=True)
    with pytest.raises(IdimError, match="stores no head of 2 outputs to keep"):
        drawn(folder, 0, keep_head=True)


@pytest.mark.parametrize("make", [make_tiny_bert, make_tiny_roberta])
@pytest.mark.parametrize("seed", [0, 11])
def test_a_head_over_masked_lm_weights_is_the_one_transformers_draws(make, seed, tmp_path):
    """As the first stores have it: their runs go on."""
    folder = make(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=2, dtype=torch.float32, use_safetensors=True
        )
    ours = drawn(folder, seed)
    assert ours.changed == ()
    assert same(dict(ours.module.named_parameters()), dict(theirs.named_parameters()))


def test_a_base_models_own_prediction_head_is_new_where_it_is_not_stored(tmp_path):
    folder = pretrained("modernbert", tmp_path / "lm")
    model = transformers.ModernBertForMaskedLM.from_pretrained(folder)
    model.model.save_pretrained(tmp_path / "base")
    assert drawn(tmp_path / "base", 0).head == ("head", "classifier")
    assert drawn(tmp_path / "base", 0).changed == ()


def test_a_missing_pooler_is_said_and_is_not_the_head(tmp_path):
    loaded = drawn(make_tiny_bert(tmp_path), 0)
    assert loaded.head == ("classifier",)
    assert loaded.notes == (
        "The model's weights lack bert.pooler: each seed draws it anew, as the head, and d "
        "counts it.",
    )


def test_a_stored_pooler_is_read(tmp_path):
    folder = pretrained("bert", tmp_path)
    assert drawn(folder, 0).notes == ()
    assert same(parts(drawn(folder, 0))[1], parts(drawn(folder, 1))[1])


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda k: f"module.{k}", r"lack 37 of the 41 tensors .*begin with 'module.'"),
        (lambda k: f"_orig_mod.{k}", r"begin with '_orig_mod.'"),
        (lambda k: k.replace("layer.1.", "block.1."), r"lack 16 of .*layer\.1\.attention"),
        (lambda k: None if k.endswith("0.output.dense.bias") else k, r"lack 1 of .*dense\.bias'"),
        (lambda k: k.replace("layer.0.", "layer.2."), r"leaves out, e\.g\. .*layer\.2"),
    ],
)
def test_what_is_missing_beside_the_head_is_named(rename, message, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = make_tiny_roberta(tmp_path)
    held = {rename(k): v for k, v in load_file(folder / "model.safetensors").items()}
    save_file({k: v for k, v in held.items() if k}, folder / "model.safetensors")
    with pytest.raises(IdimError, match=message):
        drawn(folder, 0)


def test_weights_of_a_deeper_model_are_refused(tmp_path):
    folder = make_tiny_roberta(tmp_path)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 1}))
    with pytest.raises(IdimError, match=r"layers that its config.json leaves out, e.g. .*layer\.1"):
        drawn(folder, 0)


def test_keep_head_is_a_setting_and_an_id_of_its_own():
    plain = RunSpec(d=5)
    assert "keep_head" not in plain.canonical()
    assert RunSpec(d=5, keep_head=True).id != plain.id
    assert load(SweepSpec, None, {"keep_head": "true"}).keep_head is True
    assert load(SweepSpec, None, {"keep_head": "False"}).keep_head is False
    with pytest.raises(IdimError, match="keep_head: expected true or false, got 'maybe'"):
        load(SweepSpec, None, {"keep_head": "maybe"})


@pytest.mark.parametrize(("name", "task"), [("digits-mlp", "digits"), ("tiny", "paraphrase")])
def test_keeping_a_head_where_none_is_stored_is_refused(name, task):
    setup = Setup(model=name, task=task, train_samples=16, eval_samples=16, keep_head=True)
    with pytest.raises(IdimError, match=r"head .*to keep; drop --keep-head"):
        kinds.load(setup).build(0)

"""Tiny random models of every family that transformers classifies text with, and tokenizers."""

import random
from functools import cache
from pathlib import Path
from typing import Any

_TEXT = (
    "time year people way day man thing woman life child world school state family student group "
    "country problem hand part place case week company system program question work night point "
    "home water room mother area money story fact month lot right study book eye job word side"
)
WORDS = _TEXT.split()
LABELS = ("awful", "great")
# How long a row may be: less than what the small models read.
LONGEST = 96

# Which tokenizer a family has; all others Llama's.
KINDS = {
    "bert": "bert albert big_bird canine cohere_compass_text convbert deberta deberta-v2 "
    "distilbert electra ernie esm flaubert fnet funnel layoutlm lilt megatron-bert mobilebert "
    "modernbert mra nomic_bert nystromformer perceiver rembert roc_bert roformer squeezebert "
    "tapas ultrabert ultravbert xlm",
    "roberta": "roberta bart bigbird_pegasus biogpt camembert data2vec-text esmc gte ibert "
    "jina_embeddings_v3 layoutlmv2 layoutlmv3 longformer luke markuplm mbart mpnet mvp opt plbart "
    "roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod yoso",
    "gpt": "bloom ctrl falcon gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj "
    "modernbert-decoder mpt olmo olmo2 olmo3 openai-gpt phi qwen2 qwen2_moe qwen3 qwen3_5 "
    "qwen3_5_text qwen3_moe qwen3_next stablelm starcoder2",
    "t5": "mt5 reformer t5 umt5",
    "gemma": "gemma gemma2 gemma3 gemma3_text t5gemma t5gemma2",
    "xlnet": "xlnet",
}
_KIND = {family: kind for kind, families in KINDS.items() for family in families.split()}

_SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "num_key_value_heads": 2, "head_dim": 8, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_layers": 2,
    "n_heads": 4, "emb_dim": 32, "dim": 32, "hidden_dim": 64, "d_model": 32, "num_layers": 2,
    "num_heads": 4, "d_kv": 8, "d_ff": 64, "num_decoder_layers": 2, "encoder_layers": 2,
    "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 128,
    "n_positions": 128, "embedding_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 64, "d_head": 8,
    "d_inner": 64, "max_seq_len": 128, "n_inner": 64, "rotary_dim": 4, "kv_lora_rank": 8,
    "q_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
    "moe_intermediate_size": 32, "n_routed_experts": 4, "num_local_experts": 4, "num_experts": 4,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    "n_shared_experts": 1, "shared_expert_intermediate_size": 32, "mamba_d_state": 8,
    "mamba_d_conv": 4, "mamba_expand": 2, "sliding_window": 64, "local_attention": 16,
    "query_pre_attn_scalar": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "ffn_hidden_size": 64,
    # as large as pretrained weights are beside so small a width: else a leak is lost in rounding
    "initializer_range": 0.1,
}  # fmt: skip
_LATENT = {"num_key_value_heads": 4, "head_dim": 4}
_OWN: dict[str, dict[str, Any]] = {
    "axk1": _LATENT, "axk2": _LATENT, "deepseek_v2": _LATENT, "deepseek_v3": _LATENT,
    "mistral4": _LATENT, "minicpm3": _LATENT,
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "canine": {"num_hash_buckets": 64, "downsampling_rate": 4, "local_transformer_stride": 16},
    "cohere_compass_text": {
        "rope_parameters": {
            name: {"rope_type": "default", "rope_theta": 1e4}
            for name in ("full_attention", "sliding_attention")
        }
    },
    "ctrl": {"dff": 64},
    "deberta": {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 32,
        "position_biased_input": False,
    },
    "deberta-v2": {
        "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm", "share_att_key": True, "pooler_hidden_size": 32,
        "position_biased_input": False,
    },
    "esm": {"position_embedding_type": "rotary", "token_dropout": False},
    "fnet": {"type_vocab_size": 4, "tpu_short_seq_length": 128},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "gpt_bigcode": {"multi_query": True},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 16},
    "jamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
        "expert_layer_offset": 1, "use_mamba_kernels": False, "mamba_dt_rank": 4,
    },
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8, "visual_embed": False},
    "lilt": {"channel_shrink_ratio": 2, "hidden_size": 48, "num_attention_heads": 4},
    "longformer": {"attention_window": [8, 8]},
    "mobilebert": {
        "intra_bottleneck_size": 32, "true_hidden_size": 32, "hidden_size": 64,
        "num_feedforward_networks": 1,
    },
    "modernbert": {"global_attn_every_n_layers": 2},
    "perceiver": {
        "d_latents": 32, "num_latents": 8, "qk_channels": 32, "v_channels": 32,
        "num_self_attends_per_block": 1, "num_cross_attention_heads": 4,
        "num_self_attention_heads": 4,
    },
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"]},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"], "mlp_only_layers": []},
    "reformer": {
        "attn_layers": ["local", "lsh"], "axial_pos_shape": [8, 16],
        "axial_pos_embds_dim": [16, 16], "attention_head_size": 8, "feed_forward_size": 64,
        "lsh_attn_chunk_length": 8, "local_attn_chunk_length": 8, "is_decoder": False,
        "num_buckets": 4, "num_hashes": 1,
        "hash_seed": 0,
    },
    "roc_bert": {
        "pronunciation_embed_dim": 8, "pronunciation_vocab_size": 8, "shape_embed_dim": 8,
        "shape_vocab_size": 8,
    },
    "squeezebert": {
        "q_groups": 2, "k_groups": 2, "v_groups": 2, "post_attention_groups": 1,
        "intermediate_groups": 2, "output_groups": 2,
    },
    "xlm": {"n_langs": 1},
    "zamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False,
        "mamba_dt_rank": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "num_hidden_layers": 4,
        "attention_hidden_size": 64, "attention_head_dim": 16, "num_key_value_heads": 4,
    },
    "zamba2": {
        "use_mamba_kernels": False, "layers_block_type": ["linear_attention", "hybrid"],
        "mamba_headdim": 8, "num_key_value_heads": 4, "chunk_size": 8, "adapter_rank": 4,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}  # fmt: skip
# Settings of _SMALL that a family has a name for but no use.
_NOT: dict[str, tuple[str, ...]] = {
    "esmc": ("num_key_value_heads",), "zamba": ("layer_types", "head_dim"),
    "zamba2": ("layer_types", "head_dim"), "falcon": ("head_dim",),
    "funnel": ("num_hidden_layers", "layer_types"), "gpt_neox": ("rotary_dim",),
    "jamba": ("layer_types",), "nemotron": ("rotary_dim",), "persimmon": ("rotary_dim",),
    "phi": ("rotary_dim",), "stablelm": ("rotary_dim",), "xlnet": ("max_position_embeddings",),
}  # fmt: skip


def names() -> list[str]:
    """Return every family that transformers has a classifier of."""
    from transformers.models.auto import modeling_auto

    return list(modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


def make(family: str, folder: Path) -> Path:
    """Write a model of a family, of two small layers, with a tokenizer of the kind it has."""
    import torch
    from transformers import AutoModelForSequenceClassification

    made = tokenizer(_KIND.get(family, "llama"))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_config(config(family, made))
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def config(family: str, made: Any) -> Any:
    """Return the settings of a small model without dropout."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family]
    base = kind()
    if family in _PARTS:
        return _of_parts(family, kind, made)
    chosen = {k: v for k, v in _SMALL.items() if hasattr(base, k)}
    for name, other in getattr(kind, "attribute_map", {}).items():
        if name in chosen and other in chosen:
            chosen.pop(name)
    if getattr(base, "layer_types", None):
        chosen["layer_types"] = [base.layer_types[0], base.layer_types[-1]]
    if getattr(base, "head_dim", 1) is None and family not in (
        "hunyuan_v1_dense", "hunyuan_v1_moe", "ministral",
    ):  # fmt: skip
        chosen.pop("head_dim", None)
    chosen = {k: v for k, v in chosen.items() if k not in _NOT.get(family, ())}
    chosen |= _OWN.get(family, {}) | _tokens(family, made)
    # what one run draws anew would hide whether a row depends on its company
    dice = {k for k, v in base.to_dict().items() if isinstance(v, float) and _is_dice(k)}
    return kind(**{**chosen, **dict.fromkeys(dice, 0.0)})


def _is_dice(name: str) -> bool:
    return any(word in name for word in ("drop", "pdrop", "jitter"))


def _tokens(family: str, made: Any) -> dict[str, Any]:
    def either(a: int | None, b: int | None) -> int | None:
        return b if a is None else a

    found: dict[str, Any] = {
        "num_labels": len(LABELS), "vocab_size": len(made), "pad_token_id": made.pad_token_id,
        "bos_token_id": either(made.bos_token_id, made.cls_token_id),
        "eos_token_id": either(made.eos_token_id, made.sep_token_id),
    }  # fmt: skip
    if family in ("bart", "mbart", "mvp", "plbart", "bigbird_pegasus"):
        found |= {"decoder_start_token_id": 2, "forced_eos_token_id": 2}
    if family in ("t5", "mt5", "umt5"):
        found |= {"decoder_start_token_id": 0}
    if family == "canine":
        del found["vocab_size"]
    if family == "modernbert-decoder":
        found["pad_token_id"] = 0
    return found


_VISION = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
# Families made of others' parts: which family the text part is.
_PARTS = {
    "gemma3": "gemma3_text", "modernvbert": "modernbert", "qwen3_5": "qwen3_5_text",
    "t5gemma": "gemma2", "t5gemma2": "gemma3_text", "ultravbert": "ultrabert",
}  # fmt: skip


def _of_parts(family: str, kind: Any, made: Any) -> Any:
    text = config(_PARTS[family], made).to_dict()
    more: dict[str, Any] = {"num_labels": len(LABELS)}
    if family.startswith("t5gemma"):
        text = {k: v for k, v in text.items() if k not in ("model_type", "architectures")}
        both = {"text_config": text, "vision_config": _VISION} if family == "t5gemma2" else text
        more |= {"encoder": both, "decoder": text, "vocab_size": len(made)}
        more |= {k: text[k] for k in ("pad_token_id", "bos_token_id", "eos_token_id")}
        more |= {"dropout_rate": 0.0, "classifier_dropout_rate": 0.0, "attention_dropout": 0.0}
    else:
        more |= {"text_config": text}
    if family not in ("t5gemma", "t5gemma2"):
        more |= {"vision_config": _VISION}
    if family == "qwen3_5":
        more["vision_config"] = {"depth": 1, "hidden_size": 32, "num_heads": 2,
                                 "intermediate_size": 64, "out_hidden_size": 32}  # fmt: skip
    if family == "gemma3":
        more |= {"mm_tokens_per_image": 4, "image_token_index": 5, "boi_token_index": 6,
                 "eoi_token_index": 7}  # fmt: skip
    return kind(**more)


@cache
def tokenizer(kind: str) -> Any:
    """Train a tokenizer of a kind on the words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    dice = random.Random(0)
    text = [" ".join(dice.choices([*WORDS, *LABELS], k=20)) for _ in range(300)]
    special, words, template, named = _MADE[kind]
    if words == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer, made.normalizer = (
            pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(),
        )  # fmt: skip
        trainer = trainers.WordPieceTrainer(
            vocab_size=200, special_tokens=special, show_progress=False
        )
    elif words == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    made.train_from_iterator(text, trainer)
    if template:
        made.post_processor = processors.TemplateProcessing(
            single=template[0], pair=template[1],
            special_tokens=[(t, i) for i, t in enumerate(special)],
        )  # fmt: skip
    inputs = ["input_ids", "attention_mask"]
    if kind in ("bert", "xlnet"):
        inputs.insert(1, "token_type_ids")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=LONGEST, model_input_names=inputs, **named
    )


# By kind: special tokens in order of their ids, what a word becomes, how one and two texts are
# joined, and what the tokenizer calls its tokens.
_MADE: dict[str, tuple[list[str], str, tuple[str, str] | None, dict[str, str]]] = {
    "bert": (
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "wordpiece",
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
        {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
    ),
    "roberta": (
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "bytes",
        ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
        {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>",
         "unk_token": "<unk>", "pad_token": "<pad>"},
    ),
    "gpt": (
        ["<|endoftext|>"], "bytes", None,
        {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    ),
    "t5": (
        ["<pad>", "</s>", "<unk>"], "pieces", ("$A </s>", "$A </s> $B </s>"),
        {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    ),
    "llama": (
        ["<unk>", "<s>", "</s>"], "bytes", ("<s> $A", "<s> $A <s> $B"),
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    ),
    "gemma": (
        ["<pad>", "<eos>", "<bos>", "<unk>"], "bytes", ("<bos> $A", "<bos> $A <bos> $B"),
        {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>",
         "padding_side": "left"},
    ),
    "xlnet": (
        ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"], "pieces",
        ("$A <sep> <cls>:2", "$A <sep> $B:1 <sep>:1 <cls>:2"),
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "<sep>",
         "pad_token": "<pad>", "cls_token": "<cls>", "padding_side": "left"},
    ),
}  # fmt: skip

"""Tokenizers of RoBERTa's layout: the words of the language, or trained on a text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from idim.config import PretrainSpec
from idim.errors import IdimError

# The order gives RoBERTa's usual ids: <s> 0, <pad> 1, </s> 2.
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
# Tokens that are trained on a text where the spec leaves it open.
TRAINED_TOKENS = 8000


def make(spec: PretrainSpec, lines: Iterable[str]) -> Any:
    """Make the tokenizer of a pretraining.

    Args:
        spec: its `tokenizer`, `tokens` and `vocab_size`.
        lines: the text; what is trained is trained on it.

    Returns:
        A `tokenizers.Tokenizer` that puts `<s> A </s>` or `<s> A </s></s> B </s>`.

    Raises:
        IdimError: more tokens than the model has embeddings.
    """
    from tokenizers import processors

    made = {"word": _words, "bpe": _bpe, "wordpiece": _wordpiece}[spec.tokenizer](spec, lines)
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    size = made.get_vocab_size()
    if spec.vocab_size is not None and size > spec.vocab_size:
        raise IdimError(
            f"the tokenizer has {size} tokens but the model only {spec.vocab_size} embeddings; "
            f"set vocab_size to {size} or more, or leave it out."
        )
    return made


def save(tokenizer: Any, folder: Path, max_length: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, as AutoTokenizer reads them."""
    from transformers import PreTrainedTokenizerFast

    bos, pad, eos, unk, mask = SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, cls_token=bos, pad_token=pad, eos_token=eos,
        sep_token=eos, unk_token=unk, mask_token=mask, model_max_length=max_length,
    ).save_pretrained(folder)  # fmt: skip


def _words(spec: PretrainSpec, lines: Iterable[str]) -> Any:
    """One token a word of the language, lower case, and one a punctuation mark."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    from idim.builtin.language import inflected

    normal, cut = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    words = {w for line in lines for w, _ in cut.pre_tokenize_str(normal.normalize_str(line))}
    vocab = {word: i for i, word in enumerate([*SPECIAL, *sorted(words | inflected())])}
    made = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    made.normalizer, made.pre_tokenizer = normal, cut
    return made


def _bpe(spec: PretrainSpec, lines: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.tokens or TRAINED_TOKENS, special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(lines, trainer)
    return made


def _wordpiece(spec: PretrainSpec, lines: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=spec.tokens or TRAINED_TOKENS, special_tokens=list(SPECIAL), show_progress=False
    )
    made.train_from_iterator(lines, trainer)
    return made

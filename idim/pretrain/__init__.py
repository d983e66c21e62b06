"""Masked-language-model pretraining of small RoBERTa-shaped encoders."""

from idim.pretrain.execute import folder_of, pretrain

__all__ = ["folder_of", "pretrain"]

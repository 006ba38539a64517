"""SentencePiece models as those of mBART, NLLB, Marian and Llama, trained when they are needed."""

import io
from functools import lru_cache

import pytest

sentencepiece = pytest.importorskip("sentencepiece")

# What Llama's model has: bytes for unknown characters, and blanks as they stand in the text.
LLAMA = {
    "byte_fallback": True,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
    "remove_extra_whitespaces": False,
    "normalization_rule_name": "identity",
}
KINDS = {
    "unigram": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe"},
    "llama": {"model_type": "bpe", **LLAMA},
    "small unigram": {"model_type": "unigram", "normalization_rule_name": "identity"},
    "small bpe": {"model_type": "bpe", "normalization_rule_name": "identity"},
    "small llama": {"model_type": "bpe", **LLAMA},
}


@lru_cache
def model_bytes(kind: str, texts: tuple[str, ...], vocab_size: int) -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text for text in texts if "\0" not in text),
        model_writer=written,
        vocab_size=vocab_size,
        character_coverage=0.98,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=not KINDS[kind]["model_type"].startswith("unigram"),
        **KINDS[kind],
    )
    return written.getvalue()


def write_model(path, kind: str, texts: tuple[str, ...], vocab_size: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(kind, texts, vocab_size))
    return str(path)

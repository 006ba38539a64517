"""Small SentencePiece models for the tests of the classes, made here and written by our own writer."""

from functools import lru_cache

from edutransformers.tokenizers import train_bpe
from edutransformers.tokenizers.pre_tokenizers import Metaspace
from edutransformers.tokenizers.sentencepiece_model import (
    NormalizerSettings,
    Piece,
    SentencePieceModel,
    TrainerSettings,
)

from ..texts import LONG, OTHER, SHORT

SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = [LONG, OTHER, SHORT, "Hello, the World! Café, naïve: bonjour le monde.", "don't stop it's 1 or 2 (x)"] * 5
TEXTS.append("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ éïü")
FIRST = [Piece("<unk>", 0.0, "unknown"), Piece("<s>", 0.0, "control"), Piece("</s>", 0.0, "control")]


@lru_cache
def unigram_model() -> SentencePieceModel:
    """With scores that make few long pieces the best cut."""
    tokens = [piece.piece for piece in bpe_model().pieces[3:]]
    return _model("unigram", [Piece(t, -3.0 if len(t) == 1 else -1.0 - i / 1000) for i, t in enumerate(tokens)])


@lru_cache
def bpe_model(with_bytes: bool = False) -> SentencePieceModel:
    """With bytes: Llama's settings, where the text's blanks stay as they are."""
    vocab, _ = train_bpe(TEXTS, 200, special_tokens=SPECIAL, pre_tokenizer=Metaspace(), show_progress=False)
    of_bytes = [Piece(f"<0x{byte:02X}>", 0.0, "byte") for byte in range(256)] if with_bytes else []
    made = [token for token in vocab if len(token) > 1 and token not in SPECIAL]
    characters = [token for token in vocab if len(token) == 1]
    merged = [Piece(token, -float(rank)) for rank, token in enumerate([*made, *characters])]
    return _model("bpe", [*of_bytes, *merged], with_bytes)


def _model(kind: str, pieces: list[Piece], with_bytes: bool = False) -> SentencePieceModel:
    normalizer = NormalizerSettings(name="identity", remove_extra_whitespaces=not with_bytes)
    return SentencePieceModel(
        tuple(FIRST + pieces), TrainerSettings(model_type=kind, byte_fallback=with_bytes), normalizer
    ).with_pieces(FIRST + pieces)


def write(model: SentencePieceModel, path):
    path.write_bytes(model.to_bytes())
    return path

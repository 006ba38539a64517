"""What the classes share whose own file is a SentencePiece `.model`: it is kept, or made of a vocabulary of one's own.

Fairseq's models (mBART, NLLB, XLM-RoBERTa) have another order of ids than their `.model`:

    .model    <unk>  <s>    </s>  piece 3  piece 4  ...
    ids       <s>    <pad>  </s>  <unk>    piece 3  piece 4  ...  language codes  <mask>
"""

import os
from collections.abc import Sequence
from pathlib import Path

from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NormalizerSequence, Precompiled
from edutransformers.tokenizers.sentencepiece_model import (
    NormalizerSettings,
    Piece,
    SentencePieceModel,
    TrainerSettings,
    read_sentencepiece,
)
from edutransformers.tokenizers.sentencepiece_stages import merges_of
from edutransformers.tokenizers.unigram import Unigram

FAIRSEQ_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
SENTENCEPIECE_TOKENS = ("<unk>", "<s>", "</s>")


class SentencePieceFile:
    """For a class with a `.model` of its own: kept byte for byte; without one, made of the vocabulary.

    The class says how with `own_model()`. A `.model` has no merges, so a BPE vocabulary that was trained here
    (`train_new_from_iterator`) may cut a rare word otherwise when it is read from it alone. tokenizer.json, which
    stands beside it, has them.
    """

    _model_file: bytes | None = None

    def keep_file(self, vocab_file: str | os.PathLike | None) -> None:
        """Remember the file's content for `vocabulary_files`."""
        if vocab_file is not None:
            if not Path(vocab_file).is_file():
                raise OSError(f"There is no SentencePiece model {vocab_file}.")
            self._model_file = Path(vocab_file).read_bytes()

    def own_model(self) -> SentencePieceModel | None:
        """The vocabulary as a SentencePiece model; None if its ids are in an order that the class can't read back."""
        raise NotImplementedError

    def vocabulary_files(self) -> dict[str, bytes]:
        """The `.model`: {file name: content}; nothing where there can be none, tokenizer.json has it all."""
        content = self._model_file
        if content is None:
            model = self.own_model()
            content = None if model is None else model.to_bytes()
        return {} if content is None else {self.vocab_files_names["vocab_file"]: content}


# ---------------------------------------------------------------------------------------------------------------------
# From a .model, or from a vocabulary, to a model of the engine
# ---------------------------------------------------------------------------------------------------------------------


def read_standard_model(vocab_file: str | os.PathLike) -> SentencePieceModel:
    """A `.model` that begins with <unk>, <s>, </s>, as those do whose classes give these three ids of their own.

    Raises ValueError, which names the file, for another.
    """
    model = read_sentencepiece(vocab_file)
    first = tuple(piece.piece for piece in model.pieces[:3])
    if first != SENTENCEPIECE_TOKENS:
        raise ValueError(
            f"{vocab_file} begins with the pieces {', '.join(map(repr, first))}; expected '<unk>', '<s>', '</s>', "
            "which SentencePiece writes unless told otherwise: is it the model of another class?"
        )
    return model


def fairseq_model(model: SentencePieceModel, more: Sequence[str] = ()) -> Unigram | BPE:
    """Its pieces with fairseq's ids; behind them `more` tokens."""
    vocab = [(token, 0.0) for token in FAIRSEQ_TOKENS]
    vocab += [(piece.piece, piece.score) for piece in model.pieces[3:]]
    vocab += [(token, 0.0) for token in more]
    if model.trainer.model_type == "unigram":
        return Unigram(vocab, FAIRSEQ_TOKENS.index("<unk>"))
    merges = merges_of(model) if model.trainer.model_type == "bpe" else []
    return BPE({token: i for i, (token, _) in enumerate(vocab)}, merges, unk_token="<unk>", fuse_unk=True)


def model_of_vocabulary(vocab, merges, unk_token: str, **options) -> Unigram | BPE:
    """transformers 5's arguments: a list of (piece, score) makes Unigram, a dictionary {token: id} with merges BPE."""
    if isinstance(vocab, dict):
        return BPE(dict(vocab), [tuple(merge) for merge in merges or ()], unk_token=unk_token, fuse_unk=True, **options)
    pieces = [(str(piece), float(score)) for piece, score in vocab]
    tokens = [piece for piece, _ in pieces]
    if unk_token not in tokens:
        raise ValueError(f"The vocabulary has no {unk_token!r}, which stands for unknown characters: add it.")
    return Unigram(pieces, tokens.index(unk_token), **options)


# ---------------------------------------------------------------------------------------------------------------------
# And back
# ---------------------------------------------------------------------------------------------------------------------


def pieces_of(engine: Engine) -> list[Piece]:
    """The vocabulary as pieces by id: special tokens are "control", "<0x41>" is "byte".

    Unigram has scores; of BPE a piece's score is minus the rank of the merge that makes it, and a character's is below
    all of them, as SentencePiece writes it.
    """
    model = engine.model
    if isinstance(model, Unigram):
        scores = model.scores
    else:
        ranks = {left + right: rank for rank, (left, right) in enumerate(model.merge_list())}
        scores = [-float(ranks.get(token, len(ranks) + i)) for i, token in sorted(model.id_to_token.items())]
    pieces = []
    for (_, token), score in zip(sorted(model.id_to_token.items()), scores):
        kind = "normal"
        if token == model.unk_token:
            kind = "unknown"
        elif token in engine.added_tokens.special:
            kind = "control"
        elif model.byte_fallback and len(token) == 6 and token.startswith("<0x"):
            kind = "byte"
        pieces.append(Piece(token, 0.0 if kind != "normal" else score, kind))
    return pieces


def model_of_pieces(engine: Engine, pieces: Sequence[Piece], **normalizer_settings) -> SentencePieceModel:
    """A SentencePiece model with these pieces, the engine's algorithm and its map of replacements."""
    trainer = TrainerSettings(
        model_type="unigram" if isinstance(engine.model, Unigram) else "bpe", byte_fallback=engine.model.byte_fallback
    )
    steps = engine.normalizer.normalizers if isinstance(engine.normalizer, NormalizerSequence) else [engine.normalizer]
    charsmap = next((step.map.blob for step in steps if isinstance(step, Precompiled)), b"")
    normalizer = NormalizerSettings(precompiled_charsmap=charsmap, **normalizer_settings)
    return SentencePieceModel(tuple(pieces), trainer, normalizer).with_pieces(pieces)


def fairseq_pieces(engine: Engine, more: Sequence[str] = ()) -> list[Piece]:
    """The inverse of `fairseq_model`: SentencePiece's first three, and what is neither special nor among `more`."""
    own = {*FAIRSEQ_TOKENS, *more}
    first = [Piece("<unk>", 0.0, "unknown"), Piece("<s>", 0.0, "control"), Piece("</s>", 0.0, "control")]
    return first + [piece for piece in pieces_of(engine) if piece.piece not in own]

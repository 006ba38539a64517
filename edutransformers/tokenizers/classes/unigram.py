"""What the tokenizers of T5, ALBERT, XLNet, XLM-RoBERTa and DeBERTa-v2 share: a unigram model from a `.model` file.

Their stages differ in the normalizer and in the layout of special tokens. The rest is

    white space ends a word  ->  "▁" begins each word  ->  the most probable pieces (unigram.py)

Files of these models come in pairs, `.model` and tokenizer.json. The stages built here from a `.model` are those that
the published tokenizer.json files have, and transformers 5 builds; so a checkpoint's ids don't depend on which of the
two is there. (transformers 4.34 converts a `.model` to stages without the first of these steps. It gives the same
ids but for a "▁" of its own for a blank at a text's end or before a special token, and for white space that the
model's map of replacements leaves in the text.)
"""

import os
from collections.abc import Sequence

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.classes.sentencepiece import (
    SentencePieceFile,
    model_of_pieces,
    model_of_vocabulary,
    pieces_of,
)
from edutransformers.tokenizers.decoders import ByteFallback, DecoderSequence, MetaspaceDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import (
    NFKD,
    Lowercase,
    Normalizer,
    NormalizerSequence,
    Precompiled,
    Replace,
    StripAccents,
)
from edutransformers.tokenizers.post_processors import PostProcessor
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizer, PreTokenizerSequence, WhitespaceSplit
from edutransformers.tokenizers.sentencepiece_model import Piece, SentencePieceModel, read_sentencepiece
from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json
from edutransformers.tokenizers.unigram import Unigram
from edutransformers.tokenizers.wordpiece import Token

Vocab = Sequence[tuple[str, float]]  # (piece, log-probability); the place is the id


class UnigramTokenizer(SentencePieceFile, PreTrainedTokenizer):
    """Base class: no tokenizer of its own.

    vocab_file       a SentencePiece model; its content is kept, and saved again byte for byte
    vocab            in its place [(piece, log-probability), ...] by ids, as tokenizer.json has them
    tokenizer_file   a tokenizer.json, or engine: ready-made stages, in place of those of the class
    sp_model_kwargs  {"enable_sampling": True, "nbest_size": -1, "alpha": 0.1}: how a word is cut is drawn, each time it
                     comes (subword regularization, Kudo 2018)

    A class passes its special tokens on and says what is its own: `minimal_vocabulary`; `vocabulary_of` and its inverse
    `pieces_of`; `make_normalizer`, `make_pre_tokenizer`, `make_layout`.
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "spiece.model"}

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        vocab: Vocab | str | os.PathLike | None = None,
        tokenizer_file: str | os.PathLike | None = None,
        engine: Engine | None = None,
        sp_model_kwargs: dict | None = None,
        **kwargs,
    ):
        if tokenizer_file is not None:
            engine = read_tokenizer_json(tokenizer_file)
        if isinstance(vocab, (str, os.PathLike)):
            vocab_file, vocab = vocab, None
        if engine is None:
            engine = self._make_engine(vocab_file, vocab, kwargs)
        self.vocab_file = vocab_file
        self.keep_file(vocab_file)
        self.sp_model_kwargs = dict(sp_model_kwargs or {})
        engine.model = with_sampling(engine.model, **self.sp_model_kwargs)
        super().__init__(engine, sp_model_kwargs=self.sp_model_kwargs, **kwargs)
        if engine.post_processor is None:
            engine.post_processor = self.make_layout()

    def _make_engine(self, vocab_file, vocab: Vocab | None, special: dict) -> Engine:
        name, unknown = type(self).__name__, str(special["unk_token"])
        charsmap, byte_fallback = b"", False
        if isinstance(vocab, dict):
            raise ValueError(
                f"vocab is a dict; {name} needs pieces with their scores, [(piece, log-probability), ...]."
            )
        if vocab is None and vocab_file is not None:
            model = self.read_model(vocab_file)
            if model.trainer.model_type != "unigram":
                raise ValueError(f"{vocab_file} is a {model.trainer.model_type} model; {name} needs a unigram model.")
            vocab = self.vocabulary_of(model.pieces, special.get("added_tokens_decoder") or {})
            of_model = model.pieces[model.unk_id].piece
            unknown = of_model if of_model in dict(vocab) else unknown
            charsmap, byte_fallback = model.normalizer.precompiled_charsmap, model.trainer.byte_fallback
        elif vocab is None:
            vocab = self.minimal_vocabulary(special)
        decoder = MetaspaceDecoder()
        return Engine(
            model_of_vocabulary(vocab, None, unknown, byte_fallback=byte_fallback),
            normalizer=self.make_normalizer(Precompiled(charsmap) if charsmap else None),
            pre_tokenizer=self.make_pre_tokenizer(),
            decoder=DecoderSequence([ByteFallback(), decoder]) if byte_fallback else decoder,
        )

    # ----- what a class says -----------------------------------------------------------------------------------------

    def minimal_vocabulary(self, special: dict) -> Vocab:
        """The vocabulary without vocab_file and vocab: enough to call `train_new_from_iterator`."""
        raise NotImplementedError

    def read_model(self, vocab_file: str | os.PathLike) -> SentencePieceModel:
        return read_sentencepiece(vocab_file)

    def vocabulary_of(self, pieces: Sequence[Piece], added: dict[int, AddedToken]) -> Vocab:
        """The vocabulary, by ids, for the pieces of a `.model` file. `added`: added tokens that are known already."""
        return [(piece.piece, piece.score) for piece in pieces]

    def pieces_of(self) -> list[Piece]:
        """The other way: pieces from which `vocabulary_of` makes this tokenizer's vocabulary."""
        return pieces_of(self._engine)

    def make_normalizer(self, charsmap: Precompiled | None) -> Normalizer | None:
        """`charsmap`: the model's own map of replacements, if it has one."""
        return charsmap

    def make_pre_tokenizer(self) -> PreTokenizer:
        return PreTokenizerSequence([WhitespaceSplit(), Metaspace()])

    def make_layout(self) -> PostProcessor:
        """The special tokens around texts; asked when they have their ids."""
        raise NotImplementedError

    # ----- files -----------------------------------------------------------------------------------------------------

    @property
    def can_save_slow_tokenizer(self) -> bool:
        """Whether a `.model` can hold the vocabulary: not if a tokenizer.json has another algorithm, or order."""
        if self._model_file is not None:
            return True
        model = self._engine.model
        if not isinstance(model, Unigram) or model.unk_id is None:
            return False
        read_again = self.vocabulary_of(self.pieces_of(), self.added_tokens_decoder)
        return [token for token, _ in read_again] == list(model.vocab)

    def own_model(self):
        return model_of_pieces(self._engine, self.pieces_of())

    def vocabulary_files(self) -> dict[str, bytes]:
        """The `.model`, if there can be one."""
        return super().vocabulary_files() if self.can_save_slow_tokenizer else {}


# ---------------------------------------------------------------------------------------------------------------------
# Drawn cuts
# ---------------------------------------------------------------------------------------------------------------------


class SampledUnigram(Unigram):
    """A unigram model that draws a cut of each word in place of taking the best one.

    nbest_size  draw from so many of the best cuts of a word; -1: from all
    alpha       a cut's weight is exp(alpha * score)
    """

    is_random = True

    def __init__(self, unigram: Unigram, nbest_size: int, alpha: float):
        self.__dict__.update(unigram.__dict__)
        self.nbest_size, self.alpha = nbest_size, alpha

    def tokenize(self, word: str) -> list[Token]:
        return self.sample(word, self.nbest_size, self.alpha)


def with_sampling(unigram: Unigram, enable_sampling: bool = False, nbest_size: int = -1, alpha: float = 0.1) -> Unigram:
    """As the sentencepiece library's arguments say: nothing is drawn from one best cut (nbest_size 0 or 1)."""
    return SampledUnigram(unigram, nbest_size, alpha) if enable_sampling and nbest_size not in (0, 1) else unigram


# ---------------------------------------------------------------------------------------------------------------------
# ALBERT and XLNet
# ---------------------------------------------------------------------------------------------------------------------

COMMA_PENALTY = 100.0


class NumberRule:
    """Makes the pieces of a `.model` that end with a digit and a comma nearly impossible: "9,9" becomes "9" "," "9"."""

    def vocabulary_of(self, pieces, added):
        return [(piece.piece, piece.score - _penalty(piece.piece)) for piece in pieces]

    def pieces_of(self):
        return [piece._replace(score=piece.score + _penalty(piece.piece)) for piece in super().pieces_of()]


def _penalty(token: str) -> float:
    return COMMA_PENALTY if len(token) > 1 and token[-1] == "," and token[-2].isdigit() else 0.0


def quotes_accents_case(charsmap: Precompiled | None, keep_accents: bool, do_lower_case: bool) -> NormalizerSequence:
    """One kind of quotation mark, no accents, lower case; then the model's own map."""
    steps: list[Normalizer] = [Replace("``", '"'), Replace("''", '"')]
    if not keep_accents:
        steps += [NFKD(), StripAccents()]
    if do_lower_case:
        steps.append(Lowercase())
    return NormalizerSequence([*steps, charsmap] if charsmap else steps)

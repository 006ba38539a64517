"""From a SentencePiece model to the stages of a tokenizer, as the original's converter makes them.

SentencePiece works on the whole text at once: it rewrites characters by its map, puts a blank before the text, makes
one of several blanks, writes them as "▁" and cuts. Here the normalizer rewrites, `Metaspace` writes blanks and cuts the
text into words, which makes no difference as long as no piece has a "▁" inside, and the model cuts the words.

A BPE model has no merges in the file. SentencePiece joins the neighbours whose joined text is the piece of the highest
score, so every way to cut a piece into two pieces is a merge, ranked by the piece's score.

The original's converter takes each model for one with SentencePiece's default settings. Where a model has others
(extra blanks are kept, no blank before the text, pieces across words), the stages here follow the model. What remains
different from SentencePiece itself is said in `sentencepiece_encoder.py`, which has no differences.
"""

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.decoders import (
    ByteFallback,
    Decoder,
    DecoderSequence,
    Fuse,
    MetaspaceDecoder,
    ReplaceDecoder,
    StripDecoder,
)
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import (
    Normalizer,
    NormalizerSequence,
    Precompiled,
    Prepend,
    Replace,
    Strip,
)
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizer
from edutransformers.tokenizers.sentencepiece_model import BLANK, SentencePieceModel
from edutransformers.tokenizers.unigram import Unigram
from edutransformers.tokenizers.vocabulary_files import merges_of_ranks


def engine_of(model: SentencePieceModel, prepend_scheme: str = "always") -> Engine:
    """All stages; control pieces are special added tokens, user-defined pieces are added tokens.

    Raises ValueError for what no stages can do (see `model_of`).
    """
    engine = Engine(
        model_of(model),
        normalizer=normalizer_of(model),
        pre_tokenizer=pre_tokenizer_of(model, prepend_scheme),
        decoder=decoder_of(model, prepend_scheme),
    )
    for i, token in added_tokens_of(model).items():
        engine.added_tokens.add_with_id(token, i)
    engine.added_tokens.refresh(engine.normalizer)
    return engine


def normalizer_of(model: SentencePieceModel) -> Normalizer:
    """The model's map of replacements; then no blanks at the end, and one for several."""
    settings = model.normalizer
    steps: list[Normalizer] = []
    if settings.precompiled_charsmap:
        steps.append(Precompiled(settings.precompiled_charsmap))
    if _words_are_cut(model):
        # A "▁" for several blanks, because Metaspace will write one for a single blank.
        steps += [Strip(not settings.add_dummy_prefix, True), Replace(Pattern(" {2,}", is_regex=True), BLANK)]
    else:
        if settings.remove_extra_whitespaces:
            steps += [Strip(), Replace(Pattern(" {2,}", is_regex=True), " ")]
        if settings.add_dummy_prefix:
            steps.append(Prepend(BLANK))
        steps.append(Replace(" ", BLANK))
    return NormalizerSequence(steps)


def pre_tokenizer_of(model: SentencePieceModel, prepend_scheme: str = "always") -> PreTokenizer | None:
    """Metaspace, or None where the text must stay in one piece: then the normalizer has written the blanks.

    prepend_scheme  where a text gets a blank in front (see Metaspace); "never" if the model says that none does
    """
    if not _words_are_cut(model):
        return None
    return Metaspace(BLANK, prepend_scheme if model.normalizer.add_dummy_prefix else "never")


def decoder_of(model: SentencePieceModel, prepend_scheme: str = "always") -> Decoder:
    """ "▁" is a blank, but not in front of the text; bytes of unknown characters are put together."""
    pre_tokenizer = pre_tokenizer_of(model, prepend_scheme)
    if pre_tokenizer is not None and not model.trainer.byte_fallback:
        return MetaspaceDecoder(BLANK, pre_tokenizer.prepend_scheme)
    steps: list[Decoder] = [ReplaceDecoder(BLANK, " "), ByteFallback(), Fuse()]
    has_blank = model.normalizer.add_dummy_prefix if pre_tokenizer is None else pre_tokenizer.prepend_scheme != "never"
    return DecoderSequence([*steps, StripDecoder(" ", 1, 0)] if has_blank else steps)


def model_of(model: SentencePieceModel) -> Unigram | BPE:
    """The pieces as Unigram or BPE. A character model is BPE without merges.

    Raises ValueError for a model with words as pieces, one that marks where a word ends, and one that leaves blanks as
    they are: there are no stages for these.
    """
    kind = model.trainer.model_type
    for is_so, what in (
        (model.trainer.treat_whitespace_as_suffix, "marks where a word ends (treat_whitespace_as_suffix)"),
        (not model.normalizer.escape_whitespaces, "leaves blanks as they are (escape_whitespaces=False)"),
        (kind == "word", "has words as pieces (model_type 'word')"),
    ):
        if is_so:
            raise ValueError(f"The SentencePiece model {what}; no stages can do that, but SentencePieceEncoder can.")
    if kind == "unigram":
        vocab = [(piece.piece, piece.score) for piece in model.pieces]
        return Unigram(vocab, model.unk_id, model.trainer.byte_fallback)
    return BPE(
        {piece.piece: i for i, piece in enumerate(model.pieces)},
        merges_of(model) if kind == "bpe" else [],
        unk_token=model.pieces[model.unk_id].piece,
        fuse_unk=True,
        byte_fallback=model.trainer.byte_fallback,
    )


def merges_of(model: SentencePieceModel) -> list[tuple[str, str]]:
    """The merges of a BPE model: all cuts of pieces into two pieces, by the score of the joined one.

    Control, unknown, byte and user-defined pieces take no part: they are not made by joining.
    """
    return merges_of_ranks(
        {piece.piece: (-piece.score, i) for i, piece in enumerate(model.pieces) if piece.type in ("normal", "unused")}
    )


def added_tokens_of(model: SentencePieceModel) -> dict[int, AddedToken]:
    """{id: token} of what is found as a whole: control pieces ("<s>") are special, user-defined ones are not."""
    return {
        i: AddedToken(piece.piece, normalized=False, special=piece.type == "control")
        for i, piece in enumerate(model.pieces)
        if piece.type in ("control", "user_defined")
    }


def _words_are_cut(model: SentencePieceModel) -> bool:
    """Whether cutting at blanks changes nothing: there are no extra blanks, and no piece reaches over a word's end."""
    settings = model.normalizer
    return settings.remove_extra_whitespaces and not any(
        BLANK in piece.piece[1:] for piece in model.pieces if piece.type in ("normal", "unused")
    )

"""Marian's tokenizer: SentencePiece for the source and for the target language, ids from vocab.json; `A </s>`."""

import copy
import json
import os
from dataclasses import replace

from edutransformers.tokenizers.aligned_text import AlignedText, Span
from edutransformers.tokenizers.classes.python_only import PythonTokenizer
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.post_processors import template
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizer
from edutransformers.tokenizers.sentencepiece_encoder import SentencePieceEncoder
from edutransformers.tokenizers.sentencepiece_model import BLANK, Piece, SentencePieceModel, read_sentencepiece
from edutransformers.tokenizers.training import train_unigram
from edutransformers.tokenizers.vocabulary_files import read_vocab_json
from edutransformers.tokenizers.wordpiece import Token, check_vocabulary

File = str | os.PathLike

MARK = "\ud800"  # between the pieces of a word: a lone surrogate, which no text has


class MarianTokenizer(PythonTokenizer):
    """Marian's, for the models of OPUS-MT: `A </s>`, of a pair `A B </s>`.

    source_spm, target_spm   the SentencePiece models of the texts and of the labels (`text_target`)
    vocab                    vocab.json, or a dictionary: the ids of the pieces of both
    target_vocab_file        with separate_vocabs, the ids of the target's pieces
    source_lang, target_lang   names of the languages; `normalize` asks for the first
    separate_vocabs          whether input and labels have ids of their own

    A model for several target languages is told which by a text's beginning, ">>fr<< How are you?":
    `supported_language_codes` has all. As in transformers 5 that is a code only at the beginning of a text or behind a
    special token (4.34 also removes codes from within a text), and `decode` refuses an id that no vocabulary has.

    Ids are those of the sentencepiece library; it has no offsets, the places given here are those of the characters
    that a token stands for. Ids are decoded as labels, or with `use_source_tokenizer=True` as input.

    Raises ValueError for a missing file, and for a vocabulary that lacks unk_token, eos_token or pad_token.
    """

    vocab_files_names = {
        "source_spm": "source.spm",
        "target_spm": "target.spm",
        "vocab": "vocab.json",
        "target_vocab_file": "target_vocab.json",
    }
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        source_spm: File | SentencePieceModel | None = None,
        target_spm: File | SentencePieceModel | None = None,
        vocab: File | dict[str, int] | None = None,
        target_vocab_file: File | dict[str, int] | None = None,
        source_lang: str | None = None,
        target_lang: str | None = None,
        unk_token: str = "<unk>",
        eos_token: str = "</s>",
        pad_token: str = "<pad>",
        model_max_length: int = 512,
        separate_vocabs: bool = False,
        **kwargs,
    ):
        needed = {"source_spm": source_spm, "target_spm": target_spm, "vocab": vocab}
        if separate_vocabs:
            needed["target_vocab_file"] = target_vocab_file
        for name, file in needed.items():
            if file is None:
                raise ValueError(f"MarianTokenizer has no {self.vocab_files_names[name]}: pass {name}.")
        self.separate_vocabs = separate_vocabs
        self.source_lang, self.target_lang = source_lang, target_lang
        self.encoder = _ids(vocab, [unk_token, eos_token, pad_token])
        self.target_encoder = _ids(target_vocab_file, [unk_token]) if separate_vocabs else self.encoder
        codes = [] if separate_vocabs else self.encoder
        self.supported_language_codes = [token for token in codes if token.startswith(">>") and token.endswith("<<")]
        self.spm_source, self.spm_target = _model(source_spm), _model(target_spm)
        self._source = _engine(self.spm_source, self.encoder, str(unk_token))
        self._target = _engine(self.spm_target, self.target_encoder, str(unk_token))
        self._target.added_tokens = self._source.added_tokens
        super().__init__(
            self._source,
            source_lang=source_lang,
            target_lang=target_lang,
            unk_token=unk_token,
            eos_token=eos_token,
            pad_token=pad_token,
            model_max_length=model_max_length,
            separate_vocabs=separate_vocabs,
            **kwargs,
        )
        layout = template("A eos", "A B eos", eos=(self.eos_token, self.eos_token_id))
        self._source.post_processor = self._target.post_processor = layout

    # ----- texts and labels ------------------------------------------------------------------------------------------

    def _switch_to_input_mode(self) -> None:
        self._engine = self._source

    def _switch_to_target_mode(self) -> None:
        self._engine = self._target

    @staticmethod
    def remove_language_code(text: str) -> tuple[list[str], str]:
        """([">>fr<<"], the rest) of a text that begins with a language code, ([], the text) of another."""
        stop = _end_of_code(text)
        return ([text[:stop]], text[stop:]) if stop else ([], text)

    def normalize(self, x: str) -> str:
        """The text with plain quotation marks, blanks and dashes, as Moses writes them, if `sacremoses` is installed.

        It is not part of tokenizing: for those who want to do it before.
        """
        try:
            from sacremoses import MosesPunctNormalizer
        except ImportError:
            return x
        return MosesPunctNormalizer(self.source_lang).normalize(x) if x else ""

    # ----- ids to text -----------------------------------------------------------------------------------------------

    def get_src_vocab(self) -> dict[str, int]:
        """{token: id} of the texts, added tokens included."""
        return self._source.vocabulary()

    def get_tgt_vocab(self) -> dict[str, int]:
        """{token: id} of the labels."""
        return self._target.vocabulary()

    def get_vocab(self) -> dict[str, int]:
        return self.get_src_vocab()

    vocab = property(get_vocab)

    @property
    def vocab_size(self) -> int:
        return len(self.encoder)

    def decode(self, token_ids, *args, use_source_tokenizer: bool = False, **kwargs) -> str:
        """The text of ids, as labels; with `use_source_tokenizer` as input."""
        if not use_source_tokenizer:
            return super().decode(token_ids, *args, **kwargs)
        source = copy.copy(self)
        source._target = self._source
        return source.decode(token_ids, *args, **kwargs)

    def batch_decode(self, sequences, *args, **kwargs) -> list[str]:
        return [self.decode(row, *args, **kwargs) for row in sequences]

    def _token(self, i: int) -> str:
        token = self._target.id_to_token(i)
        return super()._token(i) if token is None else token

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        decode, special = self._target.model.encoder.decode_pieces, set(self.all_special_tokens)
        text, run = "", []
        for token in tokens:
            if token in special:
                text, run = f"{text}{decode(run)}{token} ", []
            else:
                run.append(token)
        return (text + decode(run)).replace(BLANK, " ").strip()

    # ----- files and training ----------------------------------------------------------------------------------------

    def vocabulary_files(self) -> dict[str, str | bytes]:
        files: dict[str, str | bytes] = {"vocab.json": json.dumps(self.encoder, indent=2)}
        if self.separate_vocabs:
            files["target_vocab.json"] = json.dumps(self.target_encoder, indent=2)
        return {**files, "source.spm": self.spm_source.to_bytes(), "target.spm": self.spm_target.to_bytes()}

    def _train(self, texts, vocab_size: int, options: dict) -> dict:
        """One SentencePiece model for both languages, whatever it was before: texts and their translations together."""
        if self.separate_vocabs:
            raise ValueError(
                "Input and labels have vocabularies of their own here: train a tokenizer for each of them."
            )
        special = options["special_tokens"]
        options = {**options, "pre_tokenizer": SentencePieceWords(self._source.model.encoder, marked=False)}
        pieces, _ = train_unigram(texts, vocab_size, unk_token=self.unk_token, **options)
        normal = [Piece(piece, score) for piece, score in pieces if piece not in special]
        first = [Piece(self.unk_token, 0.0, "unknown"), Piece("<s>", 0.0, "control")]
        model = replace(self.spm_source, trainer=replace(self.spm_source.trainer, model_type="unigram"))
        model = model.with_pieces([*first, *(piece for piece in normal if piece.piece != "<s>")])
        vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
        return {"source_spm": model, "target_spm": model, "vocab": vocab}


class SentencePieceWords(PreTokenizer):
    """A text normalized and cut as SentencePiece does it; in front a language code, as it stands.

    SentencePiece cuts the whole text at once, and where two cuts are equally good to the last bit, what stands before
    decides. So all is done here. What comes out are words whose pieces are marked, for `PieceIds`; or with
    `marked=False` words, for training.
    """

    def __init__(self, encoder: SentencePieceEncoder, marked: bool = True):
        self.encoder = encoder
        self.marked = marked

    def pre_tokenize(self, piece: AlignedText) -> list[AlignedText]:
        stop = _end_of_code(piece.text)
        words = [piece.slice(0, stop)] if stop else []
        rest = piece.slice(stop, len(piece))
        text, spans = self.encoder.normalize_with_spans(rest.text)
        old = [rest.original_span(i, i + 1) for i in range(len(rest))]
        spans = [_span(old, start, stop) for start, stop in spans]
        if not self.marked:
            return words + Metaspace(BLANK, "never").pre_tokenize(AlignedText(text, spans))
        run: list[Token] = []
        for token in self.encoder.tokens(text):
            if run and token.text.startswith(BLANK):
                words.append(_word(run, spans))
                run = []
            run.append(token)
        return [*words, _word(run, spans)] if run else words


def _word(tokens: list[Token], spans: list[Span]) -> AlignedText:
    """The pieces with MARK between them. That of a byte, "<0xC3>", has its character's place."""
    text, places = "", []
    for token in tokens:
        if text:
            text, places = text + MARK, [*places, places[-1]]
        own = spans[token.start : token.stop]
        text += token.text
        places += own if len(own) == len(token.text) else [(own[0][0], own[-1][1])] * len(token.text)
    return AlignedText(text, places)


class PieceIds:
    """The last step of Marian's tokenizer: each piece has an id, or is unknown."""

    is_random = False

    def __init__(self, encoder: SentencePieceEncoder, vocab: dict[str, int], unk_token: str):
        self.encoder = encoder
        self.vocab = vocab
        self.unk_token = unk_token
        self.id_to_token = {i: token for token, i in vocab.items()}

    def tokenize(self, word: str) -> list[Token]:
        tokens, start = [], 0
        for piece in word.split(MARK):
            i = self.vocab.get(piece, self.vocab[self.unk_token])
            tokens.append(Token(i, start, start + len(piece), piece))
            start += len(piece) + len(MARK)
        return tokens


def _engine(model: SentencePieceModel, vocab: dict[str, int], unk_token: str) -> Engine:
    encoder = SentencePieceEncoder(model)
    # Normalizing is the pre-tokenizer's, so that added tokens and language codes are found in the text as given.
    return Engine(PieceIds(encoder, vocab, unk_token), pre_tokenizer=SentencePieceWords(encoder))


def _ids(vocab: File | dict[str, int], needed: list[str]) -> dict[str, int]:
    if not isinstance(vocab, dict):
        vocab = read_vocab_json(vocab)
    check_vocabulary(vocab)
    for token in needed:
        if str(token) not in vocab:
            raise ValueError(f"vocab.json has no {str(token)!r}, which Marian's tokenizer needs: add it.")
    return dict(vocab)


def _model(file: File | SentencePieceModel) -> SentencePieceModel:
    return file if isinstance(file, SentencePieceModel) else read_sentencepiece(file)


def _end_of_code(text: str) -> int:
    """Where the language code ends that a text begins with; 0 if it begins with none."""
    return text.find("<<") + 2 if text.startswith(">>") and "<<" in text else 0


def _span(old: list[Span], start: int, stop: int) -> Span:
    """old[start:stop] as one span; an empty one is where the text goes on, or ends."""
    if start == stop:
        return (old[start][0],) * 2 if start < len(old) else (old[-1][1],) * 2
    return old[start][0], old[stop - 1][1]

"""Wav2Vec2's tokenizer: characters, and back from what the model hears at each moment to words with their times."""

import os
import re
from dataclasses import dataclass
from itertools import groupby

from edutransformers.logging import get_logger
from edutransformers.module import ModelOutput
from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.classes.python_only import PythonTokenizer
from edutransformers.tokenizers.encoding import TokenizedText, TokenizedWords
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.inputs import read_ids
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.pre_tokenizers import PreTokenizer, PreTokenizerSequence
from edutransformers.tokenizers.training import train_word_level
from edutransformers.tokenizers.vocabulary_files import read_vocab_json, sorted_vocab_json_text
from edutransformers.tokenizers.word_level import WordLevel, split_characters
from edutransformers.tokenizers.wordpiece import Token

logger = get_logger(__name__)


@dataclass(repr=False)
class Wav2Vec2CTCTokenizerOutput(ModelOutput):
    """A decoded text and where its characters and words were heard, in steps of the model; for a batch lists of them.

    char_offsets  [{"char": "h", "start_offset": 3, "end_offset": 5}, ...]
    word_offsets  [{"word": "hello", "start_offset": 3, "end_offset": 17}, ...]

    One step is `config.inputs_to_logits_ratio / sampling_rate` seconds: 0.02 for most models.
    """

    text: str | list[str] | None = None
    char_offsets: list | None = None
    word_offsets: list | None = None


class Wav2Vec2CTCTokenizer(PythonTokenizer):
    """Characters as tokens, and CTC decoding: repeated tokens are one, the padding token separates equal ones.

    vocab_file                   vocab.json, {character: id}; or for several languages {language: {character: id}}. In
                                 its place `vocab`: such a dictionary, or a path
    word_delimiter_token         is written for a blank
    replace_word_delimiter_char  what decoding writes for it
    do_lower_case                texts are upper-cased (the vocabulary has capitals), decoded ones lower-cased
    target_lang                  the language, for a vocabulary of several

    Entries of more than one character ("<s>", or letters of one sound) are found in texts first, with the white space
    around them. As at v4.34 a list of words has a delimiter before each (transformers 5 joins them). As in transformers
    5, `do_lower_case` doesn't lower-case a text before upper-casing it.

    Source: Baevski et al. 2020, "wav2vec 2.0"; CTC: Graves et al. 2006.
    """

    vocab_files_names = {"vocab_file": "vocab.json"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        bos_token: str = "<s>",
        eos_token: str = "</s>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        word_delimiter_token: str = "|",
        replace_word_delimiter_char: str = " ",
        do_lower_case: bool = False,
        target_lang: str | None = None,
        vocab: dict | str | os.PathLike | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        self.do_lower_case = do_lower_case
        self.replace_word_delimiter_char = replace_word_delimiter_char
        self.target_lang = target_lang
        self._word_delimiter_token = word_delimiter_token
        self._vocabularies = None  # {language: {character: id}} where there are several
        if engine is None:
            vocab = vocab_file if vocab is None else vocab
            engine = Engine(
                Characters(self._of_language(vocab, target_lang), str(unk_token)),
                pre_tokenizer=SpokenWords(word_delimiter_token, do_lower_case),
            )
        super().__init__(
            engine,
            bos_token=bos_token,
            eos_token=eos_token,
            unk_token=unk_token,
            pad_token=pad_token,
            do_lower_case=do_lower_case,
            word_delimiter_token=word_delimiter_token,
            replace_word_delimiter_char=replace_word_delimiter_char,
            target_lang=target_lang,
            **kwargs,
        )
        self._add_long_entries()

    def _of_language(self, vocab, target_lang: str | None) -> dict[str, int]:
        if vocab is None:
            raise ValueError(f"{type(self).__name__} has no vocabulary: pass vocab_file (vocab.json) or vocab.")
        if isinstance(vocab, (str, os.PathLike)):
            vocab = read_vocab_json(vocab, nested=True)
        if not any(isinstance(inner, dict) for inner in vocab.values()):
            if target_lang is not None:
                raise ValueError(
                    f"target_lang is {target_lang!r}, but the vocabulary is of one language: leave it out."
                )
            return dict(vocab)
        if target_lang not in vocab:
            raise ValueError(
                f"The vocabulary is of several languages, and target_lang is {target_lang!r}; expected one of "
                f"{', '.join(vocab)}."
            )
        self._vocabularies = vocab
        return dict(vocab[target_lang])

    def _add_long_entries(self) -> None:
        """Entries of several characters must not be cut into them."""
        entries = [token for token in self._engine.model.vocab if len(token) > 1]
        self.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in entries])

    @property
    def vocab(self) -> dict:
        """{character: id}; of a vocabulary of several languages {language: {character: id}}, as its file has it."""
        return dict(self._engine.model.vocab) if self._vocabularies is None else self._vocabularies

    def set_target_lang(self, target_lang: str) -> None:
        """Change to the vocabulary of another language. Added tokens stay, behind it if their ids are taken.

        Raises ValueError for a vocabulary of one language, and for a language that it doesn't have.
        """
        if self._vocabularies is None:
            raise ValueError("The vocabulary is of one language only, so target_lang can't be set.")
        vocab = self._of_language(self._vocabularies, target_lang)
        self.target_lang = self.init_kwargs["target_lang"] = target_lang
        self._change_model(Characters(vocab, self._engine.model.unk_token))
        self._add_long_entries()

    # ----- the delimiter ---------------------------------------------------------------------------------------------

    @property
    def word_delimiter_token(self) -> str | None:
        if self._word_delimiter_token is None:
            logger.error("Using word_delimiter_token, but it is not set yet.")
            return None
        return str(self._word_delimiter_token)

    @word_delimiter_token.setter
    def word_delimiter_token(self, token: str | None) -> None:
        self._word_delimiter_token = self.init_kwargs["word_delimiter_token"] = token
        self._engine.pre_tokenizer = SpokenWords(token, self.do_lower_case)
        self._engine.clear_cache()

    @property
    def word_delimiter_token_id(self) -> int | None:
        return None if self._word_delimiter_token is None else self.convert_tokens_to_ids(self.word_delimiter_token)

    @word_delimiter_token_id.setter
    def word_delimiter_token_id(self, i: int) -> None:
        self.word_delimiter_token = self.convert_ids_to_tokens(i)

    def _tokenize_words(self, words):
        return TokenizedWords([_BehindBlank(word, self._engine.tokenize(" " + word).parts) for word in words])

    # ----- what was heard --------------------------------------------------------------------------------------------

    def decode(
        self,
        token_ids,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        **kwargs,
    ) -> "str | Wav2Vec2CTCTokenizerOutput":
        """The text of what a model hears: the token of each step, for example `logits.argmax(-1)`.

        output_char_offsets, output_word_offsets   also say at which steps; the result then is a
                                                   `Wav2Vec2CTCTokenizerOutput`
        group_tokens                               False: repeated tokens are several, for ids that are no CTC output
        spaces_between_special_tokens              a blank between all tokens
        """
        token_ids = token_ids["input_ids"] if hasattr(token_ids, "keys") else token_ids
        tokens = self.convert_ids_to_tokens(read_ids(token_ids))
        if skip_special_tokens:
            special = set(self.all_special_tokens) - {self._word_delimiter_token}
            tokens = [token for token in tokens if token not in special]
        found = self.convert_tokens_to_string(
            tokens, group_tokens, spaces_between_special_tokens, output_char_offsets, output_word_offsets
        )
        clean = clean_up_tokenization_spaces
        if self.clean_up_tokenization_spaces if clean is None else clean:
            found["text"] = self.clean_up_tokenization(found["text"])
        if output_char_offsets or output_word_offsets:
            return Wav2Vec2CTCTokenizerOutput(**found)
        return found["text"]

    def batch_decode(
        self,
        sequences,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        **kwargs,
    ) -> "list[str] | Wav2Vec2CTCTokenizerOutput":
        """The texts of several rows; with offsets one output, whose entries are lists."""
        offsets = {"output_char_offsets": output_char_offsets, "output_word_offsets": output_word_offsets}
        rows = [
            self.decode(row, skip_special_tokens, clean_up_tokenization_spaces, **offsets, **kwargs)
            for row in sequences
        ]
        if not output_char_offsets and not output_word_offsets:
            return rows
        return Wav2Vec2CTCTokenizerOutput(
            text=[row.text for row in rows],
            char_offsets=[row.char_offsets for row in rows] if output_char_offsets else None,
            word_offsets=[row.word_offsets for row in rows] if output_word_offsets else None,
        )

    def convert_tokens_to_string(
        self,
        tokens: list[str],
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
    ) -> dict:
        """{"text": ..., "char_offsets": ..., "word_offsets": ...} of the tokens of all steps.

        step     0  1  2  3      4  5      6  7  8
        token    h  h  e  <pad>  l  <pad>  l  o  |
        char     h: 0–2  e: 2–3  l: 4–5    l: 6–7  o: 7–8
        word     hello: 0–8
        """
        if not tokens:
            return {"text": "", "char_offsets": [], "word_offsets": []}
        runs = [(token, len(list(run))) for token, run in groupby(tokens)] if group_tokens else [(t, 1) for t in tokens]
        characters, step = [], 0
        for token, length in runs:
            if token != self.pad_token:
                character = self.replace_word_delimiter_char if token == self._word_delimiter_token else token
                characters.append({"char": character, "start_offset": step, "end_offset": step + length})
            step += length
        text = (" " if spaces_between_special_tokens else "").join([found["char"] for found in characters]).strip()
        return {
            "text": text.lower() if self.do_lower_case else text,
            "char_offsets": characters if output_char_offsets else None,
            "word_offsets": self._words(characters) if output_word_offsets else None,
        }

    def _words(self, characters: list[dict]) -> list[dict]:
        words = []
        for is_blank, run in groupby(characters, key=lambda found: found["char"] == self.replace_word_delimiter_char):
            run = list(run)
            if not is_blank:
                word = "".join([found["char"] for found in run])
                times = {"start_offset": run[0]["start_offset"], "end_offset": run[-1]["end_offset"]}
                words.append({"word": word, **times})
        return words

    # ----- files and training ----------------------------------------------------------------------------------------

    def vocabulary_files(self) -> dict[str, str]:
        return {"vocab.json": sorted_vocab_json_text(self.vocab)}

    def _train(self, texts, vocab_size, options):
        options["pre_tokenizer"] = PreTokenizerSequence([self._engine.pre_tokenizer, split_characters()])
        return {"vocab": train_word_level(texts, vocab_size, **options), "target_lang": None}


class Characters(WordLevel):
    """Each character of a word is a token; one that the vocabulary lacks is shown as it stands."""

    def tokenize(self, word: str) -> list[Token]:
        return [token for place, character in enumerate(word) for token in self._token(character, place)]

    def _token(self, character: str, place: int) -> list[Token]:
        (token,) = super().tokenize(character)
        return [Token(token.id, place, place + 1, None if character in self.vocab else character)]


class SpokenWords(PreTokenizer):
    """A blank is written as the delimiter, which is a word of its own; `upper_case` writes all in capitals."""

    stretches = re.compile(" |[^ ]+")

    def __init__(self, delimiter: str | None, upper_case: bool):
        self.delimiter, self.upper_case = delimiter, upper_case
        sign = re.escape(str(delimiter or " "))
        self._words = re.compile(f"{sign}|(?:(?!{sign}).)+", re.DOTALL)
        self._blank = Pattern(" ")

    def pre_tokenize(self, piece):
        if self.upper_case:
            piece.replace_each(str.upper)
        if self.delimiter:
            piece.replace(self._blank, str(self.delimiter))
        return piece.matches(self._words)


class _BehindBlank(TokenizedText):
    """The tokens of " word", for one of a list of words: places are those in the word."""

    @property
    def offsets(self):
        return [(max(start - 1, 0), max(stop - 1, 0)) for start, stop in super().offsets]

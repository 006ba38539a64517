"""Transformer-XL's tokenizer: whole words as Moses cuts them, and numbers by thousands."""

import os
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edutransformers.tokenizers.aligned_text import PlainText
from edutransformers.tokenizers.classes.python_only import PythonTokenizer
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.moses import MosesPunctuation, MosesWords, load_sacremoses, strip, substitute
from edutransformers.tokenizers.normalizers import Lowercase
from edutransformers.tokenizers.pre_tokenizers import PreTokenizer
from edutransformers.tokenizers.training import train_word_level
from edutransformers.tokenizers.vocabulary_files import ids_of_tokens
from edutransformers.tokenizers.vocabulary_pickle import read_vocabulary_pickle, vocabulary_pickle
from edutransformers.tokenizers.word_level import WordLevel
from edutransformers.tokenizers.wordpiece import Token

_IN_NUMBER = re.compile(r"(?<=\d)[,.](?=\d)")
_BETWEEN_WHITE_SPACE = re.compile(r"\S+")
_CHARACTER = re.compile(r"(?s:.)")


class TransfoXLTokenizer(PythonTokenizer):
    """Words as tokens, as Transformer-XL has them: 267,735 of Wikipedia's; no special tokens around a text.

    vocab_file             vocab.txt, a word a line
    pretrained_vocab_file  vocab.pkl, or vocab.bin as torch.save wrote it; only the words are taken from it, and nothing
                           that it names is called
    vocab                  in place of both: {word: id}, or a list of words
    special, min_freq, max_size
                           for `build_vocab`: words that come first, how often a word must occur, how many there are
    lower_case             lower-case texts
    delimiter              "" makes each character a word
    never_split            regular expressions; what matches is left whole. None: the special tokens
    language               for Moses

    Without a vocabulary there are only the special tokens, until `count_file` or `count_sents` and `build_vocab` make
    one. "5,000" is cut into "5", "@,@", "000", and "well-known" into "well", "@-@", "known"; decoding joins them.

    Raises ImportError, at once, without sacremoses. Source: Dai et al. 2019, "Transformer-XL".
    """

    vocab_files_names = {
        "pretrained_vocab_file": "vocab.pkl",
        "pretrained_vocab_file_torch": "vocab.bin",
        "vocab_file": "vocab.txt",
    }
    model_input_names = ["input_ids"]

    def __init__(
        self,
        special: Sequence[str] | None = None,
        min_freq: int = 0,
        max_size: int | None = None,
        lower_case: bool = False,
        delimiter: str | None = None,
        vocab_file: str | os.PathLike | None = None,
        pretrained_vocab_file: str | os.PathLike | None = None,
        never_split: Sequence[str] | None = None,
        unk_token: str = "<unk>",
        eos_token: str = "<eos>",
        additional_special_tokens: Iterable[str] = ("<formula>",),
        language: str = "en",
        vocab: dict[str, int] | Sequence[str] | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        self._detokenizer = load_sacremoses(type(self).__name__).MosesDetokenizer(lang=language)
        self.special = list(special or ())
        self.min_freq, self.max_size = min_freq, max_size
        self.lower_case, self.delimiter, self.language = lower_case, delimiter, language
        self.vocab_file = vocab_file
        self.counter = Counter()
        if engine is None:
            if vocab is None:
                vocab = _read(vocab_file, pretrained_vocab_file) or [str(unk_token), str(eos_token)]
            vocab = dict(vocab) if isinstance(vocab, dict) else ids_of_tokens(vocab)
            engine = Engine(Words(vocab, str(unk_token)), normalizer=Lowercase() if lower_case else None)
        super().__init__(
            engine,
            special=self.special,
            min_freq=min_freq,
            max_size=max_size,
            lower_case=lower_case,
            delimiter=delimiter,
            never_split=never_split,
            unk_token=unk_token,
            eos_token=eos_token,
            additional_special_tokens=list(additional_special_tokens),
            language=language,
            **kwargs,
        )
        self.never_split = list(self.all_special_tokens if never_split is None else never_split)
        engine.pre_tokenizer = TransfoXLWords(language, delimiter, tuple(self.never_split))

    @classmethod
    def from_files(cls, files: dict[str, Path], **settings) -> "TransfoXLTokenizer":
        files = dict(files)
        of_torch = files.pop("pretrained_vocab_file_torch", None)
        if of_torch is not None:
            files.setdefault("pretrained_vocab_file", of_torch)
        return super().from_files(files, **settings)

    @property
    def do_lower_case(self) -> bool:
        return self.lower_case

    @property
    def idx2sym(self) -> list[str]:
        """The words by id."""
        vocab = self._engine.model.vocab
        return sorted(vocab, key=vocab.get)

    @property
    def sym2idx(self) -> dict[str, int]:
        """The ids of the words."""
        return OrderedDict(self._engine.model.vocab)

    # ----- texts and words -------------------------------------------------------------------------------------------

    def tokenize(self, text: str, pair: str | None = None, add_eos=False, add_double_eos=False, **kwargs) -> list[str]:
        """The tokens of a text; with `add_eos` "<eos>" behind it, with `add_double_eos` "<S>" before and behind it.

        (v4.34 warns that it doesn't know the two, and does nothing.)
        """
        symbols = super().tokenize(text, pair, **kwargs)
        return _with_ends(symbols, add_eos, add_double_eos)

    def _tokenize(self, line: str, add_eos: bool = False, add_double_eos: bool = False) -> list[str]:
        """The original's method under its own name: the words of a text, added tokens not apart."""
        line = PlainText(line.strip())
        if self.lower_case:
            line.text = line.text.lower()
        symbols = [word.text for word in self._engine.pre_tokenizer.pre_tokenize(line)]
        return _with_ends(symbols, add_eos, add_double_eos)

    def moses_punct_norm(self, text: str) -> str:
        """The text with its punctuation normalized."""
        plain = PlainText(text)
        self._engine.pre_tokenizer.punctuation.apply(plain)
        return plain.text

    def moses_tokenize(self, text: str) -> list[str]:
        """The words of a text, its punctuation and its numbers as they are."""
        return [word.text for word in self._engine.pre_tokenizer.moses.pre_tokenize(PlainText(text))]

    def moses_pipeline(self, text: str) -> list[str]:
        """All three: "23,000 people" -> "23", "@,@", "000", "people"."""
        words = self._engine.pre_tokenizer
        return [word.text for word in words.moses_words(PlainText(text))]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        text = self._detokenizer.detokenize(tokens)
        return text.replace(" @,@ ", ",").replace(" @.@ ", ".").strip()

    def convert_to_tensor(self, symbols: Sequence[str]) -> np.ndarray:
        """The ids of tokens, as an array."""
        return np.array(self.convert_tokens_to_ids(symbols), dtype=np.int64)

    # ----- counting words, and what was counted as ids ---------------------------------------------------------------

    def count_file(self, path: str | os.PathLike, verbose: bool = False, add_eos: bool = False) -> list[list[str]]:
        """Count the words of a file's lines for `build_vocab`; returns each line's tokens."""
        sentences = [self.tokenize(line, add_eos=add_eos) for line in _lines(path)]
        self.count_sents(sentences)
        return sentences

    def count_sents(self, sents: Iterable[Sequence[str]], verbose: bool = False) -> None:
        """Count tokens, given as lists."""
        for symbols in sents:
            self.counter.update(symbols)

    def build_vocab(self) -> None:
        """Make the vocabulary: of `vocab_file` if there is one, else of what was counted.

        `special` come first, then the words that occur at least `min_freq` times, the most frequent first, at most
        `max_size`. Special tokens that are not among them get ids behind them.
        """
        if self.vocab_file is not None:
            vocab = _read(self.vocab_file, None)
        else:
            counted = [word for word, count in self.counter.most_common(self.max_size) if count >= self.min_freq]
            vocab = ids_of_tokens(dict.fromkeys([*self.special, *counted]))
        self._change_model(Words(vocab, self.unk_token))

    def add_symbol(self, sym: str) -> None:
        """A word behind all others, if it is not among them."""
        vocab = dict(self._engine.model.vocab)
        if sym not in vocab:
            vocab[sym] = len(vocab)
            self._change_model(Words(vocab, self.unk_token))

    add_special = add_symbol

    def move_added_token(self, token: str, target_idx: int) -> None:
        """Make an added token a word with the id `target_idx`; those from there on move up by one.

        For an embedding that grew in its middle (an adaptive one). Raises ValueError for a token that wasn't added, or
        is a word already.
        """
        vocab = self._engine.model.vocab
        if token not in self.added_tokens_encoder or token in vocab:
            reason = "is in the vocabulary already" if token in vocab else "was not added"
            raise ValueError(f"The token {token!r} {reason}; add it with add_tokens, then it can be moved.")
        if not 0 <= target_idx <= len(vocab):
            raise ValueError(f"target_idx is {target_idx}: expected 0 to {len(vocab)}, the size of the vocabulary.")
        symbols = self.idx2sym
        symbols.insert(target_idx, token)
        self._change_model(Words(ids_of_tokens(symbols), self.unk_token))

    def encode_file(
        self,
        path: str | os.PathLike,
        ordered: bool = False,
        verbose: bool = False,
        add_eos: bool = True,
        add_double_eos: bool = False,
    ) -> list[np.ndarray] | np.ndarray:
        """The ids of a file's lines: an array a line, or with `ordered` one array."""
        lines = [self.tokenize(line, add_eos=add_eos, add_double_eos=add_double_eos) for line in _lines(path)]
        return self.encode_sents(lines, ordered)

    def encode_sents(self, sents: Iterable[Sequence[str]], ordered: bool = False, verbose: bool = False):
        """The same of lists of tokens."""
        encoded = [self.convert_to_tensor(symbols) for symbols in sents]
        return np.concatenate(encoded) if ordered else encoded

    # ----- files and training ----------------------------------------------------------------------------------------

    def vocabulary_files(self) -> dict[str, str | bytes]:
        """vocab.pkl as the original has it, and vocab.txt, if it can hold the words: v4.34 can't decode without it."""
        model, names = self._engine.model, ("special", "min_freq", "max_size", "lower_case", "delimiter", "never_split")
        settings = {name: getattr(self, name) for name in names}
        files = {"vocab.pkl": vocabulary_pickle(model.vocab, model.vocab.get(model.unk_token), **settings)}
        symbols = self.idx2sym
        if all(symbol.split() == [symbol] for symbol in symbols):
            files["vocab.txt"] = "".join(f"{symbol}\n" for symbol in symbols)
        return files

    def _train(self, texts, vocab_size, options):
        return {"vocab": train_word_level(texts, vocab_size, **options)}


class Words(WordLevel):
    """A word is a token; one that the vocabulary lacks is shown as it stands."""

    def __init__(self, vocab: dict[str, int], unk_token: str):
        super().__init__(vocab, "<UNK>" if "<UNK>" in vocab and unk_token not in vocab else unk_token)

    def tokenize(self, word: str) -> list[Token]:
        (token,) = super().tokenize(word)
        return [token if word in self.vocab else token._replace(text=word)]


class TransfoXLWords(PreTokenizer):
    """Moses' words, dashes and numbers cut too; with the delimiter "" each character."""

    def __init__(self, language: str, delimiter: str | None, never_split: tuple[str, ...]):
        self.delimiter = delimiter
        self.punctuation = MosesPunctuation(language)
        self.moses = MosesWords(language, aggressive_dash_splits=True, protected_patterns=never_split)

    def pre_tokenize(self, piece):
        strip(piece)
        return piece.matches(_CHARACTER) if self.delimiter == "" else self.moses_words(piece)

    def moses_words(self, piece):
        self.punctuation.apply(piece)
        words = []
        for word in self.moses.pre_tokenize(piece):
            substitute(word, _IN_NUMBER, r" @\g<0>@ ")
            words += word.matches(_BETWEEN_WHITE_SPACE)
        return words


def _with_ends(symbols: list[str], add_eos: bool, add_double_eos: bool) -> list[str]:
    if add_double_eos:
        return ["<S>", *symbols, "<S>"]
    return [*symbols, "<eos>"] if add_eos else symbols


def _lines(path: str | os.PathLike) -> Iterable[str]:
    if not Path(path).is_file():
        raise OSError(f"There is no file {path} to read lines from.")
    with open(path, encoding="utf-8") as file:
        yield from file


def _read(vocab_file, pretrained_vocab_file) -> dict[str, int] | None:
    """The words of vocab.txt, else of a pickle; None without either."""
    if vocab_file is None:
        return None if pretrained_vocab_file is None else read_vocabulary_pickle(pretrained_vocab_file)
    words = [line.split()[0] for line in _lines(vocab_file) if line.strip()]
    vocab = ids_of_tokens(dict.fromkeys(words))
    if "<unk>" not in vocab and "<UNK>" not in vocab:
        raise ValueError(f"{vocab_file} has neither <unk> nor <UNK>, which stands for all words that it lacks.")
    return vocab

"""`PreTrainedTokenizer`: calling a tokenizer, and everything that all of them have in common.

The class of a model (`classes/bert.py`) says which stages its engine has and which files it reads; the rest is here:
arguments and defaults of a call, decoding. Ids and tokens back and forth are in `vocabulary.py`, special tokens by name
in `special_tokens.py`, conversations in `chat_templates.py`, reading and writing folders in `saving.py`, training a new
vocabulary in `retraining.py`.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from edutransformers.tokenizers import saving
from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.batch_encoding import BatchEncoding
from edutransformers.tokenizers.chat_templates import ChatTemplateMixin
from edutransformers.tokenizers.decoders import clean_up_tokenization
from edutransformers.tokenizers.encoding import Encoding, TokenizedWords
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.inputs import Sample, read_ids, read_samples
from edutransformers.tokenizers.padding import Padding, pad_rows
from edutransformers.tokenizers.special_tokens import SpecialTokensMixin
from edutransformers.tokenizers.strategies import (
    VERY_LARGE_INTEGER,
    PaddingStrategy,
    TruncationStrategy,
    choose_strategies,
)
from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json
from edutransformers.tokenizers.truncation import Truncation
from edutransformers.tokenizers.vocabulary import VocabularyMixin

from ..checkpoints.sharing import PushToHub
from ..logging import get_logger

logger = get_logger(__name__)


class PreTrainedTokenizer(VocabularyMixin, SpecialTokensMixin, ChatTemplateMixin, PushToHub):
    """A tokenizer as the original's: call it on text, get a `BatchEncoding` for a model.

    Keyword arguments of every tokenizer: `model_max_length`, `padding_side`, `truncation_side` ("right" or "left"),
    `model_input_names`, `clean_up_tokenization_spaces`, `split_special_tokens`, `chat_template`, the special tokens by
    name and `additional_special_tokens`. Others are kept in `init_kwargs` and written back by `save_pretrained`.
    """

    vocab_files_names: dict[str, str] = {"tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    padding_side = "right"
    truncation_side = "right"
    is_fast = True  # it knows offsets, which is what programs ask this for

    def __init__(self, engine: Engine, added_tokens_decoder: dict[int, AddedToken] | None = None, **kwargs):
        self._engine = engine
        self.init_kwargs = dict(kwargs)
        self.name_or_path = kwargs.pop("name_or_path", "")
        max_length = kwargs.pop("model_max_length", kwargs.pop("max_len", None))
        self.model_max_length = VERY_LARGE_INTEGER if max_length is None else max_length
        self.padding_side = _side(kwargs.pop("padding_side", self.padding_side), "padding_side")
        self.truncation_side = _side(kwargs.pop("truncation_side", self.truncation_side), "truncation_side")
        self.model_input_names = list(kwargs.pop("model_input_names", self.model_input_names))
        self.clean_up_tokenization_spaces = kwargs.pop("clean_up_tokenization_spaces", True)
        self.split_special_tokens = kwargs.pop("split_special_tokens", False)
        self.verbose = kwargs.pop("verbose", True)
        self._pad_token_type_id = kwargs.pop("pad_token_type_id", 0)
        self._warned_too_long = False
        self._set_chat_template(kwargs.pop("chat_template", None))
        self._set_special_tokens(kwargs)
        # Every special token is cut out of texts as it stands, whether or not the vocabulary already had it.
        known = [token for _, token in sorted((added_tokens_decoder or {}).items())]
        names = {str(token) for token in known} | set(self._engine.added_tokens.ids)
        special = set(self.all_special_tokens)
        self.add_tokens([token.as_special() if str(token) in special else token for token in known])
        self.add_tokens(
            [token for token in self.all_special_tokens_extended if str(token) not in names], special_tokens=True
        )

    # ----- text to ids -----------------------------------------------------------------------------------------------

    def __call__(
        self,
        text=None,
        text_pair=None,
        text_target=None,
        text_pair_target=None,
        add_special_tokens: bool = True,
        padding: bool | str | PaddingStrategy = False,
        truncation: bool | str | TruncationStrategy | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        padding_side: str | None = None,
    ) -> BatchEncoding:
        """Tokenize one text, one pair, or a batch of either. docs/tokenizers/calling.md shows every argument.

        >>> tokenizer(["A text.", "A longer text."], padding=True, return_tensors="np")        # doctest: +SKIP

        With `return_overflowing_tokens` what truncation cut off comes as further rows, each sharing `stride` tokens
        with the row before, and `overflow_to_sample_mapping` says which text a row is of.
        """
        options = dict(locals())
        for name in ("self", "text", "text_pair", "text_target", "text_pair_target"):
            del options[name]
        if text is None and text_target is None:
            raise ValueError("There is nothing to tokenize: pass text, or text_target for labels.")
        encoded = None if text is None else self._encode_samples(text, text_pair, **options)
        if text_target is None:
            return encoded
        with self.as_target_tokenizer():
            labels = self._encode_samples(text_target, text_pair_target, **options)
        if encoded is None:
            return labels
        encoded["labels"] = labels["input_ids"]
        return encoded

    @contextmanager
    def as_target_tokenizer(self):
        """Inside it the tokenizer makes labels: what `text_target` of a call does, for those who call it twice."""
        self._switch_to_target_mode()
        try:
            yield self
        finally:
            self._switch_to_input_mode()

    def _switch_to_input_mode(self) -> None:
        """For tokenizers whose special tokens or vocabulary differ between the model's input and its labels."""

    def _switch_to_target_mode(self) -> None:
        """The same the other way."""

    def encode_plus(self, text, text_pair=None, **kwargs) -> BatchEncoding:
        """The same as calling the tokenizer on one text or pair."""
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs, **kwargs) -> BatchEncoding:
        """The same as calling the tokenizer on a list of texts, or of (text, text_pair) tuples."""
        if not isinstance(batch_text_or_text_pairs, (list, tuple)):
            raise TypeError(
                f"batch_encode_plus needs a list of texts, not {type(batch_text_or_text_pairs).__name__}; for one "
                "text call the tokenizer itself."
            )
        return self(batch_text_or_text_pairs, **kwargs)

    def encode(self, text, text_pair=None, **kwargs) -> list[int]:
        """The ids of one text or pair."""
        return self(text, text_pair, **kwargs)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs) -> list[str]:
        """The tokens of a text, as strings."""
        return self(text, pair, add_special_tokens=add_special_tokens, **kwargs).tokens()

    def _encode_samples(
        self,
        text,
        text_pair,
        add_special_tokens,
        padding,
        truncation,
        max_length,
        stride,
        is_split_into_words,
        pad_to_multiple_of,
        return_tensors,
        return_token_type_ids,
        return_attention_mask,
        return_overflowing_tokens,
        return_special_tokens_mask,
        return_offsets_mapping,
        return_length,
        verbose,
        padding_side,
    ) -> BatchEncoding:
        samples, is_batched = read_samples(text, text_pair, is_split_into_words)
        padding, truncation, max_length = choose_strategies(
            padding, truncation, max_length, pad_to_multiple_of, self.model_max_length, verbose
        )
        cut = None
        if truncation is not TruncationStrategy.DO_NOT_TRUNCATE:
            cut = Truncation(max_length, truncation, stride, _side(self.truncation_side, "truncation_side"))
        rows_of = [self._rows(sample, is_split_into_words, add_special_tokens, cut) for sample in samples]
        if not return_overflowing_tokens:
            rows_of = [rows[:1] for rows in rows_of]
        if padding is not PaddingStrategy.DO_NOT_PAD:
            length = max_length if padding is PaddingStrategy.MAX_LENGTH else None
            rows_of = self._engine.pad(rows_of, self._padding(length, pad_to_multiple_of, padding_side))

        rows = [row for rows in rows_of for row in rows]
        data = {"input_ids": [row.ids for row in rows]}
        if _wanted(return_token_type_ids, "token_type_ids", self.model_input_names):
            data["token_type_ids"] = [row.type_ids for row in rows]
        if _wanted(return_attention_mask, "attention_mask", self.model_input_names):
            data["attention_mask"] = [row.attention_mask for row in rows]
        if return_special_tokens_mask:
            data["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if return_offsets_mapping:
            data["offset_mapping"] = [row.offsets for row in rows]
        if return_length:
            data["length"] = [len(row) for row in rows]
        if return_overflowing_tokens:
            data["overflow_to_sample_mapping"] = [number for number, rows in enumerate(rows_of) for _ in rows]
        for row in rows:
            self._warn_if_too_long(len(row), max_length, verbose)
        if not is_batched and return_tensors is None and not return_overflowing_tokens:
            data = {key: value[0] if isinstance(value[0], list) else value for key, value in data.items()}
        return BatchEncoding(data, rows, tensor_type=return_tensors)

    def _rows(self, sample: Sample, is_split: bool, add_special_tokens: bool, cut: Truncation | None) -> list[Encoding]:
        self._engine.split_special_tokens = self.split_special_tokens
        cut_up = self._tokenize_words if is_split else self._engine.tokenize
        second = None if sample.second is None else cut_up(sample.second)
        return self._engine.encode(cut_up(sample.first), second, add_special_tokens, cut)

    def _tokenize_words(self, words: Sequence[str]) -> TokenizedWords:
        """The tokens of a text that comes as a list of words."""
        return self._engine.tokenize_words(words)

    def _padding(self, length: int | None, multiple_of: int | None, side: str | None) -> Padding:
        if self.pad_token is None:
            raise ValueError(
                "Padding needs a padding token and this tokenizer has none: set one, tokenizer.pad_token = "
                "tokenizer.eos_token, or add one, tokenizer.add_special_tokens({'pad_token': '[PAD]'})."
            )
        side = _side(side or self.padding_side, "padding_side")
        return Padding(length, multiple_of, side, self.pad_token_id, self.pad_token_type_id, self.pad_token)

    def _warn_if_too_long(self, length: int, max_length: int | None, verbose: bool) -> None:
        if max_length is None and length > self.model_max_length > 0 and verbose and not self._warned_too_long:
            self._warned_too_long = True
            logger.warning(
                "Token indices sequence length is longer than the specified maximum sequence length for this model "
                "(%d > %d). Running this sequence through the model will result in indexing errors; pass "
                "truncation=True.",
                length,
                self.model_max_length,
            )

    def pad(
        self,
        encoded_inputs,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
        padding_side: str | None = None,
    ) -> BatchEncoding:
        """Pad rows that are already tokenized: a dictionary of rows, one row, or a list of rows (a data collator's)."""
        strategy, _, max_length = choose_strategies(
            padding, False, max_length, pad_to_multiple_of, self.model_max_length, verbose
        )
        how = None
        if strategy is not PaddingStrategy.DO_NOT_PAD:
            length = max_length if strategy is PaddingStrategy.MAX_LENGTH else None
            how = self._padding(length, pad_to_multiple_of, padding_side)
        mask = _wanted(return_attention_mask, "attention_mask", self.model_input_names)
        rows, holds_arrays = pad_rows(encoded_inputs, how, mask, self.model_input_names[0])
        return BatchEncoding(rows, tensor_type=return_tensors or ("np" if holds_arrays else None))

    # ----- ids to text -----------------------------------------------------------------------------------------------

    def decode(
        self, token_ids, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None, **kwargs
    ) -> str:
        """The text of ids. Raises ValueError for an id that the vocabulary doesn't have.

        `clean_up_tokenization_spaces` removes the blanks before punctuation and English short forms; None asks the
        tokenizer's attribute of that name, which is True unless its files say otherwise.
        """
        if isinstance(token_ids, dict | BatchEncoding):
            token_ids = token_ids["input_ids"]
        special = self._engine.added_tokens.special if skip_special_tokens else ()
        tokens = [self._token(i) for i in read_ids(token_ids)]
        text = self._engine.decode([token for token in tokens if token not in special])
        clean = (
            self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        )
        return clean_up_tokenization(text) if clean else text

    def batch_decode(
        self, sequences, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None, **kwargs
    ) -> list[str]:
        """The texts of several rows of ids."""
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces, **kwargs) for row in sequences]

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        return clean_up_tokenization(out_string)

    # ----- files and training ----------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> "PreTrainedTokenizer":
        """Read a tokenizer from a folder, or by name from the cache, an installed package or the hub.

        Keyword arguments override what the files say. Raises OSError when the files are not found and ValueError, which
        names the file, when they can't be read.
        """
        return saving.from_pretrained(cls, pretrained_model_name_or_path, kwargs)

    @classmethod
    def from_files(cls, files: dict[str, Path], **settings) -> "PreTrainedTokenizer":
        """A tokenizer of the files found: {constructor's argument: path}, with `tokenizer_file` for tokenizer.json.

        tokenizer.json says all about the stages, so the constructor gets them, as `engine`; the paths of the other
        files come with it, for constructors that keep what is in them.
        """
        files = dict(files)
        if "tokenizer_file" in files:
            settings["engine"] = read_tokenizer_json(files.pop("tokenizer_file"))
        return cls(**files, **settings)

    def vocabulary_files(self) -> dict[str, str | bytes]:
        """What save_pretrained writes besides tokenizer.json: {file name: content}. A class says what is its own."""
        return {}

    def save_vocabulary(self, save_directory, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write the vocabulary's own files alone (vocab.txt, merges.txt, …); returns their paths."""
        return saving.save_vocabulary(self, save_directory, filename_prefix)

    def save_pretrained(self, save_directory, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write all of the tokenizer's files into a folder, from which the original's AutoTokenizer loads it too."""
        return saving.save_pretrained(self, save_directory, filename_prefix)

    def train_new_from_iterator(
        self, text_iterator, vocab_size: int, length=None, new_special_tokens=None, special_tokens_map=None, **kwargs
    ) -> "PreTrainedTokenizer":
        """A new tokenizer with the same stages and special tokens, its vocabulary trained on an iterator of texts.

        The iterator gives texts or lists of texts; keyword arguments are those of the model's trainer
        (`train_wordpiece`, `train_bpe`, `train_unigram`, `train_word_level`).
        """
        from edutransformers.tokenizers.retraining import train_new

        return train_new(self, text_iterator, vocab_size, length, new_special_tokens, special_tokens_map, **kwargs)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map})"
        )


def _wanted(asked: bool | None, name: str, model_input_names: Sequence[str]) -> bool:
    return name in model_input_names if asked is None else asked


def _side(side: str, name: str) -> str:
    if side not in ("right", "left"):
        raise ValueError(f"{name} must be 'right' or 'left', not {side!r}.")
    return side

"""What the tokenizers of GPT-2, RoBERTa, BART, DeBERTa and Whisper share: GPT-2's byte-level BPE, from two files."""

import os
from collections.abc import Sequence

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.bpe import BPE, read_merge
from edutransformers.tokenizers.byte_level import ByteLevel, ByteLevelDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json
from edutransformers.tokenizers.vocabulary_files import (
    ids_of_tokens,
    merges_text,
    read_merges,
    read_vocab_json,
    sorted_vocab_json_text,
)

# GPT-2's and Whisper's conversations, if no file has a template: the texts, each ended.
TEXTS_WITH_ENDS = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"

Path = str | os.PathLike
Vocabulary = dict[str, int] | Sequence[str] | Path
Merges = Sequence[tuple[str, str] | str] | Path


class ByteLevelBPETokenizer(PreTrainedTokenizer):
    """Byte-level BPE, its words cut by GPT-2's pattern. The classes of the models say which special tokens it has.

    vocab_file, merges_file   vocab.json and merges.txt; in their place `vocab` and `merges`, as in transformers 5:
                              {token: id} and [(left, right), ...], or paths
    tokenizer_file, engine    a tokenizer.json, or ready-made stages, in place of both
    errors                    what decoding does with bytes that are no UTF-8: "replace" writes U+FFFD, "ignore" drops
                              them, "strict" raises UnicodeDecodeError
    add_prefix_space          put a blank before a text that begins with none: its first word is then the token that it
                              is elsewhere. A list of words (is_split_into_words=True) needs it
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "vocab.json", "merges_file": "merges.txt"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        errors: str = "replace",
        add_prefix_space: bool = False,
        vocab: Vocabulary | None = None,
        merges: Merges | None = None,
        tokenizer_file: Path | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        if engine is None and tokenizer_file is not None:
            engine = read_tokenizer_json(tokenizer_file)
        if engine is None:
            engine = Engine(
                bpe_from_files(type(self).__name__, vocab_file, merges_file, vocab, merges),
                pre_tokenizer=ByteLevel(),
                decoder=ByteLevelDecoder(),
            )
        if hasattr(engine.pre_tokenizer, "add_prefix_space"):
            engine.pre_tokenizer.add_prefix_space = add_prefix_space
        if isinstance(engine.decoder, ByteLevelDecoder):
            engine.decoder.errors = errors
        self.errors = errors
        self.add_prefix_space = add_prefix_space
        super().__init__(engine, errors=errors, add_prefix_space=add_prefix_space, **kwargs)

    def _rows(self, sample, is_split, add_special_tokens, cut):
        if is_split and not self.add_prefix_space:
            raise ValueError(
                f"A list of words (is_split_into_words=True) needs a {type(self).__name__} with add_prefix_space=True: "
                "without the blank before it, each word would be cut as the beginning of a text is."
            )
        return super()._rows(sample, is_split, add_special_tokens, cut)

    def vocabulary_files(self) -> dict[str, str]:
        return bpe_files(self._engine.model)


def bpe_from_files(
    name: str,
    vocab_file: Path | None,
    merges_file: Path | None,
    vocab: Vocabulary | None,
    merges: Merges | None,
    most_merges: int | None = None,
    **options,
) -> BPE:
    """The model that the constructor's arguments of a class `name` describe; `options` are those of `BPE`."""
    vocab, merges = read_bpe(name, vocab_file, merges_file, vocab, merges)
    return BPE(vocab, merges[:most_merges], **{"continuing_subword_prefix": "", "end_of_word_suffix": "", **options})


def read_bpe(
    name: str,
    vocab_file: Path | None,
    merges_file: Path | None,
    vocab: Vocabulary | None,
    merges: Merges | None,
    with_counts: bool = False,
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges, from files or Python data. `with_counts`: see `read_merges`."""
    vocab, merges = vocab_file if vocab is None else vocab, merges_file if merges is None else merges
    if vocab is None or merges is None:
        missing = (
            "vocabulary: pass vocab_file (vocab.json)" if vocab is None else "merges: pass merges_file (merges.txt)"
        )
        raise ValueError(f"{name} has no {missing}, or {'vocab' if vocab is None else 'merges'} as Python data.")
    if isinstance(vocab, (str, os.PathLike)):
        vocab = read_vocab_json(vocab)
    if isinstance(merges, (str, os.PathLike)):
        merges = read_merges(merges, with_counts=with_counts)
    vocab = dict(vocab) if isinstance(vocab, dict) else ids_of_tokens(vocab)
    return vocab, [read_merge(merge) for merge in merges]


def bpe_files(model: BPE) -> dict[str, str]:
    """vocab.json and merges.txt, as the original's Python classes write them."""
    return {"vocab.json": sorted_vocab_json_text(model.vocab), "merges.txt": merges_text(model.merge_list())}

"""BERT's tokenizer: WordPiece behind BERT's normalizer and pre-tokenizer, `[CLS] A [SEP] B [SEP]` around the texts."""

import os
from pathlib import Path

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.decoders import WordPieceDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import BertNormalizer
from edutransformers.tokenizers.post_processors import bert_template
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer, WhitespaceSplit
from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json
from edutransformers.tokenizers.vocabulary_files import ids_of_tokens, read_vocabulary, vocabulary_text
from edutransformers.tokenizers.wordpiece import WordPiece

DEFAULT_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


class BertTokenizer(PreTrainedTokenizer):
    """WordPiece as BERT does it.

    vocab_file              a vocab.txt, or `vocab`: {token: id} or a list of tokens
    tokenizer_file          a tokenizer.json in its place; of its normalizer the next settings count all the same
    do_lower_case           lower-case the text, and strip accents if strip_accents is None
    do_basic_tokenize       False: only white space ends a word, nothing is normalized
    never_split             words that are left whole, not even lower-cased; they stand between blanks
    tokenize_chinese_chars  make each Chinese character a word
    strip_accents           None follows do_lower_case

    Its ids, tokens and offsets are those of the original's fast tokenizer. (The original's Rust backend ignores
    do_basic_tokenize and never_split; here they do what the original's Python tokenizer does.)
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "vocab.txt"}

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        do_lower_case: bool = True,
        do_basic_tokenize: bool = True,
        never_split: list[str] | None = None,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        vocab: dict[str, int] | list[str] | None = None,
        tokenizer_file: str | os.PathLike | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        special = {
            "unk_token": unk_token,
            "sep_token": sep_token,
            "pad_token": pad_token,
            "cls_token": cls_token,
            "mask_token": mask_token,
        }
        if engine is None and tokenizer_file is not None:
            engine = read_tokenizer_json(tokenizer_file)
            if isinstance(engine.normalizer, BertNormalizer):
                engine.normalizer = BertNormalizer(
                    engine.normalizer.clean_text, tokenize_chinese_chars, strip_accents, do_lower_case
                )
        if engine is None:
            if vocab is None and vocab_file is None:
                vocab = [str(token) for token in (pad_token, unk_token, cls_token, sep_token, mask_token)]
            engine = Engine(
                WordPiece(read_vocabulary(vocab_file) if vocab is None else _as_dict(vocab), unk_token=str(unk_token)),
                normalizer=BertNormalizer(
                    handle_chinese_chars=tokenize_chinese_chars, strip_accents=strip_accents, lowercase=do_lower_case
                ),
                pre_tokenizer=BertPreTokenizer(),
                decoder=WordPieceDecoder(),
            )
        if not do_basic_tokenize:
            engine.normalizer, engine.pre_tokenizer = None, WhitespaceSplit()
        engine.never_split = frozenset(never_split or ())
        super().__init__(
            engine,
            do_lower_case=do_lower_case,
            do_basic_tokenize=do_basic_tokenize,
            never_split=never_split,
            tokenize_chinese_chars=tokenize_chinese_chars,
            strip_accents=strip_accents,
            **special,
            **kwargs,
        )
        if engine.post_processor is None:
            engine.post_processor = bert_template(self.cls_token, self.cls_token_id, self.sep_token, self.sep_token_id)

    @classmethod
    def from_files(cls, files: dict[str, Path], **settings) -> "BertTokenizer":
        """From tokenizer.json, or from vocab.txt if there is none; settings that are given outrank the file's."""
        if "tokenizer_file" not in files:
            return cls(vocab_file=files["vocab_file"], **settings)
        engine = read_tokenizer_json(files["tokenizer_file"])
        normalizer = engine.normalizer
        if isinstance(normalizer, BertNormalizer):
            normalizer.lowercase = settings.setdefault("do_lower_case", normalizer.lowercase)
            normalizer.strip_accents = settings.setdefault("strip_accents", normalizer.strip_accents)
            normalizer.handle_chinese_chars = settings.setdefault(
                "tokenize_chinese_chars", normalizer.handle_chinese_chars
            )
        settings.setdefault("unk_token", engine.model.unk_token)
        return cls(engine=engine, **settings)

    def vocabulary_files(self) -> dict[str, str]:
        """What save_pretrained writes besides tokenizer.json: {file name: content}."""
        text = vocabulary_text(self._engine.model.vocab)
        return {} if text is None else {"vocab.txt": text}  # what vocab.txt can't say, tokenizer.json has


class BertTokenizerFast(BertTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""


class DistilBertTokenizer(BertTokenizer):
    """BERT's tokenizer for DistilBERT, which has no token types."""

    model_input_names = ["input_ids", "attention_mask"]


class DistilBertTokenizerFast(DistilBertTokenizer):
    """The same under the original's other name."""


class ElectraTokenizer(BertTokenizer):
    """BERT's tokenizer for ELECTRA."""


class ElectraTokenizerFast(ElectraTokenizer):
    """The same under the original's other name."""


def _as_dict(vocab) -> dict[str, int]:
    if isinstance(vocab, (str, os.PathLike)):
        return read_vocabulary(vocab)
    return dict(vocab) if isinstance(vocab, dict) else ids_of_tokens(vocab)

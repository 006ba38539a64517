"""Tokenizers: from text to ids and back. Names are imported when they are first used."""

import importlib

_HOMES = {
    "AddedToken": "added_tokens",
    "BPE": "bpe",
    "BatchEncoding": "batch_encoding",
    "BertNormalizer": "normalizers",
    "BertPreTokenizer": "pre_tokenizers",
    "BertTokenizer": "classes.bert",
    "BertTokenizerFast": "classes.bert",
    "ByteLevel": "byte_level",
    "CharSpan": "batch_encoding",
    "DistilBertTokenizer": "classes.bert",
    "DistilBertTokenizerFast": "classes.bert",
    "ElectraTokenizer": "classes.bert",
    "ElectraTokenizerFast": "classes.bert",
    "Encoding": "encoding",
    "Engine": "engine",
    "PaddingStrategy": "strategies",
    "PreTrainedTokenizer": "base",
    "PreTrainedTokenizerFast": "classes.fast",
    "SentencePieceModel": "sentencepiece_model",
    "TokenSpan": "batch_encoding",
    "TruncationStrategy": "strategies",
    "Unigram": "unigram",
    "WordLevel": "word_level",
    "WordPiece": "wordpiece",
    "read_merges": "vocabulary_files",
    "read_sentencepiece": "sentencepiece_model",
    "read_tiktoken": "vocabulary_files",
    "read_vocab_json": "vocabulary_files",
    "read_vocabulary": "vocabulary_files",
    "train_bpe": "training",
    "train_unigram": "training",
    "train_word_level": "training",
    "train_wordpiece": "training",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_HOMES])

"""Tokenizers: from text to ids and back. Names are imported when they are first used."""

import importlib

_HOMES = {
    "AddedToken": "added_tokens",
    "AlbertTokenizer": "classes.albert",
    "AlbertTokenizerFast": "classes.albert",
    "BPE": "bpe",
    "BartTokenizer": "classes.roberta",
    "BartTokenizerFast": "classes.roberta",
    "BatchEncoding": "batch_encoding",
    "BertNormalizer": "normalizers",
    "BertPreTokenizer": "pre_tokenizers",
    "BertTokenizer": "classes.bert",
    "BertTokenizerFast": "classes.bert",
    "ByteLevel": "byte_level",
    "CLIPTokenizer": "classes.clip",
    "CLIPTokenizerFast": "classes.clip",
    "CTRLTokenizer": "classes.ctrl",
    "CharSpan": "batch_encoding",
    "CodeLlamaTokenizer": "classes.code_llama",
    "CodeLlamaTokenizerFast": "classes.code_llama",
    "DebertaTokenizer": "classes.deberta",
    "DebertaTokenizerFast": "classes.deberta",
    "DebertaV2Tokenizer": "classes.deberta_v2",
    "DebertaV2TokenizerFast": "classes.deberta_v2",
    "DistilBertTokenizer": "classes.bert",
    "DistilBertTokenizerFast": "classes.bert",
    "ElectraTokenizer": "classes.bert",
    "ElectraTokenizerFast": "classes.bert",
    "Encoding": "encoding",
    "Engine": "engine",
    "GPT2Tokenizer": "classes.gpt2",
    "GPT2TokenizerFast": "classes.gpt2",
    "LlamaTokenizer": "classes.llama",
    "LlamaTokenizerFast": "classes.llama",
    "MBart50Tokenizer": "classes.mbart",
    "MBart50TokenizerFast": "classes.mbart",
    "MBartTokenizer": "classes.mbart",
    "MBartTokenizerFast": "classes.mbart",
    "MarianTokenizer": "classes.marian",
    "NllbTokenizer": "classes.nllb",
    "NllbTokenizerFast": "classes.nllb",
    "OpenAIGPTTokenizer": "classes.openai_gpt",
    "OpenAIGPTTokenizerFast": "classes.openai_gpt",
    "PaddingStrategy": "strategies",
    "PreTrainedTokenizer": "base",
    "PreTrainedTokenizerFast": "classes.fast",
    "RobertaTokenizer": "classes.roberta",
    "RobertaTokenizerFast": "classes.roberta",
    "SentencePieceEncoder": "sentencepiece_encoder",
    "SentencePieceModel": "sentencepiece_model",
    "T5Tokenizer": "classes.t5",
    "T5TokenizerFast": "classes.t5",
    "TokenSpan": "batch_encoding",
    "TruncationStrategy": "strategies",
    "Unigram": "unigram",
    "Wav2Vec2CTCTokenizer": "classes.wav2vec2_ctc",
    "WhisperTokenizer": "classes.whisper",
    "WhisperTokenizerFast": "classes.whisper",
    "WordLevel": "word_level",
    "WordPiece": "wordpiece",
    "XLMRobertaTokenizer": "classes.xlm_roberta",
    "XLMRobertaTokenizerFast": "classes.xlm_roberta",
    "XLMTokenizer": "classes.xlm",
    "XLNetTokenizer": "classes.xlnet",
    "XLNetTokenizerFast": "classes.xlnet",
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

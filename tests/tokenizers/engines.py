"""A small tokenizer of every kind, built from a tokenizer.json as models have it: each takes another way through the
engine's caches.
"""

from edutransformers.tokenizers.byte_level import CHARACTERS, ByteLevel
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace
from edutransformers.tokenizers.tokenizer_json import engine_from_json
from edutransformers.tokenizers.training import train_bpe, train_wordpiece

TEXTS = ["the lower the newer, isn't it? the lowest of these 3 were café and naïve", "日本語 the end\n\nA  b"] * 3
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _bpe(vocab, merges, **options):
    return {"type": "BPE", "vocab": vocab, "merges": [list(merge) for merge in merges], **options}


def _byte_level():
    return train_bpe(TEXTS, 400, initial_alphabet=CHARACTERS, pre_tokenizer=ByteLevel(False), show_progress=False)


def _gpt2(add_prefix_space: bool):
    stage = {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": True}
    return {"model": _bpe(*_byte_level()), "pre_tokenizer": stage, "decoder": stage}


def _llama():
    vocab, merges = train_bpe(
        TEXTS, 400, special_tokens=["<unk>", *BYTES], pre_tokenizer=Metaspace(), show_progress=False
    )
    steps = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    return {
        "model": _bpe(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
    }  # fmt: skip


def _clip():
    vocab, merges = _byte_level()
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}
    blanks = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    stages = [split, _gpt2(False)["pre_tokenizer"]]
    return {
        "model": _bpe(vocab, merges),
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, blanks, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": stages},
    }


def _bert():
    vocab = train_wordpiece(TEXTS, 120, pre_tokenizer=BertPreTokenizer(), show_progress=False)
    return {
        "model": {"type": "WordPiece", "vocab": vocab, "max_input_chars_per_word": 10**9},
        "normalizer": {"type": "BertNormalizer"},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }


def _t5():
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz.,?'3é", "▁the", "er", "▁low", "est", "▁new", "▁o", "▁w", "ai", "in"]
    vocab = [["<unk>", 0.0], *([piece, -2.0 - 0.01 * number] for number, piece in enumerate(pieces))]
    return {
        "model": {"type": "Unigram", "vocab": vocab, "unk_id": 0},
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    }


def _words():
    vocab = {word: i for i, word in enumerate(["<unk>", "the", "lower", ",", "it", "?", "b"])}
    return {"model": {"type": "WordLevel", "vocab": vocab}, "pre_tokenizer": {"type": "Whitespace"}}


def _characters():
    vocab = {word: i for i, word in enumerate(["<unk>", *sorted(set("".join(TEXTS)))])}
    split = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
    return {"model": {"type": "WordLevel", "vocab": vocab}, "pre_tokenizer": split, "decoder": {"type": "Fuse"}}


PARTS = {
    "GPT-2": _gpt2(False),
    "RoBERTa": _gpt2(True),
    "CLIP": _clip(),
    "Llama": _llama(),
    "BERT": _bert(),
    "T5": _t5(),
    "words": _words(),
    "characters": _characters(),
}


def build(name: str, **model):
    """A new engine of this kind, with a special token "<s>" and an added one, "lowest low"."""
    parts = {**PARTS[name], "model": {**PARTS[name]["model"], **model}}
    size = len(parts["model"]["vocab"])
    added = [
        {"id": size, "content": "<s>", "special": True, "normalized": False},
        {"id": size + 1, "content": "lowest low", "special": False, "normalized": True},
    ]
    return engine_from_json({**parts, "added_tokens": added})

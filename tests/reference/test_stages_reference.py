"""Pre-tokenizers, post-processors and decoders against the `tokenizers` library, read from the JSON that it writes."""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors  # noqa: E402

from edutransformers.tokenizers.aligned_text import AlignedText  # noqa: E402
from edutransformers.tokenizers.stages import read_stage  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import STAGES, engine_from_json, engine_to_json  # noqa: E402
from edutransformers.tokenizers.unicode_scripts import UnicodeScripts  # noqa: E402

pytestmark = pytest.mark.reference

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BEHAVIORS = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")
PRE_TOKENIZERS = {
    "Whitespace": pre_tokenizers.Whitespace(),
    "WhitespaceSplit": pre_tokenizers.WhitespaceSplit(),
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer(),
    "Digits": pre_tokenizers.Digits(),
    "individual digits": pre_tokenizers.Digits(individual_digits=True),
    "CharDelimiterSplit": pre_tokenizers.CharDelimiterSplit("1"),
    "FixedLength": pre_tokenizers.FixedLength(3),
    "UnicodeScripts": pre_tokenizers.UnicodeScripts(),
    "digits of UnicodeScripts": pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits()]),
    "ByteLevel": pre_tokenizers.ByteLevel(),
    "GPT-4": pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(GPT4), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    ),
    "T5": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    "digits of Metaspace": pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Digits()]),
    "between matches": pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True),
    **{f"Punctuation {name}": pre_tokenizers.Punctuation(name) for name in BEHAVIORS},
    **{f"Split {name}": pre_tokenizers.Split("-", name) for name in BEHAVIORS},
    **{f"Split at empty matches, {name}": pre_tokenizers.Split(Regex("-*"), name) for name in BEHAVIORS},
    "characters": pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated"),
    "characters by an empty string": pre_tokenizers.Split("", "isolated"),
    "characters by an empty pattern": pre_tokenizers.Split(Regex(""), "removed"),
    **{f"Metaspace {scheme}": pre_tokenizers.Metaspace("▁", scheme) for scheme in ("always", "first", "never")},
    "Metaspace, not split": pre_tokenizers.Metaspace("_", "always", split=False),
}
POOL = "aA'sé日ほーб本 \n\t.,!--1²٣Ⅷ▁_ 😀\u200d\u0301\u3000x  "


def texts(count, seed=0):
    generator = random.Random(seed)
    yield from ("", " ", "-", "▁", "--a--b-", "  a", "a  ")
    for _ in range(count):
        yield "".join(generator.choices(POOL, k=generator.randrange(1, 14)))


def stage_of(name, theirs):
    tokenizer = Tokenizer(models.BPE())
    setattr(tokenizer, name, theirs)
    part = json.loads(tokenizer.to_str())[name]
    ours = read_stage(name, part, STAGES[name])
    assert ours.to_json() == part
    return ours


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizer(name):
    theirs = PRE_TOKENIZERS[name]
    ours = stage_of("pre_tokenizer", theirs)
    for text in texts(600):
        words = [word for word in ours.pre_tokenize(AlignedText(text)) if word.text]
        found = [(word.text, word.original_span(0, len(word))) for word in words]
        assert found == theirs.pre_tokenize_str(text), ascii(text)


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_stretch_by_stretch(name):
    """A whole tokenizer, whose quick way looks stretches up: ids, offsets and word numbers, around an added token."""
    theirs = Tokenizer(models.Unigram([("<unk>", 0.0), *((c, -1.0) for c in "aA'és.,!-1▁_x"), ("▁a", -1.5)], 0))
    theirs.pre_tokenizer = PRE_TOKENIZERS[name]
    theirs.add_special_tokens(["<s>"])
    ours = engine_from_json(json.loads(theirs.to_str()))
    assert engine_to_json(ours) == json.loads(theirs.to_str())
    for number, text in enumerate(texts(300, seed=1)):
        text = text if number % 3 else text[:4] + "<s>" + text[4:]
        encoding, (row,) = theirs.encode(text), ours.encode(ours.tokenize(text))
        assert row.ids == encoding.ids, ascii(text)
        assert row.offsets == encoding.offsets, ascii(text)
        assert row.word_ids == encoding.word_ids, ascii(text)
        assert row.tokens == encoding.tokens, ascii(text)


def test_every_code_point_is_of_the_same_script():
    codes = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    text = "".join(map(chr, codes))
    mixed = "".join(f"{chr(code)}a" for code in codes[:0x8000])
    theirs, ours = pre_tokenizers.UnicodeScripts(), UnicodeScripts()
    assert len(ours.split(text)) > 300
    for case in (text, mixed, mixed.replace("a", "б")):
        assert ours.split(case) == [span for _, span in theirs.pre_tokenize_str(case)]


# What early files hold: parts without their type.
WITHOUT_TYPE = {
    "normalizer": [
        {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        {"strip_left": True, "strip_right": False},
        {"prepend": "x"},
        {"pattern": {"String": "a"}, "content": "b"},
        {"normalizers": [{"type": "NFC"}, {"prepend": "x"}]},
    ],
    "model": [
        {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
        {"vocab": {"a": 0}, "unk_token": "a", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
        {"vocab": {"a": 0}, "unk_token": "a"},
        {"vocab": [["a", 0.0]], "unk_id": 0},
    ],
    "post_processor": [
        {"sep": ["a", 1], "cls": ["b", 2]},
        {"sep": ["a", 1], "cls": ["b", 2], "trim_offsets": True, "add_prefix_space": False},
        {
            "single": [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {},
        },
    ],
    "decoder": [
        {"suffix": "</w>"},
        {"prefix": "##", "cleanup": True},
        {"pad_token": "a", "word_delimiter_token": "b", "cleanup": True},
        {"pattern": {"Regex": "a+"}, "content": "b"},
        {"content": "a", "start": 1, "stop": 0},
    ],
}


@pytest.mark.parametrize(
    ("name", "part"),
    [(name, part) for name, parts in WITHOUT_TYPE.items() for part in parts],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_a_part_without_its_type(name, part):
    content = {**json.loads(Tokenizer(models.BPE({"a": 0}, [])).to_str()), name: part}
    theirs = json.loads(Tokenizer.from_str(json.dumps(content)).to_str())
    assert engine_to_json(engine_from_json(content)) == theirs


DECODERS = {
    "ByteLevel": decoders.ByteLevel(),
    "WordPiece": decoders.WordPiece(),
    "BPEDecoder": decoders.BPEDecoder(),
    "Metaspace": decoders.Metaspace(),
    "Metaspace never": decoders.Metaspace("▁", "never"),
    "ByteFallback": decoders.ByteFallback(),
    "CTC": decoders.CTC(),
    "CTC, not cleaned": decoders.CTC(cleanup=False),
    "Llama": decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    ),
    "Strip left": decoders.Strip("a", 2, 0),
    "Strip right": decoders.Strip("a", 0, 1),
    "Replace": decoders.Replace(Regex("a+"), "$0b"),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoder(name):
    theirs = DECODERS[name]
    ours = stage_of("decoder", theirs)
    pieces = [
        "▁a",
        "a",
        "##b",
        "<0xE6>",
        "<0x97>",
        "<0xA5>",
        "<0x41>",
        "<pad>",
        "|",
        "h",
        "lo</w>",
        "▁",
        "Ġx",
        "Ã©",
        ".",
        "'s",
        "aaa",
        "Ã",
        "日",
    ]
    generator = random.Random(0)
    for _ in range(600):
        tokens = generator.choices(pieces, k=generator.randrange(8))
        assert ours.decode(tokens) == theirs.decode(tokens), tokens


PROCESSORS = {
    "RobertaProcessing": processors.RobertaProcessing(("</s>", 2), ("<s>", 1)),
    "not trimmed": processors.RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=False, add_prefix_space=False),
    "BertProcessing": processors.BertProcessing(("</s>", 2), ("<s>", 1)),
    "ByteLevel": processors.ByteLevel(),
    "Llama 3": processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True, add_prefix_space=False),
            processors.TemplateProcessing("<s> $A", "<s> $A </s> $B:1", [("<s>", 1), ("</s>", 2)]),
        ]
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_post_processor(name):
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet(), 3)}}
    vocab |= {"Ġa": 300, "aĠ": 301}
    theirs = Tokenizer(models.BPE(vocab, [("Ġ", "a"), ("a", "Ġ")]))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(use_regex=False)
    theirs.post_processor = PROCESSORS[name]
    ours = engine_from_json(json.loads(theirs.to_str()))
    for text in texts(150):
        for pair in (None, "a b"):
            encoding = theirs.encode(text, pair)
            second = None if pair is None else ours.tokenize(pair)
            (row,) = ours.encode(ours.tokenize(text), second)
            assert row.ids == encoding.ids, ascii(text)
            assert row.type_ids == encoding.type_ids
            assert row.offsets == encoding.offsets, ascii(text)
            assert row.special_tokens_mask == encoding.special_tokens_mask

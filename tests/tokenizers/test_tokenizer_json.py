"""tokenizer.json: every part there is, parts without a type, and whatever else may stand in such a file."""

import copy
import json
import random
from contextlib import suppress

import pytest

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.byte_level import ByteLevelNormalizer
from edutransformers.tokenizers.pre_tokenizers import FixedLength
from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json, read_tokenizer_json
from edutransformers.tokenizers.unicode_scripts import SCRIPTS, UnicodeScripts, script_of


def words(stage, text):
    return [(word.text, word.original_span(0, len(word))) for word in stage.pre_tokenize(AlignedText(text))]


def test_fixed_length():
    assert words(FixedLength(3), "ACGTé日x") == [("ACG", (0, 3)), ("Té日", (3, 6)), ("x", (6, 7))]
    assert words(FixedLength(), "") == []
    with pytest.raises(ValueError, match="length is 0: expected 1"):
        FixedLength(0)


def test_scripts():
    assert words(UnicodeScripts(), "Hello, мир") == [("Hello", (0, 5)), (", ", (5, 7)), ("мир", (7, 10))]
    # Hiragana, Katakana and Chinese characters are one; the sign that lengthens a vowel is among them.
    assert [word for word, _ in words(UnicodeScripts(), "ラーメンを食べる。Yes")] == ["ラーメンを食べる", "。", "Yes"]
    assert [word for word, _ in words(UnicodeScripts(), "  a b б\u0378б ")] == ["a b ", "б\u0378б "]
    assert words(UnicodeScripts(), "  ") == []
    assert [script_of(character) for character in "aб1\u0301 \u0378"] == ["Latn", "Cyrl", "Zyyy", "Zinh", None, None]
    codes = [entry.partition("-") for entry in SCRIPTS.split() if entry[0] in "0123456789" or entry.isupper()]
    ranges = sorted((int(first, 16), int(last or first, 16)) for first, _, last in codes)
    assert all(before[1] < behind[0] for before, behind in zip(ranges, ranges[1:]))
    assert sum(last - first + 1 for first, last in ranges) == 128_236  # what the reference knows


def test_bytes_as_normalizer():
    normalized = ByteLevelNormalizer().normalize("a é日")
    assert normalized.text == "aĠÃ©æĹ¥"
    spans = [normalized.original_span(i, i + 1) for i in range(len(normalized))]
    assert spans == [(0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (3, 4), (3, 4)]


WORD_PIECE = {
    "vocab": {"[UNK]": 0, "a": 1},
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
}
WITHOUT_TYPE = [
    ("normalizer", {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}),
    ("normalizer", {"normalizers": [{"prepend": "x"}, {"strip_left": True, "strip_right": False}]}),
    ("post_processor", {"sep": ["a", 1], "cls": ["b", 2]}),
    ("post_processor", {"sep": ["a", 1], "cls": ["b", 2], "trim_offsets": True, "add_prefix_space": False}),
    ("decoder", {"prefix": "##", "cleanup": True}),
    ("decoder", {"suffix": "</w>"}),
    ("model", {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}),
    ("model", {"vocab": [["a", 0.0]], "unk_id": 0}),
    ("model", {"vocab": {"a": 0}, "unk_token": "a"}),
    ("model", WORD_PIECE),
]
TYPES = [
    "BertNormalizer",
    "Sequence",
    "BertProcessing",
    "RobertaProcessing",
    "WordPiece",
    "BPEDecoder",
    "BPE",
    "Unigram",
    "WordLevel",
    "WordPiece",
]


@pytest.mark.parametrize(("name", "part", "kind"), [(*case, kind) for case, kind in zip(WITHOUT_TYPE, TYPES)])
def test_a_part_without_its_type(name, part, kind):
    written = engine_to_json(engine_from_json({"model": WORD_PIECE, name: part}))
    assert written[name]["type"] == kind
    assert engine_to_json(engine_from_json(written)) == written


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"version": "2.0"}, "The version is '2.0'; edutransformers reads version '1.0'"),
        ({"decoder": {"type": "Morse"}}, "the decoder is of type 'Morse', which edutransformers can't build; it knows"),
        ({"normalizer": {"type": ["NFC"]}}, r"the normalizer is of type \['NFC'\]"),
        ({"normalizer": {"unheard": 1}}, "the normalizer is of type None"),
        ({"normalizer": "NFC"}, "the normalizer is of type None"),
        (
            {"pre_tokenizer": {"type": "FixedLength", "length": "a"}},
            "the length of the part 'pre_tokenizer' is 'a'; expected a whole number",
        ),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "length is 0"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Nope"}]}}, "of type 'Nope'"),
        ({"decoder": {"type": "CTC", "pad_token": 3}}, "the pad_token of the part 'decoder' is 3; expected a string"),
        ({"decoder": {"type": "WordPiece", "cleanup": 1}}, "the cleanup .* is 1; expected true or false"),
        ({"post_processor": {"type": "BertProcessing", "sep": ["a"]}}, r"the sep .* is \['a'\]; expected a token and"),
        (
            {"truncation": {"max_length": 1.5}},
            "the max_length of the part 'truncation' is 1.5; expected a whole number",
        ),
        ({"pre_tokenizer": {"type": "FixedLength", "length": True}}, "the length .* is True; expected a whole number"),
        ({"model": {"type": "Markov"}}, "the model is of type 'Markov'"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "the part 'model' lacks 'merges'"),
        ({"model": None}, "A tokenizer.json is a JSON object with a 'model'"),
    ],
)
def test_errors(content, message):
    with pytest.raises(ValueError, match=message):
        engine_from_json({"model": WORD_PIECE, **content})


FULL = {
    "version": "1.0",
    "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
    "padding": {
        "strategy": {"Fixed": 8},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    },
    "added_tokens": [
        {
            "id": 0,
            "content": "<s>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            {"type": "ByteLevel"},
        ],
    },
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"String": "-"}, "behavior": "Isolated", "invert": False},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            {"type": "FixedLength", "length": 5},
        ],
    },
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    },
    "decoder": {
        "type": "Sequence",
        "decoders": [{"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "CTC", "pad_token": "<pad>"}],
    },
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<s>",
        "vocab": {"<s>": 0, "a": 1, "b": 2, "ab": 3},
        "merges": [["a", "b"]],
    },
}
FULL["decoder"]["decoders"][1] |= {"word_delimiter_token": "|", "cleanup": True}


def places(part, path=()):
    """Paths to all values of nested dictionaries and lists."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def test_junk_in_any_place_is_named_or_read():
    """Any value, replaced by any other or left out: a tokenizer, or ValueError with a sentence."""
    engine_from_json(FULL)
    junk = [None, True, -1, 0, 1.5, 10**30, "", "x", [], [None], {}, {"type": "x"}, {"x": []}, [["a"]], "\ud800"]
    refused = []
    for path in places(FULL):
        for value in [*junk, "left out"]:
            content = copy.deepcopy(FULL)
            *way, last = path
            part = content
            for key in way:
                part = part[key]
            if value == "left out":
                del part[last]
            else:
                part[last] = copy.deepcopy(value)
            try:
                engine = engine_from_json(content)
            except ValueError as error:
                refused.append(str(error))
                continue
            with suppress(ValueError):  # such as an unknown token that is not in the vocabulary
                (row,) = engine.encode(engine.tokenize("ab  <s> é-a b"))
                engine.decode([token for token in row.tokens if token is not None])
    assert len(refused) > 500
    assert min(map(len, refused)) > 10


def test_any_bytes_as_a_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    text = json.dumps(FULL).encode()
    generator, messages = random.Random(0), []
    for number in range(150):
        data = bytearray(text[: generator.randrange(len(text))] if number % 2 else text)
        for _ in range(number % 3):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data)
        try:
            read_tokenizer_json(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 70
    assert all(message.startswith(str(path)) for message in messages)
    path.write_bytes(b"[" * 200_000)
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_tokenizer_json(path)

"""BPE and byte-level tokenization against the `tokenizers` library: id for id, offset for offset, word for word."""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from edutransformers.tokenizers.bpe import BPE  # noqa: E402
from edutransformers.tokenizers.byte_level import CHARACTERS, WORDS, ByteLevel  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import engine_from_json  # noqa: E402
from edutransformers.tokenizers.training import train_bpe  # noqa: E402
from tests.reference.test_tokenizers_reference import ADVERSARIAL  # noqa: E402

pytestmark = pytest.mark.reference


def random_model(generator, prefix):
    alphabet = "abcde"
    vocab = {token: i for i, token in enumerate(dict.fromkeys(["<unk>", *alphabet, *(prefix + c for c in alphabet)]))}
    merges = {}
    names = [name for name in vocab if name != "<unk>"]
    for _ in range(40):
        left, right = generator.choice(names), generator.choice(names)
        if right.startswith(prefix):
            token = left + right[len(prefix) :]
            if token not in vocab:
                vocab[token] = len(vocab)
                names.append(token)
            merges[left, right] = None
    return vocab, list(merges)


@pytest.mark.parametrize("prefix", ["", "##"])
@pytest.mark.parametrize("fuse_unk", [False, True])
@pytest.mark.parametrize("ignore_merges", [False, True])
def test_bpe(prefix, fuse_unk, ignore_merges):
    generator = random.Random(0)
    for _ in range(40):
        vocab, merges = random_model(generator, prefix)
        options = {"unk_token": "<unk>", "fuse_unk": fuse_unk, "ignore_merges": ignore_merges}
        if prefix:
            options["continuing_subword_prefix"] = prefix
        ours, theirs = (
            BPE(vocab, merges, **options),
            tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges, **options)),
        )
        for length in (1, 2, 3, 8, 20, 60):
            word = "".join(generator.choice("abcdexé") for _ in range(length))
            encoding = theirs.encode(word)
            found = ours.tokenize(word)
            assert [token.id for token in found] == encoding.ids, word
            assert [(token.start, token.stop) for token in found] == encoding.offsets, word


def test_bytes_of_unknown_characters():
    vocab = {token: i for i, token in enumerate(["<unk>", "a", *(f"<0x{byte:02X}>" for byte in range(256)), "aa"])}
    options = {"unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True}
    ours = BPE(vocab, [("a", "a")], **options)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, [("a", "a")], **options))
    for word in ("aaé", "日a本a", "😀", "\u0301aa\x00"):
        found, encoding = ours.tokenize(word), theirs.encode(word)
        assert [token.id for token in found] == encoding.ids
        assert [(token.start, token.stop) for token in found] == encoding.offsets


def byte_level_pair(add_prefix_space=False, trim_offsets=False, processor_prefix=False, texts=()):
    """The same tokenizer there and here, with merges that a training on a few texts gives."""
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    theirs.decoder = tokenizers.decoders.ByteLevel()
    theirs.post_processor = tokenizers.processors.ByteLevel(
        trim_offsets=trim_offsets, add_prefix_space=processor_prefix
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=CHARACTERS, special_tokens=["<|endoftext|>"], show_progress=False
    )
    theirs.train_from_iterator([*ADVERSARIAL, *texts] * 3, trainer)
    return theirs, engine_from_json(json.loads(theirs.to_str()))


def assert_same(theirs, ours, text):
    encoding = theirs.encode(text)
    (row,) = ours.encode(ours.tokenize(text))
    assert row.ids == encoding.ids, text
    assert row.tokens == encoding.tokens, text
    assert row.offsets == encoding.offsets, text
    assert row.word_ids == encoding.word_ids, text
    assert ours.decode(row.tokens) == theirs.decode(encoding.ids, skip_special_tokens=False), text


SETTINGS = [(prefix, trim, processor) for prefix in (False, True) for trim in (False, True) for processor in (0, 1)]
PAIRS = {setting: byte_level_pair(*map(bool, setting)) for setting in SETTINGS}
TEXTS = [
    *ADVERSARIAL,
    "it's 3am.  Now\n\n b ",
    "\n\na  b",
    "a<|endoftext|> b<|endoftext|>\n",
    "x²٣ Ⅷ ١٢٣",
    "  ",
    "'S's",
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_byte_level(setting):
    for text in TEXTS:
        assert_same(*PAIRS[setting], text)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@settings(deadline=None, max_examples=150)
@given(text=st.text(st.characters(codec="utf-8")) | st.text(st.sampled_from(" \n\t'sdtve\u3000é1a日😀")))
def test_byte_level_on_made_up_texts(setting, text):
    assert_same(*PAIRS[setting], text)


def test_every_code_point_falls_into_the_same_word():
    """Each character between a letter, a digit, a blank and a mark: where the pattern cuts shows its class."""
    byte_level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    planes = [*range(0x40000), *range(0xE0000, 0xE0200), *range(0x10FF00, 0x110000)]  # elsewhere nothing is assigned
    codes = [code for code in planes if not 0xD800 <= code <= 0xDFFF]
    for start in range(0, len(codes), 4096):
        text = "".join(f"a{chr(code)}1{chr(code)}- {chr(code)}" for code in codes[start : start + 4096])
        spans = [span for _, span in byte_level.pre_tokenize_str(text)]
        assert [match.span() for match in WORDS.finditer(text)] == spans, hex(codes[start])


@pytest.mark.parametrize(
    "options",
    [
        {"vocab_size": 1000},
        {"vocab_size": 700, "min_frequency": 3, "limit_alphabet": 50},
        {"vocab_size": 1000, "max_token_length": 5, "special_tokens": ["<a>", "<b>"]},
        {"vocab_size": 600, "initial_alphabet": CHARACTERS},
    ],
    ids=str,
)
def test_training(options):
    """The same vocabulary and the same merges."""
    with open(__file__, encoding="utf-8") as file:
        texts = [*file.read().split("\n\n"), *ADVERSARIAL]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(**options, show_progress=False))
    vocab, merges = train_bpe(texts, **options, pre_tokenizer=ByteLevel(False), show_progress=False)
    assert vocab == theirs.get_vocab()
    assert [list(merge) for merge in merges] == json.loads(theirs.to_str())["model"]["merges"]

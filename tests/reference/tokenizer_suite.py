"""Our tokenizer and the original's, side by side: what a class's reference test calls.

`assert_same_texts`   ids, tokens, offsets, word numbers, special tokens of texts and pairs
`assert_same_calls`   padding, truncation, sides, stride, overflow, words: a table of arguments
`assert_same_decoding`, `assert_same_names`, `assert_same_methods`
`assert_same_files`   each loads what the other saves

`is_fast=False` for originals that know no offsets (Python tokenizers): only ids, tokens and texts are compared.
"""

import itertools
import random
import sys
import unicodedata

import pytest

transformers = pytest.importorskip("transformers")

from hypothesis import strategies as st  # noqa: E402

import edutransformers  # noqa: E402
from tests.tokenizers.texts import ADVERSARIAL, INPUTS, LONG, OTHER, SHORT  # noqa: E402

__all__ = ["ADVERSARIAL", "ANY_TEXT", "assigned_characters"]

# Text of all kinds, with much of what is special to some tokenizer.
ANY_TEXT = st.text(
    st.one_of(
        st.sampled_from("the dog'sŞéÉ\u0301\u0323好ँ\u0e33🙂\u200d\ufe0f 　\t\n\r\x00.,!?_-▁Ġ<>/[]|@#0123456789"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


def assigned_characters() -> list[str]:
    """Texts that hold, together, each of Unicode's assigned code points: alone, and between letters."""
    characters = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    pieces = [f"{c} a{c}b " for c in characters]
    return ["".join(pieces[i : i + 16]) for i in range(0, len(pieces), 16)]


def assert_same_texts(ours, theirs, texts=ADVERSARIAL, is_fast=True, pairs=True):
    """Each text alone; as a pair with the text after it, if `pairs`."""
    _assert_same_rows(ours, theirs, texts, None, is_fast)
    if pairs:
        _assert_same_rows(ours, theirs, texts, [*texts[1:], texts[0]], is_fast)


def _assert_same_rows(ours, theirs, texts, others, is_fast):
    mine = ours(texts, others, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    options = {"return_offsets_mapping": True} if is_fast else {}
    other = theirs(texts, others, return_special_tokens_mask=True, verbose=False, **options)
    assert set(other) <= set(mine)
    if any(mine[key] != other[key] for key in other):
        _show_difference(ours, theirs, mine, other, texts, others)
    if is_fast:
        for i, text in enumerate(texts):
            assert mine.word_ids(i) == other.word_ids(i), ascii(text)
            assert mine.sequence_ids(i) == other.sequence_ids(i), ascii(text)
            assert mine.tokens(i) == other.tokens(i), ascii(text)


def _show_difference(ours, theirs, mine, other, texts, others):
    for i, text in enumerate(texts):
        shown = ascii(text) if others is None else ascii((text, others[i]))
        tokens = theirs.convert_ids_to_tokens(other["input_ids"][i])
        assert ours.convert_ids_to_tokens(mine.input_ids[i]) == tokens, shown
        for key in other:
            assert mine[key][i] == other[key][i], f"{key} of {shown}"


def _call(tokenizer, text, text_pair, is_fast, **options):
    """The result as plain data, or "error"."""
    if is_fast:
        options = {**options, "return_offsets_mapping": True}
    try:
        encoded = tokenizer(text, text_pair, return_special_tokens_mask=True, verbose=False, **options)
    except BaseException as error:  # the Rust side panics, and its PanicException is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return "error"
    return dict(encoded)


def assert_same_calls(ours, theirs, is_fast=True):
    table = list(  # of which each kind of input gets a random share
        itertools.product(
            [False, True, "max_length"],
            [None, True, "only_first", "only_second"] if is_fast else [None, True],
            [None, 4, 7, 16],
            [None, 8],
            [0, 2] if is_fast else [0],
            [False, True] if is_fast else [False],
        )
    )
    names = ("padding", "truncation", "max_length", "pad_to_multiple_of", "stride", "return_overflowing_tokens")
    before = [(tokenizer.padding_side, tokenizer.truncation_side) for tokenizer in (ours, theirs)]
    compared, rng = 0, random.Random(0)
    for sides in itertools.product(["right", "left"], repeat=2):
        for tokenizer in (ours, theirs):
            tokenizer.padding_side, tokenizer.truncation_side = sides
        for text, text_pair in INPUTS.values():
            for row in rng.sample(table, min(40, len(table))):
                options = dict(zip(names, row))
                result = _call(theirs, text, text_pair, is_fast, **options)
                compared += result != "error"
                mine = _call(ours, text, text_pair, is_fast, **options)
                assert mine == result, (text, text_pair, sides, options)
    assert compared > 100
    for tokenizer, sides in zip((ours, theirs), before):
        tokenizer.padding_side, tokenizer.truncation_side = sides


def assert_same_decoding(ours, theirs, texts=ADVERSARIAL):
    # Transformers 5 leaves the blanks of BPE tokenizers alone unless told twice; 4.34 did what it was told.
    theirs.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True
    for ids in ours(texts).input_ids:
        for skip, clean in itertools.product([False, True], repeat=2):
            options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
            assert ours.decode(ids, **options) == theirs.decode(ids, **options), (ids, options)
        tokens = ours.convert_ids_to_tokens(ids)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


def assert_same_names(ours, theirs):
    """Special tokens by name, sizes, sides: what programs ask a tokenizer for."""
    for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        assert getattr(ours, f"{name}_token") == getattr(theirs, f"{name}_token"), name
        assert getattr(ours, f"{name}_token_id") == getattr(theirs, f"{name}_token_id"), name
    for name in ("padding_side", "truncation_side", "model_input_names", "pad_token_type_id", "model_max_length"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (len(ours), ours.vocab_size) == (len(theirs), theirs.vocab_size)
    assert ours.get_vocab() == theirs.get_vocab()
    assert sorted(ours.all_special_tokens) == sorted(set(theirs.all_special_tokens))  # 4.34's may come twice


def assert_same_methods(ours, theirs, pairs=True):
    assert ours.tokenize(LONG) == theirs.tokenize(LONG)
    assert ours.encode(LONG, add_special_tokens=False) == theirs.encode(LONG, add_special_tokens=False)
    assert ours.num_special_tokens_to_add() == theirs.num_special_tokens_to_add()
    tokens = [*theirs.tokenize(SHORT), "nowhere to be found"]
    assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    if pairs:
        assert ours.encode(LONG, OTHER) == theirs.encode(LONG, OTHER)
        assert ours.num_special_tokens_to_add(pair=True) == theirs.num_special_tokens_to_add(pair=True)


def assert_same_files(ours, theirs, tmp_path, is_fast=True, pairs=True):
    """The original's class loads what ours saved, and ours what the original saved; both are as before."""
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    name = type(ours).__name__
    loaded_by_them = type(theirs).from_pretrained(str(tmp_path / "ours"))
    loaded_by_us = getattr(edutransformers, name).from_pretrained(tmp_path / "theirs")
    for mine, other in ((ours, loaded_by_them), (loaded_by_us, theirs)):
        assert_same_texts(mine, other, is_fast=is_fast, pairs=pairs)
        assert_same_names(mine, other)
    if type(theirs).__name__.removesuffix("Fast") == name:  # some names of transformers 5 are another class's
        assert type(edutransformers.AutoTokenizer.from_pretrained(tmp_path / "theirs", use_fast=False)) is type(ours)

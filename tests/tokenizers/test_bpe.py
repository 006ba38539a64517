"""Byte-pair encoding: the heap and the quick way for short words against the definition, and what the options do."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.tokenizers.bpe import BPE, SHORT, merge_naively, merge_short, merge_with_heap, read_merge

VOCAB = {token: i for i, token in enumerate(["<unk>", "l", "o", "w", "e", "r", "lo", "low", "er", "lower", "oo"])}
MERGES = [("l", "o"), ("lo", "w"), ("e", "r"), ("o", "o"), ("low", "er")]


def tokens(model, word):
    return [model.id_to_token[token.id] for token in model.tokenize(word)]


def spans(model, word):
    return [(token.start, token.stop) for token in model.tokenize(word)]


@st.composite
def random_merges(draw):
    """Merges in any order, also such that a pair learned late makes a token that an early pair uses."""
    generator = draw(st.randoms(use_true_random=False))
    names = list("abc")
    pairs = []
    for _ in range(draw(st.integers(0, 25))):
        pair = (generator.choice(names), generator.choice(names))
        if pair not in pairs:
            pairs.append(pair)
            names.append("".join(pair))
    generator.shuffle(pairs)
    return {name: i for i, name in enumerate(dict.fromkeys(names))}, pairs


@settings(deadline=None)
@given(random_merges(), st.text("abc", min_size=1, max_size=2 * SHORT))
def test_all_three_ways_agree(vocab_and_merges, word):
    model = BPE(*vocab_and_merges)
    characters = [model.vocab[character] for character in word]
    wanted = merge_naively(characters, model.merges)
    for merge in (merge_with_heap, merge_short):
        ids, pieces = list(characters), [(i, i + 1) for i in range(len(word))]
        merge(ids, pieces, model.merges)
        assert ids == wanted
        assert "".join(word[start:stop] for start, stop in pieces) == word
        assert [model.vocab[word[start:stop]] for start, stop in pieces] == wanted
    assert [token.id for token in model.tokenize(word)] == wanted


def test_the_earliest_merge_goes_first():
    model = BPE(VOCAB, MERGES)
    assert tokens(model, "lower") == ["lower"]
    assert tokens(model, "slower"[1:] + "lo") == ["lower", "lo"]
    assert tokens(model, "looo") == ["lo", "oo"]  # "lo" was learned before "oo"
    assert tokens(model, "ooo") == ["oo", "o"]  # of equal pairs the leftmost
    assert spans(model, "loweroo") == [(0, 5), (5, 7)]


def test_unknown_characters():
    assert tokens(BPE(VOCAB, MERGES), "xloxe") == ["lo", "e"]  # left out, as if they weren't there
    assert spans(BPE(VOCAB, MERGES), "xloxe") == [(1, 3), (4, 5)]
    assert spans(BPE(VOCAB, MERGES), "loxw") == [(0, 4)]
    assert tokens(BPE(VOCAB, MERGES, unk_token="<unk>"), "xylo") == ["<unk>", "<unk>", "lo"]
    fused = BPE(VOCAB, MERGES, unk_token="<unk>", fuse_unk=True)
    assert tokens(fused, "xyloz") == ["<unk>", "lo", "<unk>"]
    assert spans(fused, "xyloz") == [(0, 2), (2, 4), (4, 5)]
    with pytest.raises(ValueError, match="'lox'.*'<none>'"):
        BPE(VOCAB, MERGES, unk_token="<none>").tokenize("lox")


def test_unknown_characters_as_bytes():
    vocab = {**VOCAB, "<0xC3>": 20, "<0xA9>": 21, "é2": 30}
    model = BPE(vocab, MERGES, unk_token="<unk>", byte_fallback=True)
    assert tokens(model, "loéñ") == ["lo", "<0xC3>", "<0xA9>", "<unk>"]  # of ñ one byte is missing
    assert spans(model, "loéñ") == [(0, 2), (2, 3), (2, 3), (3, 4)]


def test_prefix_and_suffix():
    vocab = {token: i for i, token in enumerate(["a", "##b", "##c</w>", "b</w>", "##bc</w>", "abc</w>", "a</w>"])}
    model = BPE(
        vocab, [("##b", "##c</w>"), ("a", "##bc</w>")], continuing_subword_prefix="##", end_of_word_suffix="</w>"
    )
    assert tokens(model, "abc") == ["abc</w>"]
    assert tokens(model, "a") == ["a</w>"]
    assert tokens(model, "abb") == ["a", "##b"]  # "##b</w>" is not in the vocabulary


def test_ignore_merges():
    vocab = {**VOCAB, "row": 40}
    assert tokens(BPE(vocab, MERGES), "row") == ["r", "o", "w"]
    assert tokens(BPE(vocab, MERGES, ignore_merges=True), "row") == ["row"]


def test_dropout():
    model = BPE(VOCAB, MERGES, dropout=0.5)
    model.random = random.Random(0)
    cuts = {tuple(tokens(model, "lower")) for _ in range(200)}
    assert ("lower",) in cuts
    assert tuple("lower") in cuts
    assert all("".join(cut) == "lower" for cut in cuts)
    assert model.is_random
    assert tokens(BPE(VOCAB, MERGES, dropout=1.0), "lower") == list("lower")
    assert not BPE(VOCAB, MERGES).is_random


def test_a_word_of_a_hundred_thousand_characters():
    """Not quadratic: the naive way would look at 10 thousand million pairs."""
    word = "lower" * 20_000
    assert tokens(BPE(VOCAB, MERGES), word) == ["lower"] * 20_000


def test_json_round_trip():
    model = BPE(VOCAB, MERGES, unk_token="<unk>", fuse_unk=True)
    again = BPE.from_json(model.to_json())
    assert again.to_json() == model.to_json()
    assert again.merge_list() == MERGES
    assert BPE.from_json({"vocab": VOCAB, "merges": ["l o", "lo w"]}).merge_list() == MERGES[:2]


def test_errors():
    with pytest.raises(ValueError, match=r"Merge 2 makes 'qo' of 'q' and 'o', but the vocabulary has no 'q'"):
        BPE(VOCAB, [("l", "o"), ("q", "o")])
    with pytest.raises(ValueError, match="the vocabulary has no 'wo'"):
        BPE(VOCAB, [("w", "o")])
    with pytest.raises(ValueError, match="dropout is 1.5"):
        BPE(VOCAB, MERGES, dropout=1.5)
    with pytest.raises(ValueError, match="The vocabulary is empty"):
        BPE({}, [])
    for bad in ("l o w", "lo", ["l"], ["l", ""]):
        with pytest.raises(ValueError, match="is no merge"):
            read_merge(bad)

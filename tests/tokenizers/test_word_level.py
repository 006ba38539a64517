"""Word-level and character-level models."""

import pytest

from edutransformers.tokenizers.decoders import Fuse
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.pre_tokenizers import WhitespaceSplit
from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json
from edutransformers.tokenizers.word_level import WordLevel, split_characters

VOCAB = {"<unk>": 0, "the": 1, "dog": 2, "barks": 4}


def test_a_word_is_a_token():
    engine = Engine(WordLevel(VOCAB), pre_tokenizer=WhitespaceSplit())
    text = engine.tokenize("the  dogs barks")
    assert (text.ids, text.tokens) == ([1, 0, 4], ["the", "<unk>", "barks"])
    assert text.offsets == [(0, 3), (5, 9), (10, 15)]
    assert engine.tokenize("").ids == []
    assert engine.decode(text.tokens) == "the <unk> barks"


def test_without_an_unknown_token():
    model = WordLevel({"the": 0}, unk_token="[UNK]")
    assert [token.id for token in model.tokenize("the")] == [0]
    with pytest.raises(ValueError, match=r"The word 'dog' is not in the vocabulary, and neither is .* '\[UNK\]'"):
        model.tokenize("dog")
    with pytest.raises(ValueError, match="The vocabulary is empty"):
        WordLevel({})
    with pytest.raises(ValueError, match="the id 0 to both 'a' and 'b'"):
        WordLevel({"a": 0, "b": 0})


def test_characters():
    text = "a\n é\u0301😀a"
    vocab = {character: i for i, character in enumerate(["<unk>", *sorted(set(text) - {"😀"})])}
    engine = Engine(WordLevel(vocab), pre_tokenizer=split_characters(), decoder=Fuse())
    found = engine.tokenize(text)
    assert found.tokens == ["a", "\n", " ", "é", "\u0301", "<unk>", "a"]
    assert found.offsets == [(i, i + 1) for i in range(7)]
    assert engine.decode(found.tokens) == "a\n é\u0301<unk>a"


def test_json_round_trip():
    engine = Engine(WordLevel({"b": 1, "a": 0}, unk_token="a"), pre_tokenizer=split_characters(), decoder=Fuse())
    content = engine_to_json(engine)
    assert content["model"] == {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}
    assert list(content["model"]["vocab"]) == ["a", "b"]
    assert engine_to_json(engine_from_json(content)) == content
    assert engine_from_json(content).tokenize("abc").ids == [0, 1, 0]

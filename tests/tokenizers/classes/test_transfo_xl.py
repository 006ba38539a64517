"""Transformer-XL's tokenizer and its pickled vocabulary. (Needs sacremoses, which the extra `test` has.)"""

import io
import pickle
import re
import sys
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

from edutransformers import TransfoXLTokenizer
from edutransformers.tokenizers.vocabulary_pickle import read_vocabulary_pickle

from ..texts import LONG, OTHER
from .suite import TokenizerSuite

WORDS = ["<unk>", "<eos>", "<formula>", *dict.fromkeys([*LONG.split(), *OTHER.split()]), "Hello", "café", "@-@", "@,@"]
WORDS += ["@.@", "5", "000", "1", ".", "'s"]


class TestTransfoXLTokenizer(TokenizerSuite):
    decoded = {
        "Hello, the fox!": "Hello, the fox!",
        "the café": "the café",
        "5,000 quick-fox 1.5": "5,000 quick-fox 1.5",
    }

    def build(self, **options):
        return TransfoXLTokenizer(**{"vocab": WORDS, **options})

    def test_numbers_and_dashes(self):
        text = "5,000.5 quick-fox"
        encoded = self.build()(text, return_offsets_mapping=True)
        assert encoded.tokens() == ["5", "@,@", "000", "@.@", "5", "quick", "@-@", "fox"]
        places = [text[start:stop] for start, stop in encoded.offset_mapping]
        assert places == ["5", ",", "000", ".", "5", "quick", "-", "fox"]
        assert self.build().moses_pipeline(text) == encoded.tokens()
        assert self.build().moses_tokenize(text) == ["5,000.5", "quick", "@-@", "fox"]
        assert self.build().moses_punct_norm("“x” ") == '"x"'

    def test_an_unknown_word_is_shown(self):
        encoded = self.build()("the zebra")
        assert encoded.tokens() == ["the", "zebra"]
        assert encoded.input_ids[1] == 0
        assert list(encoded) == ["input_ids"]

    def test_lower_case(self):
        tokenizer = self.build(lower_case=True)
        assert tokenizer.tokenize("Hello ΑΣ <EOS> x<eos>y") == ["hello", "ασ", "<eos>", "x", "<eos>", "y"]
        assert tokenizer.do_lower_case
        tokenizer.add_tokens(["New"])
        assert tokenizer.tokenize("the NEW") == ["the", "NEW"] or tokenizer.tokenize("the NEW")[-1].lower() == "new"
        assert tokenizer.convert_ids_to_tokens(tokenizer("the NEW").input_ids) == ["the", "New"]

    def test_characters(self):
        encoded = self.build(delimiter="")(" 5 , ", return_offsets_mapping=True)
        assert encoded.tokens() == ["5", " ", ","]
        assert encoded.offset_mapping == [(1, 2), (2, 3), (3, 4)]

    def test_ends_of_sentences(self):
        tokenizer = self.build()
        assert tokenizer.tokenize("the fox", add_eos=True) == ["the", "fox", "<eos>"]
        assert tokenizer.tokenize("the fox", add_double_eos=True) == ["<S>", "the", "fox", "<S>"]
        assert tokenizer._tokenize(" the fox", add_eos=True) == ["the", "fox", "<eos>"]

    def test_counting_words(self, tmp_path):
        (tmp_path / "a.txt").write_text("the fox the dog\nthe fox <eos>\n", encoding="utf-8")
        tokenizer = TransfoXLTokenizer(special=["<eos>"], min_freq=2)
        assert tokenizer.idx2sym == ["<unk>", "<eos>"]
        assert tokenizer.count_file(tmp_path / "a.txt")[1] == ["the", "fox", "<eos>"]
        tokenizer.count_sents([["<unk>", "<unk>"]])
        tokenizer.build_vocab()
        assert tokenizer.sym2idx == {"<eos>": 0, "the": 1, "fox": 2, "<unk>": 3}
        assert tokenizer("the dog<eos><formula>").input_ids == [1, 3, 0, 4]
        ids = tokenizer.encode_file(tmp_path / "a.txt")
        assert [row.tolist() for row in ids] == [[1, 2, 1, 3, 0], [1, 2, 0, 0]]
        joined = tokenizer.encode_file(tmp_path / "a.txt", ordered=True, add_eos=False)
        np.testing.assert_array_equal(joined, [1, 2, 1, 3, 1, 2, 0])
        tokenizer.max_size = 1
        tokenizer.build_vocab()
        assert tokenizer.idx2sym == ["<eos>", "the"]
        with pytest.raises(OSError, match=r"There is no file .*nowhere\.txt"):
            tokenizer.count_file(tmp_path / "nowhere.txt")

    def test_words_that_come_later(self):
        tokenizer = self.build()
        tokenizer.add_tokens(["new", "newer"])
        size = len(tokenizer)
        tokenizer.move_added_token("new", 4)
        assert tokenizer.convert_tokens_to_ids(["the", "new", WORDS[4], "newer"])[1:] == [4, 5, size - 1]
        assert len(tokenizer) == size
        assert tokenizer.decode([4]) == "new"
        tokenizer.add_symbol("zebra")
        assert tokenizer.idx2sym[-1] == "zebra"
        assert tokenizer.tokenize("newer zebra new") == ["newer", "zebra", "new"]
        for token, place, error in [("zebra", 1, "in the vocabulary already"), ("x", 1, "was not added")]:
            with pytest.raises(ValueError, match=error):
                tokenizer.move_added_token(token, place)
        tokenizer.add_tokens(["last"])
        with pytest.raises(ValueError, match="target_idx is -1: expected 0 to"):
            tokenizer.move_added_token("last", -1)

    def test_files(self, tmp_path):
        tokenizer = self.build()
        tokenizer.save_vocabulary(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["vocab.pkl", "vocab.txt"]
        assert read_vocabulary_pickle(tmp_path / "vocab.pkl") == tokenizer.sym2idx
        for name in ("vocab.txt", "vocab.pkl"):
            argument = "vocab_file" if name == "vocab.txt" else "pretrained_vocab_file"
            assert TransfoXLTokenizer(**{argument: tmp_path / name}).get_vocab() == tokenizer.get_vocab()
        assert set(self.build(vocab=["<unk>", " "]).vocabulary_files()) == {"vocab.pkl"}
        (tmp_path / "vocab.txt").write_text("a\nb\n", encoding="utf-8")
        with pytest.raises(ValueError, match="neither <unk> nor <UNK>"):
            TransfoXLTokenizer(vocab_file=tmp_path / "vocab.txt")

    def test_the_unknown_token_in_capitals(self, tmp_path):
        (tmp_path / "vocab.txt").write_text("a 5\n<UNK> 3\n\nb\na\n", encoding="utf-8")
        tokenizer = TransfoXLTokenizer(vocab_file=tmp_path / "vocab.txt")
        assert tokenizer.idx2sym == ["a", "<UNK>", "b"]
        assert tokenizer("a zebra").input_ids == [0, 1]

    def test_vocab_bin(self, tmp_path):
        """As torch.save writes it: a zip file, or before torch 1.6 several pickles."""
        content = {"idx2sym": WORDS, "sym2idx": OrderedDict(), "counter": Counter("ab")}
        with zipfile.ZipFile(tmp_path / "vocab.bin", "w") as archive:
            archive.writestr("vocab/data.pkl", pickle.dumps(content, protocol=2))
        loaded = TransfoXLTokenizer.from_pretrained(tmp_path)
        assert loaded.idx2sym == WORDS
        magic = 0x1950A86A20F9469CFC6C
        parts = [magic, 1001, {"little_endian": True}, content, []]
        (tmp_path / "vocab.bin").write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
        assert TransfoXLTokenizer.from_pretrained(tmp_path).idx2sym == WORDS

    def test_without_sacremoses(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sacremoses", None)
        with pytest.raises(ImportError, match="TransfoXLTokenizer cuts texts into words with sacremoses"):
            self.build()


class Evil:
    """Its pickle calls `open` to write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_never_run(tmp_path, protocol):
    content = {
        "evil": Evil(tmp_path / "written"),
        "pattern": re.compile("a"),
        "set": {1, (2, 3)},
        "frozen": frozenset("ab"),
        "bytes": b"ab",
        "counter": Counter("aab"),
        (1, 2): "a tuple as a key",
        "object": Evil.__new__(Evil).__class__,
        "sym2idx": OrderedDict([("b", 1), ("a", 0)]),
    }
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    assert read_vocabulary_pickle(tmp_path / "vocab.pkl") == {"a": 0, "b": 1}
    assert not (tmp_path / "written").exists()


def test_keys_that_could_take_for_ever_to_hash(tmp_path):
    """Tuples of tuples of …; none is a word, so none becomes a key."""
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps({"sym2idx": {"a": 0, (1, (2, 3)): 1}}))
    assert read_vocabulary_pickle(tmp_path / "vocab.pkl") == {"a": 0}


def test_pickles_that_are_no_vocabulary(tmp_path):
    path = tmp_path / "vocab.pkl"
    good = pickle.dumps({"idx2sym": ["a", "b"], "sym2idx": {}})
    deep = pickle.dumps(())
    for content, error in [
        (b"", "no end|damaged"),
        (good[:-3], "no end|damaged"),
        (b"hello", "damaged|uses the instruction"),
        (pickle.dumps(["a"]), "neither idx2sym nor sym2idx"),
        (pickle.dumps({"sym2idx": {"a": "b"}}), "neither idx2sym nor sym2idx"),
        (pickle.dumps({"idx2sym": ["a", 1]}), "is no list of words"),
        (pickle.dumps({"idx2sym": ["a", "a"]}), "has 'a' twice"),
        (deep, "neither idx2sym nor sym2idx"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=error):
            read_vocabulary_pickle(path)
    for cut in range(len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(ValueError, match="vocab.pkl"):
            read_vocabulary_pickle(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vocab/data.pkl", b"\x80\x02" + b"0" * 1_000_000)
    path.write_bytes(packed.getvalue())
    with pytest.raises(ValueError, match="not compressed"):
        read_vocabulary_pickle(path)
    with pytest.raises(OSError, match="There is no vocabulary file"):
        read_vocabulary_pickle(tmp_path / "nowhere.pkl")
